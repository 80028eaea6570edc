"""Words, and which pieces they are made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from translator.text.normalization import normalize

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]

# A word, with what holds it together inside (don't, 5.50, well-known); or a run of one other sign.
_WORD = re.compile(r"\w+(?:[.,:/’'-]\w+)*|([^\w\s])\1*")
# Signs that lean on the word after them, or before them.
_OPENING, _CLOSING = frozenset("¿¡([{«“‘"), frozenset(".,;:!?…)]}»”’%")


@dataclass(frozen=True)
class Words:
    """A sentence and its words.

    Attributes:
        text: the sentence, as a model reads it
        words: W of them
        spans: where in `text` each begins and ends
    """

    text: str
    words: list[str]
    spans: list[Span]


# Source and target.
Pair = tuple[Words, Words]


def split_words(text: str) -> Words:
    """The words of a sentence; punctuation marks are words of their own."""
    text = normalize(text)
    found = list(_WORD.finditer(text))
    return Words(text, [word[0] for word in found], [word.span() for word in found])


def split_pretokenized(line: str) -> Words:
    """Words that white space separates, as other aligners take them.

    Where punctuation stands by itself ("Yes , of course .") it is joined to the word it belongs
    to, since a model reads text as people write it.
    """
    words = line.split()
    text = ""
    spans: list[Span] = []
    joined = True
    quoted = False
    for word in words:
        written = normalize(word)
        closing = bool(written) and _CLOSING.issuperset(written)
        if written == '"':
            closing, quoted = quoted, not quoted
        text += "" if joined or closing else " "
        spans.append((len(text), len(text) + len(written)))
        text += written
        joined = _OPENING.issuperset(written) or (written == '"' and quoted)
    return Words(text, words, spans)


def character_overlap(spans: Sequence[Span], pieces: Sequence[Span]) -> Floats:
    """Which words a sentence's pieces belong to.

    Args:
        spans: of W words
        pieces: of P pieces

    Returns:
        (P, W): how many of a piece's characters are part of a word, over all that are part of
        any; a row of zeros for a piece that is part of none.
    """
    begin, end = (np.array(spans, dtype=np.float64).reshape(-1, 2).T)[:, None, :]
    first, last = (np.array(pieces, dtype=np.float64).reshape(-1, 2).T)[:, :, None]
    common = np.clip(np.minimum(end, last) - np.maximum(begin, first), 0, None)
    shared: Floats = common / np.maximum(common.sum(axis=1, keepdims=True), 1)
    return shared
