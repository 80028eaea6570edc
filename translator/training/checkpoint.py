"""Save and load a training state: written atomically, loaded without unpickling code."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from translator.errors import TranslatorError
from translator.system.files import write_bytes


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a training state: tensors, numbers, strings, and lists and dicts of these.

    Raises:
        TranslatorError: it can't be written; the previous state is unchanged.
    """
    # In memory first: on a full disk, torch.save doesn't report the reason.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; only the types named in `save_state` are loaded.

    Raises:
        TranslatorError: the file is cut off or damaged, or contains other types.
    """
    try:
        # The file is a zip archive with checksums, which torch.load doesn't check.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        state: dict[str, Any] = (
            {} if damaged else torch.load(path, map_location="cpu", weights_only=True)
        )
    # The errors for a damaged file have no common base class: bad archive, end of file, bad pickle.
    except Exception as error:
        raise _damage_error(path, f"or cut off ({type(error).__name__})") from error
    if damaged:
        raise _damage_error(path, f"(the checksum of {damaged} differs)")
    if not all(tensor.isfinite().all() for tensor in _tensors(state)):
        raise _damage_error(path, "(it contains NaN or infinity)")
    return state


def _damage_error(path: Path, how: str) -> TranslatorError:
    return TranslatorError(
        f"{path}: damaged {how}; restore the file, or delete {path.parent} to train from the start"
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)
