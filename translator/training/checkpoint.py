"""Save and load a training state: two files in turn, with checksums, that can't contain code."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from translator.errors import TranslatorError
from translator.runs.manifest import Progress
from translator.runs.measurements import Measurement
from translator.system.checksums import fingerprint
from translator.system.files import os_errors_for, write_bytes
from translator.system.records import decode
from translator.system.tensors import DamagedTensorsError, pack_tensors, read_tensors

# Increased when the code can no longer read the states of earlier versions.
_FORMAT = 1
# A state has at most four float32 numbers for each parameter: the weight, its average and the two
# moments of AdamW.
_BYTES_PER_PARAMETER = 16
# The numbers that AdamW has for each tensor are few.
_MAX_OTHER_BYTES = 2**20


@dataclass(frozen=True)
class Identity:
    """What a training computes: the same in two runs if both compute the same.

    Attributes:
        settings: those that may not change when a run is resumed
        data: SHA-256 of what it is trained on, by name
        max_steps: the step at which it ends
    """

    settings: dict[str, Any]
    data: dict[str, str | None]
    max_steps: int

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all of this."""
        return fingerprint(asdict(self))

    def differences(self, other: "Identity") -> list[str]:
        """The names of what differs. A setting that only one version of the code has doesn't."""
        keys = self.settings.keys() & other.settings.keys()
        found = [key for key in sorted(keys) if self.settings[key] != other.settings[key]]
        found += [name for name in self.data if self.data[name] != other.data.get(name)]
        return found + ["max_steps"] * (self.max_steps != other.max_steps)


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Everything that an exact resume needs, except the tensors.

    Attributes:
        format: the value of `_FORMAT` in the code that wrote it
        identity: what the training computes
        progress: how far it has come
        batches: position in the training data, see `BatchStream.state`
        computed_with: the settings that change how sums are rounded
        weights_sha256: checksum of the best weights so far; None before the first
        measurements: all measurements so far
    """

    format: int = _FORMAT
    identity: Identity
    progress: Progress
    batches: dict[str, int]
    computed_with: dict[str, str | int]
    weights_sha256: str | None
    measurements: list[Measurement]


@dataclass(frozen=True)
class _Header:
    """The field that the states of all formats have in common."""

    format: int


class DamagedStateError(TranslatorError):
    """A training state is damaged, so that the one before it is needed.

    Attributes:
        what: the file, and how it is damaged
    """

    def __init__(self, path: Path, how: str) -> None:
        """Create the error; `how` completes a sentence such as "damaged …"."""
        self.what = f"{path}: damaged {how}"
        super().__init__(
            f"{self.what}; restore the file, or delete {path.parent} to train from the start"
        )


@dataclass(frozen=True)
class LoadedState:
    """A state that was read.

    Attributes:
        path: the file
        state: everything except the tensors
        tensors: on the CPU, by name
        damaged: describes a newer file that is damaged; None without one
    """

    path: Path
    state: TrainingState
    tensors: dict[str, Tensor]
    damaged: str | None = None


def save_state(
    path: Path, state: TrainingState, tensors: Mapping[str, Tensor], previous: Path | None
) -> None:
    """Write a training state.

    Args:
        path: the file
        state: everything except the tensors
        tensors: the tensors by name, on any device
        previous: the name that the state gets which is at `path` now; None replaces it

    Raises:
        TranslatorError: it can't be written; the earlier states are unchanged.
    """
    note = msgspec.json.encode(state).decode()
    content, _ = pack_tensors(tensors, note)
    write_bytes(path, content, previous)


def load_state(path: Path, parameters: int) -> LoadedState:
    """Read a training state.

    Args:
        path: the file
        parameters: number of parameters of the model; a state that needs more memory is refused

    Raises:
        DamagedStateError: the file is cut off, changed or too large, or of another kind.
        TranslatorError: it can't be read, or another version of the code wrote it.
    """
    try:
        with os_errors_for(path):
            stored = read_tensors(path, parameters * _BYTES_PER_PARAMETER + _MAX_OTHER_BYTES)
        if stored.sha256 is None:
            raise DamagedTensorsError("(it has no checksum)")
        values = stored.tensors.values()
        if not all(tensor.isfinite().all() for tensor in values):
            raise DamagedTensorsError("(it contains NaN or infinity)")
    except DamagedTensorsError as error:
        raise DamagedStateError(path, str(error)) from error
    note = stored.note.encode()
    version = decode(note, _Header, str(path)).format
    if version != _FORMAT:
        raise TranslatorError(
            f"{path}: a state of format {version}, but this version of translator reads format "
            f"{_FORMAT}: resume with the version that wrote it, or delete {path.parent} to train "
            "from the start"
        )
    return LoadedState(path, decode(note, TrainingState, str(path)), stored.tensors)


def load_newest_state(paths: Sequence[Path], parameters: int) -> LoadedState | None:
    """Read the first state that is not damaged; None without a path.

    Args:
        paths: the newest state first
        parameters: see `load_state`

    Raises:
        TranslatorError: all are damaged, or one can't be read; see `load_state`.
    """
    first: DamagedStateError | None = None
    for path in paths:
        try:
            loaded = load_state(path, parameters)
        except DamagedStateError as error:
            first = first or error
        else:
            return replace(loaded, damaged=first.what if first else None)
    if first:
        raise first
    return None
