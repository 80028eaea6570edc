"""Two directions made one."""

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
# At most one source word for each target word, as the directions are read; and the opposite.
FORWARD = st.dictionaries(WORDS, WORDS).map(lambda chosen: {(i, j) for j, i in chosen.items()})
BACKWARD = st.dictionaries(WORDS, WORDS).map(lambda chosen: set(chosen.items()))


def test_growing_and_the_final_step() -> None:
    forward = {(0, 0), (1, 1), (4, 4)}
    backward = {(0, 0), (1, 2), (2, 1), (5, 5)}
    # (1, 1) touches (0, 0); then (1, 2) and (2, 1) touch it; (4, 4) and (5, 5) touch nothing, but
    # their words are alone.
    expected = {(0, 0), (1, 1), (1, 2), (2, 1), (4, 4), (5, 5)}
    assert grow_diag_final_and(forward, backward) == expected


def test_the_final_step_leaves_words_that_are_linked() -> None:
    # (0, 3) touches nothing, and source word 0 is linked already.
    assert grow_diag_final_and({(0, 0), (0, 3)}, {(0, 0)}) == {(0, 0)}


@given(FORWARD, BACKWARD)
def test_it_lies_between_intersection_and_union(
    forward: set[tuple[int, int]], backward: set[tuple[int, int]]
) -> None:
    assert forward & backward <= grow_diag_final_and(forward, backward) <= forward | backward


@given(FORWARD, BACKWARD)
def test_no_word_is_left_alone_that_a_free_link_could_reach(
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
def test_directions_that_agree_stay_as_they_are(how: str, size: int) -> None:
    order = np.random.default_rng(0).permutation(size)
    sure = np.eye(size)[order]  # target word j looks at source word order[j] alone
    assert symmetrize(how, sure, sure.T) == {(int(i), j) for j, i in enumerate(order)}


# Growing goes through the links in the order of the source, so it may choose another of equals.
@pytest.mark.parametrize("how", ["agreement", "intersection", "union"])
@given(WEIGHTS)
def test_turned_pairs_have_turned_links(how: str, forward: Floats) -> None:
    backward = np.random.default_rng(0).random(forward.T.shape)
    turned = symmetrize(how, backward, forward)
    assert symmetrize(how, forward, backward) == {(i, j) for j, i in turned}


def test_agreement_follows_the_direction_that_is_sure() -> None:
    forward = np.array([[0.6, 0.4], [0.5, 0.5]])  # in doubt, and wrong about the first
    backward = np.array([[0.1, 0.9], [0.9, 0.1]])
    assert best_links(forward) == {(0, 0), (0, 1)}
    assert agreement(forward, backward) == {(1, 0), (0, 1)}


def test_words_that_nothing_agrees_on_stay_alone() -> None:
    forward, backward = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.01]])
    assert agreement(forward, backward) == {(0, 0)}
