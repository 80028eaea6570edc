"""What a training minimizes: losses with names and weights that add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from translator.config import TrainingConfig
from translator.data.batching import Batch
from translator.data.tokenizer import PAD_ID
from translator.model.alignment_head import guided_head
from translator.model.transformer import Transformer
from translator.training.cross_entropy import projected_cross_entropy

# A sparse normalizer can give a weight of 0, whose logarithm has no gradient.
_MIN_WEIGHT = 1e-6


@dataclass(frozen=True)
class Losses:
    """What an objective says about a batch.

    Attributes:
        total: the sum to minimize, a scalar in nats, summed over the target tokens
        parts: each loss by its name, before it is weighted, summed over the target tokens
    """

    total: Tensor
    parts: dict[str, Tensor]


class Objective(Protocol):
    """Turns a model and a batch into a loss.

    Attributes:
        names: of the parts; a process whose share of a batch is empty needs them, too
    """

    @property
    def names(self) -> Sequence[str]: ...  # noqa: D102

    def __call__(self, model: Transformer, batch: Batch) -> Losses:
        """Compute the losses of a batch."""
        ...


@dataclass(frozen=True)
class TeacherForced:
    """A model's reading of a batch whose target is known.

    Attributes:
        states: (B, T, D)
        attention: the cross-attention weights (B, H, T, S) of the layers that a loss asked for
    """

    states: Tensor
    attention: dict[int, Tensor]


class Loss(Protocol):
    """A summand of `SupervisedObjective`.

    Attributes:
        name: what logs call it
        weight: factor in the sum
        attention_layers: decoder layers, counted from 0, whose cross-attention it needs
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def weight(self) -> float: ...  # noqa: D102
    @property
    def attention_layers(self) -> tuple[int, ...]: ...  # noqa: D102

    def __call__(self, model: Transformer, batch: Batch, output: TeacherForced) -> Tensor:
        """The loss in nats, summed over the target tokens."""
        ...


class SupervisedObjective:
    """The weighted sum of several losses, all computed from one teacher-forced pass."""

    def __init__(self, losses: Sequence[Loss]) -> None:
        """Keep the losses; their names must differ."""
        self.losses = losses
        self.names = [loss.name for loss in losses]
        self._layers = sorted({layer for loss in losses for layer in loss.attention_layers})

    def __call__(self, model: Transformer, batch: Batch) -> Losses:
        """As `Objective`."""
        memory = model.encoder(batch.src, batch.src_padding_mask)
        states, weights = model.decoder(batch.tgt[:, :-1], memory, weights_of=self._layers)
        output = TeacherForced(states, dict(zip(self._layers, weights, strict=True)))
        parts = {loss.name: loss(model, batch, output) for loss in self.losses}
        total = torch.stack([loss.weight * parts[loss.name] for loss in self.losses]).sum()
        return Losses(total, parts)


@dataclass(frozen=True)
class CrossEntropy:
    """How improbable the model finds the right next tokens; padding counts nothing.

    Attributes:
        label_smoothing: see `projected_cross_entropy`
    """

    label_smoothing: float
    name: str = "cross_entropy"
    weight: float = 1.0
    attention_layers: tuple[int, ...] = ()

    def __call__(self, model: Transformer, batch: Batch, output: TeacherForced) -> Tensor:
        """As `Loss`."""
        targets = batch.tgt[:, 1:]  # (B, T)
        real = targets != PAD_ID  # logits are computed for these positions only
        return projected_cross_entropy(
            output.states[real], model.embedding.weight, targets[real], self.label_smoothing
        )


@dataclass(frozen=True)
class GuidedAlignment:
    """How little one head of cross-attention looks at the source tokens linked to a target token.

    Guided alignment (Garg et al. 2019, arXiv 1909.02074), with two changes. The head learns at the
    step that reads a token, when the decoder knows the token; so no separate pass is needed. And
    if a token has several linked source tokens, the head may choose among them.

    Attributes:
        layer: of the decoder, counted from 0
        head: of that layer, counted from 0; None for the mean of all
        weight: relative to the cross-entropy
    """

    layer: int
    head: int | None
    weight: float
    name: str = "guided_alignment"

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """As `Loss`."""
        return (self.layer,)

    def __call__(self, model: Transformer, batch: Batch, output: TeacherForced) -> Tensor:
        """As `Loss`: -log of the weight on linked tokens, summed over the tokens with links."""
        if batch.links is None:
            raise ValueError("guided alignment needs batches with links")
        of_layer = output.attention[self.layer]  # (B, H, T, S)
        weights = of_layer.mean(dim=1) if self.head is None else of_layer[:, self.head]
        return guided_alignment_loss(weights, batch.links)


def guided_alignment_loss(weights: Tensor, links: Tensor) -> Tensor:
    """The summed -log of the weight on linked tokens, over the target tokens that have links.

    Args:
        weights: (B, T, S)
        links: bool (B, T, S), see `Batch.links`
    """
    linked = links.any(dim=-1)  # (B, T)
    on_links = (weights.float() * links).sum(dim=-1)[linked]
    return -on_links.clamp(min=_MIN_WEIGHT).log().sum()


def make_objective(config: TrainingConfig, decoder_layers: int) -> SupervisedObjective:
    """The objective that a configuration asks for."""
    losses: list[Loss] = [CrossEntropy(config.label_smoothing)]
    if config.guided_alignment:
        guided = guided_head(decoder_layers)
        losses.append(GuidedAlignment(guided.layer, guided.head, config.guided_alignment_weight))
    return SupervisedObjective(losses)
