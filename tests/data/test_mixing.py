"""A pair occurs in an epoch as often as the weight of its source says, whatever else happens."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import everyday_lines, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from translator import pipeline
from translator.config import (
    NO_VARIATION,
    Config,
    CorpusConfig,
    SourceConfig,
    TokenizerConfig,
    VariationConfig,
)
from translator.data.batching import LINK_BASE, BatchStream, PairIds, make_batch
from translator.data.mixing import Mixture, mixed
from translator.data.prepare import Prepared, prepare
from translator.data.tokenizer import Tokenizer

counts_and_weights = st.lists(
    st.tuples(st.integers(1, 40), st.floats(0.01, 4, allow_nan=False)), min_size=1, max_size=3
)


@given(counts_and_weights, st.integers(0, 5), st.integers(0, 50))
def test_each_pair_occurs_as_often_as_its_weight_says(
    sources: list[tuple[int, float]], seed: int, first: int
) -> None:
    counts, weights = map(list, zip(*sources, strict=True))
    mixture = Mixture(counts, weights, seed)
    found: Counter[int] = Counter()
    for epochs in range(1, 6):
        rows = mixture.rows(first + epochs - 1)
        assert rows.tolist() == sorted(rows.tolist())
        assert len(rows) == sum(mixture.epoch_counts)
        found.update(rows.tolist())
        start = 0
        for count, weight, size in zip(counts, weights, mixture.epoch_counts, strict=True):
            assert size == max(1, round(count * weight))
            # No pair of a source is ahead of another by more than one, over any epochs.
            occurrences = [found[row] for row in range(start, start + count)]
            assert sum(occurrences) == epochs * size
            assert max(occurrences) - min(occurrences) <= 1
            start += count


def test_an_epoch_depends_on_its_number_and_the_seed_only() -> None:
    mixture = Mixture([100, 50], [0.5, 2.5], seed=1)
    epochs = [mixture.rows(epoch).tolist() for epoch in range(3)]
    again = Mixture([100, 50], [0.5, 2.5], seed=1)
    assert [again.rows(epoch).tolist() for epoch in (2, 1, 0)] == epochs[::-1]
    assert Mixture([100, 50], [0.5, 2.5], seed=2).rows(0).tolist() != epochs[0]
    assert epochs[0] != epochs[1]


def numbered(count: int) -> PairIds:
    """Return pairs of different lengths, whose tokens and links tell their number."""
    lengths = [1 + n % 3 for n in range(count)]
    ids = [[100 + n] * length for n, length in enumerate(lengths)]
    pairs = pairs_of(ids, ids)
    links = pairs_of([[i * LINK_BASE + i for i in range(n)] for n in lengths], ids).src
    return PairIds(pairs.src, pairs.tgt, links)


def test_the_chosen_pairs_keep_their_sides_and_links_together() -> None:
    chosen = numbered(5).take(np.array([4, 1, 1]))
    batch = make_batch(chosen, np.arange(3))
    assert batch.src[:, 0].tolist() == batch.tgt[:, 1].tolist() == [104, 101, 101]
    assert batch.links is not None
    assert batch.links.nonzero().tolist() == [[row, i + 1, i] for row in range(3) for i in range(2)]
    assert chosen.src.joined(np.array([2, 0])).tolist() == [101, 101, 104, 104]


def test_with_every_weight_1_an_epoch_is_every_pair_in_order() -> None:
    pairs = numbered(9)
    mixture = Mixture([4, 5], [1.0, 1.0], seed=3)
    assert mixture.rows(7).tolist() == list(range(9))
    assert mixed(lambda _: pairs, mixture)(7) is pairs


@pytest.mark.parametrize("done", [0, 3, 40])
def test_a_resumed_stream_continues_with_the_same_batches(done: int) -> None:
    pairs = numbered(60)

    def stream() -> BatchStream:
        of_epoch = mixed(lambda _: pairs, Mixture([50, 10], [0.3, 2.7], seed=1))
        return BatchStream(of_epoch, 30, seed=1)

    whole, resumed = stream(), stream()
    for _ in range(done):
        whole.next()
    resumed.restore(whole.state())
    for _ in range(30):  # into a later epoch
        assert torch.equal(resumed.next().src, whole.next().src)
    assert whole.epoch > 0


# --- with all that an epoch does ------------------------------------------------------------------


def config_of(folder: Path, weights: tuple[float, float]) -> Config:
    """Two sources: the test corpus, and thirty sentences about lamps."""
    lamps = [(f"Lamp {n} is {n * 7} years old.", f"La lámpara {n} es vieja.") for n in range(90)]
    files = {"everyday": [line[:2] for line in everyday_lines()], "lamps": lamps}
    sources = []
    for (name, pairs), weight in zip(files.items(), weights, strict=True):
        path = folder / f"{name}.tsv"
        path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in pairs), encoding="utf-8")
        sources.append(SourceConfig(files=str(path), name=name, weight=weight))
    return Config(
        corpus=CorpusConfig(sources=sources),
        tokenizer=TokenizerConfig(vocab_size=300),
        variation=NO_VARIATION,
        data_dir=str(folder / "data"),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixing")


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    return prepare(config_of(folder, (1.0, 1.0)))


def with_settings(config: Config, **settings: object) -> Config:
    return Config(**{**vars(config), **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config,
        lambda config: with_settings(config, variation=VariationConfig(0.5, 0, 0)),
        lambda config: with_settings(config, tokenizer=TokenizerConfig(300, bpe_dropout=0.1)),
    ],
    ids=["plain", "variation", "BPE-dropout"],
)
def test_weights_work_with_everything_that_changes_an_epoch(
    folder: Path, prepared: Prepared, change: Callable[[Config], Config]
) -> None:
    config = change(config_of(folder, (0.5, 3.0)))
    assert prepare(config).corpus_dir == prepared.corpus_dir  # weights need no new preparation
    tokenizer = Tokenizer(prepared.tokenizer_dir / "tokenizer.model")
    everyday, lamps = (source.train_pairs for source in prepared.report.sources)
    of_epoch = pipeline.pairs_of_epoch(config, prepared, tokenizer)
    for epoch in range(3):
        tgt = of_epoch(epoch).tgt
        texts = tokenizer.decode([tgt.row(i) for i in range(len(tgt.lengths))])
        assert sum(text.startswith("la lámpara") for text in texts) == 3 * lamps
        assert len(texts) == round(everyday / 2) + 3 * lamps
