"""Functions from attention scores to attention weights, which can replace each other.

Each takes scores (…, S), which are -inf at masked positions, and returns weights of the same shape
that are not negative and sum to 1 in each row.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from translator.config import NormalizerName

Normalizer = Callable[[Tensor], Tensor]

# Halvings of an interval of length 1 at most, until it is shorter than the type's precision.
_BISECTIONS = {torch.float32: 25, torch.float64: 53}


def softmax(scores: Tensor) -> Tensor:
    """Softmax: every weight is positive, even if small."""
    return scores.softmax(dim=-1)


def sparsemax(scores: Tensor) -> Tensor:
    """The nearest point of the simplex; most weights are exactly 0 (Martins & Astudillo 2016)."""
    from entmax import sparsemax as normalizer

    weights: Tensor = normalizer(_exact(scores), dim=-1)
    return weights


def entmax15(scores: Tensor) -> Tensor:
    """Halfway between softmax and sparsemax (Peters et al. 2019, arXiv 1905.05702)."""
    from entmax import entmax15 as normalizer

    weights: Tensor = normalizer(_exact(scores), dim=-1)
    return weights


class TopK:
    """Softmax over the k highest scores of a row; all other weights are 0."""

    def __init__(self, k: int) -> None:
        """Set k; for rows of at most k scores this is softmax."""
        self.k = k

    def __call__(self, scores: Tensor) -> Tensor:
        """(…, S) to (…, S)."""
        if scores.size(-1) <= self.k:
            return softmax(scores)
        highest, places = scores.topk(self.k, dim=-1)
        kept = torch.full_like(scores, -math.inf).scatter(-1, places, highest)
        return softmax(kept)


class AdaptiveEntmax(nn.Module):
    """Entmax with a learned α for each head, which sets its sparsity (Correia et al. 2019).

    α is 1.01 + 0.99 · sigmoid(a): at 1.5 it is entmax15, at 2 sparsemax (arXiv 1909.00015). At 1 it
    would be softmax, but the exponent 1 / (α - 1) would overflow float32.
    """

    def __init__(self, n_heads: int) -> None:
        """Start each head near α = 1.5."""
        super().__init__()
        self.a = nn.Parameter(torch.zeros(n_heads))

    def forward(self, scores: Tensor) -> Tensor:
        """(B, H, T, S) to (B, H, T, S)."""
        from entmax import entmax_bisect

        scores = _exact(scores)
        alpha = 1.01 + 0.99 * self.a.to(scores.dtype).sigmoid()[:, None, None]  # (H, 1, 1)
        weights: Tensor = entmax_bisect(
            scores, alpha.expand(*scores.shape[:-1], 1), dim=-1, n_iter=_BISECTIONS[scores.dtype]
        )
        return weights


def _exact(scores: Tensor) -> Tensor:
    """Convert to float32: thresholds are differences of numbers too close for bfloat16."""
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def make_normalizer(name: NormalizerName, n_heads: int, k: int) -> Normalizer:
    """Return the normalizer with a name.

    Args:
        name: see `ModelConfig.cross_attention`
        n_heads: H
        k: see `ModelConfig.top_k`
    """
    if name == "topk":
        return TopK(k)
    if name == "entmax":
        return AdaptiveEntmax(n_heads)
    return {"softmax": softmax, "sparsemax": sparsemax, "entmax15": entmax15}[name]
