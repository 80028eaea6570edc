"""The run folder: everything a training leaves behind, in one place that can be moved.

config.yaml            the resolved configuration
run.json               format, state, number of steps, hashes of the data, versions, machine
tokenizer.model        SentencePiece
dev.jsonl test.jsonl   the held-out sentences
weights.safetensors    the best weights on dev: what translates
ctranslate2            what `translator export` writes
training_state.pt      the rest of what an exact resume needs, and the last weights
metrics.jsonl          a line for each measurement
tensorboard            the same for TensorBoard, if training.tensorboard says so
attention              a picture of cross-attention for each evaluation
report.md curves.png   for people, as is attention.png
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translator.config import Config
from translator.errors import TranslatorError
from translator.files import (
    json_line,
    lock_of,
    locked,
    os_errors_named,
    remove_unfinished,
    write_text,
)
from translator.options import load_config

# Raised when this code can't read the runs of earlier code any more.
FORMAT = 3
DEFAULT_RUNS = Path("runs")


@dataclass(frozen=True)
class Run:
    """The paths of a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """What the run is and how far it is."""
        return self.path / "run.json"

    @property
    def tokenizer(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def weights(self) -> Path:
        """The best weights."""
        return self.path / "weights.safetensors"

    @property
    def ctranslate2(self) -> Path:
        """What `translator export` writes: a CTranslate2 model for each compute type."""
        return self.path / "ctranslate2"

    @property
    def state(self) -> Path:
        """What a resume needs."""
        return self.path / "training_state.pt"

    @property
    def metrics(self) -> Path:
        """Measurements, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The same for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def attention(self) -> Path:
        """Pictures of cross-attention, one for each evaluation."""
        return self.path / "attention"

    def is_locked(self) -> bool:
        """Whether a process trains this run just now."""
        try:
            # Opened for reading, since it may lie in a folder that can't be written to; and shared,
            # so that a training that starts at this moment doesn't take us for another one.
            with lock_of(self.path).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no such file: nobody has trained it here
            return False
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that trains this run, and remove what a killed one was writing.

        Raises:
            TranslatorError: another process trains it, or the lock can't be written.
        """
        busy = (
            f"{self.path}: another process is training this run; wait for its end, or train into "
            "another --run-dir"
        )
        with locked(self.path, busy):
            for folder in (self.path, self.attention, self.tensorboard):
                remove_unfinished(folder)
            yield

    def held_out(self, split: str) -> Path:
        """The sentences of dev or test."""
        return self.path / f"{split}.jsonl"

    def read_manifest(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            TranslatorError: this is no run, a damaged one, or one of another format.
        """
        if not self.manifest.is_file():
            raise TranslatorError(
                f"{self.path}: no run there (run.json is missing); train one with: "
                f"translator train --run-dir {self.path}"
            )
        try:
            content: dict[str, Any] = json.loads(self.manifest.read_text(encoding="utf-8"))
            version = content["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise TranslatorError(f"{self.manifest}: damaged ({error!r})") from error
        if version != FORMAT:
            raise TranslatorError(
                f"{self.path}: a run of format {version}, but this version of translator reads "
                f"format {FORMAT}: train it again, or use the version that made it "
                f"({content.get('versions', {}).get('translator', 'unknown')})"
            )
        return content

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Replace run.json; the format is added."""
        text = json.dumps({"format": FORMAT, **content}, indent=2, ensure_ascii=False)
        write_text(self.manifest, text + "\n")

    def load_config(self) -> Config:
        """The configuration that the run was trained with."""
        return load_config(self.config)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add a measurement to metrics.jsonl."""
        with os_errors_named(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(json_line(record))

    def read_metrics(self) -> list[dict[str, Any]]:
        """All measurements; a last line that a kill has cut short is left out."""
        if not self.metrics.exists():
            return []
        *whole_lines, _ = self.metrics.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in whole_lines]


def last_run(runs: Path = DEFAULT_RUNS) -> Run:
    """The run whose weights were written last, by the times of their files.

    Where a clock was set back since, that may be another run than the last: name it then.

    Raises:
        TranslatorError: there is none yet.
    """
    weights = [path for path in runs.glob("*/weights.safetensors") if path.is_file()]
    if not weights:
        raise TranslatorError(
            f"no trained run in {runs}/ yet: train one with `translator train`, "
            "or name one with --run-dir"
        )
    return Run(max(weights, key=lambda path: path.stat().st_mtime).parent)
