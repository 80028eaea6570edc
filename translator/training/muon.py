"""The optimizer Muon: orthogonalized momentum."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from translator.training.distributed import World

# Coefficients of the quintic iteration that moves all singular values towards 1. They are tuned to
# raise small values fast, rather than to converge to exactly 1 (Jordan et al. 2024,
# kellerjordan.github.io/posts/muon).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
# Jordan et al. use five. Three give the same BLEU here, in three fifths of the time.
NEWTON_SCHULZ_STEPS = 3


def orthogonalize(matrices: Tensor) -> Tensor:
    """Approximate the nearest semi-orthogonal matrices.

    Singular values above about 1/50 of the Frobenius norm end up between 0.68 and 1.21; smaller
    ones grow about 40-fold.

    Args:
        matrices: (count, rows, columns)

    Returns:
        The same shape: about U · Vᵀ of the singular value decomposition U · S · Vᵀ, computed by a
        Newton-Schulz iteration.
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
    """Orthogonalize momentum, so that all directions of a matrix learn at the same rate.

    See Jordan et al. 2024. Matrices of the same shape are updated together, in batched products.

    Args:
        parameters: matrices only
        lr: learning rate; the update has singular values of about lr · √max(1, rows / columns)
        momentum: Nesterov momentum
        weight_decay: decoupled, multiplied by lr
        dtype: the type for orthogonalization, for which bfloat16 is exact enough (Jordan et al.);
            None for the type of the matrices
        world: the processes that share out the orthogonalization
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,  # Jordan et al. found it good at every size
        weight_decay: float = 0.0,
        dtype: torch.dtype | None = None,
        world: World | None = None,
    ) -> None:
        """Store the settings; the momentum starts at zero."""
        self._dtype = dtype
        self._world = world or World()
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
        updates = self._world.map_shares(self._orthogonalize, torch.stack(list(ahead)))
        rows, columns = matrices[0].shape
        if group["weight_decay"]:
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        scale = group["lr"] * math.sqrt(max(1, rows / columns))
        torch._foreach_add_(matrices, list(updates.unbind()), alpha=-scale)

    def _orthogonalize(self, matrices: Tensor) -> Tensor:
        dtype = matrices.dtype
        return orthogonalize(matrices.to(self._dtype or dtype)).to(dtype)
