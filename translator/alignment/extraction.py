"""Extract word alignments from cross-attention, and choose the layer, head and step to use."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from translator.alignment.symmetrization import Links
from translator.alignment.words import Floats, Pair, Words, character_overlap
from translator.model.alignment_head import STEPS, AlignmentHead
from translator.text.rewriting import Span

# Added to each count, so that words not seen together before have a probability above zero.
_UNSEEN = 0.1


def word_weights(
    attention: Floats,
    src: Words,
    tgt: Words,
    src_tokens: Sequence[Span],
    tgt_tokens: Sequence[Span],
) -> Floats:
    """Attention between words, from attention between tokens.

    A source word gets the sum of the weights of its tokens, and a target word the mean of the rows
    of its tokens. Weight on anything but words, mostly on eos, is left out, and the rest of the
    row is normalized.

    Args:
        attention: (…, T, S + 1), eos last
        src: W words
        tgt: V words
        src_tokens: the spans of S tokens in the source text
        tgt_tokens: the spans of T tokens in the target text

    Returns:
        (…, V, W). Each row sums to 1, or is zero for a word without tokens or without weight on
        any word.
    """
    by_src_word = attention[..., :-1] @ character_overlap(src.spans, src_tokens)  # (…, T, W)
    overlap = character_overlap(tgt.spans, tgt_tokens)  # (T, V)
    return _normalize_rows(overlap.T @ _normalize_rows(by_src_word))  # (…, V, W)


def _normalize_rows(rows: Floats) -> Floats:
    """Scale each row to sum to 1; a row of zeros stays."""
    sums = rows.sum(axis=-1, keepdims=True)
    normalized: Floats = np.divide(rows, sums, out=np.zeros_like(rows), where=sums > 0)
    return normalized


def consistency(pairs: Sequence[Pair], links: Sequence[Links]) -> float:
    """Score links without a gold standard, by how well linked words predict each other.

    A good alignment links a word to the same few words in every pair, a bad one to arbitrary
    words. The score is the mean log-probability of a target word given the source word it is
    linked to, estimated from all other links, like the score of IBM model 1 (Brown et al. 1993). A
    target word without a link has a uniform probability.

    Args:
        pairs: about a thousand or more
        links: the links of each pair

    Returns:
        The score in nats per target word; closer to 0 is better.
    """
    linked_words = [
        (src.words[i].casefold(), tgt.words[j].casefold())
        for (src, tgt), of_pair in zip(pairs, links, strict=True)
        for i, j in of_pair
    ]
    pair_counts, src_counts = Counter(linked_words), Counter(word for word, _ in linked_words)
    words = [word.casefold() for _, tgt in pairs for word in tgt.words]
    vocabulary = len(set(words))
    # Each count excludes the link itself. If a source word has only one link, every target word has
    # the probability 1 / vocabulary.
    log_probs = (
        count * math.log((count - 1 + _UNSEEN) / (src_counts[src] - 1 + _UNSEEN * vocabulary))
        for (src, _), count in pair_counts.items()
    )
    unlinked = (len(words) - len(linked_words)) * -math.log(max(1, vocabulary))
    return (sum(log_probs) + unlinked) / max(1, len(words))


def candidate_heads(layers: int, heads: Sequence[int | None] = (None,)) -> list[AlignmentHead]:
    """Readings of every layer at both steps, for each of `heads`; None averages all heads."""
    return [
        AlignmentHead(layer, head, step)
        for step in STEPS
        for layer in range(layers)
        for head in heads
    ]
