"""Cut text that is too long for a model into parts that are not."""

import re
from collections.abc import Callable

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
