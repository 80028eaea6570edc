"""Check a SentencePiece model before the library reads it.

SentencePiece trusts its files: a crafted one ends the process with a segmentation fault. A
tokenizer that we train needs little of what such a file can hold, and all else is refused.

A model is a protobuf message: fields, each a key and a value. A key is a number, of which the three
lowest bits say how the value is written. This reader knows the three ways that occur in a model:
https://protobuf.dev/programming-guides/encoding/
"""

import math
import struct
from collections.abc import Iterator

from translator.config import MAX_VOCAB_SIZE

_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # the three ways to write a value
# A number has seven bits in each byte, and all numbers in a model have 32 bits.
_MAX_VARINT_BYTES = 5


def _key(number: int, kind: int) -> int:
    return number << 3 | kind


# Keys of sentencepiece_model.proto: of a model, and of one of its pieces.
_PIECE, _TRAINER, _NORMALIZER = _key(1, _BYTES), _key(2, _BYTES), _key(3, _BYTES)
_TEXT, _SCORE, _TYPE = _key(1, _BYTES), _key(2, _FIXED32), _key(3, _VARINT)
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = b"\1", b"\2", b"\3", b"\4"
# The default of SentencePiece, which our training doesn't change.
_MAX_PIECE_CHARS = 16
# The first pieces, in the order of PAD_ID, UNK_ID, BOS_ID and EOS_ID.
_SPECIAL = [("<pad>", _CONTROL), ("<unk>", _UNKNOWN), ("<s>", _CONTROL), ("</s>", _CONTROL)]

# How the model was trained: the values that our training always writes, and the keys of values that
# differ between models or that have no effect on a trained model.
_TRAINER_VALUES = {
    _key(3, _VARINT): b"\2",  # BPE
    _key(40, _VARINT): b"\1",  # unk_id
    _key(41, _VARINT): b"\2",  # bos_id
    _key(42, _VARINT): b"\3",  # eos_id
    _key(43, _VARINT): b"\0",  # pad_id
}
_TRAINER_FREE = {
    _key(4, _VARINT),  # vocab_size
    _key(10, _FIXED32),  # character_coverage
    _key(16, _VARINT),  # num_threads
    _key(18, _VARINT),  # max_sentence_length
    _key(31, _BYTES),  # user_defined_symbols, which are also pieces
}
# No normalization: its name, and no compiled table of characters.
_NORMALIZER_VALUES = {_key(1, _BYTES): b"identity", _key(2, _BYTES): b""}

# A piece takes four bytes for each character, and eleven for its keys, sizes, score and type. The
# rest of a model is shorter than 4 KiB.
MAX_MODEL_BYTES = (4 * _MAX_PIECE_CHARS + 11) * MAX_VOCAB_SIZE + 4096


def check_model(model: bytes) -> None:
    """Check that a model has nothing but what our training writes.

    Args:
        model: the content of the file, at most `MAX_MODEL_BYTES`

    Raises:
        ValueError: it has something else; the message says what.
    """
    pieces: list[tuple[str, bytes]] = []
    others: dict[int, bytes] = {}
    for key, value in _fields(model):
        if key == _PIECE and len(pieces) < MAX_VOCAB_SIZE:
            pieces.append(_read_piece(value))
        elif key in (_TRAINER, _NORMALIZER) and key not in others:
            others[key] = value
        else:
            raise ValueError(f"more than {MAX_VOCAB_SIZE} tokens, or an unknown field")
    if pieces[: len(_SPECIAL)] != _SPECIAL:
        raise ValueError("it doesn't begin with <pad>, <unk>, <s> and </s>")
    if not {kind for _, kind in pieces[len(_SPECIAL) :]} <= {_NORMAL, _USER_DEFINED}:
        raise ValueError("a token of an unknown type")
    _check_values(others.get(_TRAINER, b""), _TRAINER_VALUES, _TRAINER_FREE)
    _check_values(others.get(_NORMALIZER, b""), _NORMALIZER_VALUES, set())


def _read_piece(message: bytes) -> tuple[str, bytes]:
    """Return the text and the type of a piece."""
    keys, values = zip(*_fields(message), strict=True) if message else ((), ())
    if keys not in ((_TEXT, _SCORE), (_TEXT, _SCORE, _TYPE)):
        raise ValueError("a token with other fields than text, score and type")
    try:
        text = values[0].decode()
    except UnicodeDecodeError as error:
        raise ValueError("a token that is not UTF-8") from error
    # A search tree of SentencePiece ends a text at a zero.
    if not 0 < len(text) <= _MAX_PIECE_CHARS or "\0" in text:
        raise ValueError(f"a token of no or more than {_MAX_PIECE_CHARS} characters")
    if not math.isfinite(struct.unpack("<f", values[1])[0]):
        raise ValueError("a token whose score is no number")
    return text, values[2] if len(values) > 2 else _NORMAL


def _check_values(message: bytes, expected: dict[int, bytes], free: set[int]) -> None:
    """Check that a message has the expected values, each once, and other keys only of `free`."""
    found = [field for field in _fields(message) if field[0] not in free]
    if sorted(found) != sorted(expected.items()):
        raise ValueError("it was trained with other settings than ours, or is cut off")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the key of each field, and its value as it is written.

    Raises:
        ValueError: this is no message, or a value is written in a way that no model needs.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        elif kind == _FIXED32:
            size = 4
        elif kind == _VARINT:
            size = _read_varint(message, at)[1] - at
        else:
            raise ValueError("not a SentencePiece model")
        if at + size > len(message):
            raise ValueError("cut off, or not a SentencePiece model")
        yield key, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, lowest bits first, and where it ends."""
    number = 0
    for i, byte in enumerate(message[at : at + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, at + i + 1
    raise ValueError("cut off, or not a SentencePiece model")
