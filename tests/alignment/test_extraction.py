"""From attention to links."""

import numpy as np

from translator.alignment.extraction import Reading, consistency, readings, word_weights
from translator.alignment.symmetrization import best_links
from translator.alignment.words import given_words


def test_the_step_says_which_row_is_a_pieces() -> None:
    of_layer = np.arange(2 * 3 * 2, dtype=float).reshape(2, 3, 2)  # 2 heads, 2 pieces and eos
    np.testing.assert_array_equal(Reading(0, 1, "output").select(of_layer), of_layer[1][:2])
    np.testing.assert_array_equal(Reading(0, 1, "input").select(of_layer), of_layer[1][1:])
    mean = Reading(0, None, "input").select(of_layer)
    np.testing.assert_array_equal(mean, (of_layer[0] + of_layer[1])[1:] / 2)


def test_eos_is_left_out_and_pieces_are_merged() -> None:
    src, tgt = given_words("ab cd"), given_words("xyz w")
    src_pieces = [(0, 1), (1, 2), (2, 5)]  # two pieces for the first word
    tgt_pieces = [(0, 2), (2, 3), (3, 5)]
    attention = np.array([[0.1, 0.2, 0.1, 0.6], [0, 0.1, 0.3, 0.6], [0, 0, 0, 1.0]])
    weights = word_weights(attention, src, tgt, src_pieces, tgt_pieces)
    # Rows without eos: (.75, .25) and (.25, .75) for the pieces of "xyz"; nothing for "w".
    np.testing.assert_allclose(weights, [[0.5, 0.5], [0, 0]])


def test_a_word_without_pieces_has_no_weight() -> None:
    src, tgt = given_words("ab"), given_words("猫 x")
    weights = word_weights(np.array([[0.5, 0.5]]), src, tgt, [(0, 2)], [(2, 3)])
    np.testing.assert_array_equal(weights, [[0], [1]])
    assert best_links(weights) == {(0, 1)}


def test_right_links_are_more_consistent_than_wrong_ones() -> None:
    pairs = [
        (given_words("red car"), given_words("coche rojo")),
        (given_words("red house"), given_words("casa roja")),
        (given_words("old car"), given_words("coche viejo")),
        (given_words("the old house"), given_words("la casa vieja")),
    ] * 2
    right = [{(0, 1), (1, 0)}, {(0, 1), (1, 0)}, {(0, 1), (1, 0)}, {(0, 0), (1, 2), (2, 1)}] * 2
    diagonal = [{(i, i) for i in range(len(src.words))} for src, _ in pairs]
    assert consistency(pairs, right) > consistency(pairs, diagonal)
    # To link hardly anything is no way to be right.
    few = [{(0, 1)}, set(), set(), set()] * 2
    assert consistency(pairs, right) > consistency(pairs, few) > consistency(pairs, [set()] * 8)


def test_every_layer_is_read_at_both_steps() -> None:
    assert len(set(readings(3))) == 6
    assert len(set(readings(2, [*range(4), None]))) == 20
    assert str(Reading(1, None, "input")) == "layer 2, mean of its heads, input step"
    assert str(Reading(0, 2, "output")) == "layer 1, head 3, output step"
