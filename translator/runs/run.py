"""The run folder: everything a training leaves behind, in one place that can be moved.

config.yaml            the resolved configuration
run.json               format, state, number of steps, hashes of the data, versions, machine
tokenizer.model        SentencePiece
lexicon.json           the words of both languages, and their usual case
dev.jsonl test.jsonl   the held-out sentences
weights.safetensors    the best weights on dev, which translate
ctranslate2            the models that `translator export` writes
training_state.safetensors           the last weights, and all else that an exact resume needs
training_state.previous.safetensors  the state before that, in case the last one is damaged
metrics.jsonl          the measurements, one per line
tensorboard            the same for TensorBoard, if training.tensorboard is set
attention              a picture of cross-attention for each evaluation
report.md *.png        the report, with pictures of the curves and of cross-attention
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from translator.config import Config
from translator.config.parsing import load_config
from translator.errors import TranslatorError
from translator.runs.manifest import Manifest, read_manifest, write_manifest
from translator.system.checksums import sha256_of
from translator.system.files import lock_path, locked, remove_temporaries
from translator.text.lexicon import LEXICON_FILE

if TYPE_CHECKING:
    from translator.corpus.held_out import Example

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
        """The manifest: what the run is, and how far it has come; see `Manifest`."""
        return self.path / "run.json"

    @property
    def tokenizer(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def lexicon(self) -> Path:
        """The words of both languages."""
        return self.path / LEXICON_FILE

    @property
    def weights(self) -> Path:
        """The best weights."""
        return self.path / "weights.safetensors"

    @property
    def ctranslate2(self) -> Path:
        """The folder of `translator export`, with a CTranslate2 model for each compute type."""
        return self.path / "ctranslate2"

    @property
    def state(self) -> Path:
        """The training state, from which training resumes."""
        return self.path / "training_state.safetensors"

    @property
    def previous_state(self) -> Path:
        """The training state that was saved before `state`."""
        return self.path / "training_state.previous.safetensors"

    @property
    def states(self) -> list[Path]:
        """The saved training states that there are, the newest first."""
        return [path for path in (self.state, self.previous_state) if path.exists()]

    @property
    def metrics(self) -> Path:
        """The measurements, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The measurements for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def attention(self) -> Path:
        """Pictures of cross-attention, one for each evaluation."""
        return self.path / "attention"

    def is_locked(self) -> bool:
        """Whether a process is training this run now."""
        try:
            # Opened for reading, because the folder may be read-only. The lock is shared, so that
            # two processes that ask at the same time don't take each other for a training.
            with lock_path(self.path).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no lock file: the run was not trained in this folder
            return False
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock on this run, and remove temporary files of a killed process.

        Raises:
            TranslatorError: another process is training the run, or the lock can't be written.
        """
        busy = (
            f"{self.path}: another process is training this run; wait until it ends, or train into "
            "another --run-dir"
        )
        with locked(self.path, busy):
            for folder in (self.path, self.attention, self.tensorboard):
                remove_temporaries(folder)
            yield

    def held_out(self, split: str) -> Path:
        """The file with the sentences of dev or test."""
        return self.path / f"{split}.jsonl"

    def read_manifest(self) -> Manifest:
        """Read run.json; see `manifest.read_manifest`."""
        return read_manifest(self.manifest)

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace run.json."""
        write_manifest(self.manifest, manifest)

    def require_own_tokenizer(self) -> None:
        """Check that the tokenizer and the lexicon are those that the run was trained with.

        Raises:
            TranslatorError: one is damaged, missing or a different one, or the folder is not a run.
        """
        for path in (self.tokenizer, self.lexicon):
            self._require_own(path)

    def _require_own(self, path: Path) -> None:
        corpus = self.read_manifest().corpus
        own = {self.tokenizer: corpus.tokenizer_sha256, self.lexicon: corpus.lexicon_sha256}
        if sha256_of(path) != own[path]:
            raise TranslatorError(
                f"{path}: damaged, or not the file that this run was trained with; restore it, or "
                "train again"
            )

    def is_intact(self, path: Path) -> bool:
        """Whether the tokenizer, the lexicon, dev or test is the one that the run started with."""
        try:
            if path in (self.tokenizer, self.lexicon):
                self._require_own(path)
            else:
                self.read_held_out(path.stem)
        except TranslatorError:
            return False
        return True

    def read_held_out(self, split: str) -> "list[Example]":
        """Read the sentences of dev or test, and check that they are the ones that were held out.

        Raises:
            TranslatorError: the file is missing, damaged or a different one.
        """
        # Slow to import, and not needed by a command that only translates.
        from translator.corpus.held_out import content_hash, read_examples

        path = self.held_out(split)
        examples = read_examples(path)
        corpus = self.read_manifest().corpus
        expected = {"dev": corpus.dev, "test": corpus.test}[split].sha256
        if content_hash(examples) != expected:
            raise TranslatorError(
                f"{path}: damaged, or not the sentences that this run holds out; restore the file, "
                "or score on files of your own with --src and --ref"
            )
        return examples

    def load_config(self) -> Config:
        """Load the configuration that the run was trained with."""
        return load_config(self.config)


def latest_run(runs: Path = DEFAULT_RUNS) -> Run:
    """Return the run whose weights file was modified last.

    This may be the wrong run if the clock was set back between two trainings.

    Raises:
        TranslatorError: there is no run yet.
    """
    weights = [path for path in runs.glob("*/weights.safetensors") if path.is_file()]
    if not weights:
        raise TranslatorError(
            f"no trained run in {runs}/ yet: train one with `translator train`, "
            "or name one with --run-dir"
        )
    return Run(max(weights, key=lambda path: path.stat().st_mtime).parent)
