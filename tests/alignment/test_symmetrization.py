"""Combining the alignments of two directions into one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from translator.alignment.symmetrization import (
    agreement,
    best_links,
    grow_diag_final_and,
    symmetrize,
)
from translator.alignment.words import Floats

WORDS = st.integers(0, 5)
# At most one source word per target word, as in forward alignments; and the reverse.
FORWARD = st.dictionaries(WORDS, WORDS).map(lambda chosen: {(i, j) for j, i in chosen.items()})
BACKWARD = st.dictionaries(WORDS, WORDS).map(lambda chosen: set(chosen.items()))


def test_grow_diag_final_and_by_hand() -> None:
    forward = {(0, 0), (1, 1), (4, 4)}
    backward = {(0, 0), (1, 2), (2, 1), (5, 5)}
    # (1, 1) is a neighbor of (0, 0); then (1, 2) and (2, 1) are neighbors of (1, 1). (4, 4) and
    # (5, 5) have no neighbors, but the final step adds them because their words have no links.
    expected = {(0, 0), (1, 1), (1, 2), (2, 1), (4, 4), (5, 5)}
    assert grow_diag_final_and(forward, backward) == expected


def test_the_final_step_adds_no_link_to_a_linked_word() -> None:
    # (0, 3) has no neighbor, and source word 0 already has a link.
    assert grow_diag_final_and({(0, 0), (0, 3)}, {(0, 0)}) == {(0, 0)}


@given(FORWARD, BACKWARD)
def test_grow_diag_final_and_lies_between_intersection_and_union(
    forward: set[tuple[int, int]], backward: set[tuple[int, int]]
) -> None:
    assert forward & backward <= grow_diag_final_and(forward, backward) <= forward | backward


@given(FORWARD, BACKWARD)
def test_no_link_between_two_unlinked_words_is_left_out(
    forward: set[tuple[int, int]], backward: set[tuple[int, int]]
) -> None:
    links = grow_diag_final_and(forward, backward)
    src, tgt = {i for i, _ in links}, {j for _, j in links}
    assert not [(i, j) for i, j in forward | backward if i not in src and j not in tgt]


ALL = ["agreement", "grow-diag-final-and", "intersection", "union"]
WEIGHTS = arrays(
    np.float64, st.tuples(st.integers(0, 5), st.integers(0, 5)), elements=st.floats(0, 1)
)


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("size", [0, 1, 4])
def test_directions_that_agree_are_not_changed(how: str, size: int) -> None:
    order = np.random.default_rng(0).permutation(size)
    sure = np.eye(size)[order]  # target word j has all its weight on source word order[j]
    assert symmetrize(how, sure, sure.T) == {(int(i), j) for j, i in enumerate(order)}


# grow-diag-final-and visits links in source order, so it can break ties differently.
@pytest.mark.parametrize("how", ["agreement", "intersection", "union"])
@given(WEIGHTS)
def test_swapping_the_languages_swaps_the_links(how: str, forward: Floats) -> None:
    backward = np.random.default_rng(0).random(forward.T.shape)
    swapped = symmetrize(how, backward, forward)
    assert symmetrize(how, forward, backward) == {(i, j) for j, i in swapped}


def test_agreement_follows_the_more_certain_direction() -> None:
    forward = np.array([[0.6, 0.4], [0.5, 0.5]])  # uncertain, and wrong about the first word
    backward = np.array([[0.1, 0.9], [0.9, 0.1]])
    assert best_links(forward) == {(0, 0), (0, 1)}
    assert agreement(forward, backward) == {(1, 0), (0, 1)}


def test_words_without_agreement_stay_unlinked() -> None:
    forward, backward = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.01]])
    assert agreement(forward, backward) == {(0, 0)}
