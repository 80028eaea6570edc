"""Extracting word alignments from attention weights."""

import numpy as np

from translator.alignment.extraction import candidate_heads, consistency, word_weights
from translator.alignment.symmetrization import best_links
from translator.alignment.words import split_pretokenized
from translator.model.alignment_head import AlignmentHead


def test_the_step_selects_the_attention_row_of_a_token() -> None:
    of_layer = np.arange(2 * 3 * 2, dtype=float).reshape(2, 3, 2)  # 2 heads; 2 tokens and eos
    np.testing.assert_array_equal(AlignmentHead(0, 1, "output").select(of_layer), of_layer[1][:2])
    np.testing.assert_array_equal(AlignmentHead(0, 1, "input").select(of_layer), of_layer[1][1:])
    mean = AlignmentHead(0, None, "input").select(of_layer)
    np.testing.assert_array_equal(mean, (of_layer[0] + of_layer[1])[1:] / 2)


def test_eos_is_left_out_and_tokens_are_merged_into_words() -> None:
    src, tgt = split_pretokenized("ab cd"), split_pretokenized("xyz w")
    src_tokens = [(0, 1), (1, 2), (2, 5)]  # two tokens for the first word
    tgt_tokens = [(0, 2), (2, 3), (3, 5)]
    attention = np.array([[0.1, 0.2, 0.1, 0.6], [0, 0.1, 0.3, 0.6], [0, 0, 0, 1.0]])
    weights = word_weights(attention, src, tgt, src_tokens, tgt_tokens)
    # Rows without eos: (.75, .25) and (.25, .75) for the tokens of "xyz"; nothing for "w".
    np.testing.assert_allclose(weights, [[0.5, 0.5], [0, 0]])


def test_a_word_without_tokens_has_no_weight() -> None:
    src, tgt = split_pretokenized("ab"), split_pretokenized("猫 x")
    weights = word_weights(np.array([[0.5, 0.5]]), src, tgt, [(0, 2)], [(2, 3)])
    np.testing.assert_array_equal(weights, [[0], [1]])
    assert best_links(weights) == {(0, 1)}


def test_correct_links_are_more_consistent_than_wrong_ones() -> None:
    pairs = [
        (split_pretokenized("red car"), split_pretokenized("coche rojo")),
        (split_pretokenized("red house"), split_pretokenized("casa roja")),
        (split_pretokenized("old car"), split_pretokenized("coche viejo")),
        (split_pretokenized("the old house"), split_pretokenized("la casa vieja")),
    ] * 2
    right = [{(0, 1), (1, 0)}, {(0, 1), (1, 0)}, {(0, 1), (1, 0)}, {(0, 0), (1, 2), (2, 1)}] * 2
    diagonal = [{(i, i) for i in range(len(src.words))} for src, _ in pairs]
    assert consistency(pairs, right) > consistency(pairs, diagonal)
    # Very few links are not consistent either.
    few = [{(0, 1)}, set(), set(), set()] * 2
    assert consistency(pairs, right) > consistency(pairs, few) > consistency(pairs, [set()] * 8)


def test_candidates_are_every_layer_and_head_at_both_steps() -> None:
    assert len(set(candidate_heads(3))) == 6
    assert len(set(candidate_heads(2, [*range(4), None]))) == 20
    assert str(AlignmentHead(1, None, "input")) == "layer 2, mean of its heads, input step"
    assert str(AlignmentHead(0, 2, "output")) == "layer 1, head 3, output step"
