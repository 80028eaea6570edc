"""The training loop: steps, measurements on dev, saved states, and an end."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from translator.config import TrainingConfig
from translator.errors import TranslatorError
from translator.model.transformer import Transformer
from translator.model.weights import save_weights
from translator.runs.manifest import Progress
from translator.runs.measurements import (
    Measurement,
    append_measurement,
    read_measurements,
    write_measurements,
)
from translator.runs.run import Run
from translator.training.checkpoint import load_state, save_state
from translator.training.distributed import World
from translator.training.learner import Learner
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
        max_steps: int,
        world: World,
    ) -> None:
        """Set up a training.

        Args:
            config: how often to evaluate and save
            learner: makes the steps
            validate: computes dev BLEU after a step, and draws the attention
            run: the folder to write to
            max_steps: the step at which the training ends
            world: the processes that train together; the main process evaluates and writes
        """
        self.config = config
        self.learner = learner
        self.validate = validate
        self.run = run
        self.max_steps = max_steps
        self.world = world
        self.progress = Progress()
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
                save_weights(model, self.run.weights)
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
        state = {
            "progress": vars(self.progress),
            "learner": self.learner.state_dict(),
            "computed_with": self._computed_with(),
        }
        save_state(state, self.run.state)
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Restore the saved state, if there is one; the training continues as if uninterrupted.

        Raises:
            TranslatorError: the state is damaged.
        """
        if self.run.state.exists():
            self._restore(load_state(self.run.state))
        if not self.world.is_main:
            return
        # Drop the measurements after the saved step: they will be repeated.
        measurements = read_measurements(self.run.metrics)
        kept = [
            measurement for measurement in measurements if measurement.step <= self.progress.step
        ]
        write_measurements(self.run.metrics, kept)
        if self.config.tensorboard:
            self._events = EventFile(self.run.tensorboard, kept)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self.progress = Progress(**state["progress"])
            self.learner.load_state_dict(state["learner"])
            # A state of an earlier version doesn't name the device, nor the number of processes,
            # which was 1 then.
            before = {"device": self.learner.device.type, "processes": 1} | state["computed_with"]
            then = {name: before[name] for name in self._computed_with()}
        # A foreign file can have other keys, types or shapes than `save` writes.
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise TranslatorError(f"{self.run.state}: not a state of this run ({error})") from error
        for name, now in self._computed_with().items():
            if then[name] != now:
                self.world.log(
                    f"note: so far this run was computed with {name} {then[name]}, now with {now}: "
                    "by rounding, its weights will differ from those of an uninterrupted run "
                    f"({_SET_BY[name]} {then[name]} prevents that)"
                )

    def _computed_with(self) -> dict[str, Any]:
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
