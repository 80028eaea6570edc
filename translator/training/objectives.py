"""What a training step minimises: cross-entropy and guided alignment."""

import torch
from torch import Tensor

from translator.data.batching import Batch
from translator.data.tokenizer import PAD_ID
from translator.model.alignment_head import guided_head
from translator.model.transformer import Transformer
from translator.training.cross_entropy import projected_cross_entropy


def batch_losses(model: Transformer, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
    """The summed losses of a batch, in nats; padding counts nothing and costs no logits.

    Args:
        model: what is trained
        batch: what it is trained on
        smoothing: see `projected_cross_entropy`

    Returns:
        The cross-entropy; and the `guided_alignment_loss`, 0 where the batch has no links.
    """
    src_padding_mask = batch.src_padding_mask
    memory = model.encode(batch.src, src_padding_mask)
    guided = guided_head(len(model.decoder))
    states, weights = model.decode(
        batch.tgt[:, :-1],
        memory,
        src_padding_mask,
        weights_of=[] if batch.links is None else [guided.layer],
    )  # (B, T, D)
    targets = batch.tgt[:, 1:]  # (B, T)
    real = targets != PAD_ID
    loss = projected_cross_entropy(states[real], model.embedding.weight, targets[real], smoothing)
    if batch.links is None:
        return loss, torch.zeros_like(loss)
    return loss, guided_alignment_loss(weights[0][:, guided.head], batch.links)


def guided_alignment_loss(weights: Tensor, links: Tensor) -> Tensor:
    """How little a head looks at what each target piece is linked to, when it is read.

    Guided alignment (Garg et al. 2019, arXiv 1909.02074), with two changes: the head learns at
    the step that reads a piece, where it knows the piece, and no pass of its own is needed; and of
    several linked source pieces it may choose.

    Args:
        weights: (B, T, S)
        links: bool (B, T, S)

    Returns:
        The summed -log of the weight on linked pieces, over all pieces that have links; a scalar.
    """
    linked = links.any(dim=-1)
    found = (weights.float() * links).sum(dim=-1)[linked]
    # A sparse normalizer may give 0, whose logarithm has no use.
    return -found.clamp(min=_MIN_WEIGHT).log().sum()


_MIN_WEIGHT = 1e-6
