"""A model's weights on disk: safetensors files, which can't contain code, with a checksum."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from translator.errors import TranslatorError
from translator.system.files import os_errors_for, write_bytes
from translator.system.records import decode, encode_line
from translator.system.tensors import (
    DamagedTensorsError,
    StoredTensors,
    pack_tensors,
    read_tensors,
)

Model = TypeVar("Model", bound=nn.Module)

# Most of the parameters are in matrices, which a configuration decides. The rest, biases and norms,
# are fewer than these or than one megabyte.
_BYTES_PER_MATRIX_PARAMETER = 8
_MAX_OTHER_BYTES = 2**20


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Attributes:
        training: the fingerprint of the training, see `Identity`
        step: the step after which they were saved
    """

    training: str
    step: int


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


def save_weights(model: nn.Module, path: Path, origin: Origin) -> str:
    """Write a model's weights and their origin.

    Returns:
        The checksum of both, see `StoredTensors`.
    """
    content, sha256 = pack_tensors(get_weights(model), encode_line(origin).rstrip())
    write_bytes(path, content)
    return sha256


def load_weights(make_model: Callable[[], Model], parameters: int, path: Path) -> Model:
    """Load a model with the weights in a file.

    Args:
        make_model: creates the model; called only if the file has enough parameters, since a
            changed config.yaml could otherwise request any amount of memory
        parameters: lower bound of the model's number of parameters: those of its matrices
        path: the weights file

    Raises:
        TranslatorError: the file is missing, damaged, or belongs to a model of another shape.
    """
    # Files of other tools have no checksum.
    weights = _read(path, parameters).tensors
    misfit = f"{path}: the weights don't fit the config.yaml next to them"
    if sum(tensor.numel() for tensor in weights.values()) < parameters:
        raise TranslatorError(misfit)
    model = make_model()
    try:
        set_weights(model, weights)
    except ValueError as error:
        raise TranslatorError(misfit) from error
    return model


def read_origin(path: Path, parameters: int) -> tuple[Origin | None, str | None]:
    """Read where the weights in a file come from; for the arguments and errors see `load_weights`.

    Returns:
        The origin and the checksum; None for a file that doesn't have it.
    """
    stored = _read(path, parameters)
    origin = decode(stored.note.encode(), Origin, str(path)) if stored.note else None
    return origin, stored.sha256


def _read(path: Path, parameters: int) -> StoredTensors:
    if not path.exists():
        raise TranslatorError(
            f"{path}: no weights yet; they are written at the first evaluation on dev"
        )
    fix = "restore the file, or train again"
    try:
        with os_errors_for(path):
            stored = read_tensors(path, parameters * _BYTES_PER_MATRIX_PARAMETER + _MAX_OTHER_BYTES)
    except DamagedTensorsError as error:
        raise TranslatorError(f"{path}: damaged {error}; {fix}") from error
    values = stored.tensors.values()
    if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in values):
        raise TranslatorError(
            f"{path}: damaged (it contains values other than finite float32 numbers); {fix}"
        )
    return stored
