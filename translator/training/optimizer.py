"""From gradients to weights: Muon, AdamW, the schedule of their rates, averaged weights."""

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from translator.config import TrainingConfig
from translator.model.transformer import Transformer

# Coefficients of the quintic iteration that drives all singular values towards 1, tuned for
# speed near zero rather than for an exact limit (Jordan et al. 2024,
# kellerjordan.github.io/posts/muon).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
# Jordan et al. take five. Three give the same BLEU here, in three fifths of the time.
NEWTON_SCHULZ_STEPS = 3


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, about.

    Singular values of more than some 1/50 of the Frobenius norm end up in 0.68 … 1.21; smaller ones
    are raised some 40-fold.

    Args:
        matrices: (count, rows, columns)

    Returns:
        The same shape: U · Vᵀ of the singular value decomposition U · S · Vᵀ, by Newton-Schulz.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.size(-2) > matrices.size(-1)
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # no division by zero at a zero gradient
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # b · gram + c · gram²
        x = torch.baddbmm(x, polynomial, x, beta=a)  # a · x + polynomial · x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al. 2024): every direction of a matrix learns alike.

    Matrices of one shape are handled together, in one batched product.

    Args:
        parameters: matrices only
        lr: size of the update; the update has singular values of about lr · √max(1, rows / columns)
        momentum: of the Nesterov kind
        weight_decay: decoupled, times lr
        dtype: what the update is orthogonalised in, bfloat16 being exact enough (Jordan et al.);
            None for the matrices' own
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,  # Jordan et al. found it good at every size
        weight_decay: float = 0.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Keep the settings; the momentum starts at zero."""
        self._dtype = dtype
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._update(parameters, group)

    def _update(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Update matrices of one shape."""
        matrices = [parameter.detach() for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        own = matrices[0].dtype
        updates = orthogonalise(torch.stack(list(ahead)).to(self._dtype or own)).to(own)
        rows, columns = matrices[0].shape
        if group["weight_decay"]:
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        scale = group["lr"] * math.sqrt(max(1, rows / columns))
        torch._foreach_add_(matrices, list(updates.unbind()), alpha=-scale)


def rate_factor(step: int, warmup_steps: int, max_steps: int) -> float:
    """What the peak rates are multiplied with at a step (from 0): a rise, then a fall to zero."""
    rise = (step + 1) / (warmup_steps + 1)
    fall = (max_steps - step) / max(1, max_steps - warmup_steps)
    return min(1.0, rise, fall)


class Optimizers:
    """The optimizers of a model as one, with the schedule."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        max_steps: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Share out the parameters.

        Matrices are what multiplies activations; the embedding is not one of them, since each
        of its rows is a vector that is looked up.

        Args:
            model: whose parameters are trained
            config: which optimizer, and its settings
            max_steps: the step at which the learning rates reach zero
            dtype: of Muon's matrix products
        """
        self._config = config
        self._max_steps = max_steps
        embeddings = {
            id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
        }
        parameters = list(model.parameters())
        matrices = [p for p in parameters if p.ndim == 2 and id(p) not in embeddings]
        chosen = {id(p) for p in matrices}
        others = [p for p in parameters if id(p) not in chosen]
        decay = config.weight_decay
        self._all: list[torch.optim.Optimizer] = []
        if config.optimizer == "muon":
            rate = config.muon_learning_rate
            self._all.append(Muon(matrices, rate, weight_decay=decay, dtype=dtype))
            groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0}]
        else:
            groups = [
                {"params": matrices, "weight_decay": decay},
                {"params": others, "weight_decay": 0.0},
            ]
        # The second beta of 0.98 is that of Vaswani et al. 2017: gradients of text are sparse
        # and change fast. One fused kernel in place of a loop over the tensors.
        self._all.append(
            torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
        )
        self._peaks = [[group["lr"] for group in opt.param_groups] for opt in self._all]

    def step(self, step: int) -> None:
        """Update the weights with the rates of this step (from 0), and forget the gradients."""
        factor = rate_factor(step, self._config.warmup_steps, self._max_steps)
        for optimizer, peaks in zip(self._all, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each, for `load_state_dict`."""
        return [optimizer.state_dict() for optimizer in self._all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a state."""
        for optimizer, state in zip(self._all, states, strict=True):
            optimizer.load_state_dict(state)


class AveragedWeights:
    """An exponential moving average of a model's weights (Polyak & Juditsky 1992)."""

    def __init__(self, model: Transformer, decay: float) -> None:
        """Start from the weights as they are."""
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.model.eval()
        self._decay = decay

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step (from 0).

        While few steps are made the decay is less, so that the random start is soon forgotten.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        own, new = ([p.detach() for p in m.parameters()] for m in (self.model, model))
        torch._foreach_lerp_(own, new, 1 - decay)
