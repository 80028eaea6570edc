"""A training state on disk: complete, never by half, loaded without unpickling code."""

import io
from pathlib import Path
from typing import Any

import torch

from translator.errors import TranslatorError
from translator.files import write_bytes


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
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    # A cut or foreign file fails in one of many ways: a bad archive, end of file, bad pickle.
    except Exception as error:
        raise TranslatorError(
            f"{path}: damaged or cut off ({type(error).__name__}); restore the file, or delete "
            f"{path.parent} to train from the start"
        ) from error
    return state
