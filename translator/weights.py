"""A model's weights on disk: safetensors, which can hold no code."""

from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from translator.errors import TranslatorError
from translator.files import write_bytes


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights, as float32 on the CPU."""
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(weights))


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model with weights from a file.

    Raises:
        TranslatorError: the file is missing, cut off, or belongs to a model of another shape.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise TranslatorError(
            f"{path}: no weights yet; they are written at the first evaluation on dev"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise TranslatorError(f"{path}: damaged or cut off ({error}); train again") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise TranslatorError(f"{path}: the weights don't fit config.yaml beside them") from error
