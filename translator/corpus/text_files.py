"""Read sentence pairs from text files: TSV, or two line-aligned files; compressed or not."""

import gzip
import lzma
import shlex
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Literal, cast

from translator.errors import TranslatorError
from translator.system.encodings import decode_utf8, encoding_error
from translator.system.files import MAX_LINE_BYTES, line_too_long_error

Row = dict[str, str]  # src, tgt, and source: the attribution of the pair

# A compressed file that exceeds both limits is refused: it may be a decompression bomb. Text
# is compressed three- to tenfold; gzip can reach a factor of a thousand, xz of several thousand.
_MIN_UNPACKED_LIMIT = 100 * 2**20
_MAX_UNPACKED_RATIO = 100
# What reading a missing, cut off or damaged file raises.
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)
# Bytes of a file from which its encoding is guessed, with the line that is not UTF-8.
_ENCODING_SAMPLE = 2**20


def read_columns(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read the numbered lines (from 1) of a TSV file, each with its columns.

    Blank lines at the end of the file are ignored.

    Raises:
        TranslatorError: a line is blank or has only one column, or can't be read; the message
            names it.
    """
    blank = 0  # the first of the blank lines just read
    for number, line in read_lines(path):
        if not line.strip() and "\t" not in line:  # a tab separates two empty cells
            blank = blank or number
            continue
        if blank:
            raise TranslatorError(
                f"{path}, line {blank}: a blank line; each line needs a sentence, a tab and its "
                "translation: remove the line"
            )
        cells = line.split("\t")
        if len(cells) < 2:
            raise TranslatorError(
                f"{path}, line {number}: one column only; each line needs a sentence, a tab and "
                "its translation"
            )
        yield number, cells


def read_aligned(paths: list[Path], languages: list[str], src_lang: str) -> Iterator[Row]:
    """Read the rows of two line-aligned files.

    One file may have more blank lines at its end than the other.

    Raises:
        TranslatorError: one file ends before the other, or can't be read.
    """
    if languages[0] != src_lang:
        paths = paths[::-1]
    end = (0, None)
    sides = zip_longest(read_lines(paths[0]), read_lines(paths[1]), fillvalue=end)
    for (number, src), (_, tgt) in sides:
        if src is None or tgt is None:
            if not (src or tgt or "").strip():
                continue
            shorter, longer = paths if src is None else paths[::-1]
            raise TranslatorError(
                f"{shorter} ends before {longer}: line-aligned files need the same number of lines"
            )
        yield {"src": src, "tgt": tgt, "source": f"{paths[0].name}:{number}"}


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the numbered lines (from 1) of a UTF-8 file; gzip and xz are detected.

    Only LF and CR LF end a line, as for `wc -l`.

    Raises:
        TranslatorError: the file is missing, cut off or not UTF-8, has a line that is too long,
            or decompresses to far more than text would. The message names the line.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such file")
    number = unpacked = 0
    try:
        limit = max(_MIN_UNPACKED_LIMIT, _MAX_UNPACKED_RATIO * path.stat().st_size)
        with _open_decompressed(path) as file:
            lines = iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")
            for number, raw in enumerate(lines, start=1):
                unpacked += len(raw)
                if len(raw) > MAX_LINE_BYTES:
                    raise line_too_long_error(f"{path}, line {number}")
                if unpacked > limit:
                    raise TranslatorError(
                        f"{path}, line {number}: more than {_MAX_UNPACKED_RATIO} times as large as "
                        "the compressed file, which is unusual for text; decompress it yourself "
                        "if you trust it"
                    )
                text = decode_utf8(raw)
                if number == 1:
                    text = text.removeprefix("\ufeff")
                yield number, text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise _encoding_error(path, number, error) from error
    except _UNREADABLE as error:
        raise TranslatorError(f"{path}, after line {number}: can't be read ({error})") from error


def _encoding_error(path: Path, number: int, error: UnicodeDecodeError) -> TranslatorError:
    """The error for a line that is not UTF-8; it names the encoding of the file."""
    beginning = b""
    # A compressed file may be damaged as well, further on.
    with suppress(*_UNREADABLE), _open_decompressed(path) as file:
        beginning = file.read(_ENCODING_SAMPLE)
    packing = _packing(path)
    name = path.stem if path.suffix in (".gz", ".xz") else path.name
    given, new = shlex.quote(str(path)), shlex.quote(f"utf8-{name}")
    convert = "iconv -f {} -t UTF-8"
    convert = f"{convert} {given}" if packing is None else f"{packing} -dc {given} | {convert}"
    return encoding_error(
        f"{path}, line {number}", error, beginning + b"\n" + error.object, f"{convert} > {new}"
    )


def _packing(path: Path) -> Literal["gzip", "xz"] | None:
    """Return the program that compressed a file, by its first bytes."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    return "xz" if magic.startswith(b"\xfd7zXZ\x00") else None


def _open_decompressed(path: Path) -> BinaryIO:
    """Open a file for reading; gzip and xz are decompressed."""
    packing = _packing(path)
    if packing == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return cast(BinaryIO, lzma.open(path, "rb")) if packing == "xz" else path.open("rb")
