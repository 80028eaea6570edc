"""The optimizers, their learning rate schedule, and averaged weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from translator.config import TrainingConfig
from translator.model.transformer import Transformer
from translator.training.distributed import World
from translator.training.muon import Muon


def lr_factor(step: int, warmup_steps: int, max_steps: int) -> float:
    """The factor of the peak learning rates at a step (from 0): linear warmup, then decay to 0."""
    rise = (step + 1) / (warmup_steps + 1)
    fall = (max_steps - step) / max(1, max_steps - warmup_steps)
    return min(1.0, rise, fall)


class Optimizers:
    """The optimizers of a model, with their learning rate schedule."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        max_steps: int,
        dtype: torch.dtype = torch.float32,
        world: World | None = None,
    ) -> None:
        """Divide the parameters among the optimizers.

        Muon updates matrices that multiply activations. The embedding is not one of them, since
        each of its rows is a vector of its own.

        Args:
            model: the model to train
            config: the name of the optimizer, and its settings
            max_steps: the step at which the learning rates reach zero
            dtype: of Muon's matrix products
            world: the processes that share them out
        """
        self._config = config
        self._max_steps = max_steps
        embeddings = {
            id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
        }
        self._names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
        parameters = list(model.parameters())
        matrices = [p for p in parameters if p.ndim == 2 and id(p) not in embeddings]
        chosen = {id(p) for p in matrices}
        others = [p for p in parameters if id(p) not in chosen]
        decay = config.weight_decay
        self._all: list[torch.optim.Optimizer] = []
        if config.optimizer == "muon":
            rate = config.muon_lr
            muon = Muon(matrices, rate, weight_decay=decay, dtype=dtype, world=world)
            self._all.append(muon)
            groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0}]
        else:
            groups = [
                {"params": matrices, "weight_decay": decay},
                {"params": others, "weight_decay": 0.0},
            ]
        # The second beta of 0.98 is from Vaswani et al. 2017: gradients of text are sparse and
        # change fast. `fused` runs one kernel instead of a loop over the tensors.
        self._all.append(torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), fused=True))
        self._peaks = [[group["lr"] for group in opt.param_groups] for opt in self._all]

    def step(self, step: int) -> None:
        """Update the weights with the learning rates of this step (from 0); clear the gradients."""
        factor = lr_factor(step, self._config.warmup_steps, self._max_steps)
        for optimizer, peaks in zip(self._all, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Tensor]:
        """What the optimizers remember of each parameter, as {"parameter/key": tensor}.

        Their settings are not part of it, since the configuration and the step decide them.
        """
        return {
            f"{self._names[parameter]}/{key}": value
            for optimizer in self._all
            for parameter, values in optimizer.state.items()
            for key, value in values.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a state.

        Raises:
            ValueError: the state is not one of these parameters.
        """
        by_name: dict[str, dict[str, Tensor]] = {name: {} for name in self._names.values()}
        for path, value in state.items():
            name, _, key = path.rpartition("/")
            if name not in by_name:
                raise ValueError(f"there is no parameter {name}")
            by_name[name][key] = value
        for optimizer in self._all:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            held = {i: by_name[self._names[p]] for i, p in enumerate(parameters)}
            if not all(held.values()):
                raise ValueError("it lacks a parameter")
            optimizer.load_state_dict({**optimizer.state_dict(), "state": held})


class ExponentialMovingAverage:
    """An exponential moving average of a model's weights (Polyak & Juditsky 1992)."""

    def __init__(self, model: Transformer, decay: float) -> None:
        """Start from the current weights."""
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.model.eval()
        self._decay = decay

    def update(self, model: nn.Module, step: int) -> None:
        """Update the average with the weights after a step (from 0).

        The decay is smaller in the first steps, so that the random weights soon fade.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        own, new = ([p.detach() for p in m.parameters()] for m in (self.model, model))
        torch._foreach_lerp_(own, new, 1 - decay)
