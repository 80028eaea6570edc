"""Vary the training pairs in each epoch, so that the model learns to translate what people type.

The sentences of a corpus are whole, with a final mark, and full of the same few names. What people
type is also words and phrases, text without a final mark, and other names. Each step changes some
pairs. The steps work on token ids, so that an epoch of the default corpus takes a second. An epoch
depends only on the seed and its number, and a resumed training gets the same one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from translator.config import VariationConfig
from translator.data.arrays import Ragged
from translator.data.batching import LINK_BASE, PairIds
from translator.data.phrases import PhraseTable
from translator.data.tokenizer import Tokenizer
from translator.text.symbols import CAPITALIZED, NAMES, NUMBERS, THINGS


class Pair(NamedTuple):
    """The ids of a source and of its target, and the links between them; see `PairIds`.

    A step that moves tokens drops the links, and guided alignment learns from the other pairs.
    """

    src: list[int]
    tgt: list[int]
    links: list[int] = []  # noqa: RUF012


# To vary as many pairs takes about a second and 200 MB of memory.
_MAX_PAIRS = 200_000
# The marks that end a sentence.
_FINAL_MARKS = ".?!"
# A hidden name is a thing now and then, and so is a number, since corpora of sentences hardly have
# addresses and code.
_NAMES_PER_THING = 3
_NUMBERS_AS_THINGS = 1 / 4
# Share of the phrases that get a final mark on both sides.
_WITH_MARK = 1 / 3
# Share of the phrases of an epoch that are single words.
_WORDS = 1 / 2


class Signs:
    """The ids of the signs that the steps look for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Look up the signs in a vocabulary."""
        pieces = tokenizer.pieces(list(range(tokenizer.vocab_size)))
        ids = {piece: i for i, piece in enumerate(pieces)}
        self.final_marks = {ids[mark] for mark in _FINAL_MARKS if mark in ids}
        self.period = [ids["."]] if "." in ids else []
        self.capitalized = {ids[f"▁{CAPITALIZED}"], ids[CAPITALIZED]}
        # For each placeholder token, its sign, and all tokens of its kind.
        self.placeholders: dict[int, str] = {}
        self.kinds: dict[int, list[int]] = {}
        for signs in (NAMES, NUMBERS, THINGS):
            for space in ("▁", ""):
                kind = [ids[space + sign] for sign in signs]
                self.placeholders.update(zip(kind, signs, strict=True))
                self.kinds.update(dict.fromkeys(kind, kind))
        numbers, things = (
            [ids[space + sign] for space in ("▁", "") for sign in kind]
            for kind in (NUMBERS, THINGS)
        )
        self.things = set(things)
        self.thing_of_number = dict(zip(numbers, things, strict=True))
        # What a name is hidden behind, by whether there is a space before it.
        hiding = NAMES * _NAMES_PER_THING + THINGS
        self.hiding = {s == "▁": [ids[s + sign] for sign in hiding] for s in ("▁", "")}
        self.after_space = [piece.startswith("▁") for piece in pieces]
        self.letters = [piece.removeprefix("▁").isalpha() for piece in pieces]


def drop_final_mark(pair: Pair, signs: Signs) -> Pair:
    """Drop the final mark of the source. The target keeps its mark, which tells a question."""
    if len(pair.src) < 2 or pair.src[-1] not in signs.final_marks:
        return pair
    last = len(pair.src) - 1
    return Pair(pair.src[:-1], pair.tgt, [i for i in pair.links if i % LINK_BASE != last])


def hide_name(pair: Pair, signs: Signs, generator: np.random.Generator) -> Pair:
    """Put a placeholder instead of a name that both sides have: that of a name, or of a thing."""
    src, tgt, _ = pair
    names = list(_names(src, signs))
    if not names:
        return pair
    begin, end = names[generator.integers(len(names))]
    name = src[begin + 1 : end]
    there = [span for span in _names(tgt, signs) if tgt[span[0] + 1 : span[1]] == name]
    if len(there) != 1 or sum(src[b + 1 : e] == name for b, e in names) != 1:
        return pair
    used = _placeholders(src, signs)
    free = [
        n for n, token in enumerate(signs.hiding[True]) if signs.placeholders[token] not in used
    ]
    if not free:
        return pair
    number = free[generator.integers(len(free))]

    def hidden(side: list[int], begin: int, end: int) -> list[int]:
        placeholder = signs.hiding[signs.after_space[side[begin]]][number]
        return [*side[:begin], placeholder, *side[end:]]

    return Pair(hidden(src, begin, end), hidden(tgt, *there[0]))


def _names(side: list[int], signs: Signs) -> Iterator[tuple[int, int]]:
    """Find capitalized words: the position of the marker, and the end of the word."""
    for begin, token in enumerate(side):
        if token in signs.capitalized:
            end = begin + 2
            while end < len(side) and signs.letters[side[end]] and not signs.after_space[side[end]]:
                end += 1
            yield begin, end


def _placeholders(side: list[int], signs: Signs) -> set[str]:
    return {signs.placeholders[token] for token in side if token in signs.placeholders}


def renumber(pair: Pair, signs: Signs, shift: int) -> Pair:
    """Replace placeholders with others of their kind, since most pairs have only the first."""

    def other(token: int) -> int:
        kind = signs.kinds.get(token)
        return token if kind is None else kind[(kind.index(token) + shift) % len(kind)]

    return _with_tokens(pair, other)


def number_as_thing(pair: Pair, signs: Signs) -> Pair:
    """Replace the placeholders of numbers with those of things, if the pair has none of these."""
    if any(token in signs.things for token in pair.src):
        return pair
    return _with_tokens(pair, lambda token: signs.thing_of_number.get(token, token))


def _with_tokens(pair: Pair, other: Callable[[int], int]) -> Pair:
    """Replace each token of a pair by another one; all stay in their places."""
    return Pair([*map(other, pair.src)], [*map(other, pair.tgt)], pair.links)


class Variation:
    """Changes the pairs of each epoch, by the shares of a `VariationConfig`.

    An epoch is in memory. So a corpus of more than `_MAX_PAIRS` pairs is shuffled and divided, and
    what is called an epoch here is one of the parts.
    """

    def __init__(
        self,
        config: VariationConfig,
        pairs_of_epoch: Callable[[int], PairIds],
        count: int,
        phrases: PhraseTable,
        tokenizer: Tokenizer,
        seed: int,
    ) -> None:
        """Prepare to vary pairs.

        Args:
            config: how many pairs each step changes
            pairs_of_epoch: returns the pairs before they are changed
            count: number of these pairs
            phrases: words and short phrases to add
            tokenizer: the tokenizer of the pairs
            seed: seed of all choices
        """
        self._config = config
        self._pairs_of_epoch = pairs_of_epoch
        self._count = count
        self._phrases = phrases
        self._signs = Signs(tokenizer)
        self._seed = seed

    def __call__(self, epoch: int) -> PairIds:
        """Return the pairs of an epoch."""
        generator = np.random.default_rng([self._seed, epoch])
        pairs, rows = self._part(epoch)
        sides = [side for side in (pairs.src, pairs.tgt, pairs.links) if side]
        varied = [Pair(*(side.row(i) for side in sides)) for i in rows]
        self._change_names(varied, generator)
        for i in _draw(len(varied), self._config.marks, generator):
            varied[i] = drop_final_mark(varied[i], self._signs)
        varied += self._draw_phrases(len(varied), generator)
        src, tgt, links = (Ragged.from_lists(side) for side in zip(*varied, strict=True))
        return PairIds(src, tgt, links if pairs.links else None)

    def _part(self, epoch: int) -> tuple[PairIds, Sequence[int]]:
        """Return the pairs that an epoch takes its pairs from, and which of them it takes."""
        parts = math.ceil(self._count / _MAX_PAIRS)
        if parts == 1:
            return self._pairs_of_epoch(epoch), range(self._count)
        number, part = divmod(epoch, parts)
        order = np.random.default_rng([self._seed, number]).permutation(self._count)
        return self._pairs_of_epoch(number), order[part::parts].tolist()

    def _change_names(self, pairs: list[Pair], generator: np.random.Generator) -> None:
        if not self._config.names:
            return
        for i in _draw(len(pairs), self._config.names, generator):
            pairs[i] = hide_name(pairs[i], self._signs, generator)
        for i, pair in enumerate(pairs):
            if self._signs.kinds.keys().isdisjoint(pair.src):
                continue
            if generator.random() < _NUMBERS_AS_THINGS:
                pair = number_as_thing(pair, self._signs)
            pairs[i] = renumber(pair, self._signs, int(generator.integers(len(NAMES))))

    def _draw_phrases(self, pairs: int, generator: np.random.Generator) -> Iterator[Pair]:
        """Draw words and phrases, some of them with a final mark."""
        table = self._phrases
        counts = (table.words, len(table.src.lengths) - table.words)
        wanted = self._config.phrases * pairs
        for first, count, share in ((0, counts[0], _WORDS), (counts[0], counts[1], 1 - _WORDS)):
            number = min(count, round(wanted * share))
            for i in first + generator.permutation(count)[:number]:
                mark = self._signs.period if generator.random() < _WITH_MARK else []
                yield Pair(table.src.row(i) + mark, table.tgt.row(i) + mark)


def _draw(count: int, share: float, generator: np.random.Generator) -> list[int]:
    """Draw a share of the indices below `count`, in order."""
    return np.flatnonzero(generator.random(count) < share).tolist()
