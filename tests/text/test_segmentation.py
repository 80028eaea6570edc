from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text.segmentation import split_in_halves, split_long, split_sentences

WORDS = st.text("ab1é.,;!?…”)—", min_size=1, max_size=12)
TEXTS = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)


def at_most(limit: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= limit


def cost(text: str) -> int:
    """Return a cost that is not proportional to the length, like the number of tokens."""
    return sum(3 if character == "é" else 1 for character in text if character != "a")


@given(text=TEXTS, limit=st.integers(1, 60))
def test_every_part_fits_and_no_character_is_lost(text: str, limit: int) -> None:
    parts = split_long(text, at_most(limit))
    assert all(1 <= len(part) <= limit for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


@given(text=TEXTS, limit=st.integers(12, 60))
def test_words_that_fit_stay_whole_and_in_order(text: str, limit: int) -> None:
    assert " ".join(split_long(text, at_most(limit))) == text


@given(text=TEXTS, limit=st.integers(3, 40))
def test_the_limit_can_be_a_cost_other_than_length(text: str, limit: int) -> None:
    parts = split_long(text, lambda part: cost(part) <= limit)
    assert all(part and cost(part) <= limit for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


@given(text=TEXTS)
def test_a_text_that_fits_is_not_changed(text: str) -> None:
    assert split_long(text, at_most(len(text))) == [text]


CLAUSES = st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=4).map(" ".join)
SENTENCES = st.builds("{}, {}{}".format, CLAUSES, CLAUSES, st.sampled_from(".!?…"))


@given(sentences=st.lists(SENTENCES, min_size=1), limit=st.integers(60, 120))
def test_sentences_that_fit_are_joined_but_never_cut(sentences: list[str], limit: int) -> None:
    parts = split_long(" ".join(sentences), at_most(limit))
    left = list(sentences)
    for part in parts:
        joined = left.pop(0)
        while left and len(f"{joined} {left[0]}") <= limit:
            joined += f" {left.pop(0)}"
        assert part == joined
    assert left == []


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        # Three sentences: the first two fit together.
        ("We ate. It rained. The cat, as ever, slept.", 25,
         ["We ate. It rained.", "The cat, as ever, slept."]),
        # A sentence that is too long is split at a clause, even if more words would fit.
        ("We ate. When it rained, the cat slept on the mat.", 24,
         ["We ate.", "When it rained,", "the cat slept on the", "mat."]),
        ("First the oven; then bread: warm", 16, ["First the oven;", "then bread: warm"]),
        # Without a clause, the text is split between words.
        ("one two three four five", 9, ["one two", "three", "four five"]),
        # Only a word that is itself too long is cut, at any character.
        ("a wordwithoutanyend here", 10, ["a", "wordwith", "outanyend", "here"]),
        # A closing quotation mark or bracket belongs to its sentence.
        ("“Is it late?” (No.) We stay.", 13, ["“Is it late?”", "(No.)", "We stay."]),
        # A period inside a word does not end a sentence.
        ("It is 3.14 or so. Near it.", 17, ["It is 3.14 or so.", "Near it."]),
    ],
)  # fmt: skip
def test_text_is_split_at_the_best_position(text: str, limit: int, parts: list[str]) -> None:
    assert split_long(text, at_most(limit)) == parts


# --- halves ---------------------------------------------------------------------------------------

SPACED = st.lists(WORDS | st.sampled_from([" ", "\n", "a", "a"]), max_size=30).map(" ".join)


@given(text=SPACED)
def test_two_halves_are_the_text(text: str) -> None:
    halves = split_in_halves(text)
    assert "".join(halves) == text
    if len(text.split()) < 2:
        assert split_in_halves(text.strip()) == [text.strip()]
    else:
        first, second = split_in_halves(text.strip())
        # White space stays with the first, and words stay whole.
        assert first.split() + second.split() == text.split()
        assert first[-1].isspace()
        assert not second[0].isspace()


@given(words=st.lists(st.text("aé1", min_size=1, max_size=12), min_size=2, max_size=30))
def test_words_are_split_at_the_gap_next_to_the_middle(words: list[str]) -> None:
    text = " ".join(words)
    gaps = [len(" ".join(words[:n])) + 1 for n in range(1, len(words))]
    distance = abs(len(split_in_halves(text)[0]) - len(text) // 2)
    assert distance == min(abs(gap - len(text) // 2) for gap in gaps)


@pytest.mark.parametrize(
    "text",
    [
        "one two |three four",
        "a |b",
        "wordwithoutanyend |b",
        # After a sentence or a clause, if that is near the middle. A sentence is better.
        "We ate, it rained. |The cat is asleep, or so.",
        "We ate. It rained. |The cat sat down. I left.",
        "“Is it late?” |She asked him, once more.",
        "When it rained, |the cat slept on a mat.",
        "Peel the two onions; |then cut the old bread.",
        # Elsewhere, words are.
        "No. The cat sleeps |on the warm mat today",
        "Well, the cat sleeps |on the warm mat, too",
        "One two  |three four",
    ],
)
def test_a_text_is_halved_at_the_best_place_near_its_middle(text: str) -> None:
    assert split_in_halves(text.replace("|", "")) == text.split("|")


# --- sentences ------------------------------------------------------------------------------------


@given(text=st.text('aAZ.!?…"”) \t\n\x85\u2028¿1-', max_size=40))
def test_joining_the_sentences_restores_the_text(text: str) -> None:
    found = split_sentences(text)
    assert "".join(sentence + space for sentence, space in found) == text.lstrip()
    assert all(sentence and sentence.strip() == sentence for sentence, _ in found)
    assert all(space.isspace() for _, space in found[:-1])
    assert all(len(sentence.splitlines()) == 1 for sentence, _ in found)


@pytest.mark.parametrize(
    "text",
    [
        "We ate.|It rained.|Nobody minded!|Why?|No idea…|Well.",
        "“Is it late?”|“No.”|(It was.)|¿De verdad?|¡Sí!",
        "Mr. Ruiz met Dr. Vega and Sra. Gil on the 3.5 km of St. Paul road.|Then he left.",
        "J. R. Pardo lives in the U.S. Army base, at 5 p.m. Eastern time.",
        "It is 5 p.m.|She will wait.|Until 7:30 P.M.?|No, 8 A.M.|¿Sí?",
        "At 5 a.m. “we” leave, (at 6 p.m.)|“They” do.|At 9 p.m. 30 people came.",
        "Son las 5 p. m.|Ella esperará.|A las 6 a. m. ella se va.",
        "At 5 p.m. Monday, e.g. Bastille Day, i.e. July 14, A. M. Vega and P.M. Gil met.",
        "See the map. m. Gil drew it.",
        "So do I.|He knows.",
        "“No!” she said.|Off she went… and came back.",  # a lowercase letter continues the sentence
        "1. Peel them.|2. Cook them.|It took until 9.|Then we ate 3.14.|Good.",
        "Stop.|..|Go.",
        "Ud. sabe.|El Sr. Gil no.|1984.",
        "猫。 犬。",
    ],
)
def test_sentences_end_where_a_reader_expects(text: str) -> None:
    found = split_sentences(text.replace("|", " "))
    assert [sentence for sentence, _ in found] == text.split("|")


def test_a_line_break_ends_a_sentence() -> None:
    text = "A title\n\n  the first line,\r\nthe second"
    expected = [("A title", "\n\n  "), ("the first line,", "\r\n"), ("the second", "")]
    assert split_sentences(f"  {text}") == expected
