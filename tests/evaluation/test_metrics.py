"""Scores are compared with sacrebleu's command line and with values computed by hand."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from translator.corpus.held_out import Example, content_hash
from translator.errors import TranslatorError
from translator.evaluation.metrics import evaluate, score
from translator.inference.translator import Translation, Translator
from translator.runs.manifest import Evaluation

HYPOTHESES = [
    "El panadero abre la tienda a las siete.",
    "Mi abuela planta rosas rojas en el jardín.",
    "¿Cuándo sale el barco para la isla?",
    "Nadie sabe dónde están las llaves.",
]
REFERENCES = [
    ["El panadero abre su tienda a las siete.", "A las siete abre la panadería."],
    ["Mi abuela planta rosas en su jardín.", "Mi abuela planta rosas rojas en el jardín."],
    ["¿A qué hora sale el barco a la isla?", "¿Cuándo zarpa el barco para la isla?"],
    ["Nadie sabe dónde están mis llaves.", "Ninguno sabe dónde están las llaves."],
]


def test_scores_are_those_of_sacrebleus_own_command_line(tmp_path: Path) -> None:
    files = {"hyp": HYPOTHESES} | {
        f"ref{k}": [references[k] for references in REFERENCES] for k in range(2)
    }
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref0", "ref1", "-i", "hyp"]
    command += ["-m", "bleu", "chrf", "--format", "json", "--width", "9"]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    bleu, chrf = json.loads(output.stdout)
    ours = score(HYPOTHESES, REFERENCES)
    assert 10 < ours.bleu < 90
    assert (round(ours.bleu, 9), round(ours.chrf, 9)) == (bleu["score"], chrf["score"])
    assert ours.bleu_signature == bleu["signature"]
    assert ours.chrf_signature == chrf["signature"]
    assert (ours.sentences, ours.references) == (4, 8)


def test_bleu_by_hand() -> None:
    """Matches: 6/6 words, 4/5 bigrams, 3/4 trigrams, 2/3 4-grams; one word shorter than 7."""
    hypothesis, reference = "the dog ran to the lake", "the dog ran to the blue lake"
    precisions = [6 / 6, 4 / 5, 3 / 4, 2 / 3]
    expected = 100 * math.exp(1 - 7 / 6) * math.prod(precisions) ** (1 / 4)
    assert score([hypothesis], [[reference]]).bleu == pytest.approx(expected, rel=1e-12)


def test_a_perfect_translation_scores_100() -> None:
    perfect = score([references[1] for references in REFERENCES], REFERENCES)
    assert (perfect.bleu, perfect.chrf) == pytest.approx((100, 100), rel=1e-12)


def test_a_repeated_reference_changes_no_score() -> None:
    """So a missing reference can be filled with a repeated one."""
    ragged = [refs[: 1 + k % 2] for k, refs in enumerate(REFERENCES)]
    filled = [(refs * 2)[:2] for refs in ragged]
    few, many = score(HYPOTHESES, ragged), score(HYPOTHESES, filled)
    assert (few.bleu, few.chrf) == (many.bleu, many.chrf)
    assert (few.references, many.references) == (6, 8)


def test_all_references_count_in_any_position() -> None:
    """The only sentence with two references comes first or last."""
    one = [refs[:1] for refs in REFERENCES]
    for k in (0, 3):
        assert score(HYPOTHESES, [*one[:k], REFERENCES[k], *one[k + 1 :]]).bleu > (
            score(HYPOTHESES, one).bleu
        )


def test_the_order_of_sentences_does_not_matter() -> None:
    order = list(range(len(HYPOTHESES)))
    random.Random(3).shuffle(order)
    assert order != sorted(order)
    shuffled = score([HYPOTHESES[i] for i in order], [REFERENCES[i] for i in order])
    assert shuffled == score(HYPOTHESES, REFERENCES)


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [([], []), (["a"], []), (["a"], [["a"], ["b"]]), ([], [["a"]])],
)
def test_counts_that_do_not_match_are_refused(
    hypotheses: list[str], references: list[list[str]]
) -> None:
    with pytest.raises(TranslatorError, match=f"{len(hypotheses)} translations"):
        score(hypotheses, references)


class Copying:
    """A translator whose translations are its sources."""

    def translate(self, sources: list[str], **_: object) -> list[Translation]:
        return [Translation(source, 0.0, []) for source in sources]


def evaluated(*origins: list[str]) -> Evaluation:
    """Evaluate the four sentences, of which the first two are translated perfectly."""
    sources = [REFERENCES[0][0], REFERENCES[1][1], *HYPOTHESES[2:]]
    held_out = [
        Example(source, references, [], origins=names)
        for source, references, names in zip(sources, REFERENCES, origins, strict=True)
    ]
    translator = cast(Translator, Copying())
    return evaluate(translator, held_out, beam_size=1)[1]


def test_scores_by_source_are_those_of_its_sentences() -> None:
    """A sentence of two sources counts for both."""
    result = evaluated(["a"], ["a"], ["b", "a"], ["b"])
    assert list(result.sources) == ["a", "b"]
    assert [part.sentences for part in result.sources.values()] == [3, 2]
    expected = score(HYPOTHESES[2:], REFERENCES[2:])
    assert (result.sources["b"].bleu, result.sources["b"].chrf) == (expected.bleu, expected.chrf)
    assert result.sources["a"].bleu > expected.bleu
    assert list(result.parts()) == ["from a", "from b"]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "a"]])
def test_a_single_source_has_no_scores_of_its_own(names: list[str]) -> None:
    assert evaluated(names, names, names, names).sources == {}


def examples(sources: list[str], references: list[list[str]]) -> list[Example]:
    return [Example(src, refs, []) for src, refs in zip(sources, references, strict=True)]


def test_the_content_hash_changes_with_every_change() -> None:
    variants = [
        (["a", "b"], [["c"], ["d"]]),
        (["b", "a"], [["d"], ["c"]]),
        (["a", "b"], [["d"], ["c"]]),
        (["a", "b"], [["c", "d"], ["d"]]),
        (["a", "b"], [["c"], ["D"]]),
        (["a", "b "], [["c"], ["d"]]),
        (["a"], [["c"]]),
        (["a"], [["c", "b", "d"]]),
    ]
    hashes = {content_hash(examples(*variant)) for variant in variants}
    assert len(hashes) == len(variants)


def test_a_tab_inside_a_text_is_part_of_it() -> None:
    """A user's test file may contain tabs."""
    assert content_hash(examples(["a"], [["b\tc"]])) != content_hash(examples(["a"], [["b", "c"]]))


def test_the_content_hash_is_reproducible() -> None:
    again = examples(list(HYPOTHESES), REFERENCES)
    assert content_hash(examples(HYPOTHESES, REFERENCES)) == content_hash(again)
