"""Initialize embeddings so that tokens that translate each other start out similar."""

import math

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from translator.data.arrays import Ragged
from translator.data.batching import PairIds
from translator.model.transformer import Transformer

# Enough for the default corpus, which takes a second; a larger corpus takes no longer.
_MAX_PAIRS = 200_000
# Two tokens that occur together only once may do so by chance.
_MIN_COOCCURRENCES = 2
# Share of the counted vector in an initial vector of length 1. The rest stays
# random, for everything that counts don't show.
_COUNTED_SHARE = 0.9
# Additional singular vectors, and passes over the matrix, for the randomized decomposition. Halko
# et al. 2011 recommend 5 to 10 and one or two; more cost almost nothing here.
_OVERSAMPLING, _PASSES = 16, 3


def init_from_cooccurrence(model: Transformer, pairs: PairIds) -> None:
    """Rotate the random vectors of the embedding towards the `cooccurrence_vectors`."""
    embedding = model.embedding.weight.detach()
    counted = cooccurrence_vectors(pairs, *embedding.shape).to(embedding.device)  # (V, D)
    known = counted.norm(dim=1) > 0
    rest = math.sqrt(1 - _COUNTED_SHARE**2)
    # Both have rows of length 1 (the random ones on average), so their sum has, too.
    embedding[known] = _COUNTED_SHARE * counted[known] + rest * embedding[known]


def cooccurrence_vectors(pairs: PairIds, vocab_size: int, width: int) -> Tensor:
    """Token vectors from how often a source and a target token occur in the same pair.

    They are a truncated singular value decomposition of the positive pointwise mutual information
    of source and target tokens (Levy & Goldberg 2014, "Neural word embedding as implicit matrix
    factorization"), with the sentence pair as the context, as in Levy et al. 2017 (arXiv
    1608.05426). A token of both languages gets the mean of its two vectors, weighted by its counts.

    Args:
        pairs: the first `_MAX_PAIRS` of them are counted
        vocab_size: number of tokens
        width: length of a vector

    Returns:
        (vocab_size, width), float32. Rows have length 1, or 0 for tokens that are too rare. If the
        vocabulary has fewer than `width` independent directions, the last columns are zero.
    """
    src, tgt = (_occurrences(side, vocab_size) for side in (pairs.src, pairs.tgt))
    together = (src.T @ tgt).tocoo()  # (V, V): number of pairs with both tokens
    in_src, in_tgt = (np.asarray(side.sum(axis=0)).ravel() for side in (src, tgt))  # (V,)
    alone = in_src[together.row] * in_tgt[together.col]
    information = np.log(together.data * src.shape[0] / alone)
    kept = (information > 0) & (together.data >= _MIN_COOCCURRENCES)
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([together.row[kept], together.col[kept]]).astype(np.int64)),
        torch.from_numpy(information[kept].astype(np.float32)),
        (vocab_size, vocab_size),
        check_invariants=True,
    )
    rank = min(width, vocab_size)
    left, values, right = torch.svd_lowrank(
        matrix.coalesce(), q=min(rank + _OVERSAMPLING, vocab_size), niter=_PASSES
    )
    scale = values[:rank].sqrt()
    counts = torch.from_numpy(in_src / np.maximum(in_src + in_tgt, 1)).float()[:, None]
    vectors = counts * left[:, :rank] * scale + (1 - counts) * right[:, :rank] * scale
    vectors = torch.nn.functional.pad(vectors, (0, width - rank))
    return torch.nn.functional.normalize(vectors, dim=1)


def _occurrences(side: Ragged, vocab_size: int) -> scipy.sparse.csr_matrix:
    """(pairs, vocab_size), 1 where the token occurs in the sentence."""
    count = min(len(side.lengths), _MAX_PAIRS)
    tokens = side.joined(np.arange(count))
    offsets = np.append(0, np.cumsum(side.lengths[:count]))
    matrix = scipy.sparse.csr_matrix(
        (np.ones(len(tokens), dtype=np.float64), tokens, offsets), shape=(count, vocab_size)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
