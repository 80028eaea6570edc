"""Products of 8-bit integers, for processors that have units for them (AVX512-VNNI, AMX)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.model.embedding import TiedEmbedding
from translator.model.layers import DecoderLayer, EncoderLayer
from translator.model.transformer import Transformer

# What the largest value of a vector becomes.
_LEVELS = 127
# Below any value that matters: a vector of zeros, which ReLU can leave, must not be divided by 0.
_MIN_SCALE = torch.tensor(1e-12)


class QuantizedRows(NamedTuple):
    """Vectors (…, I) as integers.

    Attributes:
        levels: int8 (N, I), N the product of the leading sizes
        scale: what one level is worth in each vector, (N, 1)
        sizes: the leading ones
    """

    levels: Tensor
    scale: Tensor
    sizes: torch.Size


def quantize_rows(x: Tensor) -> QuantizedRows:
    """Round vectors (…, I), each with a scale of its own."""
    rows = x.flatten(0, -2)
    scale = torch.add(_MIN_SCALE, rows.abs().amax(dim=1, keepdim=True), alpha=1 / _LEVELS)
    return QuantizedRows((rows / scale).round_().to(torch.int8), scale, x.shape[:-1])


class Int8Linear(nn.Module):
    """A linear map without a bias, of weights and vectors that are rounded to 255 levels.

    Each row of weights and each vector has a scale of its own ("vector-wise" in Dettmers et al.
    2022, arXiv 2208.07339): so a vector becomes the same whatever else is in its batch.
    """

    levels: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        """Round weights (O, I)."""
        super().__init__()
        levels, scale, _ = quantize_rows(weight.detach())
        self.register_buffer("levels", levels.t().contiguous())  # (I, O), as the product reads it
        self.register_buffer("scale", scale[:, 0])  # (O,)

    def forward(self, x: Tensor | QuantizedRows) -> Tensor:
        """(…, I) to (…, O)."""
        levels, scale, sizes = x if isinstance(x, QuantizedRows) else quantize_rows(x)
        product = torch._int_mm(levels, self.levels)  # int32
        return product.float().mul_(scale).mul_(self.scale).view(*sizes, -1)


class QuantizingNorm(nn.Module):
    """A norm whose vectors are rounded once for all products that read them."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        """Take another's weights."""
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> QuantizedRows:
        """(…, D) to the same, rounded."""
        return quantize_rows(self.norm(x))


class Int8Embedding(TiedEmbedding):
    """Looks vectors up as they were, and compares with rounded ones."""

    def __init__(self, embedding: TiedEmbedding) -> None:
        """Take the vectors of another."""
        vectors = embedding.weight.detach()
        super().__init__(len(vectors), vectors.size(1), _weight=vectors, _freeze=True)
        self.product = Int8Linear(vectors)

    def logits(self, states: Tensor) -> Tensor:
        """As `TiedEmbedding.logits`."""
        logits: Tensor = self.product(states)
        return logits


def quantize_model(model: Transformer) -> None:
    """Let a model compute all products with weights in int8; attention stays in float32."""
    embedding = Int8Embedding(model.embedding)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child.weight))
            elif isinstance(
                child, TiedEmbedding
            ):  # the model, its encoder and its decoder share it
                setattr(module, name, embedding)
        if isinstance(module, EncoderLayer | DecoderLayer):
            # Query, key and value all read it.
            module.self_norm = QuantizingNorm(module.self_norm)  # type: ignore[assignment]
