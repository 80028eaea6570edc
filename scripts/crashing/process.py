"""A training that can be killed, and how far it has come, as its files show."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from translator.errors import TranslatorError
from translator.runs.measurements import read_measurements
from translator.runs.run import Run
from translator.training.checkpoint import LoadedState, load_newest_state

# Everything that could make a resumed training differ is on: BPE dropout, dropout, averaged
# weights, several batches per step. A state is saved at every step.
OPTIONS = [
    "--seed=1",
    "--tokenizer.vocab_size=300",
    "--tokenizer.bpe_dropout=0.1",
    "--model.d_model=32",
    "--model.n_heads=2",
    "--model.encoder_layers=1",
    "--model.decoder_layers=2",
    "--model.d_ff=64",
    "--model.dropout=0.1",
    "--training.batch_tokens=512",
    "--training.gradient_accumulation=2",
    "--training.ema_decay=0.9",
    "--training.checkpoint_minutes=1e-9",
    "--training.threads=1",
    "--training.device=cpu",
]
# The default corpus is read completely, but only its short pairs are used. Otherwise each start
# would tokenize for a minute.
SHORT = ["--corpus.max_chars=25", "--corpus.dev_sentences=100", "--corpus.test_sentences=100"]
# The phases of a training in the order of the pipeline. Finished phases are not repeated. "Between
# the two" is between corpus and tokenizer.
DOWNLOAD, CORPUS, BETWEEN, TOKENIZER = "download", "corpus", "between the two", "tokenizer"
START, STEPS, CHECKPOINT = "starting", "steps", "writing a checkpoint"
EVALUATION, WEIGHTS, REPORT = "evaluation", "writing weights", "report"
PREPARING = [DOWNLOAD, CORPUS, BETWEEN, TOKENIZER]
PHASES = [*PREPARING, START, STEPS, CHECKPOINT, EVALUATION, WEIGHTS, REPORT]
# These phases take a few milliseconds, so the training is killed as soon as one is seen.
BRIEF = [BETWEEN, CHECKPOINT, WEIGHTS]
EVALUATIONS = 3
TIMEOUT = 900  # seconds to wait for a phase or for the end, before the training counts as hanging


class Training:
    """A training in its own folder, by one process after the other."""

    def __init__(self, folder: Path, pairs: Path | None, max_steps: int) -> None:
        """Create the folder.

        Args:
            folder: must not exist
            pairs: the corpus; None for the default one
            max_steps: the number of steps
        """
        self.downloads = pairs is None
        self.data, self.run = folder / "data", Run(folder / "run")
        self.log = folder / "log"
        self.temporary = folder / "tmp"  # where a killed pip leaves its files
        self.temporary.mkdir(parents=True)
        self.max_steps = max_steps
        self.command = [sys.executable, "-m", "translator", "train", *OPTIONS]
        self.command += SHORT if pairs is None else [f"--corpus.files={pairs}"]
        self.command += [f"--training.max_steps={max_steps}", f"--data-dir={self.data}"]
        self.command += [f"--training.evaluations={EVALUATIONS}", f"--run-dir={self.run.path}"]

    @contextmanager
    def process(self) -> Iterator["Process"]:
        """Start or resume the training; the process is killed when the block ends."""
        process = Process(self)
        try:
            yield process
        finally:
            process.kill()

    def prepared(self, pattern: str) -> list[Path]:
        """Matching paths in DATA/prepared; names of unfinished ones begin with a dot."""
        return list((self.data / "prepared").glob(pattern))

    def saved(self) -> LoadedState | None:
        """The saved state from which the next process resumes; None if there is none yet."""
        while states := self.run.states:
            try:
                return load_newest_state(states, self.run.read_manifest().parameters)
            except TranslatorError as error:
                # A running process has just renamed the file: look again.
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
        return None

    def step(self) -> int:
        """The step of the saved state; 0 if there is none."""
        saved = self.saved()
        return saved.state.progress.step if saved else 0

    def files(self) -> set[Path]:
        """All files and folders, relative to this training's folder, except lock files."""
        found = [*self.data.rglob("*"), *self.run.path.rglob("*")]
        folder = self.data.parent
        return {path.relative_to(folder) for path in found if path.suffix != ".lock"}


class Process:
    """A process that trains; its progress is read from its files."""

    def __init__(self, training: Training) -> None:
        """Start the process as the leader of a process group, to which pip will belong too."""
        self.training = training
        self.run = training.run
        self.first_step = training.step()
        self._picture = self.run.path / "attention.png"
        self._modified_before = {
            path: _modified_time(path) for path in (self.run.metrics, self._picture)
        }
        self._state_read = 0, 0
        self._had_corpus = bool(training.prepared("[!.]*"))
        with training.log.open("wb") as log:
            self.popen = subprocess.Popen(
                training.command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Without its cache, pip downloads each time.
                env=os.environ | {"TMPDIR": str(training.temporary), "PIP_NO_CACHE_DIR": "1"},
            )

    def _has_written(self, path: Path) -> bool:
        return _modified_time(path) != self._modified_before[path]

    def _is_writing(self, path: Path) -> bool:
        """Whether this process is writing a file, or was writing it when it was killed."""
        return path.with_name(f".{path.name}.{self.popen.pid}.tmp").exists()

    def _is_preparing(self, where: str) -> bool:
        return bool(self.training.prepared(f"{where}.*.{self.popen.pid}.tmp"))

    def step(self) -> int:
        """The step of the saved state."""
        modified = _modified_time(self.run.state)
        if modified != self._state_read[0]:
            self._state_read = modified, self.training.step()
        return self._state_read[1]

    def resumed(self) -> bool:
        """Whether the steps have begun: the process rewrites metrics.jsonl just before them."""
        return self._has_written(self.run.metrics)

    def nearly_done(self) -> bool:
        """Whether only the report is left to write; soon there will be nothing left to kill."""
        return self._has_written(self._picture)

    def measured_step(self) -> int:
        """The step of the last measurement; 0 before the first step of this process."""
        measurements = read_measurements(self.run.metrics) if self.resumed() else []
        return measurements[-1].step if measurements else 0

    def writing(self) -> str | None:
        """The phase, if the process is writing a checkpoint or weights; None otherwise."""
        if self._is_writing(self.run.state):
            return CHECKPOINT
        return WEIGHTS if self._is_writing(self.run.weights) else None

    def phase(self) -> str:
        """What the process is doing, or was doing when it was killed."""
        if writing := self.writing():
            return writing
        if self._is_preparing(""):
            downloaded = list((self.training.data / "downloads").glob("*.tsv"))
            return DOWNLOAD if self.training.downloads and not downloaded else CORPUS
        if self._is_preparing("[!.]*/"):
            return TOKENIZER
        if not self.training.prepared("[!.]*/tokenizer-*"):
            new_corpus = bool(self.training.prepared("[!.]*")) and not self._had_corpus
            return BETWEEN if new_corpus else START
        if not self.resumed():
            return START
        step = self.step()
        if step == self.training.max_steps:
            return REPORT
        # For each step, the loss is logged first, then dev is evaluated, then the state is saved.
        every = self.training.max_steps // EVALUATIONS
        return EVALUATION if self.measured_step() == step + 1 and not (step + 1) % every else STEPS

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.popen.poll() is not None

    def kill(self) -> None:
        """Kill the process and everything it started, if it still runs."""
        if not self.ended():
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def output(self) -> str:
        """What the process has printed."""
        return self.training.log.read_text(encoding="utf-8", errors="replace")


def _modified_time(path: Path) -> int:
    """Modification time of a file in nanoseconds; 0 if there is no file."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
