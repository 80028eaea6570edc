"""How wrong the predicted pieces are."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from translator.batching import Batch
from translator.model.transformer import Transformer
from translator.tokenizer import PAD_ID

# Rows of logits worked on at once: 128 × 4,000 floats are 2 MB, which stay in a processor's cache.
_ROWS_AT_ONCE = 128


def label_smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy against a target that leaves `smoothing` to all pieces alike.

    Szegedy et al. 2016 (arXiv 1512.00567), section 7: with q = (1 - ε) · onehot + ε / V, the
    cross-entropy -Σ q log p is log Z - (1 - ε) · logit of the target - ε · mean logit.

    The logits are the largest tensor of a training step, and here they become their own gradient
    in place: after the backward pass they are not what they were.

    Args:
        logits: (N, V), float32
        targets: ids (N,)
        smoothing: ε

    Returns:
        The sum over all N, a scalar, in nats.
    """
    loss: Tensor = _SmoothedCrossEntropy.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        parts = torch.split(logits, _ROWS_AT_ONCE)
        log_z = torch.cat([part.logsumexp(dim=-1, keepdim=True) for part in parts])  # (N, 1)
        losses = log_z - (1 - smoothing) * logits.gather(1, targets[:, None])  # (N, 1)
        if smoothing:
            losses -= smoothing * logits.mean(dim=-1, keepdim=True)
        ctx.save_for_backward(log_z, targets)
        ctx.logits = logits.detach()  # not saved as an input, which may not be written to
        ctx.smoothing = smoothing
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # d loss / d logits = softmax(logits) - q
        log_z, targets = ctx.saved_tensors
        gradient = ctx.logits
        for part, part_log_z in zip(
            torch.split(gradient, _ROWS_AT_ONCE), torch.split(log_z, _ROWS_AT_ONCE), strict=True
        ):
            part.sub_(part_log_z).exp_()
            if ctx.smoothing:
                part.sub_(ctx.smoothing / gradient.size(1))
            part.mul_(grad)
        one_hot = (ctx.smoothing - 1) * grad
        gradient.scatter_add_(1, targets[:, None], one_hot.expand(len(targets), 1))
        return gradient, None, None


def batch_loss(model: Transformer, batch: Batch, smoothing: float) -> Tensor:
    """The summed loss of a batch, in nats; padding counts nothing and costs no logits."""
    src_padding_mask = batch.src_padding_mask
    memory = model.encode(batch.src, src_padding_mask)
    states, _ = model.decode(batch.tgt[:, :-1], memory, src_padding_mask)  # (B, T, D)
    targets = batch.tgt[:, 1:]  # (B, T)
    real = targets != PAD_ID
    logits = model.logits(states[real])  # (N, V)
    # In half precision the sum over the vocabulary would lose its small terms.
    return label_smoothed_cross_entropy(logits.float(), targets[real], smoothing)
