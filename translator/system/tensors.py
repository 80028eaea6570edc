"""Named tensors on disk, with a note and a checksum: a safetensors file can't contain code."""

import errno
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

# The checksum and the note are one value, since safetensors writes several in random order, but
# equal tensors must give equal files.
_CHECKED = "checked"
# Weights that were written before there were notes have this key, with a checksum only.
_CHECKSUM_ONLY = "sha256"
# safetensors refuses files with a larger header.
_MAX_HEADER_BYTES = 100_000_000


class DamagedTensorsError(Exception):
    """The file is not as it was written; the message completes a sentence such as "damaged …"."""


@dataclass(frozen=True)
class StoredTensors:
    """The content of a file.

    Attributes:
        tensors: on the CPU, by name
        note: the text that was stored with them
        sha256: the checksum of the names, types, shapes, values and the note, which was compared;
            None for a file of another tool
    """

    tensors: dict[str, Tensor]
    note: str
    sha256: str | None


def pack_tensors(tensors: Mapping[str, Tensor], note: str) -> tuple[bytes, str]:
    """Make the content of a file for `read_tensors`.

    Args:
        tensors: by name; on any device
        note: a text to store with them

    Returns:
        The content, and its checksum (see `StoredTensors`).
    """
    on_cpu = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    sha256 = _checksum(on_cpu, note)
    return safetensors.torch.save(on_cpu, {_CHECKED: f"{sha256} {note}"}), sha256


def read_tensors(path: Path, max_bytes: int) -> StoredTensors:
    """Read what `pack_tensors` made, and compare it with its checksum.

    Args:
        path: the file
        max_bytes: the most that its tensors may need. A larger file is refused before its tensors
            are read, since a changed header could otherwise request any amount of memory

    Raises:
        DamagedTensorsError: the file is cut off, changed or too large, or of another kind.
        OSError: the file is missing, or can't be read.
    """
    try:
        if path.stat().st_size > max_bytes + _MAX_HEADER_BYTES:
            raise DamagedTensorsError(f"(it has more than the {max_bytes:,} bytes of its tensors)")
        with path.open("rb"):
            pass  # for the reason in words, such as "Permission denied"
        with safetensors.safe_open(path, framework="pt") as file:
            # Copy the tensors, since the file may be overwritten while it is mapped.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise DamagedTensorsError(f"or cut off ({error})") from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise DamagedTensorsError("(the disk can't read it)") from error
        raise
    if _CHECKED in metadata:
        sha256, _, note = metadata[_CHECKED].partition(" ")
    else:
        sha256, note = metadata.get(_CHECKSUM_ONLY, ""), ""
    if sha256 and sha256 != _checksum(tensors, note):
        raise DamagedTensorsError("(its SHA-256 differs)")
    return StoredTensors(tensors, note, sha256 or None)


def _checksum(tensors: Mapping[str, Tensor], note: str) -> str:
    """SHA-256 of the note and the names, types, shapes and values, whatever their order."""
    digest = hashlib.sha256(note.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
