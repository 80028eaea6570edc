"""Where learning begins: piece vectors that already know which pieces translate each other."""

import math

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from translator.data.arrays import Ragged
from translator.data.batching import PairIds
from translator.model.transformer import Transformer

# Pairs counted at most, so that a large corpus takes no longer than the default one, a second.
_MAX_PAIRS = 200_000
# Two pieces that have met but once may have met by chance.
_MIN_COOCCURRENCES = 2
# Of a start vector's length; the rest is random, for what counting can't know.
_COUNTED_SHARE = 0.9
# Beyond the singular vectors wanted, and passes over the matrix: Halko et al. 2011 advise 5 to 10
# and one or two; more cost next to nothing here.
_OVERSAMPLING, _PASSES = 16, 3


def init_from_cooccurrence(model: Transformer, pairs: PairIds) -> None:
    """Turn the random vectors of the embedding towards those of `cooccurrence_vectors`."""
    embedding = model.embedding.weight.detach()
    counted = cooccurrence_vectors(pairs, *embedding.shape).to(embedding.device)  # (V, D)
    known = counted.norm(dim=1) > 0
    rest = math.sqrt(1 - _COUNTED_SHARE**2)
    # Both have rows of length 1 (the random ones on average), and so has the sum.
    embedding[known] = _COUNTED_SHARE * counted[known] + rest * embedding[known]


def cooccurrence_vectors(pairs: PairIds, vocab_size: int, width: int) -> Tensor:
    """Piece vectors from how often a source and a target piece occur in the same pair.

    The positive pointwise mutual information of each source with each target piece, factored by a
    truncated singular value decomposition: Levy & Goldberg 2014 (NeurIPS, "Neural word embedding as
    implicit matrix factorization"), with the sentence pair as the context, as in Levy et al. 2017
    (arXiv 1608.05426). A piece of both languages gets the mean of its two vectors, weighted by how
    often it is in either.

    Returns:
        (vocab_size, width), float32; rows have length 1, or 0 where too little is known. Where the
        vocabulary has fewer than `width` independent directions, the last columns are zero.
    """
    src, tgt = (_occurrences(side, vocab_size) for side in (pairs.src, pairs.tgt))
    met = (src.T @ tgt).tocoo()  # (V, V): pairs that hold both
    in_src, in_tgt = (np.asarray(side.sum(axis=0)).ravel() for side in (src, tgt))  # (V,)
    information = np.log(met.data * src.shape[0] / (in_src[met.row] * in_tgt[met.col]))
    kept = (information > 0) & (met.data >= _MIN_COOCCURRENCES)
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([met.row[kept], met.col[kept]]).astype(np.int64)),
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
    """(pairs, vocab_size), 1 where the piece is in the sentence."""
    count = min(len(side.lengths), _MAX_PAIRS)
    offsets = side.offsets[: count + 1]
    pieces = np.array(side.values[: offsets[-1]])
    matrix = scipy.sparse.csr_matrix(
        (np.ones(len(pieces), dtype=np.float64), pieces, offsets), shape=(count, vocab_size)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
