"""Replace spans of a text, and know for every new character where it came from."""

from collections.abc import Sequence
from typing import NamedTuple

Span = tuple[int, int]


class Edit(NamedTuple):
    """A span of a text, and what to write there.

    Attributes:
        begin: first character
        end: the character after the last
        new: its replacement
    """

    begin: int
    end: int
    new: str


def replace_spans(text: str, edits: Sequence[Edit]) -> str:
    """Replace spans of a text.

    Args:
        text: any text
        edits: in order, not overlapping
    """
    pieces: list[str] = []
    done = 0
    for begin, end, new in edits:
        pieces += [text[done:begin], new]
        done = end
    return "".join([*pieces, text[done:]])


def rewrite(text: str, edits: Sequence[Edit]) -> tuple[str, list[Span]]:
    """Replace spans of a text as `replace_spans`, and follow each character back.

    Args:
        text: any text
        edits: in order, not overlapping

    Returns:
        The new text, and for each of its characters the span of the old text that it stands for. If
        a replacement ends with the old characters in lowercase, they stand for themselves, and what
        is before them stands for the first one.
    """
    origin: list[Span] = []
    done = 0
    for begin, end, new in edits:
        origin += [(i, i + 1) for i in range(done, begin)]
        extra = len(new) - (end - begin)
        if extra >= 0 and new[extra:] == text[begin:end].lower():
            origin += [(begin, begin + 1)] * extra + [(i, i + 1) for i in range(begin, end)]
        else:
            origin += [(begin, end)] * len(new)
        done = end
    origin += [(i, i + 1) for i in range(done, len(text))]
    return replace_spans(text, edits), origin
