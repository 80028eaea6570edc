"""Loops and stumps are found, loops are cut to their first round, and ordinary repetitions stay."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.inference.loop_guard import cut_loops, is_degenerate

MAX_PERIOD = 8


def cut(text: str, src: str = "") -> str:
    """Cut the loops of letters, each of which is a token."""
    return "".join(map(chr, cut_loops([*map(ord, text)], [*map(ord, src)])))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("a", "a"),
        ("aa", "aa"),  # twice is ordinary language
        ("aaa", "a"),
        ("aaaaaaaaaa", "a"),
        ("xaaay", "xay"),
        ("abab", "abab"),
        ("ababab", "ab"),
        ("abababa", "aba"),  # half a round is left
        ("xabcabcabcabcy", "xabcy"),
        ("aaabbb", "ab"),
        ("aaabaaab", "abab"),
        ("aaabaaabaaab", "ab"),  # a loop of loops
        ("12345678" * 3, "12345678"),
        ("123456789" * 3, "123456789" * 3),  # longer rounds are not looked for
        ("aabaabaab", "aab"),
        ("abcab", "abcab"),
    ],
)
def test_cuts_by_hand(text: str, result: str) -> None:
    assert cut(text) == result


@pytest.mark.parametrize(
    ("src", "result"),
    [
        ("nnn", "xaaaay"),  # no, no, no
        ("x1212121", "xaaaay"),
        ("nn", "xay"),
        ("abcabc", "xay"),
        ("", "xay"),
    ],
)
def test_nothing_is_cut_if_the_source_has_a_loop(src: str, result: str) -> None:
    assert cut("xaaaay", src) == result


def test_ids_without_loops_are_returned_as_they_are() -> None:
    ids = [5, 5, 6, 7, 6, 7]
    assert cut_loops(ids, []) is ids
    looping = [5, 5, 5]
    assert cut_loops(looping, [1, 1, 1]) is looping
    assert cut_loops(looping, []) == [5]
    assert looping == [5, 5, 5]


def loops(text: str) -> list[tuple[int, int]]:
    """All loops as (length of a round, begin), the shortest rounds first, by trying all."""
    return [
        (period, begin)
        for period in range(1, MAX_PERIOD + 1)
        for begin in range(len(text) - 3 * period + 1)
        if text[begin : begin + 3 * period] == text[begin : begin + period] * 3
    ]


def cut_by_definition(text: str) -> str:
    while found := loops(text):
        period, begin = found[0]
        once = text[begin : begin + period]
        end = begin + period
        while text[end : end + period] == once:
            end += period
        text = text[: begin + period] + text[end:]
    return text


# Texts of few letters, and of repeated parts, so that there are loops with long rounds.
PARTS = st.lists(st.tuples(st.text("abc", max_size=9), st.integers(1, 4)), max_size=3)
TEXTS = st.text("ab", max_size=30) | PARTS.map(
    lambda parts: "".join(part * count for part, count in parts)
)


@given(TEXTS)
@example("abaabaaba")
def test_results_equal_those_of_trying_all(text: str) -> None:
    assert cut(text) == cut_by_definition(text)


@given(TEXTS)
def test_no_loop_is_left_and_cutting_again_changes_nothing(text: str) -> None:
    result = cut(text)
    assert not loops(result)
    assert cut(result) == result
    assert len(result) <= len(text)
    assert set(result) == set(text)
    assert result[:1] == text[:1]
    if not loops(text):
        assert result == text


@given(TEXTS, TEXTS)
def test_the_source_decides_whether_loops_are_cut(text: str, src: str) -> None:
    assert cut(text, src) == (text if loops(src) else cut(text))


# --- degenerate hypotheses ------------------------------------------------------------------------


def degenerate(text: str, src: str = "") -> bool:
    return is_degenerate([*map(ord, text)], [*map(ord, src)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("aa", False),  # twice is ordinary language
        ("aaa", True),
        ("xabab", False),
        ("xabababy", True),
        ("12345678" * 2, False),
        ("12345678" * 3, True),
        ("123456789" * 3, True),  # too long a round, but four tokens are in three places
        ("abc1abc2abc3abc", False),  # three tokens may be a name
        ("abcd1abcd", False),
        ("abcd1abcd2abcd", True),
        ("1abcd23abcdabcd4", True),
        ("abcd1abdc2abcd", False),
    ],
)
def test_loops_by_hand(text: str, expected: bool) -> None:
    assert degenerate(text) == expected
    assert degenerate(text, src="xyz") == expected
    # In whichever way the source repeats itself, the translation may as well.
    for src in ("nonono", "efgh1efgh2efgh"):
        assert not degenerate(text, src)


@pytest.mark.parametrize(
    ("length", "src_length", "expected"),
    [(7, 20, True), (8, 20, False), (0, 20, True), (0, 19, False), (19, 50, True), (20, 50, False)],
)
def test_stumps_of_long_sources(length: int, src_length: int, expected: bool) -> None:
    letters = string.ascii_letters
    assert degenerate(letters[:length], letters[:src_length]) == expected
    assert degenerate(letters[:length], "n" * src_length) == expected


def has_loop(text: str) -> bool:
    phrases = [text[i : i + 4] for i in range(len(text) - 3)]
    return bool(loops(text)) or any(phrases.count(phrase) > 2 for phrase in phrases)


@given(TEXTS, TEXTS)
def test_degenerate_texts_equal_those_of_trying_all(text: str, src: str) -> None:
    stump = len(src) >= 20 and len(text) / len(src) < 0.4
    assert degenerate(text, src) == (stump or (has_loop(text) and not has_loop(src)))
    assert not degenerate(text, text)  # a copy of the source
