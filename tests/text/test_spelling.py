"""Swapped and doubled letters and British spellings are corrected, and nothing else."""

import string
import time
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text.lexicon import WORD, Lexicon
from translator.text.spelling import Spelling, correct_spelling

COUNTS = {
    "the": 900, "their": 90, "there": 80, "friend": 50, "receive": 40, "color": 30, "center": 30,
    "organize": 30, "traveled": 20, "house": 60, "horse": 50, "garden": 10, "gardens": 40,
    "window": 20, "seldom": 4, "don": 50, "form": 30, "from": 300, "two": 90, "to": 900,
    "please": 30, "café": 9, "señal": 9, "because": 70, "summer": 20, "analyze": 9, "dialog": 9,
    "defense": 9, "pediatric": 9, "fetus": 9, "program": 9, "gray": 9, "theater": 9,
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
        # A letter doubled, or a double letter written once, at each place.
        ("ffriend", "friend"),
        ("frieend", "friend"),
        ("friendd", "friend"),
        ("sumer", "summer"),
        ("summmer", "summer"),
        # Another letter missing, too many, or wrong: often another word.
        ("riend", "riend"),
        ("frend", "frend"),
        ("frien", "frien"),
        ("friends", "friends"),
        ("frixend", "frixend"),
        ("xriend", "xriend"),
        ("friemd", "friemd"),
        ("hose", "hose"),
        ("senal", "senal"),
        # British spellings.
        ("colour", "color"),
        ("centre", "center"),
        ("theatre", "theater"),
        ("organise", "organize"),
        ("travelled", "traveled"),
        ("analyse", "analyze"),
        ("dialogue", "dialog"),
        ("defence", "defense"),
        ("paediatric", "pediatric"),
        ("foetus", "fetus"),
        ("programme", "program"),
        ("grey", "gray"),
        # Two errors are too many.
        ("freindd", "freindd"),
        ("becuase becuaes", "because becuaes"),
        # Rare words are no safe guess.
        ("sedlom", "sedlom"),
        # Signs and endings stay.
        ("Is teh windwo, pleasse?", "Is the window, please?"),
        ("freind's", "friend's"),
        ("dno't", "don't"),
        # Of a capitalized word, which may be a name, only swapped letters; of others, nothing.
        ("Freind FREIND frEind FReind", "Friend FREIND frEind FReind"),
        ("Ffriend Sumer Colour Programme", "Ffriend Sumer Colour Programme"),
        ("Dno't", "Don't"),
        ("♔ teh ⇧ freind", "♔ the ⇧ friend"),
        ("", ""),
    ],
)
def test_corrections_by_hand(text: str, correct: str) -> None:
    assert corrected(text) == correct


@pytest.mark.parametrize("words", [["abdc", "abccd"], ["abccd", "abdc"]])
@pytest.mark.parametrize(
    ("counts", "best"),
    # Of equally frequent words, the last one, in whatever order they were counted.
    [((5, 500), "abccd"), ((500, 5), "abdc"), ((9, 9), "abdc")],
)
def test_the_most_frequent_word_is_taken(
    words: list[str], counts: tuple[int, int], best: str
) -> None:
    of = dict(zip(["abdc", "abccd"], counts, strict=True))
    assert Spelling(Lexicon({word: of[word] for word in words})).apply("abcd").parts == [best]


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


def is_swapped(one: str, other: str) -> bool:
    """Whether two words differ in the order of two neighboring letters."""
    if sorted(one) != sorted(other):
        return False
    differing = [i for i in range(len(one)) if one[i] != other[i]]
    return len(differing) == 2 and differing[1] - differing[0] == 1


def is_doubled(one: str, other: str) -> bool:
    """Whether two words differ in how often one letter is repeated, by one."""
    runs = [[(letter, len(list(run))) for letter, run in groupby(word)] for word in (one, other)]
    if [letter for letter, _ in runs[0]] != [letter for letter, _ in runs[1]]:
        return False
    return sum(abs(a - b) for (_, a), (_, b) in zip(*runs, strict=True)) == 1


def is_american(one: str, other: str) -> bool:
    """Whether `other` is the American spelling of a word with ae, oe, is or our."""
    spellings = (("ae", "e"), ("oe", "e"), ("is", "iz"), ("our", "or"))
    return one != other and any(one.replace(*spelling) == other for spelling in spellings)


SHORT = st.text("abc", min_size=1, max_size=6) | st.text("aeo", min_size=1, max_size=6)


@st.composite
def words_with_neighbors(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """A word, and counts of words most of which differ from it in one or two letters."""
    word = draw(SHORT)
    near = set()
    for begin in range(len(word) + 1):
        for end in range(begin, min(len(word), begin + 2) + 1):
            old = word[begin:end]
            for new in ("", "a", "b", "e", old[::-1], old[:1] * 2, old[:1] * 3):
                near.add(word[:begin] + new + word[end:])
    known = st.sampled_from(sorted(near - {""})) | SHORT
    return word, draw(st.dictionaries(known, st.integers(1, 9), max_size=12))


@given(words_with_neighbors())
def test_corrections_equal_those_of_trying_all_words(example: tuple[str, dict[str, int]]) -> None:
    word, counts = example
    common = [w for w in counts if counts[w] >= 5]
    known = word in counts or len(word) < 3
    swapped = [w for w in common if is_swapped(word, w)]
    near = [w for w in common if is_doubled(word, w) or is_american(word, w)] + swapped

    def best(words: list[str]) -> str | None:
        return max(words, key=lambda w: (counts[w], w), default=None)

    lexicon = Lexicon(counts)
    assert correct_spelling(word, lexicon) == (None if known else best(near))
    expected = None if known else best(swapped)
    assert correct_spelling(word.capitalize(), lexicon) == (expected and expected.capitalize())
    if len(word) > 1:
        assert correct_spelling(word.upper(), lexicon) is None


@given(st.sampled_from(sorted(w for w in COUNTS if len(w) > 2 and COUNTS[w] >= 5)), st.data())
def test_any_swap_or_doubling_gives_a_known_word(word: str, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(word) - 1))
    swapped = word[:i] + word[i : i + 2][::-1] + word[i + 2 :]
    assert corrected(swapped) in COUNTS
    assert corrected(swapped.capitalize()).lower() in COUNTS
    assert corrected(word[:i] + word[i] + word[i:]) in COUNTS


WRONG = st.sampled_from(["teh", "Teh ", "freind's", "Sumer", "sumer.", "colour", " ♔", "organise5"])


@given(st.lists(WRONG | st.text(ALPHABET + "A'. 5♔⇧", max_size=9)).map("".join))
def test_signs_capitals_and_spaces_stay(text: str) -> None:
    [result] = SPELLING.apply(text).parts
    assert WORD.sub("", result) == WORD.sub("", text)
    before, after = WORD.findall(text), WORD.findall(result)
    for old, new in zip(before, after, strict=True):
        (one, *ending), (other, *new_ending) = old.split("'"), new.split("'")
        assert ending == new_ending
        assert one[0].isupper() == other[0].isupper()
        one, other = one.lower(), other.lower()
        near = is_swapped(one, other) or is_doubled(one, other) or is_american(one, other)
        assert one == other or near
