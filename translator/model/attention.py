"""Attention: every position of one sequence gathers what it needs from another (or itself)."""

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

    PyTorch's fused kernel does this faster, but shows no weights and knows only softmax: it is
    taken when the weights aren't asked for and the normalizer is `softmax`.

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
    # A normalizer may be computed more exactly than what is weighted with it.
    output = weights.to(value.dtype) @ value  # (B, H, T, K)
    return output, weights if need_weights else None


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """The output of `attend` for softmax, by PyTorch's kernel."""
    dtype = query.dtype
    if query.device.type == "cpu" and dtype == torch.bfloat16:
        # There the kernel's way back takes four times as long in bfloat16.
        query, key, value = query.float(), key.float(), value.float()
    visible = None if mask is None else ~mask
    with torch.autocast(query.device.type, enabled=False):  # it would undo that
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

    The projections have no biases: they cost a fortieth of a training step, and bring nothing.

    Keys and values are made by a method of their own, so that a decoder can keep them: those of
    the memory for a whole sentence, those of the target so far from step to step.
    """

    def __init__(self, d_model: int, n_heads: int, normalizer: Normalizer = softmax) -> None:
        """Make the four projections; `normalizer` turns scores into weights."""
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
            x: what is attended to
            rotation: (S, K / 2), turns the keys by their positions; None in cross-attention
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
            x: what asks
            keys: from `keys_and_values`
            values: likewise
            rotation: (T, K / 2), turns the queries as those keys were turned
            mask: as in `attend`, and so are the others

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
