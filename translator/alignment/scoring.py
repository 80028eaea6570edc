"""Score alignments against a gold standard."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from translator.alignment.symmetrization import Links
from translator.alignment.words import Pair, Words, require_sentences, split_pretokenized
from translator.corpus.text_files import read_columns
from translator.errors import TranslatorError

# With more digits, a number is out of range, and Python may refuse to convert it.
_LINK = re.compile(r"(\d{1,9})([-p?])(\d{1,9})")


@dataclass(frozen=True)
class GoldPair:
    """A pair with its gold links.

    Attributes:
        src: source words
        tgt: target words
        sure: links that an alignment should contain
        possible: links that an alignment may contain, including the sure ones
    """

    src: Words
    tgt: Words
    sure: Links
    possible: Links

    @property
    def pair(self) -> Pair:
        """The pair without its links."""
        return self.src, self.tgt


@dataclass(frozen=True)
class AlignmentScore:
    """The scores of Och & Ney 2003, with A the links found, S the sure and P the possible links.

    Attributes:
        aer: alignment error rate, 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)
        precision: |A ∩ P| / |A|
        recall: |A ∩ S| / |S|
        f1: harmonic mean of precision and recall
    """

    aer: float
    precision: float
    recall: float
    f1: float


def score_links(found: Iterable[Links], gold: Iterable[GoldPair]) -> AlignmentScore:
    """Score the links of all pairs together."""
    links = sure = possible_found = sure_found = 0
    for pair_links, pair in zip(found, gold, strict=True):
        links += len(pair_links)
        sure += len(pair.sure)
        possible_found += len(pair_links & pair.possible)
        sure_found += len(pair_links & pair.sure)
    precision, recall = possible_found / max(1, links), sure_found / max(1, sure)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    aer = 1 - (sure_found + possible_found) / max(1, links + sure)
    return AlignmentScore(aer, precision, recall, f1)


def read_pairs(path: Path) -> Iterator[tuple[int, Words, Words, list[str]]]:
    """Read the numbered lines (from 1) of a TSV file: source words, target words, other columns.

    Words are separated by white space.

    Raises:
        TranslatorError: a line has one column only, is too long, or can't be read; it names the
            line.
    """
    for number, (src, tgt, *rest) in read_columns(path):
        pair = split_pretokenized(src), split_pretokenized(tgt)
        require_sentences(pair, f"{path}, line {number}")
        yield number, *pair, rest


def parse_links(
    text: str, src: Words, tgt: Words, place: str, base: int = 0, hint: str = ""
) -> tuple[Links, Links]:
    """Parse the links of a pair: 0-0 is a sure link, 0p1 and 0?1 are possible links.

    Args:
        text: the links, separated by white space
        src: source words
        tgt: target words
        place: the file and line, for the error message
        base: the number of the first word
        hint: added to the error message if a link is out of range

    Returns:
        The sure links, and all links.

    Raises:
        TranslatorError: something is not a link, or a link is out of range.
    """
    sure: Links = set()
    possible: Links = set()
    for written in text.split():
        link = _LINK.fullmatch(written)
        if not link:
            raise TranslatorError(
                f'{place}: "{written}" is not a link; write 0-0 for a sure link and 0p0 for a '
                "possible one"
            )
        i, j = int(link[1]) - base, int(link[3]) - base
        if not (0 <= i < len(src.words) and 0 <= j < len(tgt.words)):
            raise TranslatorError(
                f"{place}: the link {written} is out of range (there are {len(src.words)} and "
                f"{len(tgt.words)} words, counted from {base}{hint})"
            )
        possible.add((i, j))
        if link[2] == "-":
            sure.add((i, j))
    return sure, possible


def read_gold(path: Path, base: int = 0) -> list[GoldPair]:
    """Read gold pairs: source words, target words, and links (see `parse_links`).

    Args:
        path: a TSV file with three columns
        base: the number of the first word

    Raises:
        TranslatorError: a line can't be read, or a link is out of range.
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
