"""A model's weights on disk: safetensors files, which can't contain code, with a checksum."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from translator.errors import TranslatorError
from translator.system.files import write_bytes

Model = TypeVar("Model", bound=nn.Module)

# In the metadata of the same file, since a kill between two writes could leave two files that don't
# match.
_CHECKSUM = "sha256"


def get_weights(model: nn.Module) -> dict[str, Tensor]:
    """The trained values by name; a tensor that several modules share appears once.

    (`state_dict` would list the shared token vectors three times.)
    """
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def set_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights from `get_weights` of a model of the same shape.

    Raises:
        ValueError: a name or a shape differs.
    """
    own = get_weights(model)
    if {n: w.shape for n, w in own.items()} != {n: w.shape for n, w in weights.items()}:
        raise ValueError("these weights belong to a model of another shape")
    for name, tensor in own.items():
        tensor.copy_(weights[name])


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights, as float32 on the CPU."""
    weights = {name: tensor.cpu() for name, tensor in get_weights(model).items()}
    write_bytes(path, safetensors.torch.save(weights, {_CHECKSUM: _checksum(weights)}))


def load_weights(make_model: Callable[[], Model], parameters: int, path: Path) -> Model:
    """Load a model with the weights in a file.

    Args:
        make_model: creates the model; called only if the file has enough parameters, since a
            changed config.yaml could otherwise request any amount of memory
        parameters: lower bound of the model's number of parameters
        path: the weights file

    Raises:
        TranslatorError: the file is missing, damaged, or belongs to a model of another shape.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            # Copy the tensors, since the file may be overwritten while it is mapped.
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            checksum = (file.metadata() or {}).get(_CHECKSUM)
    except FileNotFoundError as error:
        raise TranslatorError(
            f"{path}: no weights yet; they are written at the first evaluation on dev"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise _damaged(path, f"or cut off ({error})") from error
    # Files of other tools have no checksum.
    if checksum not in (None, _checksum(weights)):
        raise _damaged(path, "(its SHA-256 differs)")
    if not all(w.dtype == torch.float32 and w.isfinite().all() for w in weights.values()):
        raise _damaged(path, "(it contains values other than finite float32 numbers)")
    misfit = f"{path}: the weights don't fit the config.yaml next to them"
    if sum(tensor.numel() for tensor in weights.values()) < parameters:
        raise TranslatorError(misfit)
    model = make_model()
    try:
        set_weights(model, weights)
    except ValueError as error:
        raise TranslatorError(misfit) from error
    return model


def _checksum(weights: dict[str, Tensor]) -> str:
    """SHA-256 of the names, types, shapes and values, whatever their order in a file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: Path, how: str) -> TranslatorError:
    return TranslatorError(f"{path}: damaged {how}; restore the file, or train again")
