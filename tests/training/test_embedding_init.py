"""Tokens that translate each other start with similar embeddings."""

import math

import numpy as np
import pytest
import torch
from helpers import pairs_of
from torch import Tensor

from translator.config import ModelConfig
from translator.data.batching import PairIds
from translator.model.transformer import Transformer
from translator.training.embedding_init import cooccurrence_vectors, init_from_cooccurrence

WORDS = 40
VOCAB = 2 * WORDS + 10  # the last ten occur nowhere


def toy_pairs(count: int) -> PairIds:
    """Return pairs in which word w (0 … 39) is translated as word 40 + w, in shuffled order."""
    draw = np.random.default_rng(0)
    src = [draw.integers(WORDS, size=draw.integers(2, 6)).tolist() for _ in range(count)]
    tgt = [draw.permutation([WORDS + word for word in words]).tolist() for words in src]
    return pairs_of(src, tgt)


def naive_gram(pairs: PairIds, vocab_size: int) -> Tensor:
    """Return the cosines between all tokens, from naive counts and a full decomposition."""
    sides = [
        [set(side.row(i)) for i in range(len(side.lengths))] for side in (pairs.src, pairs.tgt)
    ]
    total = len(sides[0])
    information = torch.zeros(vocab_size, vocab_size)
    in_src = [sum(s in row for row in sides[0]) for s in range(vocab_size)]
    in_tgt = [sum(t in row for row in sides[1]) for t in range(vocab_size)]
    for s in range(vocab_size):
        for t in range(vocab_size):
            both = sum(s in left and t in right for left, right in zip(*sides, strict=True))
            if both >= 2:
                information[s, t] = max(0.0, math.log(both * total / (in_src[s] * in_tgt[t])))
    left, values, right = torch.linalg.svd(information)
    share = torch.tensor([a / max(1, a + b) for a, b in zip(in_src, in_tgt, strict=True)])[:, None]
    vectors = (share * left + (1 - share) * right.T) * values.sqrt()
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    return vectors @ vectors.T


def test_vectors_equal_those_of_a_full_decomposition() -> None:
    draw = np.random.default_rng(1)
    # Both sides share tokens, as two languages share names and numbers.
    sides = [
        [draw.integers(12, size=draw.integers(1, 5)).tolist() for _ in range(300)] for _ in "st"
    ]
    pairs = pairs_of(*sides)
    vectors = cooccurrence_vectors(pairs, 14, 14)
    torch.testing.assert_close(vectors @ vectors.T, naive_gram(pairs, 14), rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [8, 64, 200])
def test_the_nearest_token_of_the_other_language_is_the_translation(width: int) -> None:
    vectors = cooccurrence_vectors(toy_pairs(2000), VOCAB, width)
    assert vectors.shape == (VOCAB, width)
    nearest = (vectors[:WORDS] @ vectors[WORDS : 2 * WORDS].T).argmax(dim=1)
    assert (nearest == torch.arange(WORDS)).double().mean() > (0.9 if width > 8 else 0.5)


def test_vectors_have_length_one_or_zero() -> None:
    lengths = cooccurrence_vectors(toy_pairs(2000), VOCAB, 16).norm(dim=1)
    torch.testing.assert_close(lengths[: 2 * WORDS], torch.ones(2 * WORDS))
    assert not lengths[2 * WORDS :].any()


def test_unseen_tokens_keep_their_random_vectors_and_the_mean_length_stays_one() -> None:
    model = Transformer(ModelConfig(d_model=64, n_heads=2, d_ff=64), VOCAB)
    before = model.embedding.weight.detach().clone()
    init_from_cooccurrence(model, toy_pairs(2000))
    after = model.embedding.weight.detach()
    assert torch.equal(after[2 * WORDS :], before[2 * WORDS :])
    assert not torch.isclose(after[: 2 * WORDS], before[: 2 * WORDS]).all(dim=1).any()
    assert after.norm(dim=1).mean().item() == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_vectors() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(cooccurrence_vectors(toy_pairs(200), VOCAB, 16))
    assert torch.equal(*drawn)
