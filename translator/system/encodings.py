"""Decode UTF-8; name the encoding of other text, so that an error can say how to convert it."""

import re

from translator.errors import TranslatorError

# Byte-order marks, and the name that iconv has for the encoding; the longer ones come first.
_MARKS = [
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
]
# Encodings of Western European languages, the most frequent first, by the names that both iconv and
# Python have. (ISO-8859-1 is a part of the first, except for control characters.)
_WESTERN = ("WINDOWS-1252", "CP850", "MACINTOSH")
# Letters and signs of these languages beyond ASCII. Anything else points to another encoding. If
# several encodings fit, the frequent ones decide; an apostrophe is one before an English ending.
_LETTERS = frozenset("áéíóúüñàèìòùâêîôûäöëïÿçãõåøæœßºª")
_SIGNS = frozenset("¿¡«»“”‘’„–—…°€£©®™·•§½¼¾²³×\xa0")
_FREQUENT = re.compile(
    r"[¿¡]|[áéíóúüñ](?=[a-z])|(?<=[a-z])[áéíóúüñ]|[ÁÉÍÓÚÑ](?=[a-z])|’(?=(?:s|t|m|d|re|ll|ve)\b)"
)
# Share of such characters, among those beyond ASCII, in text that was decoded correctly.
_MIN_PLAUSIBLE = 0.9
# Share of zero bytes in UTF-16 with mostly ASCII characters; UTF-8 has none.
_MIN_ZEROS = 0.3
_MIN_BYTES = 8  # to tell UTF-16 from a stray zero byte


def decode_utf8(line: bytes) -> str:
    """Decode a line.

    Raises:
        UnicodeDecodeError: it is not UTF-8; or it is UTF-16, which can be valid UTF-8 with a zero
            byte after (or before) each character.
    """
    if b"\0" in line and _utf16_without_mark(line):
        raise UnicodeDecodeError("utf-8", line, line.index(0), len(line), "text with zero bytes")
    return line.decode()


def encoding_error(
    place: str, error: UnicodeDecodeError, data: bytes, convert: str
) -> TranslatorError:
    """The error for a line that is not UTF-8; it says how to convert the text.

    Args:
        place: the file and the line
        error: what `decode_utf8` raised
        data: the text, or its beginning and the line
        convert: the command to convert all of the text, with {} for the name of its encoding
    """
    found = f"not UTF-8 (byte 0x{error.object[error.start]:02x} at column {error.start + 1})"
    name = _unicode(data)
    if name is None and _has_utf8_lines(data):
        alone = _western(error.object)
        fix = "but other lines are; correct this line" + f", which looks like {alone}" * bool(alone)
        return TranslatorError(f"{place}: {found}, {fix}")
    name = name or _western(data)
    if name is None:
        command = convert.format("ENCODING")
        return TranslatorError(
            f"{place}: {found}; find out its encoding, and convert it: {command}"
        )
    return TranslatorError(f"{place}: {found}; it looks like {name}: {convert.format(name)}")


def _unicode(data: bytes) -> str | None:
    """Return the name of the encoding if text is UTF-16 or UTF-32."""
    marked = (name for mark, name in _MARKS if data.startswith(mark))
    return next(marked, None) or _utf16_without_mark(data)


def _utf16_without_mark(data: bytes) -> str | None:
    zeros = [data[start::2].count(0) for start in (0, 1)]
    if len(data) < _MIN_BYTES or sum(zeros) < _MIN_ZEROS * len(data):
        return None
    return "UTF-16BE" if zeros[0] > zeros[1] else "UTF-16LE"


def _has_utf8_lines(data: bytes) -> bool:
    """Whether some lines of a text are UTF-8 beyond ASCII, so that it mixes two encodings."""
    for line in data.split(b"\n")[:-1]:  # the last one may be cut off
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                continue
            return True
    return False


def _western(data: bytes) -> str | None:
    """Return the Western encoding in which a text makes most sense, if there is one."""
    scores = {}
    for name in _WESTERN:
        try:
            scores[name] = _plausibility(data.decode(name))
        except UnicodeDecodeError:
            continue
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best and scores[best][0] >= _MIN_PLAUSIBLE else None


def _plausibility(text: str) -> tuple[float, float]:
    """Say how much text looks like a Western language.

    Returns:
        The share of characters beyond ASCII that stand where such text has them, and the share of
        frequent characters.
    """
    places = [i for i, character in enumerate(text) if not character.isascii()]
    if not places:
        return 0.0, 0.0
    plausible = [i for i in places if _is_plausible(text, i)]
    frequent = [i for i in plausible if _FREQUENT.match(text, i)]
    return len(plausible) / len(places), len(frequent) / len(places)


def _is_plausible(text: str, i: int) -> bool:
    before, character, after = text[max(0, i - 1) : i], text[i], text[i + 1 : i + 2]
    if character.lower() in _LETTERS:
        # Between two others: Cyrillic or Greek, since Western words have few letters beyond ASCII.
        if all(letter.isalpha() and not letter.isascii() for letter in (before, after)):
            return False
        # A capital begins a word, or the word is in capitals.
        begins = not before.isalpha() or (before.isupper() and not after.islower())
        return begins or not character.isupper()
    if character in "¿¡":  # they open a sentence
        return not before.isalpha() and not after.isspace()
    if character in "’—":  # they may stand inside a word, or between two
        return True
    return character in _SIGNS and not (before.isalpha() and after.isalpha())
