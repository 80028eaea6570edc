"""Counts and usual forms of words, and which names are left to be copied."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text import lexicon
from translator.text.lexicon import Lexicon, Lexicons, count_words, stem

Pairs = list[tuple[str, str]]


def of_source(*texts: str) -> Lexicon:
    """Count the words of source texts whose names are not copied."""
    return count_words([(text, "nada") for text in texts]).src


def test_words_are_counted_without_case_and_endings_after_an_apostrophe() -> None:
    counts = of_source("The dog's bone isn't the dog's, the DOG has 2 bones.").counts
    assert counts == {"the": 3, "dog": 3, "bone": 1, "isn": 1, "has": 1, "bones": 1}


def test_both_languages_are_counted() -> None:
    lexicons = count_words([("A red boat.", "Un barco rojo."), ("A boat!", "¡Un barco!")])
    assert lexicons.src.counts == {"a": 2, "red": 1, "boat": 2}
    assert lexicons.tgt.counts == {"un": 2, "barco": 2, "rojo": 1}


def test_only_the_most_frequent_words_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_MAX_WORDS", 2)
    lexicons = count_words([("one two two three three three", "uno uno dos tres tres")])
    assert lexicons.src.counts == {"three": 3, "two": 2}
    assert lexicons.tgt.counts == {"uno": 2, "tres": 2}


# --- usual forms ----------------------------------------------------------------------------------


def test_the_usual_form_is_the_most_frequent_one_inside_a_sentence() -> None:
    found = of_source(
        "We fly to Oslo.",
        "See OSLO today.",
        "Now Oslo sleeps.",
        "The NASA rocket.",
        "A Big big big box.",
    )
    assert found.forms == {"oslo": "Oslo", "nasa": "NASA"}


def test_the_first_word_of_a_sentence_says_nothing() -> None:
    found = of_source("Rain falls. Rain stops! Rain again?", "The rain falls.", "Never mind.")
    assert found.forms == {}
    assert found.counts["rain"] == 4


def test_forms_of_the_target_language_are_its_own() -> None:
    lexicons = count_words([("He learns Danish in May.", "Aprende danés en mayo con Ana.")])
    assert lexicons.src.forms == {"danish": "Danish", "may": "May"}
    assert lexicons.tgt.forms == {"ana": "Ana"}


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("oslo", "Oslo"),
        ("OSLO", "Oslo"),
        ("Oslo's", "Oslo's"),
        ("OSLO'S", "Oslo's"),
        ("I'LL", "I'll"),
        ("i", "I"),
        ("nasa's", "NASA's"),
        ("DON'T", "don't"),
        ("Unknown", "unknown"),
        ("O'BRIEN", "o'brien"),
    ],
)
def test_true_form(word: str, form: str) -> None:
    forms = {"oslo": "Oslo", "i": "I", "nasa": "NASA"}
    assert Lexicon({}, forms).true_form(word) == form


@given(st.text("aBé'", min_size=1))
def test_a_true_form_has_the_same_letters(word: str) -> None:
    form = Lexicon({}, {"ab": "Ab", "a": "A", "bb": "BB"}).true_form(word)
    assert form.lower() == word.lower()
    assert form == form[: len(stem(word))] + word.lower()[len(stem(word)) :]


# --- names to copy --------------------------------------------------------------------------------


def with_name(copied: int, lost: int) -> Pairs:
    """Pairs with a name that the translation has, and pairs where it doesn't."""
    return [("I know Quillon.", "Conozco a Quillon.")] * copied + [
        ("Is Quillon here?", "¿Está aquí?")
    ] * lost


@pytest.mark.parametrize(
    ("copied", "lost", "is_known"),
    [
        (1, 0, False),
        (2, 2, False),  # half of them
        (2, 3, True),  # less than half
        (29, 0, False),
        (30, 0, True),  # frequent enough to be learned
        (0, 2, False),  # too rare to be learned
        (0, 3, True),
    ],
)
def test_rare_names_that_are_copied_are_no_words(copied: int, lost: int, is_known: bool) -> None:
    found = count_words(with_name(copied, lost)).src
    assert ("quillon" in found.counts) == is_known
    assert found.counts["is" if lost else "know"] == (lost or copied)
    # Its usual form is known all the same.
    assert found.forms["quillon"] == "Quillon"


def test_a_name_that_is_also_a_word_in_lowercase_is_learned() -> None:
    pairs = [("Ask Grace.", "Pregunta a Grace."), ("What grace!", "¡Qué gracia!")]
    assert "grace" in count_words(pairs).src.counts
    assert "grace" not in count_words(pairs[:1]).src.counts


def test_a_possessive_counts_as_the_name() -> None:
    found = count_words([("Quillon's car is old.", "El coche de Quillon es viejo.")]).src
    assert "quillon" not in found.counts


def test_a_name_inside_another_word_is_no_copy() -> None:
    assert "ana" in count_words([("I saw Ana.", "Vi a Anabel.")] * 3).src.counts


def test_names_of_the_target_language_stay_words() -> None:
    assert count_words(with_name(3, 0)).tgt.counts["quillon"] == 3


# --- two lexicons ---------------------------------------------------------------------------------


def test_merged_lexicons_have_the_higher_count_and_the_other_form() -> None:
    mine = Lexicon({"sun": 2, "mars": 5}, {"mars": "Mars", "us": "US"})
    other = Lexicon({"sun": 3, "mars": 1, "moon": 4}, {"us": "us", "io": "Io"})
    merged = mine.merged_with(other)
    assert merged == Lexicon(
        {"sun": 3, "mars": 5, "moon": 4}, {"mars": "Mars", "us": "us", "io": "Io"}
    )
    assert mine.counts == {"sun": 2, "mars": 5}


def test_both_languages_are_merged() -> None:
    mine = Lexicons(Lexicon({"a": 1}), Lexicon({"b": 1}))
    assert mine.merged_with(Lexicons(Lexicon({"a": 2}), Lexicon({"c": 2}))) == Lexicons(
        Lexicon({"a": 2}), Lexicon({"b": 1, "c": 2})
    )


@given(st.lists(st.lists(st.sampled_from(["red", "old", "oslo", "hen's"]), min_size=1), min_size=2))
def test_merging_again_changes_nothing(rows: list[list[str]]) -> None:
    pairs = [(" ".join(row), "nada") for row in rows]
    one, other = count_words(pairs[:1]), count_words(pairs[1:])
    merged = one.merged_with(other)
    truths = [
        Counter(word.partition("'")[0].lower() for row in half for word in row)
        for half in (rows[:1], rows[1:], rows)
    ]
    assert count_words(pairs).src.counts == truths[2]
    words = {"red", "old", "oslo", "hen"}
    higher = {word: max(truths[0][word], truths[1][word]) for word in words}
    assert merged.src.counts == {word: count for word, count in higher.items() if count}
    assert merged.merged_with(other) == merged
    assert merged.merged_with(merged) == merged
