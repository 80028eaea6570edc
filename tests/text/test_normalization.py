"""Signs in another form become the same sign. Cleaning's tests have the rest of `normalize`."""

# ruff: noqa: RUF001 - signs that look alike are what is tested

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text.normalization import normalize

FORMS = (
    "“”„‟″‘’‚‛´′ʼ`…‐‑‒−–—―«»ﬀﬁﬂﬃﬄﬅﬆ！＂Ａｚ～\u3000\u00a0\u202e\u2060\u200d\u1fef\u1ffd\u0301\u0338"
)
TEXTS = st.text(st.sampled_from(FORMS + "aeE1 .<=") | st.characters())


@given(text=TEXTS)
def test_a_second_time_changes_nothing(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(text=TEXTS)
def test_no_other_form_is_left(text: str) -> None:
    result = normalize(text)
    kept = set("`–—«»\u200d\u0301\u0338")
    assert not (set(FORMS) - kept).intersection(result)
    assert unicodedata.is_normalized("NFC", result)


MARKS = ["\u0301", "\u0323", "\u0344"]


@given(
    text=st.lists(
        st.sampled_from(["a", "\u200b", "漢", *(mark * 20 for mark in MARKS)]), min_size=4
    ).map("".join)
)
def test_accents_in_a_row_are_separated_and_none_is_lost(text: str) -> None:
    """More would take quadratic time: 80,000 accents took eleven seconds."""
    result = normalize(text)
    assert all(len(run) <= 30 for run in re.findall("[\u0301\u0323]+", result))
    assert normalize(result) == result
    read, written = (unicodedata.normalize("NFD", t).replace("\u200b", "") for t in (text, result))
    assert sorted(read) == sorted(written.replace("\u034f", ""))


def test_what_people_write_has_no_separator() -> None:
    """Such as words of 30 letters and more in other scripts, and letters with a few accents."""
    for text in ("Достопримечательностиинетолькоони", "สวัสดีครับ" * 5, "e\u0323\u0308\u0304" * 9):
        assert "\u034f" not in normalize(text)


@given(text=st.text("abcñéüÑÉ01 ¿?¡!,.;:'\"-–—()[]{}«»½£€%&@#*/+=<>^~|\\_$"))
def test_straight_text_stays(text: str) -> None:
    assert normalize(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("“It’s ‘late’,” he said.", "\"It's 'late',\" he said."),
        ("„Tarde‟, dijo", '"Tarde", dijo'),
        ("a 6″ nail, 5′ long", "a 6\" nail, 5' long"),
        ("I don´t, you don`t, we donʼt", "I don't, you don't, we don't"),
        ("type `ls` or 5`", "type `ls` or 5`"),
        ("the ﬁrst oﬃce and ﬂoor, ﬀ, ﬄ, ﬅ, ﬆ", "the first office and floor, ff, ffl, st, st"),
        ("ﬁ\u0301n", "fín"),  # the accent belongs to the letter
        ("～ＡＢＣ！\u3000ｏｋ？", "~ABC! ok?"),
        ("well‐known, re‑read, 555‒12, −5", "well-known, re-read, 555-12, -5"),
        ("―Hola —dijo—. 1–2", "—Hola —dijo—. 1–2"),
        ("wait… what", "wait... what"),
        ("«sí» ½ £ €", "«sí» ½ £ €"),
        ("l\u200eef\u202dt to\u2060 right\u2069", "left to right"),
        ("👩\u200d🚀", "👩\u200d🚀"),  # the joiner is part of the picture
        ("a\u1fefb \u1ffd", "a'b '"),  # NFC makes a backtick and an acute accent of these
    ],
)  # fmt: skip
def test_each_form_by_hand(raw: str, normal: str) -> None:
    assert normalize(raw) == normal
