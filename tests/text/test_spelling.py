"""Misspelled words become known words at a distance of one typing error."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text.lexicon import WORD, Lexicon
from translator.text.spelling import Spelling

COUNTS = {
    "the": 900, "their": 90, "there": 80, "friend": 50, "receive": 40, "color": 30, "center": 30,
    "organize": 30, "traveled": 20, "house": 60, "horse": 50, "garden": 10, "gardens": 40,
    "window": 20, "seldom": 4, "don": 50, "form": 30, "from": 300, "two": 90, "to": 900,
    "please": 30, "café": 9, "señal": 9, "because": 70,
}  # fmt: skip
SPELLING = Spelling(Lexicon(COUNTS))
ALPHABET = string.ascii_lowercase + "éñ"


def corrected(text: str) -> str:
    [result] = SPELLING.apply(text).parts
    return result


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        # Swapped letters; enough in a short word.
        ("teh", "the"),
        ("freind", "friend"),
        ("recieve", "receive"),
        ("form teh house", "form the house"),  # a known word is right
        ("ot", "ot"),  # too short
        # One letter missing, too many, or another one, at each place.
        ("riend", "friend"),
        ("frend", "friend"),
        ("frien", "friend"),
        ("ffriend", "friend"),
        ("frieend", "friend"),
        ("friends", "friend"),
        ("xriend", "friend"),
        ("friemd", "friend"),
        ("frienx", "friend"),
        ("hose", "hose"),  # four letters are near to too many words
        ("senal", "señal"),
        # British spellings.
        ("colour", "color"),
        ("centre", "center"),
        ("organise", "organize"),
        ("travelled", "traveled"),
        # Two errors are too many.
        ("freindd", "freindd"),
        ("becuose", "becuose"),
        # Rare words are no safe guess.
        ("seldoms", "seldoms"),
        # Signs and endings stay.
        ("Is teh windw, pleese?", "Is the window, please?"),
        ("freind's", "friend's"),
        ("dno't", "don't"),
        # Not what is capitalized or protected.
        ("Freind FREIND frEind", "Freind FREIND frEind"),
        ("♔ teh ⇧ freind", "♔ the ⇧ friend"),
        ("", ""),
    ],
)
def test_corrections_by_hand(text: str, correct: str) -> None:
    assert corrected(text) == correct


def test_the_most_frequent_word_is_taken() -> None:
    assert corrected("houre") == "house"  # not horse
    assert corrected("gardenx") == "gardens"  # not garden


def test_swapped_letters_are_surer_than_a_frequent_word() -> None:
    spelling = Spelling(Lexicon({"abdce": 5, "abcdx": 500}))
    assert spelling.apply("abcde").parts == ["abdce"]


def test_of_equally_frequent_words_the_same_is_taken_in_each_order() -> None:
    for words in (["lamps", "lamp"], ["lamp", "lamps"]):
        assert Spelling(Lexicon(dict.fromkeys(words, 9))).apply("lampx").parts == ["lamps"]


def test_each_replacement_gives_a_warning() -> None:
    applied = SPELLING.apply("the freind of teh friend")
    assert applied.warnings == ('"freind" is read as "friend"', '"teh" is read as "the"')
    assert SPELLING.apply("the friend").warnings == ()


def test_a_translation_is_not_corrected() -> None:
    assert SPELLING.restore(["teh freind"], SPELLING.apply("freind").state) == "teh freind"


def test_a_very_long_word_takes_no_time() -> None:
    started = time.process_time()
    assert corrected("a" * 20_000) == "a" * 20_000
    assert time.process_time() - started < 1


@given(st.lists(st.sampled_from([*COUNTS, "don't", "5", "The", "ZORA", "♔", "a1", "¿"])))
def test_a_text_without_unknown_words_stays(words: list[str]) -> None:
    text = " ".join(word for word in words if word != "a1")
    applied = SPELLING.apply(text)
    assert (applied.parts, applied.warnings) == ([text], ())


def distance_is_one(one: str, other: str) -> bool:
    """Compute by dynamic programming whether one error makes `other` of `one`.

    This is the optimal string alignment distance, whose errors are those of Damerau 1964.
    """
    row = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            row[i, j] = min(
                row[i - 1, j] + 1,
                row[i, j - 1] + 1,
                row[i - 1, j - 1] + (one[i - 1] != other[j - 1]),
            )
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
                row[i, j] = min(row[i, j], row[i - 2, j - 2] + 1)
    return row[len(one), len(other)] == 1


SHORT = st.text("abc", min_size=1, max_size=6)


@given(st.dictionaries(SHORT, st.integers(1, 9), max_size=12), SHORT)
def test_corrections_equal_those_of_all_distances(counts: dict[str, int], word: str) -> None:
    near = [w for w in counts if counts[w] >= 5 and distance_is_one(word, w)]
    swapped = [w for w in near if sorted(w) == sorted(word)]
    expected = word
    if word not in counts:
        if swapped and len(word) >= 3:
            expected = max(swapped, key=lambda w: (counts[w], w))
        elif near and len(word) >= 5:
            expected = max(near, key=lambda w: (counts[w], w))
    assert Spelling(Lexicon(counts)).apply(word).parts == [expected]


@given(st.sampled_from(sorted(w for w in COUNTS if len(w) > 5 and COUNTS[w] >= 5)), st.data())
def test_any_single_error_in_a_long_word_gives_a_known_word(word: str, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from(ALPHABET))
    wrong = data.draw(
        st.sampled_from(
            [
                word[:i] + word[i + 1 :],
                word[:i] + letter + word[i:],
                word[:i] + letter + word[i + 1 :],
                word[:i] + word[i : i + 2][::-1] + word[i + 2 :],
            ]
        )
    )
    assert corrected(wrong) in COUNTS


@given(st.text(ALPHABET + "A'. 5♔⇧", max_size=40))
def test_signs_capitals_and_spaces_stay(text: str) -> None:
    [result] = SPELLING.apply(text).parts
    assert WORD.sub("", result) == WORD.sub("", text)
    before, after = WORD.findall(text), WORD.findall(result)
    assert all(
        new == old or distance_is_one(old.partition("'")[0], new.partition("'")[0])
        for old, new in zip(before, after, strict=True)
    )
