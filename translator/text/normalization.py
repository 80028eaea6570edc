"""The form of text that everything else works on."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from translator.text.pipeline import Applied

# Invisible characters that make equal sentences look different to a program: zero-width space,
# soft hyphen, byte-order mark.
_INVISIBLE = {0x200B: None, 0x00AD: None, 0xFEFF: None}
# Other control characters have no meaning inside a sentence; white space among them is handled
# by str.split. Half of a surrogate pair can't be encoded, so it becomes the replacement sign.
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_TABLE = str.maketrans({**_INVISIBLE, **_CONTROL, **_SURROGATES})

_NOT_WORD = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """Unicode NFC, control characters out, every run of white space one space, ends stripped.

    Used on training text and on every text to translate, so the model sees one form only.
    """
    return " ".join(unicodedata.normalize("NFC", text.translate(_TABLE)).split())


class Normalization:
    """Normalize a text; `restore` changes nothing, so it gives back the normalized form."""

    def apply(self, text: str) -> Applied[None]:
        """Normalize the text, possibly to an empty one."""
        return Applied([normalize(text)], None)

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Return the text as it is."""
        [text] = parts
        return text


def fold(text: str) -> str:
    """The form in which two sentences count as the same: no case, no punctuation.

    Accents stay: "él" and "el" are different words. A text of punctuation alone is kept as is.
    """
    return _NOT_WORD.sub(" ", text.casefold()).strip() or text


def text_key(text: str) -> int:
    """A 64-bit hash of a text, the same on every machine and in every process."""
    return int.from_bytes(
        hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True
    )
