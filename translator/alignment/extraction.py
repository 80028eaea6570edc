"""How word alignments are read from cross-attention, and how the best way is found."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from translator.alignment.symmetrization import Links
from translator.alignment.words import Floats, Pair, Words, character_overlap
from translator.model.alignment_head import STEPS, AlignmentHead

# Added to each count, as a guess for words not seen together before.
_UNSEEN = 0.1


def word_weights(
    attention: Floats,
    src: Words,
    tgt: Words,
    src_pieces: Sequence[tuple[int, int]],
    tgt_pieces: Sequence[tuple[int, int]],
) -> Floats:
    """Attention between words from attention between pieces.

    What is looked at without being a word, eos above all, is left out, and the rest of the row
    scaled up. A source word has the sum of its pieces' weights, a target word the mean of its
    pieces' rows.

    Args:
        attention: (…, T, S + 1), eos last; of several readings at once, if need be
        src: W of words
        tgt: V of words
        src_pieces: where the S pieces stand in the text
        tgt_pieces: likewise for the T pieces

    Returns:
        (…, V, W), each row summing to 1; a row of zeros for a word without pieces, or without
        weight on a word.
    """
    onto_words = attention[..., :-1] @ character_overlap(src.spans, src_pieces)  # (…, T, W)
    rows = character_overlap(tgt.spans, tgt_pieces).T @ _scaled(onto_words)  # (…, V, W)
    return _scaled(rows)


def _scaled(rows: Floats) -> Floats:
    sums = rows.sum(axis=-1, keepdims=True)
    scaled: Floats = np.divide(rows, sums, out=np.zeros_like(rows), where=sums > 0)
    return scaled


def consistency(pairs: Sequence[Pair], links: Sequence[Links]) -> float:
    """How well linked words predict each other: needs no gold.

    A right alignment links a word to the same few words wherever it stands; a wrong one to
    whatever stands there. So it is the mean log-probability of a target word given the source word
    linked to it, as counted from all other links (as IBM model 1 scores; Brown et al. 1993). A word
    without a link is guessed.

    Args:
        pairs: some thousand
        links: of each

    Returns:
        In nats a target word; nearer to 0 is better.
    """
    linked = [
        (src.words[i].casefold(), tgt.words[j].casefold())
        for (src, tgt), of_pair in zip(pairs, links, strict=True)
        for i, j in of_pair
    ]
    together, alone = Counter(linked), Counter(word for word, _ in linked)
    words = [word.casefold() for _, tgt in pairs for word in tgt.words]
    vocabulary = len(set(words))
    # A word that the others never show shall count as one in the vocabulary.
    log_probs = (
        count * math.log((count - 1 + _UNSEEN) / (alone[src] - 1 + _UNSEEN * vocabulary))
        for (src, _), count in together.items()
    )
    guessed = (len(words) - len(linked)) * -math.log(max(1, vocabulary))
    return (sum(log_probs) + guessed) / max(1, len(words))


def candidate_heads(layers: int, heads: Sequence[int | None] = (None,)) -> list[AlignmentHead]:
    """Every layer at both steps; heads averaged, unless some are named."""
    return [
        AlignmentHead(layer, head, step)
        for step in STEPS
        for layer in range(layers)
        for head in heads
    ]
