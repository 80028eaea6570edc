"""How wrong the predicted pieces are."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from translator.batching import Batch
from translator.model.transformer import Transformer
from translator.tokenizer import PAD_ID

# Rows of logits worked on at once. 128 × 4,000 floats are 2 MB, which stay in a processor's cache;
# a GPU wants large products.
_ROWS_AT_ONCE = {"cpu": 128, "cuda": 4096, "mps": 4096}


def projected_cross_entropy(
    states: Tensor, embedding: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    """Cross-entropy of softmax(states · embeddingᵀ) against label-smoothed targets.

    Szegedy et al. 2016 (arXiv 1512.00567), section 7: of the target distribution q, `smoothing` is
    spread over all pieces alike, and the loss is -Σ q log p.

    All the logits together would be the largest tensor of a training step by far. They are never
    kept: a block of rows is projected, its loss and gradients taken while it is in the cache, and
    forgotten. So the gradients are made on the way forward.

    Args:
        states: (N, D)
        embedding: (V, D)
        targets: ids (N,)
        smoothing: ε

    Returns:
        The sum over all N, a scalar, in nats; float32 at least.
    """
    loss: Tensor = _ProjectedCrossEntropy.apply(states, embedding, targets, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, smoothing: float
    ) -> Tensor:
        rows = _ROWS_AT_ONCE[states.device.type]
        at_target, elsewhere = 1 - smoothing, smoothing / len(embedding)
        losses = []
        state_gradients = torch.empty_like(states)
        embedding_gradient = torch.zeros_like(embedding)
        parts = (torch.split(tensor, rows) for tensor in (states, targets, state_gradients))
        for state, target, state_gradient in zip(*parts, strict=True):
            logits = F.linear(state, embedding)  # (rows, V)
            # In half precision the sum over the vocabulary would lose its small terms.
            log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
            target = target[:, None]
            losses.append(-at_target * log_p.gather(1, target).sum() - elsewhere * log_p.sum())
            # d loss / d logits = p - q
            gradient = log_p.exp_()
            if smoothing:
                gradient.sub_(elsewhere)
            gradient.scatter_add_(1, target, gradient.new_full(target.shape, -at_target))
            gradient = gradient.to(logits.dtype)
            state_gradient.copy_(gradient @ embedding)
            embedding_gradient += gradient.T @ state
        ctx.save_for_backward(state_gradients, embedding_gradient)
        return torch.stack(losses).sum() if losses else states.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        state_gradients, embedding_gradient = ctx.saved_tensors
        return state_gradients * grad, embedding_gradient * grad, None, None


def batch_loss(model: Transformer, batch: Batch, smoothing: float) -> Tensor:
    """The summed loss of a batch, in nats; padding counts nothing and costs no logits."""
    src_padding_mask = batch.src_padding_mask
    memory = model.encode(batch.src, src_padding_mask)
    states, _ = model.decode(batch.tgt[:, :-1], memory, src_padding_mask)  # (B, T, D)
    targets = batch.tgt[:, 1:]  # (B, T)
    real = targets != PAD_ID
    return projected_cross_entropy(states[real], model.embedding.weight, targets[real], smoothing)
