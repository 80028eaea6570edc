"""Find words and short phrases with their translations in the training pairs.

A model that sees only sentences hardly learns what a word means by itself. So the words of the
pairs are aligned with IBM model 1 (Brown et al. 1993) in both directions, phrase pairs that agree
with the alignment are extracted (Koehn et al. 2003), and the best translation of each is kept.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from translator.data.arrays import Ints, Ragged
from translator.text.symbols import CAPITALIZED, UPPERCASE

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# A marker belongs to its word. Punctuation is aligned too, but is no part of a phrase.
_WORD = re.compile(rf"(?:[{CAPITALIZED}{UPPERCASE}] )?\w+(?:'\w+)*|[^\w\s]")
# Model 1 hardly changes after five iterations.
_ITERATIONS = 5
# Words that translate each other tend to be at the same relative position. The weight exp(-4 · d)
# for a distance d is that of fast_align (Dyer et al. 2013), which calls the 4 its tension.
_TENSION = 4.0
# Combinations of a source and a target word of the same pair, which are in memory together: about
# 100 bytes each. The default corpus has 6 million, not counting punctuation.
_MAX_COMBINATIONS = 10_000_000
# A combination that is less probable, by both directions together, is no link.
_MIN_LINK = 0.01
# Words of a source phrase, and of its translation.
_MAX_SRC, _MAX_TGT = 3, 4
# With fewer occurrences, a word or a phrase may owe its translation to chance.
_MIN_WORD_COUNT, _MIN_PHRASE_COUNT = 2, 3
# Share of the occurrences of a phrase that have its best translation; with a smaller one the
# phrase means different things in different sentences.
_MIN_PHRASE_SHARE = 0.3
# A verb's translation is given in the infinitive, as dictionaries do, if that has at least this
# share of the count of the most frequent form. The pattern knows Spanish.
_INFINITIVE_SHARE = 0.2
_INFINITIVE = {"es": re.compile(r"\w*(?:[aei]r|ír)(?:se)?")}


@dataclass(frozen=True)
class PhraseTable:
    """Words and phrases as token ids.

    Attributes:
        words: number of single words, which come first
        src: ids of each source phrase
        tgt: ids of its translation
    """

    words: int
    src: Ragged
    tgt: Ragged


@dataclass(frozen=True)
class _Side:
    """The words of one side of all pairs, one pair after the other.

    Attributes:
        vocabulary: the different words
        ids: N words as indices of the vocabulary
        first: the position in `ids` at which each pair starts
        lengths: number of words of each pair
    """

    vocabulary: list[str]
    ids: Ints
    first: Ints
    lengths: Ints

    @staticmethod
    def read(texts: Iterable[str]) -> "_Side":
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(w, len(numbers)) for w in _WORD.findall(t)] for t in texts]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.fromiter((i for row in rows for i in row), np.int64, count=int(lengths.sum()))
        return _Side(list(numbers), ids, np.cumsum(lengths) - lengths, lengths)

    def are_words(self) -> Bools:
        """Whether each of the N is a word, and not punctuation, (N,)."""
        return np.array([word[-1].isalpha() for word in self.vocabulary], dtype=bool)[self.ids]


def extract_phrases(
    pairs: Iterable[tuple[str, str]], tgt_lang: str
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Extract words and phrases with their best translations.

    Args:
        pairs: model texts (see `ModelText`)
        tgt_lang: the target language

    Returns:
        Words with their translations, and phrases of two or three words with theirs.
    """
    src_texts, tgt_texts = zip(*_within_memory(list(pairs)), strict=True)
    src, tgt = _Side.read(src_texts), _Side.read(tgt_texts)
    keys = np.concatenate(_phrase_keys(src, tgt, *_links(src, tgt)))
    different, counts = np.unique(keys, axis=0, return_counts=True)
    found = zip(different.tolist(), counts.tolist(), strict=True)
    words, phrases = [], []
    for key, group in groupby(found, key=lambda row: row[0][:_MAX_SRC]):
        source = _text(key, src.vocabulary)
        choices = [(count, _text(row[_MAX_SRC:], tgt.vocabulary)) for row, count in group]
        choices.sort(key=lambda choice: -choice[0])
        best_count, best = choices[0]
        total = sum(count for count, _ in choices)
        if key[1] < 0:
            if best_count >= _MIN_WORD_COUNT:
                words.append((source, _dictionary_form(choices, tgt_lang)))
        elif best_count >= max(_MIN_PHRASE_COUNT, _MIN_PHRASE_SHARE * total):
            phrases.append((source, best))
    return words, phrases


def _within_memory(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return all pairs, or every second, third … of them: see `_MAX_COMBINATIONS`."""
    combinations = sum(len(src.split()) * len(tgt.split()) for src, tgt in pairs)
    return pairs[:: max(1, math.ceil(combinations / _MAX_COMBINATIONS))]


def _text(ids: Sequence[int], vocabulary: Sequence[str]) -> str:
    return " ".join(vocabulary[i] for i in ids if i >= 0)


def _dictionary_form(choices: Sequence[tuple[int, str]], tgt_lang: str) -> str:
    """Choose the translation of a word; see `_INFINITIVE_SHARE`."""
    best_count, best = choices[0]
    infinitive = _INFINITIVE.get(tgt_lang)
    for count, text in choices:
        if infinitive and infinitive.fullmatch(text) and count >= _INFINITIVE_SHARE * best_count:
            return text
    return best


def _links(src: _Side, tgt: _Side) -> tuple[Ints, Ints]:
    """Align the words of all pairs.

    Each word is linked to the word on the other side that is the most probable one, by both
    directions of model 1 together.

    Returns:
        The positions of the linked words in `src.ids` and in `tgt.ids`.
    """
    sizes = src.lengths * tgt.lengths
    pair = np.repeat(np.arange(len(sizes)), sizes)
    cell = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    j, i = np.divmod(cell, src.lengths[pair])
    distance = np.abs(i / src.lengths[pair] - j / tgt.lengths[pair])
    prior = np.exp(-_TENSION * distance)
    i += src.first[pair]
    j += tgt.first[pair]
    keys = src.ids[i] * len(tgt.vocabulary) + tgt.ids[j]
    different, kind = np.unique(keys, return_inverse=True)
    src_word, tgt_word = np.divmod(different, len(tgt.vocabulary))
    both = _posterior(kind, prior, j, src_word) * _posterior(kind, prior, i, tgt_word)
    linked = np.zeros(len(both), dtype=bool)
    for child in (i, j):
        best = np.zeros(int(child.max()) + 1)
        np.maximum.at(best, child, both)
        linked |= (both == best[child]) & (both > _MIN_LINK)
    return i[linked], j[linked]


def _posterior(kind: Ints, prior: Floats, child: Ints, given: Ints) -> Floats:
    """Train model 1, and return the probability of each combination of two words.

    Args:
        kind: for each combination, the index of its two words among all different ones, (C,)
        prior: weight of their relative positions, (C,)
        child: position of the word that is explained, (C,)
        given: for each different combination, the word that explains it

    Returns:
        (C,), which sum to 1 for each child.
    """
    probability = np.ones(len(given))
    for _ in range(_ITERATIONS):
        weight = probability[kind] * prior
        weight /= np.bincount(child, weight)[child]
        counts = np.bincount(kind, weight, len(given))
        probability = counts / np.bincount(given, counts)[given]
    return weight


def _phrase_keys(src: _Side, tgt: _Side, i: Ints, j: Ints) -> list[npt.NDArray[np.int32]]:
    """Find the phrase pairs that agree with the links: no word of one is linked outside the other.

    Args:
        src: the source words
        tgt: the target words
        i: positions of the linked source words
        j: positions of the target words that they are linked to

    Returns:
        For each phrase length, (phrases, _MAX_SRC + _MAX_TGT): the words of the phrase and those of
        its translation, -1 where there is no further word.
    """
    first_tgt, last_tgt = _link_range(i, j, len(src.ids))
    first_src, last_src = _link_range(j, i, len(tgt.ids))
    src_words, tgt_words = src.are_words(), tgt.are_words()
    left = np.repeat(src.first + src.lengths, src.lengths) - np.arange(len(src.ids))
    found = []
    for length in range(1, _MAX_SRC + 1):
        begin = np.flatnonzero(left >= length)
        span = begin[:, None] + np.arange(length)  # (phrases, length)
        low, high = first_tgt[span].min(axis=1), last_tgt[span].max(axis=1)
        good = src_words[span].all(axis=1) & (high >= 0) & (high - low < _MAX_TGT)
        begin, span, low, high = begin[good], span[good], low[good], high[good]
        tgt_span = low[:, None] + np.arange(_MAX_TGT)
        inside = tgt_span <= high[:, None]
        tgt_span = np.minimum(tgt_span, high[:, None])  # (phrases, _MAX_TGT)
        agrees = (first_src[tgt_span] >= begin[:, None]) & (
            last_src[tgt_span] < begin[:, None] + length
        )
        good = (agrees & tgt_words[tgt_span]).all(axis=1)
        keys = np.full((int(good.sum()), _MAX_SRC + _MAX_TGT), -1, dtype=np.int32)
        keys[:, :length] = src.ids[span[good]]
        keys[:, _MAX_SRC:] = np.where(inside[good], tgt.ids[tgt_span[good]], -1)
        found.append(keys)
    return found


def _link_range(words: Ints, others: Ints, count: int) -> tuple[Ints, Ints]:
    """For each word, the first and the last position it is linked to.

    Without a link, they are above and below all positions.
    """
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, words, others)
    np.maximum.at(last, words, others)
    return first, last


def open_phrases(folder: Path, words: int) -> PhraseTable:
    """Open the phrases that `prepare` wrote.

    Raises:
        TranslatorError: a file is missing or damaged.
    """
    paths = folder / "phrases-src", folder / "phrases-tgt"
    return PhraseTable(words, *map(Ragged.open, paths))
