"""Normalize text to the form that all other code works on."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from translator.text.pipeline import Applied

# Invisible characters that make equal sentences look different to a program: soft hyphen,
# zero-width space, word joiner, byte-order mark, and marks of the writing direction. Zero-width
# joiners stay: they hold an emoji together.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]
)
# Other control characters have no meaning inside a sentence; white space among them is handled
# by str.split.
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
# Half of a surrogate pair can't be encoded, so it becomes the replacement character.
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "st", "st")
# Signs in another form are the same sign: keyboards type the straight quotes and the hyphen, and
# word processors and fonts change them. «» and – are signs of their own in Spanish and English.
_SIGNS = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),  # curly, low and reversed; double prime
    # The same as single quotes; an accent without a letter, a prime, a letter apostrophe.
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u00b4\u2032\u02bc", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2212", "-"),  # hyphens, the dash of phone numbers, minus
    "\u2015": "—",  # horizontal bar: what some fonts have as the dash of a dialogue
    "…": "...",
    **dict(zip("\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06", _LIGATURES, strict=True)),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width ASCII
}
_TABLE = str.maketrans({**_INVISIBLE, **_CONTROL, **SURROGATES, **_SIGNS})
# Between letters a backtick is an apostrophe; elsewhere it may enclose code. The backtick comes
# first in the pattern since a search for one character is fast.
_BACKTICK = re.compile(r"`(?<=[^\W\d_]`)(?=[^\W\d_])")

# NFC sorts accents in a row, in quadratic time. The stream-safe format of Unicode (UAX #15) allows
# so many, and separates them with an invisible sign that combines with nothing. All accents come
# after U+0300, and this search is fast.
_MAX_ACCENTS = 30
_SEPARATOR = "\u034f"
_MAYBE_ACCENTS = re.compile(rf"[\u0300-\U0010ffff]{{{_MAX_ACCENTS + 1},}}")

_NOT_WORD = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """Convert text to one form of each letter, sign and space.

    Letters are in Unicode NFC; after 30 accents in a row comes an invisible U+034F. Curly quotes
    become straight, the various hyphens "-", an ellipsis three periods, and ligatures and
    full-width signs what they stand for. Invisible characters are removed, control characters
    become spaces, and white space is collapsed and stripped.

    Applied to training text and to every text to translate, so that the model sees only one form.
    """
    # NFC before, since it turns other characters into some of the table; and after, since letters
    # from the table can be followed by accents.
    text = _nfc(_nfc(text).translate(_TABLE))
    return " ".join(_BACKTICK.sub("'", text).split())


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", _MAYBE_ACCENTS.sub(_separate_accents, text))


def _separate_accents(run: re.Match[str]) -> str:
    """Put a separator after each `_MAX_ACCENTS` accents in a row."""
    pieces: list[str] = []
    accents = 0
    for character in run[0]:
        accents = accents + 1 if unicodedata.combining(character) else 0
        if accents > _MAX_ACCENTS:
            pieces.append(_SEPARATOR)
            accents = 1
        pieces.append(character)
    return "".join(pieces)


class Normalization:
    """Normalize a text; `restore` changes nothing, so it gives back the normalized form."""

    def apply(self, text: str) -> Applied[None]:
        """Normalize a text; the result may be empty."""
        return Applied([normalize(text)], None)

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Return the text as it is."""
        [text] = parts
        return text


def fold(text: str) -> str:
    """Remove case and punctuation; sentences that are equal afterwards count as the same.

    Accents stay: "él" and "el" are different words. A text of punctuation alone is not changed.
    """
    return _NOT_WORD.sub(" ", text.casefold()).strip() or text


def text_key(text: str) -> int:
    """Compute a 64-bit hash of a text, the same on every machine and in every process."""
    return int.from_bytes(
        hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True
    )
