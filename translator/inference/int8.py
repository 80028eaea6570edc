"""Quantize a model to int8, for CPUs with fast int8 products (AVX512-VNNI, AMX)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.model.embedding import TiedEmbedding
from translator.model.layers import DecoderLayer, EncoderLayer
from translator.model.transformer import Transformer

# The integer that the largest value of a vector is rounded to.
_LEVELS = 127
# Prevents a division by zero for a vector of zeros, which ReLU can produce.
_MIN_SCALE = torch.tensor(1e-12)


class QuantizedRows(NamedTuple):
    """Vectors (…, I), rounded to integers; each vector is levels · scale.

    Attributes:
        levels: int8 (N, I), where N is the product of the leading sizes
        scale: the value of one level in each vector, (N, 1)
        sizes: the leading sizes
    """

    levels: Tensor
    scale: Tensor
    sizes: torch.Size


def quantize_rows(x: Tensor) -> QuantizedRows:
    """Quantize vectors (…, I), each with its own scale."""
    rows = x.flatten(0, -2)
    scale = torch.add(_MIN_SCALE, rows.abs().amax(dim=1, keepdim=True), alpha=1 / _LEVELS)
    return QuantizedRows((rows / scale).round_().to(torch.int8), scale, x.shape[:-1])


class Int8Linear(nn.Module):
    """A linear layer without a bias; its weights and inputs are quantized to 255 levels.

    Each row of weights and each input vector has its own scale ("vector-wise" in Dettmers et al.
    2022, arXiv 2208.07339), so the result for a vector doesn't depend on the rest of its batch.
    """

    levels: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        """Quantize weights (O, I)."""
        super().__init__()
        levels, scale, _ = quantize_rows(weight.detach())
        self.register_buffer("levels", levels.t().contiguous())  # (I, O)
        self.register_buffer("scale", scale[:, 0])  # (O,)

    def forward(self, x: Tensor | QuantizedRows) -> Tensor:
        """(…, I) to (…, O)."""
        levels, scale, sizes = x if isinstance(x, QuantizedRows) else quantize_rows(x)
        product = torch._int_mm(levels, self.levels)  # int32
        return product.float().mul_(scale).mul_(self.scale).view(*sizes, -1)


class QuantizingNorm(nn.Module):
    """A norm that quantizes its output once for all layers that read it."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        """Wrap a norm."""
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> QuantizedRows:
        """Normalize vectors (…, D), and quantize them."""
        return quantize_rows(self.norm(x))


class Int8Embedding(TiedEmbedding):
    """An embedding in float32 whose logits are computed in int8."""

    def __init__(self, embedding: TiedEmbedding) -> None:
        """Copy the vectors of an embedding."""
        vectors = embedding.weight.detach()
        super().__init__(len(vectors), vectors.size(1), _weight=vectors, _freeze=True)
        self.product = Int8Linear(vectors)

    def logits(self, states: Tensor) -> Tensor:
        """See `TiedEmbedding.logits`."""
        logits: Tensor = self.product(states)
        return logits


def quantize_model(model: Transformer) -> None:
    """Make a model compute all products with weights in int8; attention stays in float32."""
    embedding = Int8Embedding(model.embedding)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child.weight))
            elif isinstance(child, TiedEmbedding):
                # The same one for the model, its encoder and its decoder, which share it.
                setattr(module, name, embedding)
        if isinstance(module, EncoderLayer | DecoderLayer):
            # Read by the query, key and value projections.
            module.self_norm = QuantizingNorm(module.self_norm)  # type: ignore[assignment]
