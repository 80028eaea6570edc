"""Kill a training again and again: it must end as if nothing had happened.

    python scripts/crash_test.py --kills 50

A tiny model is trained twice from the same corpus: once untouched, and once killed (SIGKILL, with
the processes it has started) at random moments of every phase, and started again each time. It
must go on at the last saved state each time, leave no half-made file behind, and end with the same
weights, state and measurements, bit for bit; else the exit code is 1. The corpus is the default
one, so that its download is killed too, or the one of --pairs.
"""

import argparse
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peers.records import Record, write_records
from tabulate import tabulate

from translator.errors import TranslatorError, exit_on_user_error
from translator.runs.run import Run
from translator.training.checkpoint import load_state

# Everything that could make a resumed training differ is on: sampled pieces, dropout, averaged
# weights, several batches a step. A state is saved at every step.
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
# The default corpus is read as a whole, but only its short pairs are trained on: otherwise each
# start would take a minute to cut them into pieces.
SHORT = ["--corpus.max_chars=25", "--corpus.dev_sentences=100", "--corpus.test_sentences=100"]
# In the order of the pipeline, since nothing finished is done again.
DOWNLOAD, CORPUS, BETWEEN, TOKENIZER = "download", "corpus", "between the two", "tokenizer"
START, STEPS, CHECKPOINT = "starting", "steps", "writing a checkpoint"
EVALUATION, WEIGHTS, REPORT = "evaluation", "writing weights", "report"
PREPARING = [DOWNLOAD, CORPUS, BETWEEN, TOKENIZER]
PHASES = [*PREPARING, START, STEPS, CHECKPOINT, EVALUATION, WEIGHTS, REPORT]
BRIEF = [BETWEEN, CHECKPOINT, WEIGHTS]  # over in some milliseconds: killed as soon as seen
EVALUATIONS = 3
# A multiple of the 20 steps between two losses in metrics.jsonl, whose line tells that the
# evaluation of the same step has begun.
_STEPS_TO_EVALUATION = 20
_EARLY = 0.4  # of a phase's time, for a machine that is twice as quick as it was the first time
_PATIENCE = 900  # seconds without an end or the awaited moment: it hangs
# In metrics.jsonl; all else must be equal.
_TIMES = ("seconds", "evaluation_seconds", "tgt_tokens_per_second")


class Training:
    """A training in a folder of its own, by one process after the other."""

    def __init__(self, folder: Path, pairs: Path | None, max_steps: int) -> None:
        """Set up.

        Args:
            folder: a new one
            pairs: the corpus; None for the default one
            max_steps: at which it ends
        """
        self.downloads = pairs is None
        self.data, self.run = folder / "data", Run(folder / "run")
        self.log = folder / "log"
        self.temporary = folder / "tmp"  # where a killed pip leaves what it has fetched
        self.temporary.mkdir(parents=True)
        self.max_steps = max_steps
        self.command = [sys.executable, "-m", "translator", "train", *OPTIONS]
        self.command += SHORT if pairs is None else [f"--corpus.files={pairs}"]
        self.command += [f"--training.max_steps={max_steps}", f"--data-dir={self.data}"]
        self.command += [f"--training.evaluations={EVALUATIONS}", f"--run-dir={self.run.path}"]

    @contextmanager
    def process(self) -> Iterator["Process"]:
        """Start it, or go on with it; it never outlives the block."""
        process = Process(self)
        try:
            yield process
        finally:
            process.kill()

    def prepared(self, pattern: str) -> list[Path]:
        """What there is in DATA/prepared; what begins with a dot is not finished."""
        return list((self.data / "prepared").glob(pattern))

    def step(self) -> int:
        """Of the saved state; 0 if there is none."""
        if not self.run.state.exists():
            return 0
        return int(load_state(self.run.state)["progress"]["step"])

    def files(self) -> set[Path]:
        """What is left in the end; a lock is a file that stays."""
        found = [*self.data.rglob("*"), *self.run.path.rglob("*")]
        folder = self.data.parent
        return {path.relative_to(folder) for path in found if path.suffix != ".lock"}


class Process:
    """A process that trains, and how far it has come, read from its files."""

    def __init__(self, training: Training) -> None:
        """Start it, as the leader of a group: pip will belong to it."""
        self.training = training
        self.run = training.run
        self.first_step = training.step()
        self._joined = self.run.path / "attention.png"
        self._before = {path: _written(path) for path in (self.run.metrics, self._joined)}
        self._state_read = 0, 0
        self._corpus_was_made = bool(training.prepared("[!.]*"))
        with training.log.open("wb") as log:
            self.popen = subprocess.Popen(
                training.command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Without pip's cache, every download is one.
                env=os.environ | {"TMPDIR": str(training.temporary), "PIP_NO_CACHE_DIR": "1"},
            )

    def _wrote(self, path: Path) -> bool:
        return _written(path) != self._before[path]

    def _temporary(self, path: Path) -> bool:
        """Whether this process is writing a file, or was when it was killed."""
        return path.with_name(f".{path.name}.{self.popen.pid}.tmp").exists()

    def _making(self, where: str) -> bool:
        return bool(self.training.prepared(f"{where}.*.{self.popen.pid}.partial"))

    def step(self) -> int:
        """Of the saved state."""
        written = _written(self.run.state)
        if written != self._state_read[0]:
            self._state_read = written, self.training.step()
        return self._state_read[1]

    def resumed(self) -> bool:
        """Whether it has come to its first step: then it has written metrics.jsonl anew."""
        return self._wrote(self.run.metrics)

    def nearly_done(self) -> bool:
        """Whether hardly more than the report is missing, after which there is nothing to kill."""
        return self._wrote(self._joined)

    def measured_step(self) -> int:
        """Of the last measurement; 0 before the first step of this process."""
        records = self.run.read_metrics() if self.resumed() else []
        return int(records[-1]["step"]) if records else 0

    def writing(self) -> str | None:
        """The phase, if it is a file of the training being written."""
        if self._temporary(self.run.state):
            return CHECKPOINT
        return WEIGHTS if self._temporary(self.run.weights) else None

    def phase(self) -> str:
        """What the process is doing, or was when it was killed."""
        if writing := self.writing():
            return writing
        if self._making(""):
            fetched = list((self.training.data / "downloads").glob("*.tsv"))
            return DOWNLOAD if self.training.downloads and not fetched else CORPUS
        if self._making("[!.]*/"):
            return TOKENIZER
        if not self.training.prepared("[!.]*/tokenizer-*"):
            made_now = bool(self.training.prepared("[!.]*")) and not self._corpus_was_made
            return BETWEEN if made_now else START
        if not self.resumed():
            return START
        step = self.step()
        if step == self.training.max_steps:
            return REPORT
        # The loss of a step is written before its evaluation, and that before its state.
        every = self.training.max_steps // EVALUATIONS
        return EVALUATION if self.measured_step() == step + 1 and not (step + 1) % every else STEPS

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.popen.poll() is not None

    def kill(self) -> None:
        """Kill it and all that it has started, if it is still there."""
        if not self.ended():
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def said(self) -> str:
        """What it has printed."""
        return self.training.log.read_text(encoding="utf-8", errors="replace")


def _written(path: Path) -> int:
    """When a file was written last; 0 if it isn't there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


class BrokenTrainingError(Exception):
    """The training is not what it must be."""


def untouched(training: Training) -> dict[str, float]:
    """Train without a kill.

    Returns:
        How long each phase took, in seconds.
    """
    seconds = dict.fromkeys(PHASES, 0.0)
    with training.process() as process:
        before = time.monotonic()
        while not process.ended():
            time.sleep(0.01)
            now = time.monotonic()
            seconds[process.phase()] += now - before
            before = now
        if process.popen.returncode:
            raise TranslatorError(f"the untouched training failed:\n{process.said()}")
    measured = [r["evaluation_seconds"] for r in training.run.read_metrics() if "dev_bleu" in r]
    seconds[EVALUATION] = sum(measured) / len(measured)
    seconds[STEPS] /= training.max_steps
    return seconds


class Killer:
    """Kills a training at planned moments, and keeps account of it."""

    def __init__(self, training: Training, seconds: dict[str, float], moments: random.Random):
        """Set up.

        Args:
            training: what is killed
            seconds: how long each phase takes
            moments: draws when
        """
        self.training = training
        self.seconds = seconds
        self.moments = moments
        self.kills: Counter[str] = Counter()
        self.lost = 0

    def plan(self, kills: int) -> list[tuple[str, int]]:
        """Phases, each as often as the others, with the step at which to wait for them."""
        phases = PHASES if self.training.downloads else PHASES[1:]
        drawn = phases * (kills // len(phases)) + self.moments.sample(phases, kills % len(phases))
        every = self.training.max_steps // EVALUATIONS
        planned = []
        for phase in drawn:
            anywhere = self.moments.randrange(1, self.training.max_steps)
            any_evaluation = every * self.moments.randint(1, EVALUATIONS) - 1
            step = {
                STEPS: anywhere,
                CHECKPOINT: anywhere,
                EVALUATION: any_evaluation,
                WEIGHTS: every - 1,  # the first: others may be no better, and not be written
                REPORT: self.training.max_steps,
            }
            planned.append((phase, step.get(phase, 0)))
        return sorted(planned, key=lambda item: (item[1], PHASES.index(item[0])))

    def kill_at(self, phase: str, step: int, share: float) -> None:
        """Start the training, kill it in a phase, and see what that has done.

        Args:
            phase: which
            step: at which to wait for it
            share: of its time, from which the moment is drawn

        Raises:
            BrokenTrainingError: it doesn't go on where it was, or ends with an error.
        """
        pause = 0 if phase in BRIEF else self.moments.uniform(0, share * self.seconds[phase])
        with self.training.process() as process:
            self._barrier(process, phase, step)
            end = time.monotonic() + pause
            while time.monotonic() < end and not process.nearly_done():
                # It may be quicker than the first time, and then be past the phase too early.
                if phase not in (START, STEPS) and process.phase() != phase:
                    break
                time.sleep(0.002)
            process.kill()
            if process.popen.returncode == 0:
                raise TranslatorError(
                    "the training was over before all its kills; try another --seed"
                )
            check_start(process)
            self.kills[process.phase()] += 1
            self.lost = max(self.lost, steps_lost(process))

    def _barrier(self, process: Process, phase: str, step: int) -> None:
        """Until a phase has begun, or is past already."""
        if phase == START:
            return
        deadline = time.monotonic() + _PATIENCE
        while not process.ended():
            reached = process.step()
            at_files = phase in (CHECKPOINT, WEIGHTS) and reached >= step
            now = process.writing() if at_files else process.phase()  # which takes longer
            if phase in PREPARING:
                begun = now in PHASES[PHASES.index(phase) :] and now != START
            else:
                begun = reached >= step and now == phase
                # Weights missed: at the state after them, before which they will be written again.
                begun |= phase == WEIGHTS and at_files and now == CHECKPOINT
                begun |= phase in (EVALUATION, WEIGHTS) and reached > step and process.resumed()
            if begun:
                return
            if time.monotonic() > deadline:
                raise BrokenTrainingError(
                    f"no {phase} within {_PATIENCE} seconds: {process.said()}"
                )
            time.sleep(0.0003 if phase in BRIEF else 0.01)


def steps_lost(process: Process) -> int:
    """How many finished steps are not in the saved state, as far as its files tell."""
    finished = process.step() + (process.phase() == CHECKPOINT)
    return max(finished, process.measured_step()) - process.step()


def check_start(process: Process) -> None:
    """See that a process has gone on where the one before it was killed.

    Raises:
        BrokenTrainingError: it hasn't, or it has ended with an error.
    """
    said = process.said()
    if process.popen.returncode not in (0, -signal.SIGKILL):
        raise BrokenTrainingError(f"it ended with code {process.popen.returncode}: {said}")
    resumed = re.search(r"resuming .* at step (\d+)", said)
    at = int(resumed[1]) if resumed else 0
    if at != process.first_step and (resumed or process.step() != process.first_step):
        raise BrokenTrainingError(
            f"the state saved last was of step {process.first_step}, but it began at {at}"
        )


def differences(killed: Training, reference: Training) -> list[str]:
    """In what the two ends differ."""
    found = []
    if killed.run.weights.read_bytes() != reference.run.weights.read_bytes():
        found.append("weights.safetensors differs")
    states = [load_state(training.run.state) for training in (killed, reference)]
    for state in states:
        del state["progress"]["seconds"]
    found += [f"training_state.pt differs in {name}" for name in _unequal("", *states)]
    metrics = [
        [{k: v for k, v in record.items() if k not in _TIMES} for record in run.read_metrics()]
        for run in (killed.run, reference.run)
    ]
    if metrics[0] != metrics[1]:
        found.append("metrics.jsonl differs in more than times")
    scores = [training.run.read_manifest().get("scores") for training in (killed, reference)]
    if scores[0] != scores[1] or scores[0] is None:
        found.append("the scores in run.json differ")
    left, wanted = killed.files(), reference.files()
    found += [f"{path} is left over" for path in sorted(left - wanted)]
    found += [f"{path} is missing" for path in sorted(wanted - left)]
    return found


def _unequal(name: str, left: Any, right: Any) -> list[str]:
    """The names of the parts in which two states differ."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return [part for key in left for part in _unequal(f"{name}/{key}", left[key], right[key])]
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        equal = left.dtype == right.dtype and torch.equal(left, right)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [
            part
            for i, pair in enumerate(zip(left, right, strict=True))
            for part in _unequal(f"{name}/{i}", *pair)
        ]
    else:
        equal = bool(left == right)
    return [] if equal else [name]


def crash(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Train twice, with kills and without, and print what came of it.

    Returns:
        What is wrong.
    """
    seed = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    print(f"kill moments: --seed {seed}", file=sys.stderr)
    max_steps = EVALUATIONS * _STEPS_TO_EVALUATION * math.ceil(arguments.kills / 10)
    reference, killed = (
        Training(folder / name, arguments.pairs, max_steps) for name in ("untouched", "killed")
    )
    print("training without a kill …", file=sys.stderr)
    killer = Killer(killed, untouched(reference), random.Random(seed))
    wrong: list[str] = []
    try:
        plan = killer.plan(arguments.kills)
        for number, (phase, step) in enumerate(plan, start=1):
            print(f"kill {number} of {arguments.kills}: {phase}, step {step}", file=sys.stderr)
            # What is prepared is not prepared again: only the last kill may come near its end.
            last = phase not in PREPARING or (phase, step) not in plan[number:]
            killer.kill_at(phase, step, share=1.0 if last else _EARLY)
        with killed.process() as process:
            process.popen.wait(_PATIENCE)
            check_start(process)
        wrong += differences(killed, reference)
    except (BrokenTrainingError, subprocess.TimeoutExpired) as failure:
        wrong.append(str(failure))
    if killer.lost > 1:
        wrong.append(f"{killer.lost} steps were lost, though a state is saved at every step")
    report(killer, seed, max_steps, wrong, arguments.json)
    return wrong


def report(killer: Killer, seed: int, steps: int, wrong: list[str], path: Path | None) -> None:
    """Print the table, and write the records."""
    records: list[Record] = [
        ("translator", f"kills: {phase}", killer.kills[phase], "kills")
        for phase in PHASES
        if phase != DOWNLOAD or killer.training.downloads
    ]
    records += [
        ("translator", "kills", sum(killer.kills.values()), "kills"),
        ("translator", "steps of the training", steps, "steps"),
        ("translator", "steps lost at most by a kill", killer.lost, "steps"),
        ("translator", "the end is the same, bit for bit", int(not wrong), "0 or 1"),
        ("translator", "seed of the kill moments", seed, ""),
    ]
    print(tabulate([record[1:] for record in records], ["", "value", "unit"], floatfmt="g"))
    if path:
        write_records(records, path)


def main() -> None:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pairs", type=Path, help="a TSV file, in place of the default corpus")
    parser.add_argument("--folder", type=Path, help="a new one; default: a temporary one")
    parser.add_argument("--seed", type=int, help="of the kill moments, to repeat them")
    parser.add_argument("--json", type=Path, help="write the measures there")
    arguments = parser.parse_args()
    if arguments.kills < 1:
        raise TranslatorError("--kills must be greater than zero")
    if arguments.pairs:
        print("with --pairs nothing is downloaded, and no download killed", file=sys.stderr)
        if not arguments.pairs.is_file():
            raise TranslatorError(f"{arguments.pairs}: no such file")
    if arguments.folder and arguments.folder.exists():
        raise TranslatorError(f"{arguments.folder} is there already; name a new --folder")
    with tempfile.TemporaryDirectory() as temporary:
        wrong = crash(arguments, arguments.folder or Path(temporary))
    if wrong:
        sys.exit("crash_test: " + "\n".join(wrong))


if __name__ == "__main__":
    with exit_on_user_error("crash_test"):
        main()
