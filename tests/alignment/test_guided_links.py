"""Guided alignment: training one attention head on given links."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_config

from translator.alignment.aligner import load_aligner
from translator.alignment.guided_links import add_guided_links
from translator.alignment.scoring import GoldPair, parse_links, score_links
from translator.alignment.words import split_words
from translator.data.arrays import Ragged
from translator.data.batching import LINK_BASE, PairIds, encoded_pairs, make_batch
from translator.data.prepare import Prepared, prepare
from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError
from translator.model.alignment_head import guided_head
from translator.pipeline import train
from translator.runs.run import Run
from translator.text.lexicon import LEXICON_FILE
from translator.text.model_text import ModelText
from translator.text.symbols import CAPITALIZED, PLACEHOLDERS, UPPERCASE
from translator.training.objectives import guided_alignment_loss


def diagonal(src: str, tgt: str) -> str:
    """Return links between the first words, the second words, and so on."""
    count = min(len(split_words(src).words), len(split_words(tgt).words))
    return " ".join(f"{i}-{i}" for i in range(count))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tiny_config(tmp_path_factory.mktemp("guided_alignment")))


@pytest.fixture(scope="module")
def training_pairs(prepared: Prepared) -> list[tuple[str, str]]:
    import datasets

    pairs = datasets.load_from_disk(prepared.corpus_dir / "train")
    return list(zip(pairs["src"], pairs["tgt"], strict=True))


@pytest.fixture(scope="module")
def links_file(prepared: Prepared, training_pairs: list[tuple[str, str]]) -> Path:
    path = prepared.corpus_dir.parents[1] / "links"  # in the data folder
    path.write_text("".join(f"{diagonal(*pair)}\n" for pair in training_pairs), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model_text(prepared: Prepared) -> ModelText:
    return ModelText.load(prepared.tokenizer_dir / LEXICON_FILE, "en", "es")


def words_of_tokens(text: str, spans: list[tuple[int, int]]) -> list[int | None]:
    """Return the number of each token's word in a model text; None for a space before a word.

    The marker of a capital belongs to the word after it, and a placeholder stands for one word.
    """
    words = split_words(re.sub(f"[{PLACEHOLDERS}]", "x", text))
    numbers = [0]
    for word in words.words:
        numbers.append(numbers[-1] + (word not in (CAPITALIZED, UPPERCASE)))
    ends = [end for _, end in words.spans]
    return [
        next(numbers[w] for w, end in enumerate(ends) if span[1] <= end)
        if text[slice(*span)].strip()
        else None
        for span in spans
    ]


def test_links_of_words_become_links_of_their_tokens(
    prepared: Prepared,
    training_pairs: list[tuple[str, str]],
    links_file: Path,
    model_text: ModelText,
) -> None:
    tokenizer = Tokenizer(prepared.tokenizer_dir / "tokenizer.model")
    fixed = encoded_pairs(prepared.tokenizer_dir)(0)
    pairs = add_guided_links(fixed, links_file, prepared.corpus_dir, model_text, tokenizer)
    assert pairs.links is not None
    for row, pair in enumerate(training_pairs):
        texts = list(model_text.pair(*pair))
        [(_, src_spans), (_, tgt_spans)] = tokenizer.encode_with_spans(texts)
        src_words, tgt_words = map(words_of_tokens, texts, (src_spans, tgt_spans))
        expected = {
            t * LINK_BASE + s
            for t, tgt_word in enumerate(tgt_words)
            for s, src_word in enumerate(src_words)
            if tgt_word == src_word is not None
        }
        found = pairs.links.joined(np.array([row]))
        assert set(found.tolist()) == expected


def test_links_in_a_batch_are_shifted_by_bos() -> None:
    lengths = [[4, 5, 6], [7]]
    links = [[0 * LINK_BASE + 2, 1 * LINK_BASE + 0], []]
    ids = Ragged.from_lists(lengths)
    batch = make_batch(PairIds(ids, ids, Ragged.from_lists(links)), np.array([1, 0]))
    assert batch.links is not None
    assert batch.links.shape == (2, batch.tgt.size(1) - 1, batch.src.size(1))
    assert batch.links.nonzero().tolist() == [[1, 1, 2], [1, 2, 0]]
    first, second = batch.split(2)
    assert first.links is not None
    assert second.links is not None
    assert not first.links.any()
    assert torch.equal(second.links[0], batch.links[1])


def test_loss_is_the_negative_log_of_the_weight_on_linked_tokens() -> None:
    weights = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]])
    links = torch.tensor([[[True, True, False], [False, False, False], [False, False, True]]])
    expected = -torch.tensor([0.8, 1e-6]).log().sum()
    torch.testing.assert_close(guided_alignment_loss(weights, links), expected)


def test_a_guided_head_learns_its_links(
    tmp_path: Path, prepared: Prepared, links_file: Path, training_pairs: list[tuple[str, str]]
) -> None:
    """The links are meaningless (a diagonal), so the head can learn them only from the guidance."""
    sizes = {"max_steps": 150, "evaluations": 1}
    data_dir = prepared.corpus_dir.parents[1]
    pairs = [(split_words(src), split_words(tgt)) for src, tgt in training_pairs]
    gold = []
    for (src, tgt), texts in zip(pairs, training_pairs, strict=True):
        gold.append(GoldPair(src, tgt, *parse_links(diagonal(*texts), src, tgt, "diagonal")))
    errors = []
    for guidance in (None, str(links_file)):
        run = Run(tmp_path / str(bool(guidance)))
        config = tiny_config(
            data_dir, **sizes, guided_alignment=guidance, guided_alignment_weight=0.5
        )
        train(config, run)
        errors.append(score_links(load_aligner(run, "cpu").links(pairs), gold).aer)
    assert load_aligner(run, "cpu").reading == guided_head(2)
    assert errors[1] < 0.5 * errors[0]


def test_resuming_with_changed_links_is_refused(
    tmp_path: Path, prepared: Prepared, links_file: Path
) -> None:
    path = Path(shutil.copy(links_file, tmp_path / "links"))
    data_dir = prepared.corpus_dir.parents[1]
    config = tiny_config(data_dir, max_steps=4, evaluations=1, guided_alignment=str(path))
    run = Run(tmp_path / "run")
    train(config, run)
    # As if the training had been interrupted.
    run.write_manifest(replace(run.read_manifest(), state="training"))
    path.write_text(path.read_text().replace("0-0", "0-1", 1))
    with pytest.raises(TranslatorError, match="links has changed since"):
        train(config, run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], "lines, but there are"),
        (lambda lines: ["0-99", *lines[1:]], "line 1: the link 0-99 is out of range"),
        (lambda lines: ["what", *lines[1:]], 'line 1: "what" is not a link'),
    ],
)
def test_a_links_file_that_does_not_fit_the_corpus_is_refused(
    tmp_path: Path, prepared: Prepared, links_file: Path, model_text: ModelText, change, said: str
) -> None:
    path = tmp_path / "links"
    path.write_text("".join(f"{line}\n" for line in change(links_file.read_text().splitlines())))
    tokenizer = Tokenizer(prepared.tokenizer_dir / "tokenizer.model")
    with pytest.raises(TranslatorError, match=said):
        add_guided_links(
            encoded_pairs(prepared.tokenizer_dir)(0),
            path,
            prepared.corpus_dir,
            model_text,
            tokenizer,
        )


def test_guided_alignment_and_bpe_dropout_exclude_each_other(cli) -> None:
    result = cli("train", "--training.guided_alignment=links", "--tokenizer.bpe_dropout=0.1")
    assert result.returncode == 2
    assert "tokenizer.bpe_dropout" in result.stderr
