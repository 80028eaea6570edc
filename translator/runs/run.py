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
from typing import TYPE_CHECKING, Any

from translator.config import Config
from translator.config.parsing import load_config
from translator.errors import TranslatorError
from translator.system.checksums import sha256_of
from translator.system.files import (
    json_line,
    lock_path,
    locked,
    os_errors_for,
    parse_json,
    remove_temporaries,
    write_text,
)

if TYPE_CHECKING:
    from translator.corpus.held_out import Example

# Raised when this code can't read the runs of earlier code any more.
FORMAT = 3
DEFAULT_RUNS = Path("runs")

# What run.json and a line of metrics.jsonl hold, as types, or as a tuple of the values there are:
# whatever reads them may rely on that. A key with a question mark may be left out. There is more in
# them, which nothing reads.
_PART = {
    **dict.fromkeys(("references", "sentences", "src_seen", "tgt_seen", "near"), int),
    "sha256": str,
}
_MANIFEST: dict[str, Any] = {
    **dict.fromkeys(("started", "machine", "precision"), str),
    "state": ("training", "finished"),
    "max_steps": int | None,
    "parameters": int,
    "padding_share": float | int,
    "versions": dict,
    "corpus": {
        **dict.fromkeys(("source", "licence", "direction"), str),
        **dict.fromkeys(("train_sha256", "tokenizer_sha256"), str),
        **dict.fromkeys(("pairs_read", "pairs_kept", "train_pairs", "unused_pairs"), int),
        "vocab_size": int,
        **dict.fromkeys(("seconds", "tokenizer_seconds"), float | int),
        "dropped": dict,
        "dev": _PART,
        "test": _PART,
    },
    "scores?": dict,
}
_MEASUREMENT: dict[str, Any] = {
    "step": int,
    "seconds": float | int,
    **dict.fromkeys(("loss?", "dev_bleu?", "tgt_tokens_per_second?"), float | int),
}


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
            with lock_path(self.path).open("rb") as lock:
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
                remove_temporaries(folder)
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
        with os_errors_for(self.manifest):
            content: dict[str, Any] = parse_json(self.manifest.read_bytes(), str(self.manifest))
        _require(content, {"format": int, "versions": dict}, str(self.manifest))
        if content["format"] != FORMAT:
            raise TranslatorError(
                f"{self.path}: a run of format {content['format']}, but this version of translator "
                f"reads format {FORMAT}: train it again, or use the version that made it "
                f"({content['versions'].get('translator', 'unknown')})"
            )
        _require(content, _MANIFEST, str(self.manifest))
        for scores in content.get("scores", {}).values():
            _require(scores, {"bleu": float | int}, f'{self.manifest}: "scores"')
        return content

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Replace run.json; the format is added."""
        text = json.dumps({"format": FORMAT, **content}, indent=2, ensure_ascii=False)
        write_text(self.manifest, text + "\n")

    def require_own_tokenizer(self) -> None:
        """See that the tokenizer is the one that the run was trained with.

        Raises:
            TranslatorError: it is damaged or another one, or missing; or this is no run.
        """
        expected = self.read_manifest()["corpus"]["tokenizer_sha256"]
        if sha256_of(self.tokenizer) != expected:
            raise TranslatorError(
                f"{self.tokenizer}: damaged, or not the SentencePiece model that this run was "
                "trained with; restore the file, or train again"
            )

    def read_held_out(self, split: str) -> "list[Example]":
        """The sentences of dev or test, known to be those that the run was split into.

        Raises:
            TranslatorError: the file is missing, damaged or another one.
        """
        from translator.corpus.held_out import content_hash, read_examples

        path = self.held_out(split)
        examples = read_examples(path)
        if content_hash(examples) != self.read_manifest()["corpus"][split]["sha256"]:
            raise TranslatorError(
                f"{path}: damaged, or not the sentences that this run holds out; restore the file, "
                "or score on files of your own with --src and --ref"
            )
        return examples

    def load_config(self) -> Config:
        """The configuration that the run was trained with."""
        return load_config(self.config)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add a measurement to metrics.jsonl."""
        with os_errors_for(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(json_line(record))

    def read_metrics(self) -> list[dict[str, Any]]:
        """All measurements; a last line that a kill has cut short is left out.

        Raises:
            TranslatorError: another line is damaged.
        """
        if not self.metrics.exists():
            return []
        with os_errors_for(self.metrics):
            *whole_lines, _ = self.metrics.read_bytes().split(b"\n")
        records = []
        for number, line in enumerate(whole_lines, start=1):
            place = f"{self.metrics}, line {number}"
            records.append(parse_json(line, place))
            _require(records[-1], _MEASUREMENT, place)
        return records


def latest_run(runs: Path = DEFAULT_RUNS) -> Run:
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


def _require(value: Any, shape: Any, place: str) -> None:
    """See that a value has a shape: see `_MANIFEST`.

    Raises:
        TranslatorError: it has another.
    """
    if isinstance(shape, dict):
        _require(value, dict, place)
        for key, inner in shape.items():
            name = key.removesuffix("?")
            if name in value:
                _require(value[name], inner, f'{place}: "{name}"')
            elif name == key:
                raise TranslatorError(f'{place}: damaged ("{name}" is missing)')
    elif value not in shape if isinstance(shape, tuple) else not isinstance(value, shape):
        raise TranslatorError(f"{place}: damaged (not what it should be)")
