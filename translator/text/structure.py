"""Keep what needs no translation: lines, tags, what stands around a text, whether it has an end."""

import re
from collections.abc import Sequence

from translator.text.pipeline import Applied
from translator.text.segmentation import ABBREVIATIONS

# White space, and characters that nobody sees: at least those that `normalize` removes.
_BLANK = (
    r"[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_BLANK_LINE = re.compile(f"{_BLANK}*")


class Lines:
    """Split a text into its lines, without the line breaks.

    `restore` is the exact inverse of `apply`, and the result has as many lines as the text: blank
    lines stay where they are, and a line whose translation is empty becomes blank.
    """

    def apply(self, text: str) -> Applied[list[str]]:
        """Split a text.

        Blank lines are no parts. The state has what stands before, between and after the parts.
        """
        parts: list[str] = []
        gaps = [""]
        for line in text.splitlines(keepends=True):
            if _BLANK_LINE.fullmatch(line):
                gaps[-1] += line
            else:
                [content] = line.splitlines()
                parts.append(content)
                gaps.append(line[len(content) :])
        return Applied(parts, gaps)

    def restore(self, parts: Sequence[str], state: list[str]) -> str:
        """Put the line breaks and the blank lines back."""
        return _fill_gaps(parts, state)


# Tags and comments of HTML and XML. Neither contains another one that begins, so that a text of
# beginnings without an end takes linear time.
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--(?:(?!<!--).)*?-->")


class Tags:
    """Split a text at its HTML and XML tags.

    Each tag stands where it stood between the translated parts; a model that orders words freely
    would move them. `restore` is the exact inverse of `apply`.
    """

    def apply(self, text: str) -> Applied[list[str]]:
        """Split a text.

        Blank texts are no parts. The state has what stands before, between and after the parts.
        """
        parts: list[str] = []
        gaps = [""]
        done = 0
        for begin, end in [*(tag.span() for tag in _TAG.finditer(text)), (len(text), len(text))]:
            between = text[done:begin]
            if _BLANK_LINE.fullmatch(between):
                gaps[-1] += between
            else:
                parts.append(between)
                gaps.append("")
            gaps[-1] += text[begin:end]
            done = end
        return Applied(parts, gaps)

    def restore(self, parts: Sequence[str], state: list[str]) -> str:
        """Put the tags back."""
        return _fill_gaps(parts, state)


def _fill_gaps(parts: Sequence[str], gaps: Sequence[str]) -> str:
    """Join parts with what stands before, between and after them."""
    leading, *others = gaps
    return leading + "".join(part + gap for part, gap in zip(parts, others, strict=True))


# Arrows, technical signs, circled numbers, boxes, shapes, symbols, dingbats, emoji: the blocks of
# Unicode with pictures.
_PICTURES = r"\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
# Other characters are emoji if a variation selector or a key cap follows. A run of emoji also has
# joiners (as blanks), skin tones (as pictures), and the tags that spell the flag of a region.
_EMOJI = (
    rf"(?:[{_PICTURES}]|[0-9#*]\ufe0f?\u20e3|[©®™\u203c\u2049\u2139\u3030\u303d\u3297\u3299]\ufe0f)"
    r"[\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]*"
)
_ENDS = rf"(?={_BLANK}|\Z)"
# Numerals up to 39: longer lists don't use them, and among larger ones are words (mix, di, mi).
_ROMAN = r"(?:(?=[ivx])x{0,3}(?:i[xv]|v?i{0,3})|(?=[IVX])X{0,3}(?:I[XV]|V?I{0,3}))"
_NUMBER = rf"(?:\d{{1,3}}|[a-z]|{_ROMAN})"
_MARKERS = [
    # A bullet, a check box, a heading, a quotation.
    rf"(?:[-–*+·•‣]|\[[ xX]?\]|\#{{1,6}}|>+){_ENDS}",
    # The dash of a dialogue, also without a space. "-5" is a number, and "-ing" an ending.
    r'—|\u2015|[-–](?=["“«¿¡A-ZÁÉÍÓÚÜÑ])',
    rf"\d+(?:\.\d+)*\.-?{_ENDS}",
    # "I." alone is a sentence.
    rf"{_ROMAN}\.(?={_BLANK})",
    # Not if there are more: "(a) or (b)" is a sentence.
    rf"\({_NUMBER}\){_ENDS}(?!.*\({_NUMBER}\))",
    rf"{_NUMBER}\){_ENDS}(?!.*\s{_NUMBER}\))",
]
_BEFORE = re.compile(rf"(?:{'|'.join([_BLANK, _EMOJI, *_MARKERS])})*", re.DOTALL)
_RUN = re.compile(rf"(?:{_BLANK}|{_EMOJI})+")
_PAIRS = [
    ('"', '"'), ("“", "”"), ("„", "“"), ("„", "”"), ("«", "»"), ("'", "'"), ("‘", "’"),
    ("(", ")"), ("[", "]"), ("**", "**"), ("*", "*"), ("_", "_"),
]  # fmt: skip
_APOSTROPHE = re.compile(r"(?<=[^\W_])['’](?=[^\W_])")
# A text seldom has more than three, such as quotes in brackets in bold type. Each is a search
# through the whole text.
_MAX_PAIRS = 8


class Frame:
    """Take off what stands around a text and needs no translation.

    That is, in any order:

    - white space and invisible characters
    - emoji and other pictures, as whole sequences
    - at the beginning, a bullet, a check box, a number with a period or a bracket, `#` or `>` of
      Markdown, the dash of a dialogue
    - quotation marks, brackets, or `*` and `_` of Markdown, if one pair encloses all of the text

    `restore` is the exact inverse of `apply`.
    """

    def apply(self, text: str) -> Applied[tuple[str, str]]:
        """Take the frame off; the state is what stood before and after the text.

        A text without a letter inside has no part: numbers and signs are the same in both
        languages.
        """
        start, end = _strip(text, 0, len(text))
        for _ in range(_MAX_PAIRS):
            width = _pair_width(text[start:end])
            if not width:
                break
            start, end = _strip(text, start + width, end - width)
        core = text[start:end]
        if not any(map(str.isalpha, core)):
            return Applied([], (text, ""))
        return Applied([core], (text[:start], text[end:]))

    def restore(self, parts: Sequence[str], state: tuple[str, str]) -> str:
        """Put the frame back."""
        before, after = state
        return before + "".join(parts) + after


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Move the ends of a part of a text past all except pairs."""
    before = _BEFORE.match(text, start, end)
    start = before.end() if before else start
    # Forward: a pattern for the end alone would be tried at every character.
    runs = list(_RUN.finditer(text, start, end))
    return start, runs[-1].start() if runs and runs[-1].end() == end else end


def _pair_width(text: str) -> int:
    """Return the length of the mark at each end if they are one pair, 0 if there is none."""
    for opening, closing in _PAIRS:
        width = len(opening)
        if (
            len(text) >= 2 * width
            and text.startswith(opening)
            and text.endswith(closing)
            and _is_balanced(text[width:-width], opening, closing)
        ):
            return width
    return 0


def _is_balanced(text: str, opening: str, closing: str) -> bool:
    """Whether each closing mark in a text has an opening one before it, and the reverse.

    If both look the same, every mark counts as a closing one.
    """
    depth = 0
    for mark in re.findall(f"{re.escape(opening)}|{re.escape(closing)}", _APOSTROPHE.sub("", text)):
        depth += -1 if mark == closing else 1
        if depth < 0:
            return False
    return depth == 0


_CLOSING = r"""["'”’»)\]*_]*\s*\Z"""
_MARK = re.compile(rf"[.!?…:;]{_CLOSING}")
_PERIOD = re.compile(rf"(?<=[^.])\.(?={_CLOSING})")
_EXCLAMATION = re.compile(rf"!(?={_CLOSING})")
# Letters with periods at the end of a text: p. m., EE. UU., U.S.
_LETTERS = re.compile(r"(?<!\w)(?:(\w)\1?\.\s?){2}\Z")
_LAST_WORD = re.compile(r"(?<!\w)(\w+)\.\Z")
_FINAL_ABBREVIATIONS = ABBREVIATIONS | {"etc", "jr", "inc", "ltd"}


class FinalMark:
    """Remove the final mark that a model adds to the translation of a text without one.

    Models learn from whole sentences, so that a title becomes a sentence too. `restore` is the
    exact inverse of `apply`.
    """

    def apply(self, text: str) -> Applied[bool]:
        """Return the text as it is; the state is whether it ends with . ! ? … : or ;

        Closing quotes and brackets may follow the mark.
        """
        return Applied([text], bool(_MARK.search(text)))

    def restore(self, parts: Sequence[str], state: bool) -> str:
        """Remove a final period, or a final exclamation mark and its ¡, if the text had no mark.

        A question keeps its marks, and an abbreviation its period. Repeated marks stay.
        """
        [text] = parts
        if state:
            return text
        period = _PERIOD.search(text)
        if period and not _is_abbreviation(text[: period.end()]):
            return text[: period.start()] + text[period.end() :]
        if _EXCLAMATION.search(text) and text.count("!") == 1:
            return text.replace("¡", "").replace("!", "")
        return text


def _is_abbreviation(text: str) -> bool:
    """Whether the period at the end of a text belongs to an abbreviation."""
    word = _LAST_WORD.search(text)
    known = word is not None and word[1].lower() in _FINAL_ABBREVIATIONS
    return known or _LETTERS.search(text) is not None
