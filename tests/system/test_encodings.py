"""Files that are not UTF-8: the command in the error converts them."""

import gzip
import io
import lzma
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PAIRS

from translator.cli.translate import _arriving_lines
from translator.corpus.text_files import read_lines
from translator.errors import TranslatorError

TEXT = PAIRS.read_text(encoding="utf-8")
ENGLISH = "“I can’t come,” she said — and it’s true.\nThe café isn’t open.\n"
FRENCH = "L'été est fini, garçon.\nOù êtes-vous allé hier soir ?\nElle a déjà mangé à la maison.\n"
GERMAN = "Die Straße ist schön und grün.\nWir hören über München.\n"
# One line of each kind is enough.
SHORT = [
    "La ma\xf1ana es fr\xeda.\n",
    "\xbfD\xf3nde est\xe1 \xc1frica?\n",
    "\xa1S\xed!\n",
    "It’s fine.\n",
]
# What Python calls the encodings; iconv has other names for some.
WESTERN, UNICODE = ["cp1252", "cp850", "mac_roman"], ["utf-16", "utf-16-le", "utf-16-be", "utf-32"]


def encodable(texts: list[str], encodings: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        for encoding in encodings:
            try:
                text.encode(encoding)
            except UnicodeEncodeError:
                continue
            yield text, encoding


def message_for(path: Path) -> str:
    with pytest.raises(TranslatorError) as caught:
        list(read_lines(path))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def named(message: str) -> str:
    found = re.search(r"it looks like ([\w-]+): .*iconv -f ([\w-]+) -t UTF-8 ", message)
    assert found, message
    assert found[1] == found[2]
    return found[1]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *encodable([TEXT, ENGLISH, FRENCH, GERMAN, *SHORT], WESTERN),
        *encodable([TEXT, FRENCH], UNICODE),
        (TEXT, "latin-1"),
        ("Hello there\n", "utf-16-le"),  # valid UTF-8, with zero bytes
        ("It costs 5 €.\nÉl paga 5 €.\n", "cp1252"),
    ],
)
def test_the_encoding_that_is_named_restores_the_text(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert path.read_bytes().decode(named(message_for(path))).removeprefix("\ufeff") == text


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not installed")
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("encoding", [*WESTERN, "utf-16", "utf-16-le"])
def test_the_command_converts_the_file(
    tmp_path: Path, pack: Callable[[bytes], bytes], encoding: str
) -> None:
    path = tmp_path / "my pairs.tsv.gz"
    path.write_bytes(pack(TEXT.encode(encoding)))
    command = message_for(path).rpartition(": ")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    lines = [line for _, line in read_lines(tmp_path / "utf8-my pairs.tsv")]
    assert lines == TEXT.splitlines()


def test_a_line_far_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"One more line.\n" * 80_000 + "La mañana\n".encode("cp1252"))
    message = message_for(path)
    assert "a.txt, line 80001: not UTF-8 (byte 0xf1 at column 6); it looks like" in message
    assert named(message) == "WINDOWS-1252"


@pytest.mark.parametrize("before", ["El niño\n", "El ni\n" * 9 + "Él\n"])
def test_a_file_that_mixes_encodings_is_not_converted_as_a_whole(
    tmp_path: Path, before: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(before.encode() + "La mañana\n".encode("cp1252") + before.encode())
    message = message_for(path)
    assert "correct this line, which looks like WINDOWS-1252" in message
    assert "iconv" not in message


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r", "iso8859_7", "shift_jis"])
def test_other_encodings_are_not_guessed(tmp_path: Path, encoding: str) -> None:
    """A wrong name would destroy the text."""
    texts = {"iso8859_7": "καλημέρα σας", "shift_jis": "今日はとても寒い"}
    path = tmp_path / "a.txt"
    words = texts.get(encoding, "Доброе утро")
    path.write_bytes(f"Good morning, it is {words}\n".encode(encoding) * 3)
    message = message_for(path)
    assert "find out its encoding, and convert it: iconv -f ENCODING -t UTF-8 " in message


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    data = io.BytesIO("Good morning.\nThe café is open.\n".encode(encoding))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    with pytest.raises(TranslatorError) as caught:
        list(_arriving_lines())
    assert str(caught.value).startswith("standard input, line ")
    assert data.getvalue().decode(named(str(caught.value))).endswith("The café is open.\n")


def test_a_zero_byte_in_text_is_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"One\0two three four\n")
    assert list(read_lines(path)) == [(1, "One\0two three four")]
