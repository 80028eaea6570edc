"""Aligning words with a trained run."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from translator.alignment.aligner import Aligner, attention_between_words, load_aligner
from translator.alignment.extraction import candidate_heads
from translator.alignment.rendering import render_terminal, write_html
from translator.alignment.words import split_pretokenized, split_words
from translator.model.alignment_head import AlignmentHead
from translator.runs.run import Run

PAIRS = [
    (split_words(src), split_words(tgt))
    for src, tgt in [
        ("Good evening.", "Buenas tardes."),
        ("The shop is closed, isn't it?", "La tienda está cerrada, ¿no?"),
        ("猫", "El gato."),
        ("猫", "El gato 猫."),
        ("", ""),
        ("Where is the ball?", "¿Dónde está la pelota?"),
    ]
]


@pytest.fixture(scope="module")
def aligner(trained_run: Path) -> Aligner:
    return load_aligner(Run(trained_run), "cpu")


def test_training_stores_the_alignment_head_that_the_aligner_uses(
    trained_run: Path, aligner: Aligner
) -> None:
    manifest = json.loads((trained_run / "run.json").read_text())
    assert AlignmentHead(**manifest["alignment_head"]) == aligner.reading
    assert (aligner.translator.src_lang, aligner.translator.tgt_lang) == ("en", "es")


def test_a_run_without_an_alignment_head_gets_one_once(trained_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained_run, tmp_path / "run")))
    manifest = run.read_manifest()
    chosen = manifest.alignment_head
    assert chosen is not None
    run.write_manifest(replace(manifest, alignment_head=None))
    assert load_aligner(run, "cpu").reading == chosen
    assert run.read_manifest() == manifest


def test_weights_of_each_target_word_sum_to_one(aligner: Aligner) -> None:
    for (src, tgt), weights in zip(PAIRS, aligner.weights(PAIRS), strict=True):
        assert weights.shape == (len(tgt.words), len(src.words))
        # A word without a known token has no weights, as a source word or as a target word. If
        # both sides have it, it has a token: a placeholder.
        seen = src.words != ["猫"] or "猫" in tgt.words
        np.testing.assert_allclose(weights.sum(axis=1), np.full(len(tgt.words), float(seen)))


def test_other_pairs_of_the_batch_do_not_change_the_weights(aligner: Aligner) -> None:
    together = list(aligner.weights(PAIRS))
    for pair, weights in zip(PAIRS, together, strict=True):
        [alone] = aligner.weights([pair])
        np.testing.assert_allclose(alone, weights, atol=1e-6)
    assert list(aligner.weights([])) == []


def test_each_candidate_head_gives_the_weights_of_its_layer_and_head(aligner: Aligner) -> None:
    every = candidate_heads(2, [0, 1, None])
    src, tgt = PAIRS[1]
    [found] = attention_between_words(aligner.translator, [(src, tgt)], every)
    for reading, weights in zip(every, found, strict=True):
        [alone] = replace(aligner, reading=reading).weights([(src, tgt)])
        np.testing.assert_allclose(alone, weights, atol=1e-6)
    assert len({weights.tobytes() for weights in found}) == len(every)


def test_each_target_word_is_linked_to_the_source_word_of_highest_weight(aligner: Aligner) -> None:
    [links], [weights] = aligner.links(PAIRS[:1]), list(aligner.weights(PAIRS[:1]))
    assert links == {(int(row.argmax()), j) for j, row in enumerate(weights)}


def test_the_terminal_shows_a_row_for_each_target_word() -> None:
    weights = np.array([[1, 0, 0], [0, 0.5, 0.5]])
    view = render_terminal(["el", "rojo", "."], ["red", "x"], weights)
    assert view == "\n".join(["      r", "      o", "    e j", "    l o .", "red █", "  x   ▒ ▒"])


def test_the_page_is_self_contained_and_holds_the_weights(aligner: Aligner, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    hostile = (
        split_pretokenized("Is </script><!--<script> a word?"),
        split_words("¿Es una palabra?"),
    )
    write_html(aligner, [*PAIRS[:2], hostile], path)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|src=|@import|url\(", page)
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    content = json.loads(data)
    assert content["languages"] == {"src": "en", "tgt": "es"}
    assert [pair["src"] for pair in content["pairs"]][2] == hostile[0].words
    for pair, (src, tgt) in zip(content["pairs"], [*PAIRS[:2], hostile], strict=True):
        for step in ("output", "input"):
            shown = np.array(pair[step])
            assert shown.shape == (2, 3, len(tgt.words), len(src.words))
    [mean] = aligner.weights([PAIRS[1]])
    reading = aligner.reading
    np.testing.assert_allclose(
        content["pairs"][1][reading.step][reading.layer][-1], mean, atol=1e-3
    )
    [expected] = replace(aligner, reading=AlignmentHead(1, 0, "input")).weights([PAIRS[1]])
    np.testing.assert_allclose(content["pairs"][1]["input"][1][0], expected, atol=1e-3)
