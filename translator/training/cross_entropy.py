"""Cross-entropy of the predicted tokens, computed without keeping the logits."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Rows of logits in a block. 128 × 8,000 floats are 4 MB, which fit into a processor's cache; a GPU
# is faster with larger products.
_BLOCK_ROWS = {"cpu": 128, "cuda": 4096, "mps": 4096}


def projected_cross_entropy(
    states: Tensor,
    embedding: Tensor,
    targets: Tensor,
    smoothing: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of softmax(states · embeddingᵀ) against label-smoothed targets.

    In Szegedy et al. 2016 (arXiv 1512.00567), section 7, the target distribution q spreads a share
    of `smoothing` evenly over all tokens, and the loss is -Σ q log p.

    All logits together would be by far the largest tensor of a training step, so they are never
    kept. Each block of rows is projected, its loss and gradients are computed while it is in the
    cache, and it is discarded. So the gradients are computed in the forward pass.

    Args:
        states: (N, D)
        embedding: (V, D)
        targets: ids (N,)
        smoothing: ε
        weights: (N,), factor of each target's loss, of any sign; None for 1. They get no gradient.

    Returns:
        The weighted sum over all N, a scalar, in nats; float32 at least.
    """
    loss: Tensor = _ProjectedCrossEntropy.apply(states, embedding, targets, smoothing, weights)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        embedding: Tensor,
        targets: Tensor,
        smoothing: float,
        weights: Tensor | None,
    ) -> Tensor:
        ctx.dtypes = states.dtype, embedding.dtype
        device = states.device.type
        if torch.is_autocast_enabled(device):
            half = torch.get_autocast_dtype(device)
            states, embedding = states.to(half), embedding.to(half)
        # Autocast doesn't apply to products with an `out` tensor, so the types are set here.
        with torch.autocast(device, enabled=False):
            return _blockwise_loss(ctx, states, embedding, targets, smoothing, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        gradients = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        of_states, of_embedding = (gradient.to(dtype) * grad for gradient, dtype in gradients)
        return of_states, of_embedding, None, None, None


def _blockwise_loss(
    ctx: Any,
    states: Tensor,
    embedding: Tensor,
    targets: Tensor,
    smoothing: float,
    weights: Tensor | None,
) -> Tensor:
    """Compute the loss, and save its gradients in `ctx`."""
    at_target, elsewhere = 1 - smoothing, smoothing / len(embedding)
    state_gradients, embedding_gradient = torch.empty_like(states), torch.zeros_like(embedding)
    ctx.save_for_backward(state_gradients, embedding_gradient)
    rows = _BLOCK_ROWS[states.device.type]
    parts = (torch.split(tensor, rows) for tensor in (states, targets[:, None], state_gradients))
    weight_of_block = None if weights is None else torch.split(weights[:, None], rows)
    loss = states.new_zeros((), dtype=torch.promote_types(states.dtype, torch.float32))
    for block, (state, target, state_gradient) in enumerate(zip(*parts, strict=True)):
        # In half precision, the sum over the vocabulary would lose its small terms.
        logits = F.linear(state, embedding).to(loss.dtype)  # (rows, V)
        p = logits.softmax(dim=-1)
        # log Z from the most probable token, whose p is at least 1 / V.
        log_z = logits.amax(dim=-1) - p.amax(dim=-1).log()
        if weight_of_block is None:
            # -Σ q log p, where log p is logit - log Z
            loss += (
                log_z.sum() - at_target * logits.gather(1, target).sum() - elsewhere * logits.sum()
            )
        else:
            weight = weight_of_block[block].to(loss.dtype)  # (rows, 1)
            log_q = at_target * logits.gather(1, target) + elsewhere * logits.sum(1, keepdim=True)
            loss += (weight * (log_z[:, None] - log_q)).sum()
        # d loss / d logits = p - q
        gradient = p.sub_(elsewhere) if smoothing else p
        gradient.scatter_add_(1, target, gradient.new_full(target.shape, -at_target))
        if weight_of_block is not None:
            gradient = gradient * weight
        gradient = gradient.to(states.dtype)
        torch.mm(gradient, embedding, out=state_gradient)
        torch.addmm(embedding_gradient, gradient.T, state, out=embedding_gradient)
    return loss
