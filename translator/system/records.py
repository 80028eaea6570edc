"""Dataclasses as JSON: their types are checked when they are read."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from translator.errors import TranslatorError
from translator.system.files import json_line, os_errors_for, write_bytes, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def decode(data: bytes, kind: type[T], place: str) -> T:
    """Build a dataclass from a JSON object. Keys that the class doesn't have are ignored.

    Args:
        data: the JSON
        kind: the dataclass
        place: where the JSON was found, for the message

    Raises:
        TranslatorError: it is not JSON, a key is missing, or a value has another type.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    # All of msgspec's own errors are a ValueError, and so is a character cut in two. Brackets
    # inside brackets without end are a RecursionError.
    except (ValueError, RecursionError) as error:
        raise TranslatorError(f"{place}: damaged ({error}); restore the file") from error


def read_record(path: Path, kind: type[T]) -> T:
    """Read a file that holds one JSON object.

    Raises:
        TranslatorError: the file is missing, or `decode` refuses it.
    """
    with os_errors_for(path):
        data = path.read_bytes()
    return decode(data, kind, str(path))


def write_record(path: Path, record: "DataclassInstance") -> None:
    """Write one JSON object atomically, a key per line and accents readable."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_records(path: Path, kind: type[T]) -> list[T]:
    """Read a file with one JSON object per line.

    Raises:
        TranslatorError: the file is missing, or `decode` refuses a line of it.
    """
    # As bytes, where only LF ends a line: a text may hold U+2028 and other line separators.
    with os_errors_for(path), path.open("rb") as file:
        return [
            decode(line, kind, f"{path}, line {number}")
            for number, line in enumerate(file, start=1)
        ]


def write_records(path: Path, records: Iterable["DataclassInstance"]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(map(encode_line, records)))


def encode_line(record: "DataclassInstance") -> str:
    """A JSON object as a line, accents readable; fields that are None are left out."""
    return json_line({key: value for key, value in asdict(record).items() if value is not None})
