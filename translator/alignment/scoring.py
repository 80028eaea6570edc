"""How right alignments are, beside those that people have made."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from translator.alignment.symmetrization import Links
from translator.alignment.words import Pair, Words, split_pretokenized
from translator.corpus.sources import read_columns
from translator.errors import TranslatorError

_LINK = re.compile(r"(\d+)([-p?])(\d+)")


@dataclass(frozen=True)
class GoldPair:
    """A pair that people have aligned.

    Attributes:
        src: its words
        tgt: likewise
        sure: links that must be there
        possible: links that may be there; the sure ones are among them
    """

    src: Words
    tgt: Words
    sure: Links
    possible: Links

    @property
    def pair(self) -> Pair:
        """Its words, source and target."""
        return self.src, self.tgt


@dataclass(frozen=True)
class AlignmentScore:
    """Och & Ney 2003, with A the links found, S the sure and P the possible ones.

    Attributes:
        aer: alignment error rate, 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)
        precision: |A ∩ P| / |A|
        recall: |A ∩ S| / |S|
        f1: harmonic mean of the two
    """

    aer: float
    precision: float
    recall: float
    f1: float


def score_links(found: Iterable[Links], gold: Iterable[GoldPair]) -> AlignmentScore:
    """Score the links of all pairs together."""
    links = sure = possible_found = sure_found = 0
    for of_pair, pair in zip(found, gold, strict=True):
        links += len(of_pair)
        sure += len(pair.sure)
        possible_found += len(of_pair & pair.possible)
        sure_found += len(of_pair & pair.sure)
    precision, recall = possible_found / max(1, links), sure_found / max(1, sure)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    aer = 1 - (sure_found + possible_found) / max(1, links + sure)
    return AlignmentScore(aer, precision, recall, f1)


def read_pairs(path: Path) -> Iterator[tuple[int, Words, Words, list[str]]]:
    """Numbered lines (from 1) of a TSV file: source and target words, and all further columns.

    Words are what white space separates.

    Raises:
        TranslatorError: a line has one column only, or can't be read; it names the line.
    """
    for number, (src, tgt, *rest) in read_columns(path):
        yield number, split_pretokenized(src), split_pretokenized(tgt), rest


def parse_links(
    text: str, src: Words, tgt: Words, place: str, base: int = 0, hint: str = ""
) -> tuple[Links, Links]:
    """The sure links of a pair, and all of them: 0-0 is a sure one, 0p1 or 0?1 a possible.

    Args:
        text: the links, with white space between
        src: its words
        tgt: likewise
        place: where they stand, for the message
        base: the number of the first word
        hint: what to try where a word isn't there

    Raises:
        TranslatorError: there is something else, or a link to a word that isn't there.
    """
    sure: Links = set()
    possible: Links = set()
    for written in text.split():
        link = _LINK.fullmatch(written)
        if not link:
            raise TranslatorError(
                f'{place}: "{written}" is no link; write 0-0 for a sure one and 0p0 for a '
                "possible one"
            )
        i, j = int(link[1]) - base, int(link[3]) - base
        if not (0 <= i < len(src.words) and 0 <= j < len(tgt.words)):
            raise TranslatorError(
                f"{place}: {written} links a word that isn't there (there are {len(src.words)} "
                f"and {len(tgt.words)}, counted from {base}{hint})"
            )
        possible.add((i, j))
        if link[2] == "-":
            sure.add((i, j))
    return sure, possible


def read_gold(path: Path, base: int = 0) -> list[GoldPair]:
    """Pairs with their links in the third column: see `parse_links`.

    Args:
        path: a TSV file, as for `read_pairs`
        base: the number of the first word

    Raises:
        TranslatorError: a line can't be read, or has a link to a word that isn't there.
    """
    gold = []
    hint = f"; --gold-base {1 - base} counts from {1 - base}"
    for number, src, tgt, rest in read_pairs(path):
        if not rest:
            raise TranslatorError(f"{path}, line {number}: no links in a third column")
        sure, possible = parse_links(rest[0], src, tgt, f"{path}, line {number}", base, hint)
        gold.append(GoldPair(src, tgt, sure, possible))
    if not gold:
        raise TranslatorError(f"{path}: the file is empty")
    return gold
