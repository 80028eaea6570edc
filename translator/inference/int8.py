"""Products of 8-bit integers, for processors that have units for them (AVX512-VNNI, AMX)."""

import torch
from torch import Tensor, nn

from translator.model.transformer import TiedEmbedding, Transformer

# What the largest value of a vector becomes.
_LEVELS = 127
# Below any value that matters: a vector of zeros, which ReLU can leave, must not be divided by 0.
_SMALLEST = 1e-12


class Int8Product(nn.Module):
    """A linear map without a bias, of weights and vectors that are rounded to 255 levels.

    Each row of weights and each vector has a scale of its own ("vector-wise" in Dettmers et al.
    2022, arXiv 2208.07339): so a vector becomes the same whatever else is in its batch.
    """

    levels: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        """Round weights (O, I)."""
        super().__init__()
        levels, scale = _rounded(weight.detach())
        self.register_buffer("levels", levels.t().contiguous())  # (I, O), as the product reads it
        self.register_buffer("scale", scale[:, 0])  # (O,)

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) to (…, O)."""
        levels, scale = _rounded(x.flatten(0, -2))
        product = torch._int_mm(levels, self.levels)  # int32
        return product.float().mul_(scale).mul_(self.scale).view(*x.shape[:-1], -1)


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Levels (N, I) as int8, and what one is worth in each row, (N, 1)."""
    scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(_SMALLEST) / _LEVELS
    return (rows / scale).round_().to(torch.int8), scale


class Int8Embedding(TiedEmbedding):
    """Looks vectors up as they were, and compares with rounded ones."""

    def __init__(self, embedding: TiedEmbedding) -> None:
        """Take the vectors of another."""
        vectors = embedding.weight.detach()
        super().__init__(len(vectors), vectors.size(1), _weight=vectors, _freeze=True)
        self.product = Int8Product(vectors)

    def logits(self, states: Tensor) -> Tensor:
        """As `TiedEmbedding.logits`."""
        logits: Tensor = self.product(states)
        return logits


def quantize(model: Transformer) -> None:
    """Let a model compute all products with weights in int8; attention stays in float32."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Product(child.weight))
    model.embedding = Int8Embedding(model.embedding)
