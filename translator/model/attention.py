"""Attention: each position of one sequence takes a weighted mean over another (or its own)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translator.model.normalizers import Normalizer, softmax
from translator.model.rotary import apply_rotary


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    normalizer: Normalizer = softmax,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention: normalizer(query · keyᵀ / √K) · value.

    PyTorch's fused kernel is faster, but it returns no weights and supports only softmax. It is
    used if the weights aren't needed and the normalizer is `softmax`.

    Args:
        query: (B, H, T, K)
        key: (B, H, S, K)
        value: (B, H, S, K)
        mask: bool, broadcastable to (B, H, T, S), True where a position may not be seen; each
            query must be left at least one
        causal: position t sees no position after t (self-attention while training)
        normalizer: turns a row of scores into weights; masked scores are -inf
        need_weights: return the weights too

    Returns:
        The output (B, H, T, K), and the weights (B, H, T, S) or None.
    """
    if causal and mask is not None:
        mask, causal = mask | _future(query, key), False
    if normalizer is softmax and not need_weights:
        return _fused(query, key, value, mask, causal), None
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # (B, H, T, S)
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf)
    if causal:
        scores = scores.masked_fill(_future(query, key), -math.inf)
    weights = normalizer(scores)  # (B, H, T, S)
    # A normalizer may compute in a higher precision than the values have.
    output = weights.to(value.dtype) @ value  # (B, H, T, K)
    return output, weights if need_weights else None


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """The output of `attend` with softmax, from PyTorch's fused kernel."""
    dtype = query.dtype
    if query.device.type == "cpu" and dtype == torch.bfloat16:
        # On a CPU, the kernel's backward pass takes four times as long in bfloat16.
        query, key, value = query.float(), key.float(), value.float()
    visible = None if mask is None else ~mask
    with torch.autocast(query.device.type, enabled=False):  # autocast would undo the conversion
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, is_causal=causal
        )
    return output.to(dtype)


def _future(query: Tensor, key: Tensor) -> Tensor:
    """(T, S) bool, True where the key comes after the query."""
    shape = (query.size(-2), key.size(-2))
    return torch.ones(shape, dtype=torch.bool, device=query.device).triu(1)


class MultiHeadAttention(nn.Module):
    """Attention in several heads, each with its own projections of queries, keys and values.

    The projections have no biases: biases take a fortieth of a training step and gain nothing.

    A separate method computes keys and values, so that a decoder can cache them: those of the
    memory for the whole search, those of the target from step to step.
    """

    def __init__(self, d_model: int, n_heads: int, normalizer: Normalizer = softmax) -> None:
        """Make the four projections; `normalizer` turns scores into weights, see `normalizers`."""
        super().__init__()
        self.n_heads = n_heads
        self.normalizer = normalizer
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def keys_and_values(self, x: Tensor, rotation: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Project what is attended to: (B, S, D) to two of (B, H, S, K).

        Args:
            x: the sequence that is attended to
            rotation: (S, K / 2), the rotary positions of the keys; None in cross-attention
        """
        keys = _transposed(self._split(self.key(x)), rotation)
        return keys, self._split(self.value(x))

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        rotation: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Let x (B, T, D) attend to keys and values (B, H, S, K).

        Args:
            x: the sequence that attends
            keys: from `keys_and_values`
            values: from `keys_and_values`
            rotation: (T, K / 2), the rotary positions of the queries; None if the keys have none
            mask: as in `attend`
            causal: as in `attend`
            need_weights: as in `attend`

        Returns:
            The output (B, T, D), and the weights (B, H, T, S) or None.
        """
        output, weights = attend(
            _transposed(self._split(self.query(x)), rotation),
            keys,
            values,
            mask=mask,
            causal=causal,
            normalizer=self.normalizer,
            need_weights=need_weights,
        )
        joined = output.transpose(1, 2).flatten(2)  # (B, T, D)
        return self.output(joined), weights

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.n_heads, -1).transpose(1, 2)  # (B, H, T, K)


def _transposed(x: Tensor, rotation: Tensor | None) -> Tensor:
    return x if rotation is None else apply_rotary(x, rotation)
