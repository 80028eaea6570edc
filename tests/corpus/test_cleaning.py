"""Normalization of text, and the reasons for which pairs are dropped."""

import unicodedata

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from translator.config import CorpusConfig, SourceConfig
from translator.corpus.cleaning import clean
from translator.text.normalization import fold, normalize

AWKWARD = "\u200b\u00ad\ufeff\u0301\u0303\x00\x07\x85\u2028\u2029\u00a0\u3000\r\n\t\ud83d\ude00"
ANY_TEXT = st.text(st.characters() | st.sampled_from(AWKWARD + "eén "))
SPANISH_TEXT = st.text("abcñéüÑÉ1 ¿?¡!,.'")


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "clean_text"),
    [
        ("cafe\u0301", "café"),
        ("man\u0303ana", "mañana"),
        ("so\u00adfa", "sofa"),
        ("mesa\u200b redonda", "mesa redonda"),
        ("\ufeffmesa", "mesa"),
        ("e\u200b\u0301l", "él"),
        ("one\x00two\x07", "one two"),
        ("one\x85two", "one two"),
        ("  one\t two\r\n", "one two"),
        ("one\u00a0two\u3000three\u2028four", "one two three four"),
        ("half \ud83d sign", "half \ufffd sign"),
        ("\u200b \x00", ""),
    ],
)
def test_normalize_by_hand(raw: str, clean_text: str) -> None:
    assert normalize(raw) == clean_text


@given(ANY_TEXT)
def test_normalize_is_idempotent(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(ANY_TEXT)
def test_normalized_text_is_composed(text: str) -> None:
    assert unicodedata.is_normalized("NFC", normalize(text))


@given(ANY_TEXT)
def test_normalized_text_has_no_control_characters_or_surrogates(text: str) -> None:
    assert {"Cc", "Cs"}.isdisjoint(map(unicodedata.category, normalize(text)))


@given(ANY_TEXT)
def test_normalized_text_has_no_invisible_characters(text: str) -> None:
    assert {"\u200b", "\u00ad", "\ufeff"}.isdisjoint(normalize(text))


@given(ANY_TEXT)
def test_normalized_white_space_is_single_spaces_inside(text: str) -> None:
    result = normalize(text)
    assert {c for c in result if c.isspace()} <= {" "}
    assert "  " not in result
    assert result == result.strip()


@given(SPANISH_TEXT)
def test_normalize_changes_no_letter_or_sign(text: str) -> None:
    assert normalize(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("¿Qué HORA tienes?", "qué hora tienes"),
        ("It's   late!", "it s late"),
        ("snake_case", "snake case"),
        ("Straße", "strasse"),
        ("«ÁRBOL»", "árbol"),
        ("Room 12.", "room 12"),
        ("?!", "?!"),
    ],
)
def test_fold_by_hand(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_fold_keeps_accents_apart() -> None:
    assert fold("Él canta") != fold("El canta")


@given(SPANISH_TEXT)
def test_fold_ignores_case_and_punctuation(text: str) -> None:
    words = "casa " + text
    assert fold(f"¡{words.upper()}!") == fold(words)


@given(ANY_TEXT)
def test_fold_is_idempotent_on_normalized_text(text: str) -> None:
    assert fold(fold(normalize(text))) == fold(normalize(text))


# --- pairs ----------------------------------------------------------------------------------------

LIMITS = CorpusConfig(max_chars=20, max_length_ratio=3.0)


def dataset(*pairs: tuple[str, str]) -> Dataset:
    rows = [
        {"src": s, "tgt": t, "source": f"row {n}", "origin": 0} for n, (s, t) in enumerate(pairs)
    ]
    return Dataset.from_list(rows)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("", "algo"), "empty side"),
        (("something", "\u200b \t"), "empty side"),
        (("x" * 21, "equis"), "too long"),
        (("x", "equis" * 5), "too long"),
        (("Madrid", "Madrid"), "copied side"),
        (("Madrid", " Mad\u00adrid "), "copied side"),
        (("a b c d", "letras"), "length ratio"),
        (("letters", "a b c d"), "length ratio"),
        (("the ⇧ key", "la tecla"), "reserved sign"),
        (("the key", "la tecla ⇪"), "reserved sign"),
        (("a king ♔", "un rey ♚"), "reserved sign"),  # each would be another placeholder
        (("a ▁ line", "una línea"), "reserved sign"),
        (("a line", "una línea ▅"), "reserved sign"),
    ],
)
def test_dropped_with_its_reason(pair: tuple[str, str], reason: str) -> None:
    kept, dropped = clean(dataset(("green", "verde"), pair, ("blue", "azul")), LIMITS)
    assert kept["src"][:] == ["green", "blue"]
    assert dropped == [{reason: 1}]


@pytest.mark.parametrize(
    "pair",
    [("x" * 20, "equis"), ("x", "y" * 20), ("a b c", "letras"), ("Madrid", "madrid")],
)
def test_kept_at_the_limit(pair: tuple[str, str]) -> None:
    kept, dropped = clean(dataset(pair), LIMITS)
    assert (kept["src"][0], kept["tgt"][0]) == pair
    assert dropped == [{}]


def test_counts_each_reason() -> None:
    rows = [("", "x"), ("y", ""), ("a", "a"), ("a b c d", "x"), ("a", "z" * 30), ("a", "b")]
    _, [dropped] = clean(dataset(*rows, ("a", "b"), ("a", "b")), LIMITS)
    assert dropped == {
        "empty side": 2,
        "copied side": 1,
        "length ratio": 1,
        "too long": 1,
        "exact duplicate": 2,
    }


def test_of_duplicates_the_first_is_kept() -> None:
    rows = [("sun", "sol"), ("moon", "luna"), (" sun\u200b", "sol"), ("moon", "luna")]
    kept, dropped = clean(dataset(*rows), LIMITS)
    assert kept["source"][:] == ["row 0", "row 1"]
    assert dropped == [{"exact duplicate": 2}]


def test_drops_are_counted_by_source_and_duplicates_with_the_later_one() -> None:
    rows = [("sun", "sol", 0), ("a", "a", 0), ("sun", "sol", 1), ("moon", "luna", 1)]
    rows += [("moon", "luna", 2), ("", "x", 2), ("moon", "luna", 2), ("star", "estrella", 2)]
    pairs = Dataset.from_list(
        [{"src": s, "tgt": t, "source": str(n), "origin": o} for n, (s, t, o) in enumerate(rows)]
    )
    sources = [SourceConfig(name=name, files=name) for name in "abc"]
    kept, dropped = clean(pairs, CorpusConfig(sources=sources))
    assert kept["source"][:] == ["0", "3", "7"]
    assert kept["origin"][:] == [0, 1, 2]
    assert dropped == [
        {"copied side": 1},
        {"exact duplicate": 1},
        {"empty side": 1, "exact duplicate": 2},
    ]


def test_pairs_that_share_one_side_or_differ_in_case_are_no_duplicates() -> None:
    rows = [("sun", "sol"), ("sun", "el sol"), ("the sun", "sol"), ("Sun", "sol")]
    kept, dropped = clean(dataset(*rows), LIMITS)
    assert len(kept) == 4
    assert dropped == [{}]


def test_a_tab_does_not_make_two_pairs_equal() -> None:
    kept, _ = clean(dataset(("a b", "c"), ("a", "b c")), LIMITS)
    assert len(kept) == 2


def test_order_and_attribution_are_kept() -> None:
    rows = [(f"number {n * 7 % 20}", f"número {n * 7 % 20}") for n in range(20)]
    rows[5] = ("same", "same")
    kept, _ = clean(dataset(*rows), LIMITS)
    expected = [n for n in range(20) if n != 5]
    assert kept["source"][:] == [f"row {n}" for n in expected]
    assert kept["tgt"][:] == [rows[n][1] for n in expected]


def test_kept_text_is_normalized() -> None:
    kept, _ = clean(dataset((" the\tcoffee ", "el cafe\u0301")), LIMITS)
    assert (kept["src"][0], kept["tgt"][0]) == ("the coffee", "el café")


def test_all_pairs_dropped() -> None:
    kept, dropped = clean(dataset(("a", "a"), ("b", "b")), LIMITS)
    assert len(kept) == 0
    assert dropped == [{"copied side": 2}]
