"""One optimizer step: batches in, better weights out."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

import torch

from translator.batching import BatchStream
from translator.config import TrainingConfig
from translator.model.transformer import Transformer
from translator.training.loss import batch_loss
from translator.training.optimizer import AveragedWeights, Optimizers

# The first steps are slow (memory is taken, kernels are chosen): not counted in the speed.
_WARMING_STEPS = 3
# Enough batches of random lengths to know the mean time of a step within some per cent.
_TIMED_STEPS = 25
# Kept back of a time budget, for a machine that slows down when it gets warm or busy.
_RESERVE = 0.05


class Learner:
    """A model, the batches it learns from, and its optimizers."""

    def __init__(
        self, config: TrainingConfig, model: Transformer, batches: BatchStream, max_steps: int
    ) -> None:
        """Set up; `max_steps` is the step at which the learning rates reach zero."""
        self.config = config
        self.model = model
        self.batches = batches
        self.device = next(model.parameters()).device
        self.optimizers = Optimizers(model, config, max_steps)
        self.average = AveragedWeights(model, config.ema_decay) if config.ema_decay else None

    @property
    def evaluated_model(self) -> Transformer:
        """The model to translate with: the averaged one, if weights are averaged."""
        return self.model if self.average is None else self.average.model

    def step(self, step: int) -> tuple[float, int]:
        """Make a step (counted from 0) on the next batches.

        The gradient is that of the mean loss over all target pieces of the step, however they
        are spread over its batches.

        Returns:
            The summed loss in nats, and the number of target pieces.
        """
        self.model.train()
        batches = [self.batches.next() for _ in range(self.config.accumulation)]
        tokens = sum(batch.tgt_tokens for batch in batches)
        total = 0.0
        for batch in batches:
            with _autocast(self.device):
                loss = batch_loss(self.model, batch.to(self.device), self.config.label_smoothing)
            (loss / tokens).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if self.config.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizers.step(step)
        if self.average is not None:
            self.average.update(self.model, step)
        return total, tokens

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the steps to come, but for the random generators."""
        return {
            "batches": self.batches.state(),
            "optimizers": self.optimizers.state_dict(),
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.batches.restore(state["batches"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])


def steps_for_minutes(
    config: TrainingConfig, model: Transformer, make_batches: Callable[[], BatchStream]
) -> int:
    """How many steps fit into `max_minutes`, from the speed of real steps on a copy of the model.

    Neither the model nor the random generators are touched.
    """
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trial = Learner(config, deepcopy(model), make_batches(), _TIMED_STEPS)
        for step in range(_WARMING_STEPS):
            trial.step(step)
        started = time.perf_counter()
        for step in range(_TIMED_STEPS):
            trial.step(step)
        seconds = (time.perf_counter() - started) / _TIMED_STEPS
    return max(1, int(config.max_minutes * 60 * (1 - _RESERVE) / seconds))


def _autocast(device: torch.device) -> AbstractContextManager[object]:
    """Half precision where the processor has units for it: bfloat16 on CUDA."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
