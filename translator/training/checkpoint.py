"""A training state on disk: complete, never by half, loaded without unpickling code."""

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
    """Write a training state: tensors, numbers, texts, and lists and dicts of these.

    Raises:
        TranslatorError: it can't be written; the state before it is left as it was.
    """
    # Through memory, since on a full disk torch's own writer doesn't say what is wrong.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; nothing but the types named in `save_state` is ever built.

    Raises:
        TranslatorError: the file is cut off, damaged, or holds anything else.
    """
    try:
        # PyTorch writes checksums, as every zip archive has them, but doesn't read them.
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        state: dict[str, Any] = (
            {} if wrong else torch.load(path, map_location="cpu", weights_only=True)
        )
    # A cut or foreign file fails in one of many ways: a bad archive, end of file, bad pickle.
    except Exception as error:
        raise _damaged(path, f"or cut off ({type(error).__name__})") from error
    if wrong:
        raise _damaged(path, f"(the checksum of {wrong} differs)")
    if not all(tensor.isfinite().all() for tensor in _tensors(state)):
        raise _damaged(path, "(a value in it is not a number)")
    return state


def _damaged(path: Path, how: str) -> TranslatorError:
    return TranslatorError(
        f"{path}: damaged {how}; restore the file, or delete {path.parent} to train from the start"
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)
