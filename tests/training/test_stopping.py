"""A signal stops a training after its step, and the state is saved whatever else fails."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from translator.config import TrainingConfig
from translator.runs.run import Run
from translator.training.checkpoint import Identity
from translator.training.distributed import World
from translator.training.trainer import Trainer, TrainingStoppedError

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
STEPS = 9


class SavingTrainer(Trainer):
    """A trainer whose third step does something else, and that notes the steps it saves."""

    def __init__(self, folder: Path, third_step: Callable[[], None]) -> None:
        def step(number: int) -> tuple[dict[str, float], int]:
            if number == 2:
                third_step()
            return {"loss": 1.0}, 1

        learner: Any = SimpleNamespace(step=step, device=torch.device("cpu"))
        config = TrainingConfig(evaluations=1)
        identity = Identity({}, {}, STEPS)
        super().__init__(config, learner, lambda *_: 0.0, Run(folder), identity, World())
        self.saved: list[int] = []

    def save(self) -> None:
        self.saved.append(self.progress.step)

    def _evaluate(self, bar: object) -> None:
        self.save()


@pytest.fixture(autouse=True)
def _usual_handlers() -> Iterator[None]:
    """A process in the background ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    "numbers", [*([number] for number in SIGNALS), [signal.SIGHUP] * 2], ids=str
)
def test_a_signal_stops_after_the_step_and_saves(
    tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    """A terminal that closes may send SIGHUP twice."""
    trainer = SavingTrainer(tmp_path, lambda: send(*numbers))
    before = signal.getsignal(numbers[0])
    with pytest.raises(TrainingStoppedError, match="saved at step 3"):
        trainer.train()
    assert trainer.saved == [3]
    assert signal.getsignal(numbers[0]) == before


def test_a_second_ctrl_c_acts_at_once(tmp_path: Path) -> None:
    trainer = SavingTrainer(tmp_path, lambda: send(signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.saved == []


@pytest.mark.parametrize("number", SIGNALS)
def test_an_ignored_signal_stays_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """`nohup` ignores SIGHUP, and a shell SIGINT in the background."""
    signal.signal(number, signal.SIG_IGN)
    trainer = SavingTrainer(tmp_path, lambda: send(number))
    trainer.train()
    assert trainer.saved == [STEPS]
    assert signal.getsignal(number) == signal.SIG_IGN


def test_a_closed_pipe_does_not_prevent_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in `train 2>&1 | tee log` ends both: messages can't be written any more."""
    ours, theirs = os.pipe()
    pipe = os.fdopen(theirs, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", pipe)

    def end_of_tee() -> None:
        os.close(ours)
        send(signal.SIGINT)

    trainer = SavingTrainer(tmp_path, end_of_tee)
    with pytest.raises((TrainingStoppedError, BrokenPipeError)):
        trainer.train()
    assert trainer.saved == [3]
    with pytest.raises(BrokenPipeError):
        pipe.close()
