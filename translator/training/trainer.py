"""The training loop: steps, measurements on dev, saved states, and an end."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import torch
from tqdm import tqdm

from translator.config import TrainingConfig
from translator.errors import TranslatorError
from translator.model.transformer import Transformer, count_parameters
from translator.model.weights import Origin, save_weights
from translator.runs.manifest import Progress
from translator.runs.measurements import (
    Measurement,
    append_measurement,
    begins_with,
    write_measurements,
)
from translator.runs.run import Run
from translator.system.files import os_errors_for, sync
from translator.training.checkpoint import (
    Identity,
    LoadedState,
    TrainingState,
    load_newest_state,
    save_state,
)
from translator.training.distributed import World
from translator.training.learner import Learner
from translator.training.run_checks import refuse_foreign_state, weights_are_newer
from translator.training.tensorboard import EventFile

# Steps between two records of the training loss in metrics.jsonl.
_STEPS_PER_RECORD = 20
# A rise in nats per token that calls for a warning; noise between two records is about 0.1.
_DIVERGED = 1.0

# The settings that change how sums are rounded, and the options that set them.
_SET_BY = {
    "device": "--training.device",
    "threads": "--training.threads",
    "precision": "--training.precision",
    "processes": "torchrun --nproc-per-node",
}


class TrainingStoppedError(Exception):
    """The user stopped the training; the state is saved."""


class Trainer:
    """Runs a learner from its first step, or from a saved state, to its last step."""

    def __init__(
        self,
        config: TrainingConfig,
        learner: Learner,
        validate: Callable[[Transformer, int], float],
        run: Run,
        identity: Identity,
        world: World,
    ) -> None:
        """Set up a training.

        Args:
            config: how often to evaluate and save
            learner: makes the steps
            validate: computes dev BLEU after a step, and draws the attention
            run: the folder to write to
            identity: what the training computes; it ends at the last step named there
            world: the processes that train together; the main process evaluates and writes
        """
        self.config = config
        self.learner = learner
        self.validate = validate
        self.run = run
        self.identity = identity
        self.max_steps = identity.max_steps
        self.world = world
        self.progress = Progress()
        self.measurements: list[Measurement] = []
        self._weights_sha256: str | None = None  # checksum of the best weights
        self._newest_is_damaged = False
        self._events: EventFile | None = None
        self._saved_at = time.monotonic()

    def train(self) -> None:
        """Make all remaining steps.

        Raises:
            TrainingStoppedError: Ctrl-C, SIGTERM or SIGHUP; the step is finished and the state
                saved.
        """
        progress = self.progress
        with self._bar() as bar, _stop_requests() as stop_requested:
            while progress.step < self.max_steps and not self._out_of_patience():
                started = time.perf_counter()
                losses, tokens = self.learner.step(progress.step)
                progress.seconds += time.perf_counter() - started
                progress.step += 1
                progress.tgt_tokens += tokens
                for name, loss in losses.items():
                    progress.loss_sums[name] = progress.loss_sums.get(name, 0.0) + loss
                progress.loss_tokens += tokens
                if progress.step % _STEPS_PER_RECORD == 0:
                    self._record_loss(bar)
                if self._evaluation_due():
                    self._evaluate(bar)
                elif time.monotonic() - self._saved_at > 60 * self.config.checkpoint_minutes:
                    self.save()
                if self.world.total(stop_requested(), self.learner.device):
                    self.save()
                    raise TrainingStoppedError(f"stopped and saved at step {progress.step}")
                bar.update()  # last, since a message that fails must not prevent saving

    def _evaluation_due(self) -> bool:
        """Whether to evaluate now: evaluations are evenly spread, the last one at the last step."""
        step, count = self.progress.step, min(self.config.evaluations, self.max_steps)
        return step * count // self.max_steps > (step - 1) * count // self.max_steps

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.progress.evaluations_without_gain

    def _evaluate(self, bar: "tqdm[NoReturn]") -> None:
        started = time.perf_counter()
        progress = self.progress
        model = self.learner.evaluated_model
        progress.dev_bleu = self.world.computed_by_main(lambda: self.validate(model, progress.step))
        if progress.dev_bleu > progress.best_bleu:
            progress.best_bleu, progress.best_step = progress.dev_bleu, progress.step
            progress.evaluations_without_gain = 0
            if self.world.is_main:
                origin = Origin(self.identity.fingerprint, progress.step)
                self._weights_sha256 = save_weights(model, self.run.weights, origin)
        else:
            progress.evaluations_without_gain += 1
        measurement = Measurement(
            step=progress.step,
            seconds=round(progress.seconds, 2),
            dev_bleu=progress.dev_bleu,
            evaluation_seconds=round(time.perf_counter() - started, 2),
        )
        self._record(measurement)
        self.save()
        with bar.external_write_mode(file=sys.stderr):
            self.world.log(
                f"step {progress.step}, {progress.seconds:.0f} s: dev BLEU {progress.dev_bleu:.2f}"
            )
            lowest = progress.lowest_loss
            if lowest is not None and progress.loss > lowest + _DIVERGED:
                self.world.log(
                    f"warning: the training loss has risen from {lowest:.2f} to "
                    f"{progress.loss:.2f} nats; with lower rates (--training.lr, "
                    "--training.muon_lr) it may fall"
                )

    def _record_loss(self, bar: "tqdm[NoReturn]") -> None:
        progress = self.progress
        losses = {name: total / progress.loss_tokens for name, total in progress.loss_sums.items()}
        loss, lowest = losses.pop("loss"), progress.lowest_loss
        progress.loss, progress.lowest_loss = loss, loss if lowest is None else min(loss, lowest)
        progress.loss_sums, progress.loss_tokens = {}, 0
        speed = progress.tgt_tokens / progress.seconds
        parts = {name: round(part, 5) for name, part in losses.items()}
        measurement = Measurement(
            step=progress.step,
            seconds=round(progress.seconds, 2),
            epoch=self.learner.batches.epoch,
            loss=round(loss, 5),
            losses=parts if len(parts) > 1 else None,  # a single loss is the sum
            tgt_tokens_per_second=round(speed),
        )
        self._record(measurement)
        bar.set_postfix_str(
            f"loss {loss:.3f}, {speed:.0f} tokens/s, dev BLEU {progress.dev_bleu:.1f}",
            refresh=False,
        )

    def _record(self, measurement: Measurement) -> None:
        """Add a measurement to the run."""
        self.measurements.append(measurement)
        if self.world.is_main:
            append_measurement(self.run.metrics, measurement)
        if self._events:
            self._events.append(measurement)

    def _bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            total=self.max_steps,
            initial=self.progress.step,
            desc="train",
            unit="step",
            disable=not self.world.is_main,
            smoothing=0.05,  # a steady estimate of the remaining time
            mininterval=0.5 if sys.stderr.isatty() else 30,  # a log file needs few lines
        )

    def save(self) -> None:
        """Write everything that `resume` needs."""
        if not self.world.is_main:
            return
        if self.run.metrics.exists():
            with os_errors_for(self.run.metrics):
                sync(self.run.metrics)
        state = TrainingState(
            identity=self.identity,
            progress=self.progress,
            batches=self.learner.batches.state(),
            computed_with=self._computed_with(),
            weights_sha256=self._weights_sha256,
            measurements=self.measurements,
        )
        # A damaged state must not take the place of the good one before it.
        previous = None if self._newest_is_damaged else self.run.previous_state
        save_state(self.run.state, state, self.learner.state_dict(), previous)
        self._newest_is_damaged = False
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Restore the saved state, if there is one; the training continues as if uninterrupted.

        Raises:
            TranslatorError: the saved states are damaged, or a file is one of another training.
                Nothing is changed.
        """
        parameters = count_parameters(self.learner.model)
        loaded = load_newest_state(self.run.states, parameters)
        if loaded is not None:
            refuse_foreign_state(self.run, loaded, self.identity)
        newer_weights = self.world.computed_by_main(
            lambda: weights_are_newer(self.run, loaded, self.identity, parameters)
        )
        if loaded is not None:
            self._restore(loaded)
        if newer_weights:
            # The weights of the best score so far are gone: the next evaluation, which a killed
            # process has already made once, must write its weights again.
            self.progress.best_bleu, self.progress.best_step = -1.0, 0
            self._weights_sha256 = None
        if self.world.is_main:
            self._restore_metrics()

    def _restore(self, loaded: LoadedState) -> None:
        state, path = loaded.state, loaded.path
        if self.world.computed_by_main(lambda: state.progress.step) != state.progress.step:
            raise TranslatorError(
                f"process {self.world.rank}: {path} is not the state that the main process reads; "
                "the run must be on a file system that all machines of a training share"
            )
        self._newest_is_damaged = loaded.damaged is not None
        if loaded.damaged:
            self.world.log(
                f"note: {loaded.damaged}; going on from {path.name}, saved at step "
                f"{state.progress.step}"
            )
        try:
            self.learner.load_state_dict(loaded.tensors)
            self.learner.batches.restore(state.batches)
        # A state that was written on purpose can have other names and shapes.
        except (LookupError, ValueError, RuntimeError) as error:
            raise TranslatorError(f"{path}: not a state of this run ({error})") from error
        self.progress, self.measurements = state.progress, state.measurements
        self._weights_sha256 = state.weights_sha256
        for name, now in self._computed_with().items():
            then = state.computed_with.get(name, now)
            if then != now:
                self.world.log(
                    f"note: so far this run was computed with {name} {then}, now with {now}: "
                    "by rounding, its weights will differ from those of an uninterrupted run "
                    f"({_SET_BY[name]} {then} prevents that)"
                )

    def _restore_metrics(self) -> None:
        """Write the measurements up to the restored step; later ones will be repeated."""
        if not begins_with(self.run.metrics, self.measurements):
            self.world.log(
                f"note: {self.run.metrics} was damaged or incomplete; restored from the saved state"
            )
        write_measurements(self.run.metrics, self.measurements)
        if self.config.tensorboard:
            self._events = EventFile(self.run.tensorboard, self.measurements)

    def _computed_with(self) -> dict[str, str | int]:
        """The settings that change how sums are rounded."""
        return {
            "device": self.learner.device.type,
            "threads": torch.get_num_threads(),
            "precision": self.learner.precision,
            "processes": self.world.size,
        }


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Record Ctrl-C, SIGTERM and SIGHUP, so that the loop can stop.

    A second Ctrl-C or SIGTERM acts at once. SIGHUP doesn't, since a closing terminal may send it
    twice.
    A signal that is ignored stays so: SIGHUP under nohup, SIGINT in the background of a shell.

    Yields:
        A function that returns whether a stop was requested.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        # No message: the handler may interrupt another one, and a closed pipe would end the step.
        received.append(number)
        if number != signal.SIGHUP:
            signal.signal(number, previous[number])

    previous = {
        int(number): handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in previous:
        signal.signal(number, note)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
