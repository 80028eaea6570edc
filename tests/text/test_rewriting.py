"""A rewritten text knows where each of its characters comes from, and can be undone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.text.rewriting import Edit, Span, rewrite

LETTERS = "abXÉİß ♔"


@st.composite
def edited_texts(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    """A text, and edits of spans that are not empty, in order; some touch."""
    text = draw(st.text(LETTERS, min_size=1, max_size=20))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    edits = []
    for begin, end in pairwise(cuts):
        if draw(st.booleans()):
            new = draw(st.text(LETTERS, max_size=4))
            edits.append(Edit(begin, end, new + draw(st.sampled_from(["", text[begin:end]]))))
            # Half of these end with the old characters in lowercase.
            if draw(st.booleans()):
                edits[-1] = Edit(begin, end, new + text[begin:end].lower())
    return text, edits


@given(edited_texts())
def test_the_new_text_is_that_of_one_replacement_after_the_other(
    example: tuple[str, list[Edit]],
) -> None:
    text, edits = example
    expected = text
    for begin, end, new in reversed(edits):
        expected = expected[:begin] + new + expected[end:]
    rewritten, origin = rewrite(text, edits)
    assert rewritten == expected
    assert len(origin) == len(rewritten)


@given(edited_texts())
def test_edits_can_be_undone(example: tuple[str, list[Edit]]) -> None:
    text, edits = example
    undo = []
    shift = 0
    for begin, end, new in edits:
        undo.append(Edit(begin + shift, begin + shift + len(new), text[begin:end]))
        shift += len(new) - (end - begin)
    assert rewrite(rewrite(text, edits)[0], undo)[0] == text


@given(edited_texts())
def test_origins_are_in_order_and_inside_their_edit(example: tuple[str, list[Edit]]) -> None:
    text, edits = example
    rewritten, origin = rewrite(text, edits)
    assert all(0 <= begin < end <= len(text) for begin, end in origin)
    assert origin == sorted(origin)
    position = done = 0
    for begin, end, new in [*edits, Edit(len(text), len(text), "")]:
        for i in range(done, begin):  # a character that no edit changes
            assert origin[position] == (i, i + 1)
            assert rewritten[position] == text[i]
            position += 1
        for low, high in origin[position : position + len(new)]:
            assert begin <= low < high <= end
        position += len(new)
        done = end
    assert position == len(rewritten)


@pytest.mark.parametrize(
    ("text", "edits", "rewritten", "origin"),
    [
        ("ab", [], "ab", [(0, 1), (1, 2)]),
        # A marker stands for the capital after it, and each letter for itself.
        ("a Bo", [Edit(2, 4, "⇧ bo")], "a ⇧ bo", [(0, 1), (1, 2), *[(2, 3)] * 3, (3, 4)]),
        ("BO", [Edit(0, 2, "bo")], "bo", [(0, 1), (1, 2)]),
        # A placeholder stands for the whole span, and so do the spaces beside it.
        ("x12!", [Edit(1, 3, " ☰")], "x ☰!", [(0, 1), (1, 3), (1, 3), (3, 4)]),
        ("12", [Edit(0, 2, "")], "", []),
        # In lowercase this letter is two characters, so they can't stand for themselves.
        ("İa", [Edit(0, 2, "i\u0307a")], "i\u0307a", [(0, 2)] * 3),
    ],
)
def test_origins_by_hand(text: str, edits: list[Edit], rewritten: str, origin: list[Span]) -> None:
    assert rewrite(text, edits) == (rewritten, origin)
