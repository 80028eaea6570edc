"""Dataclasses in JSON files: read back as written; anything else is one clear line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.errors import TranslatorError
from translator.system.records import (
    decode,
    read_record,
    read_records,
    write_record,
    write_records,
)

UTF8_TEXT = st.text(st.characters(codec="utf-8"))
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class Inner:
    counts: dict[str, int]


@dataclass(frozen=True)
class Outer:
    text: str
    inner: Inner
    number: float = 0.5
    near: bool | None = None
    state: Literal["on", "off"] = "on"
    texts: list[str] = field(default_factory=list)


INNERS = st.builds(Inner, st.dictionaries(UTF8_TEXT, st.integers(-(2**63), 2**63)))
OUTERS = st.builds(
    Outer,
    UTF8_TEXT,
    INNERS,
    FINITE,
    st.none() | st.booleans(),
    st.sampled_from(["on", "off"]),
    st.lists(UTF8_TEXT),
)


@settings(max_examples=50, deadline=None)
@given(records=st.lists(OUTERS, min_size=1))
def test_records_are_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[Outer]
) -> None:
    path = tmp_path_factory.mktemp("records") / "a.jsonl"
    write_records(path, records)
    assert read_records(path, Outer) == records
    write_record(path, records[0])
    assert read_record(path, Outer) == records[0]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x1e"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    """An attribution column may hold any character, and comes back from dev.jsonl."""
    path = tmp_path / "a.jsonl"
    records = [Outer(f"by{separator}me", Inner({}))]
    write_records(path, records)
    assert path.read_bytes().count(b"\n") == 1
    assert read_records(path, Outer) == records


def test_accents_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for write in (lambda record: write_record(path, record), lambda r: write_records(path, [r])):
        write(Outer("¿Qué?", Inner({})))
        assert "¿Qué?" in path.read_text(encoding="utf-8")


def test_fields_that_are_none_are_left_out_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, [Outer("", Inner({}))])
    assert "near" not in path.read_text()


WHOLE = b'{"text": "a", "inner": {"counts": {"b": 1}}}'


def test_unknown_keys_are_ignored() -> None:
    more = WHOLE.replace(b'{"text"', b'{"more": [1], "text"')
    assert decode(more, Outer, "a.json") == Outer("a", Inner({"b": 1}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (WHOLE[:-1], "truncated"),
        ('{"text": "ñ'.encode()[:-1], "truncated"),
        (WHOLE.replace(b"a", b"\xff"), "utf-8"),
        (WHOLE + b"x", "trailing"),
        (b"[" * 10**6, "Expected `object`"),
        (b'{"more": ' + b"[" * 10**6, "recursion"),
        (b"[]", "Expected `object`"),
        (WHOLE.replace(b"text", b"title"), "missing required field `text`"),
        (WHOLE.replace(b"1", b"true"), r"\$\.inner\.counts"),
        (WHOLE.replace(b'"a"', b"null"), r"\$\.text"),
        (WHOLE.replace(b"}}}", b'}}, "number": NaN}'), "malformed"),
        (WHOLE.replace(b"}}}", b'}}, "number": 1e999}'), "out of range"),
        (WHOLE.replace(b"}}}", b'}}, "state": "none"}'), r"\$\.state"),
    ],
)
def test_anything_else_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(TranslatorError, match=rf"^a\.json: damaged \(.*({said})") as refused:
        decode(data, Outer, "a.json")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("second", [b'{"text":\n', '{"text": "ñ'.encode()[:-1]])
def test_a_damaged_line_is_named(tmp_path: Path, second: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(WHOLE + b"\n" + second)
    with pytest.raises(TranslatorError, match=r"a\.jsonl, line 2: damaged"):
        read_records(path, Outer)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_record, read_records):
        with pytest.raises(TranslatorError, match=r"none\.jsonl"):
            read(tmp_path / "none.jsonl", Outer)
