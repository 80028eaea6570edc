"""Splitting texts into words, and assigning tokens to words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.alignment.words import character_overlap, split_pretokenized, split_words
from translator.text.normalization import normalize


def texts_of(words) -> list[str]:
    return [words.text[begin:end] for begin, end in words.spans]


def test_a_sentence_is_split_at_its_punctuation() -> None:
    words = split_words("¿Don't  you like  it, José... at 5.50?")
    assert words.text == "¿Don't you like it, José... at 5.50?"
    assert words.words == ["¿", "Don't", "you", "like", "it", ",", "José", "...", "at", "5.50", "?"]
    assert texts_of(words) == words.words


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Yes , of course .", "Yes, of course."),
        ("¿ Dónde está ?", "¿Dónde está?"),
        ('She said " no " to ( nearly ) all .', 'She said "no" to (nearly) all.'),
        ("Cuesta 5 € por persona .", "Cuesta 5 € por persona."),
        ("Already written, as people do.", "Already written, as people do."),
        ("", ""),
    ],
)
def test_separated_punctuation_is_joined_for_the_model(line: str, text: str) -> None:
    words = split_pretokenized(line)
    assert words.text == text
    assert words.words == texts_of(words) == line.split()


@given(st.text())
def test_each_word_is_the_text_of_its_span(text: str) -> None:
    words = split_words(text)
    assert texts_of(words) == words.words
    assert words.text == normalize(text)
    assert "".join(words.words) == "".join(words.text.split())


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1)))
def test_pretokenized_words_are_neither_split_nor_merged(words: list[str]) -> None:
    line = " ".join(words)
    found = split_pretokenized(line)
    assert found.words == line.split()
    assert len(found.spans) == len(found.words)
    assert found.spans == sorted(found.spans)


def test_tokens_are_assigned_to_the_words_they_overlap() -> None:
    # "ab cd": tokens "ab", " c", "d", one that spans both words, and the space alone.
    spans = [(0, 2), (3, 5)]
    tokens = [(0, 2), (2, 4), (4, 5), (1, 4), (2, 3)]
    expected = [[1, 0], [0, 1], [0, 1], [0.5, 0.5], [0, 0]]
    np.testing.assert_array_equal(character_overlap(spans, tokens), expected)
    assert character_overlap([], tokens).shape == (5, 0)
    assert character_overlap(spans, []).shape == (0, 2)
