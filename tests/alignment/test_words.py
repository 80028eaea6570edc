"""Words, and which pieces are theirs."""

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
def test_every_word_is_where_its_span_says(text: str) -> None:
    words = split_words(text)
    assert texts_of(words) == words.words
    assert words.text == normalize(text)
    assert "".join(words.words) == "".join(words.text.split())


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1)))
def test_given_words_stay_as_many(words: list[str]) -> None:
    line = " ".join(words)
    found = split_pretokenized(line)
    assert found.words == line.split()
    assert len(found.spans) == len(found.words)
    assert found.spans == sorted(found.spans)


def test_pieces_belong_to_the_words_they_stand_in() -> None:
    # "ab cd": pieces "ab", " c", "d", and one that goes over the gap.
    spans = [(0, 2), (3, 5)]
    pieces = [(0, 2), (2, 4), (4, 5), (1, 4), (2, 3)]
    expected = [[1, 0], [0, 1], [0, 1], [0.5, 0.5], [0, 0]]
    np.testing.assert_array_equal(character_overlap(spans, pieces), expected)
    assert character_overlap([], pieces).shape == (5, 0)
    assert character_overlap(spans, []).shape == (0, 2)
