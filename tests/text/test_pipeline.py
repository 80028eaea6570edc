"""`restore` undoes `apply`, for each step and for pipelines."""

import pickle
import re
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.text.casing import Casing, is_shifted, says_nothing
from translator.text.lexicon import WORD, Lexicon
from translator.text.normalization import Normalization, normalize
from translator.text.pipeline import Applied, Pipeline, Step
from translator.text.segmentation import Length, Sentences
from translator.text.symbols import SYMBOLS

# Surrogates and control characters included. `Protection` hides the signs of this package.
ANY = st.text(st.characters(exclude_characters=SYMBOLS))
LEXICON = Lexicon({"the": 9, "cat": 9, "is": 9})
CASING = Casing(LEXICON, "es", "es")
# Several sentences and lines, some in capitals, with characters that normalization changes.
WORDS = st.text("abÉe\u0301SßIZ.!…”\u200b\x07", min_size=1, max_size=8)
SPACES = st.sampled_from([" ", "  ", "\n", "\r\n\t", "\x85", "\u2028"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=15).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)


def at_most(limit: int) -> Length:
    return Length(lambda text: len(text) <= limit)


def round_trip(step: Step[Any], text: str) -> str:
    applied = step.apply(text)
    return step.restore(applied.parts, applied.state)


def without_space(text: str) -> str:
    return "".join(text.split())


@given(text=ANY | TEXTS)
def test_sentences_are_restored_exactly(text: str) -> None:
    assert round_trip(Sentences(), text) == text


@given(text=ANY | TEXTS)
def test_normalization_restores_the_normalized_form(text: str) -> None:
    assert round_trip(Normalization(), text) == normalize(text)


@given(text=ANY | TEXTS | st.text("ABCÉÑß. ").map(str.upper))
@example("WHERE IS THE LIBRARY?")
@example("ΟΔΟΣ ΟΔΟΣ")  # a lowercase sigma at the end of a word is another letter
@example("İSTANBUL")
@example("GROẞ STRAẞE")
def test_casing_is_restored_exactly_if_each_letter_has_one_uppercase_form(text: str) -> None:
    restored = round_trip(CASING, text)
    assert restored.casefold() == text.casefold()
    unique = all(letter.lower().upper() == letter for letter in text if letter != letter.lower())
    # A title, and a word with a capital too many, are read as usual text.
    usual = text.isupper() or text == text.lower() or not says_nothing(text, LEXICON)
    if unique and usual and not any(map(is_shifted, WORD.findall(text))):
        assert restored == text


def test_casing_restores_every_letter_up_to_case() -> None:
    letters = map(chr, range(sys.maxunicode + 1))
    for letter in (c for c in letters if not c == c.lower() == c.upper() == c.title()):
        for text in (f"ABCD{letter}", f"{letter}ABCD"):
            assert round_trip(CASING, text).casefold() == text.casefold()


@given(text=ANY.map(normalize) | TEXTS.map(normalize), limit=st.integers(1, 40))
def test_length_restores_normalized_text_if_its_words_fit(text: str, limit: int) -> None:
    restored = round_trip(at_most(limit), text)
    assert without_space(restored) == without_space(text)
    if all(len(word) <= limit for word in text.split()):
        assert restored == text


@given(text=ANY | TEXTS, limit=st.integers(1, 40))
def test_all_steps_together_restore_the_normalized_text_up_to_case(text: str, limit: int) -> None:
    """Line breaks are kept. A word that is too long keeps the spaces at which it was split."""
    pipeline = Pipeline([Sentences(), Normalization(), CASING, at_most(limit)])
    restored = round_trip(pipeline, text)
    assert folded(without_space(restored)) == folded(without_space(normalize(text)))
    if all(len(word) <= limit for word in normalize(text).lower().split()):
        assert folded(normalize(restored)) == folded(normalize(text))
        if all(map(normalize, text.split())):  # no word consists of invisible characters only
            assert content_lines(restored) == content_lines(text)


def folded(text: str) -> str:
    return normalize(normalize(text).casefold())


def content_lines(text: str) -> list[str]:
    return [folded(line) for line in text.splitlines() if line.strip()]


@given(text=ANY | TEXTS, limit=st.integers(1, 40))
def test_parts_are_normalized_not_empty_and_short_enough(text: str, limit: int) -> None:
    pipeline = Pipeline([Sentences(), Normalization(), at_most(limit)])
    parts = pipeline.apply(text).parts
    assert all(1 <= len(part) <= limit and part == normalize(part) for part in parts)


def test_steps_are_undone_on_a_translation() -> None:
    pipeline = Pipeline([Sentences(), Normalization(), CASING, at_most(20)])
    applied = pipeline.apply(" I see.\n\nTHE  CAT IS HERE. The dog, as ever, sleeps.\n")
    assert applied.parts == ["i see.", "the cat is here.", "the dog, as ever,", "sleeps."]
    assert applied.warnings == ("a long sentence, translated in 2 parts",)
    spanish = ["ya veo.", "el gato está aquí.", "el perro, como siempre,", "duerme."]
    text = " Ya veo.\n\nEL GATO ESTÁ AQUÍ. El perro, como siempre, duerme.\n"
    assert pipeline.restore(spanish, applied.state) == text


def test_empty_translations_leave_no_white_space() -> None:
    pipeline = Pipeline([Sentences(), Normalization(), CASING, at_most(20)])
    applied = pipeline.apply("I see.\nThe cat is here. The dog, as ever, sleeps.\nBye.")
    translations = ["ya veo.", "", "el perro,", "", "adiós."]
    assert pipeline.restore(translations, applied.state) == "Ya veo.\nEl perro,\nAdiós."


@pytest.mark.parametrize("text", ["", " \n", "\u200b\x00", "\x00 \ufeff\n"])
def test_a_text_without_content_has_no_parts(text: str) -> None:
    pipeline = Pipeline([Sentences(), Normalization(), CASING, at_most(20)])
    applied = pipeline.apply(text)
    assert applied.parts == []
    assert pipeline.restore([], applied.state).strip() == ""


def test_a_state_can_be_stored() -> None:
    pipeline = Pipeline([Sentences(), Normalization(), CASING, at_most(20)])
    applied = pipeline.apply("OH NO! It rained.")
    assert pickle.loads(pickle.dumps(applied)) == applied


class Placeholders:
    """A step that another package could define: it hides numbers from the model."""

    def apply(self, text: str) -> Applied[list[str]]:
        """Replace the numbers by `#` and return them as the state."""
        return Applied([re.sub(r"\d+", "#", text)], re.findall(r"\d+", text))

    def restore(self, parts: Sequence[str], state: list[str]) -> str:
        """Put the numbers back."""
        [text] = parts
        numbers = iter(state)
        return re.sub("#", lambda _: next(numbers), text)


@given(text=st.text("aB1 .\n"))
def test_a_pipeline_accepts_new_steps_and_can_be_a_step(text: str) -> None:
    inner = Pipeline([Normalization(), Placeholders(), CASING])
    parts = Pipeline([Sentences(), inner]).apply(text).parts
    assert not any(map(str.isdigit, "".join(parts)))
    restored = round_trip(Pipeline([Sentences(), inner]), text)
    assert restored == round_trip(
        Pipeline([Sentences(), Normalization(), Placeholders(), CASING]), text
    )
    normalized = round_trip(Pipeline([Sentences(), Normalization()]), text)
    assert restored.lower() == normalized.lower()
    if "BBa" not in normalized:  # the shift key held too long
        assert restored == normalized


def test_a_pipeline_without_steps_changes_nothing() -> None:
    assert round_trip(Pipeline([]), "Any text") == "Any text"
