"""Split text into what a model can translate: sentences, and parts of those that are too long."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from translator.text.pipeline import Applied

_OPENING, _CLOSING = "\"'“‘«([¿¡", "\"'”’»)]"
# English and Spanish abbreviations before a name, a number or a noun, without their period.
ABBREVIATIONS = {
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "st",
    "mt", "vs", "approx", "fig", "vol", "sr", "sra", "srta", "dra", "d", "dña", "ud", "uds",
    "vd", "vds", "ee", "uu", "av", "avda", "núm", "pág",
}  # fmt: skip
# Before noon and after it, in both languages. In capitals only after a number: "A. M. Vega" is a
# name.
_HALF_DAY = re.compile(r"(?:(?<!\w)[ap]\. ?m|\d ?[AP]\. ?M)\.$")
# What may follow the time in the same sentence although it has a capital: weekdays and time zones.
_AFTER_TIME = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "eastern", "central", "mountain", "pacific", "gmt", "utc", "et", "est", "edt", "ct", "cst",
    "cdt", "mt", "mst", "mdt", "pt", "pst", "pdt", "cet", "cest",
}  # fmt: skip
_GAP = re.compile(r"\s+")
_WORD = re.compile(r"\S+")
_FINAL = ".!?…" + _CLOSING
# The words that tell whether a sentence ends after them: "5 p. m."
_WORDS_BEFORE = 3


class Sentences:
    """Split a text into its sentences (see `split_sentences`), and join their translations.

    `restore` is the exact inverse of `apply`. A sentence whose translation is empty is left out
    together with the white space after it.
    """

    def apply(self, text: str) -> Applied[list[str]]:
        """Split a text; the state is the white space before, between and after the sentences."""
        found = split_sentences(text)
        leading = text[: len(text) - len(text.lstrip())]
        spaces = [leading, *(space for _, space in found)]
        return Applied([sentence for sentence, _ in found], spaces)

    def restore(self, parts: Sequence[str], state: list[str]) -> str:
        """Put the white space back between the sentences."""
        leading, *spaces = state
        sentences = zip(parts, spaces, strict=True)
        return leading + "".join(sentence + space for sentence, space in sentences if sentence)


def split_sentences(text: str) -> list[tuple[str, str]]:
    """Split a text into its sentences.

    A line break ends a sentence. A word that ends with . ! ? or … (and closing quotes or brackets)
    ends one too, unless the next word starts with a lowercase letter. A period doesn't end a
    sentence after an abbreviation (Mr., Sra.), an initial (J., except I.), letters with periods
    between them (U.S., e.g.), or a number at the start of the sentence (1.). After a.m. and p.m. it
    does if the next word is capitalized, except for a weekday or a time zone (5 p.m. Eastern time).

    Args:
        text: any number of lines

    Returns:
        Each sentence and the white space after it, both unchanged. Joined, they are the text
        without the white space at its start.
    """
    found = []
    start = len(text) - len(text.lstrip())
    # Where the last words of the sentence start: a long one is not searched again for each word.
    words = deque([start], maxlen=_WORDS_BEFORE)
    for gap in _GAP.finditer(text, start):
        broken = gap[0] != " " and gap[0].splitlines() != [gap[0]]
        if gap.end() == len(text) or broken or _ends(text, words[0], gap):
            found.append((text[start : gap.start()], gap[0]))
            start = gap.end()
            words.clear()
        words.append(gap.end())
    if start < len(text):
        found.append((text[start:], ""))
    return found


def _ends(text: str, start: int, gap: re.Match[str]) -> bool:
    """Whether a sentence ends before a gap between two words.

    Args:
        text: the text of the sentence
        start: where the sentence starts, or the last `_WORDS_BEFORE` words before the gap
        gap: white space after a word of the sentence
    """
    if text[gap.start() - 1] not in _FINAL:  # most words: no need to look further
        return False
    following = _WORD.match(text, gap.end())
    next_word = following[0].lstrip(_OPENING) if following else ""
    if next_word[:1].islower():
        return False
    words = text[start : gap.start()].split()
    word = words[-1].rstrip(_CLOSING)
    stem = word.rstrip(".").lstrip(_OPENING)
    if word.endswith(("!", "?", "…", "..")):
        return True
    if not word.endswith("."):
        return False
    if _HALF_DAY.search(" ".join([*words[-3:-1], word])):
        bare = next_word.rstrip(_FINAL + ",;:")
        return bare[:1].isupper() and bare.lower() not in _AFTER_TIME
    initial = len(stem) == 1 and stem.isalpha() and stem != "I"
    pointed = "." in stem and not any(map(str.isdigit, stem))
    listed = len(words) == 1 and stem.isdigit()
    return not (initial or pointed or listed or stem.lower() in ABBREVIATIONS)


# Where to split a long sentence, best places first: after a sentence (with its closing quotes and
# brackets), after a clause, between words. The white space at a split is dropped.
_PLACES = [
    re.compile(r"""(?<=[.!?…]["'”’»)\]])\s+|(?<=[.!?…])\s+"""),
    re.compile(r"(?<=[,;:–—])\s+"),
    re.compile(r"\s+"),
]


@dataclass(frozen=True)
class Length:
    """Split a sentence that is too long (see `split_long`), and join the translations with spaces.

    `restore` undoes `apply` on normalized text, except that a word which was too long by itself
    keeps the spaces at which it was split.

    Attributes:
        fits: whether a text is short enough; must be true for any single character
    """

    fits: Callable[[str], bool]

    def apply(self, text: str) -> Applied[None]:
        """Split a text into parts that fit; an empty text has no parts."""
        parts = split_long(text, self.fits) if text else []
        if len(parts) < 2:
            return Applied(parts, None)
        return Applied(parts, None, (f"a long sentence, translated in {len(parts)} parts",))

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Join the parts that are not empty."""
        return " ".join(filter(None, parts))


def split_long(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into parts that fit: at sentence ends, else clauses, else words, else anywhere.

    Neighbouring parts are joined as long as they fit together. Only white space is lost: at each
    split, and all except one space between joined parts.

    Args:
        text: one line, not empty
        fits: whether a part is short enough; must be true for any single character

    Returns:
        The parts, in order; the text itself if it fits.
    """
    if fits(text):
        return [text]
    for place in _PLACES:
        fragments = place.split(text)
        if len(fragments) > 1:
            return [part for long in _join(fragments, fits) for part in split_long(long, fits)]
    middle = len(text) // 2
    return split_long(text[:middle], fits) + split_long(text[middle:], fits)


def split_in_halves(text: str) -> list[str]:
    """Split a text in two, at the best place near its middle; white space stays with the first.

    Returns:
        The two halves; the text itself if it is a single word.
    """
    middle = len(text) // 2
    # A place at a quarter or at three quarters of the text is as near as it must be.
    near = range(len(text) // 4, len(text) - len(text) // 4 + 1)
    for place in _PLACES:
        ends = [match.end() for match in place.finditer(text)]
        if place is not _PLACES[-1]:
            ends = [end for end in ends if end in near]
        if ends:
            end = min(ends, key=lambda end: abs(end - middle))
            return [text[:end], text[end:]]
    return [text]


def _join(fragments: list[str], fits: Callable[[str], bool]) -> list[str]:
    joined = [fragments[0]]
    for fragment in fragments[1:]:
        longer = f"{joined[-1]} {fragment}"
        if fits(longer):
            joined[-1] = longer
        else:
            joined.append(fragment)
    return joined
