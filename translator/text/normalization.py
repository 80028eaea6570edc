"""Normalize text to the form that all other code works on."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from translator.text.pipeline import Applied

# Invisible characters that make equal sentences look different to a program: zero-width space,
# soft hyphen, byte-order mark.
_INVISIBLE = {0x200B: None, 0x00AD: None, 0xFEFF: None}
# Other control characters have no meaning inside a sentence; white space among them is handled
# by str.split. Half of a surrogate pair can't be encoded, so it becomes the replacement character.
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_TABLE = str.maketrans({**_INVISIBLE, **_CONTROL, **_SURROGATES})

_NOT_WORD = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """Convert text to Unicode NFC, remove control characters, and collapse and strip white space.

    Applied to training text and to every text to translate, so that the model sees only one form.
    """
    return " ".join(unicodedata.normalize("NFC", text.translate(_TABLE)).split())


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
