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

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from translator.config import Config
from translator.config.parsing import load_config
from translator.errors import TranslatorError
from translator.runs.manifest import Manifest, read_manifest, write_manifest
from translator.system.checksums import sha256_of
from translator.system.files import filled_folder, os_errors_for, remove_temporaries
from translator.system.locks import is_locked, locked
from translator.text.lexicon import LEXICON_FILE

if TYPE_CHECKING:
    from translator.corpus.held_out import Example

DEFAULT_RUNS = Path("runs")
# The root of a new file system has such a folder.
_LOST_AND_FOUND = "lost+found"


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

    def is_new(self) -> bool:
        """Whether no training has started here: the folder is missing, or empty.

        A start that was killed doesn't count. It leaves the temporary folder of `started`, and
        perhaps some of the files that a run starts with.

        Raises:
            TranslatorError: the folder can't be read.
        """
        with os_errors_for(self.path):
            if not self.path.exists():
                return True
            names = {path.name for path in self.path.iterdir()} - {_LOST_AND_FOUND}
        own = {name for name in names if name.startswith(f".{self.manifest.name}.")}
        starting = any(name.endswith(".tmp") for name in own)
        return names - own <= ({path.name for path in self._first_files} if starting else set())

    @property
    def _first_files(self) -> list[Path]:
        """The files that a run starts with, except the manifest."""
        return [self.config, self.tokenizer, self.lexicon, *map(self.held_out, ("dev", "test"))]

    @contextmanager
    def started(self) -> Iterator["Run"]:
        """Write the files that a run starts with, the manifest last; the lock must be held.

        Yields:
            A run in a temporary folder, to write them to.
        """
        with filled_folder(self.path, self.manifest.name) as temporary:
            yield Run(temporary)

    def is_locked(self) -> bool:
        """Whether a process is training this run now."""
        return is_locked(self.manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock on this run, and remove what a killed process has left.

        The lock is inside the folder, so it holds for every name of the folder. The folder is
        created for it, and removed again if no training starts.

        Raises:
            TranslatorError: another process is training the run, or the folder can't be written.
        """
        busy = (
            f"{self.path}: another process is training this run; wait until it ends, or train into "
            "another --run-dir"
        )
        created = not self.path.exists()
        try:
            with locked(self.manifest, busy):
                self._remove_leftovers()
                yield
        finally:
            if created:
                with suppress(OSError):  # it is not empty: the training has started
                    self.path.rmdir()

    def _remove_leftovers(self) -> None:
        if self.is_new():
            # Before the temporary folder, which tells whose they are.
            for path in self._first_files:
                path.unlink(missing_ok=True)
        # An export has a lock of its own.
        remove_temporaries(self.path, except_of=self.ctranslate2.name)
        for folder in (self.attention, self.tensorboard):
            remove_temporaries(folder)

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
