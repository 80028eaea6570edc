"""The blocks between embedding and output: pre-norm encoder and decoder layers."""

import torch
from torch import Tensor, nn

from translator.model.attention import MultiHeadAttention
from translator.model.cache import LayerCache
from translator.model.normalizers import Normalizer, softmax


class Dropout(nn.Module):
    """Zeroes a share of the values in training, and scales up the rest (Srivastava et al. 2014).

    PyTorch's dropout draws a float per value, from one generator for all threads. This one draws a
    byte per value, in a fifth of the time on a CPU. It can have a generator of its own, so that
    parallel threads draw the same numbers in whatever order they run.

    Args:
        rate: share of the values to drop, rounded to a multiple of 1/256

    Attributes:
        generator: random generator on the device of the values; None for PyTorch's default
    """

    def __init__(self, rate: float) -> None:
        """Set the rate."""
        super().__init__()
        self.dropped = round(256 * rate)
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to a tensor of any shape."""
        if not self.training or not self.dropped:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)  # all 64 bits
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (drawn >= self.dropped) * (256 / (256 - self.dropped))


class FeedForward(nn.Module):
    """Two linear maps without biases, with a ReLU between them, applied to each position."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        """Project up from d_model to d_ff, and back down."""
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        projected: Tensor = self.down(self.up(x).relu_())
        return projected


class EncoderLayer(nn.Module):
    """Self-attention over the source, then feed-forward; each reads a normalised input.

    Pre-norm (Xiong et al. 2020, arXiv 2002.04745): there is no norm on the residual path, so that
    training needs no long warm-up.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float,
        self_normalizer: Normalizer = softmax,
    ) -> None:
        """Make the two blocks and their norms."""
        super().__init__()
        self.self_norm = nn.LayerNorm(d_model)
        self.self_attention = MultiHeadAttention(d_model, n_heads, self_normalizer)
        self.ff_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, rotation: Tensor | None, mask: Tensor | None) -> Tensor:
        """(B, S, D) to (B, S, D).

        Args:
            x: source vectors
            rotation: (S, K / 2), their rotary positions; None if their order has no meaning
            mask: (B, 1, 1, S), True at padding; None if there is no padding
        """
        normed = self.self_norm(x)
        keys, values = self.self_attention.keys_and_values(normed, rotation)
        attended, _ = self.self_attention(normed, keys, values, rotation=rotation, mask=mask)
        x = x + self.dropout(attended)
        output: Tensor = x + self.dropout(self.feed_forward(self.ff_norm(x)))
        return output


class DecoderLayer(nn.Module):
    """Self-attention over the target so far, cross-attention to the memory, feed-forward."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float,
        self_normalizer: Normalizer = softmax,
        cross_normalizer: Normalizer = softmax,
    ) -> None:
        """Make the three blocks and their norms."""
        super().__init__()
        self.self_norm = nn.LayerNorm(d_model)
        self.self_attention = MultiHeadAttention(d_model, n_heads, self_normalizer)
        self.cross_norm = nn.LayerNorm(d_model)
        self.cross_attention = MultiHeadAttention(d_model, n_heads, cross_normalizer)
        self.ff_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        rotation: Tensor | None,
        memory_keys: Tensor,
        memory_values: Tensor,
        memory_mask: Tensor | None,
        *,
        cache: LayerCache | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) to (B, T, D); with a cache of the positions before, T is 1.

        Padding at the end of the target needs no mask, since no earlier position sees it.

        Args:
            x: target vectors; with a cache (B × N, 1, D), N targets for each source
            rotation: (T, K / 2), their rotary positions, or None
            memory_keys: (B, H, S, K), from `cross_attention.keys_and_values(memory)`
            memory_values: (B, H, S, K)
            memory_mask: (B, 1, 1, S), True at source padding; None if there is none
            cache: keys and values of the earlier positions, to which those of x are appended
            need_weights: return the cross-attention weights too

        Returns:
            The new vectors, and the cross-attention weights (B, H, T, S) or None.
        """
        normed = self.self_norm(x)
        keys, values = self.self_attention.keys_and_values(normed, rotation)
        if cache is not None:
            keys, values = cache.append(keys, values)
        attended, _ = self.self_attention(
            normed, keys, values, rotation=rotation, causal=cache is None
        )
        x = x + self.dropout(attended)
        # Targets with the same source are queries of the same memory: (B × N, 1, D) as (B, N, D).
        queries = self.cross_norm(x).view(memory_keys.size(0), -1, x.size(-1))
        attended, weights = self.cross_attention(
            queries, memory_keys, memory_values, mask=memory_mask, need_weights=need_weights
        )
        x = x + self.dropout(attended.view(x.shape))
        x = x + self.dropout(self.feed_forward(self.ff_norm(x)))
        return x, weights
