"""Cut text into what a model can translate: sentences, and parts of those that are too long."""

import re
from collections.abc import Callable

_OPENING, _CLOSING = "\"'“‘«([¿¡", "\"'”’»)]"
# English and Spanish abbreviations that a name, a number or a noun follows, without their point.
_ABBREVIATIONS = {
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "st",
    "mt", "vs", "approx", "fig", "vol", "sr", "sra", "srta", "dra", "d", "dña", "ud", "uds",
    "vd", "vds", "ee", "uu", "av", "avda", "núm", "pág",
}  # fmt: skip
_GAP = re.compile(r"\s+")
_WORD = re.compile(r"\S+")
_FINAL = ".!?…" + _CLOSING


def sentences(text: str) -> list[tuple[str, str]]:
    """Cut a text into its sentences.

    A line break ends a sentence; so does a word that ends with . ! ? or … (and closing quotes or
    brackets), unless the next word starts with a small letter. A point ends none after an
    abbreviation (Mr., Sra.), an initial (J., but for I.), letters with points between (U.S., p.m.),
    or a number that the sentence starts with (1.).

    Args:
        text: any number of lines

    Returns:
        Each sentence with the white space after it, as they stand in the text, but for white
        space before the first. Joined they are the text.
    """
    found = []
    start = len(text) - len(text.lstrip())
    for gap in _GAP.finditer(text, start):
        broken = gap[0] != " " and gap[0].splitlines() != [gap[0]]
        if gap.end() == len(text) or broken or _ends(text, start, gap):
            found.append((text[start : gap.start()], gap[0]))
            start = gap.end()
    if start < len(text):
        found.append((text[start:], ""))
    return found


def _ends(text: str, start: int, gap: re.Match[str]) -> bool:
    """Whether the sentence that starts there ends before this gap between two words."""
    if text[gap.start() - 1] not in _FINAL:  # most words: no need to look further
        return False
    following = _WORD.match(text, gap.end())
    if following and following[0].lstrip(_OPENING)[:1].islower():
        return False
    words = text[start : gap.start()].rsplit(maxsplit=1)
    word = words[-1].rstrip(_CLOSING)
    stem = word.rstrip(".").lstrip(_OPENING)
    if word.endswith(("!", "?", "…", "..")):
        return True
    if not word.endswith("."):
        return False
    initial = len(stem) == 1 and stem.isalpha() and stem != "I"
    pointed = "." in stem and not any(map(str.isdigit, stem))
    listed = len(words) == 1 and stem.isdigit()
    return not (initial or pointed or listed or stem.lower() in _ABBREVIATIONS)


# Where to cut, the best places first: after a sentence (its closing quotes and brackets
# included), after a clause, between words. A cut takes the white space with it.
_PLACES = [
    re.compile(r"""(?<=[.!?…]["'”’»)\]])\s+|(?<=[.!?…])\s+"""),
    re.compile(r"(?<=[,;:–—])\s+"),
    re.compile(r"\s+"),
]


def cut(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut at sentence ends; where a part still doesn't fit, at clauses, then words, then anywhere.

    Parts are joined as long as they fit together. Nothing is lost but white space: at the cuts,
    and where it is more than one space between joined parts.

    Args:
        text: one line, not empty
        fits: whether a part may stay whole; true for every single character

    Returns:
        The parts, in order; the text itself if it fits.
    """
    if fits(text):
        return [text]
    for place in _PLACES:
        pieces = place.split(text)
        if len(pieces) > 1:
            return [part for joined in _join(pieces, fits) for part in cut(joined, fits)]
    middle = len(text) // 2
    return cut(text[:middle], fits) + cut(text[middle:], fits)


def _join(pieces: list[str], fits: Callable[[str], bool]) -> list[str]:
    joined = [pieces[0]]
    for piece in pieces[1:]:
        longer = f"{joined[-1]} {piece}"
        if fits(longer):
            joined[-1] = longer
        else:
            joined.append(piece)
    return joined
