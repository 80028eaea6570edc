"""Batches hold every pair once and stay within the token budget; a restored stream continues."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers import everyday_lines, everyday_model_text, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from translator.data.arrays import Ragged, write_ragged
from translator.data.batching import (
    Batch,
    BatchStream,
    PairIds,
    bpe_dropout_pairs,
    encoded_pairs,
    group_by_length,
    make_batch,
    padding_share,
)
from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer, train_tokenizer
from translator.errors import TranslatorError

LINES = everyday_lines()
MODEL_TEXT = everyday_model_text()
# As the model reads and writes them.
TEXTS = [MODEL_TEXT.pair(english, spanish) for english, spanish, _ in LINES]

Rows = list[list[int]]


def pad_by_hand(rows: Rows, chosen: Sequence[int], *, bos: bool) -> Rows:
    lines = [[BOS_ID] * bos + rows[i] + [EOS_ID] for i in chosen]
    longest = max(map(len, lines))
    return [line + [PAD_ID] * (longest - len(line)) for line in lines]


def random_rows(count: int, longest: int, seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    return [draw.integers(4, 99, draw.integers(1, longest + 1)).tolist() for _ in range(count)]


def lengths_only(src: list[int], tgt: list[int]) -> PairIds:
    return pairs_of([[9] * n for n in src], [[9] * n for n in tgt])


# --- rows and matrices ----------------------------------------------------------------------------

LISTS = pa.list_(pa.int32())
row_lists = st.lists(st.lists(st.integers(4, 2**31 - 1), max_size=8), min_size=1, max_size=8)


@given(row_lists, st.data(), st.booleans())
def test_padded_rows_equal_those_padded_by_hand(rows: Rows, data: st.DataObject, bos: bool) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=10))
    matrix = Ragged.from_lists(rows).padded(np.array(chosen), bos=bos)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == pad_by_hand(rows, chosen, bos=bos)


@given(row_lists)
def test_lengths_are_those_of_the_rows(rows: Rows) -> None:
    assert Ragged.from_lists(rows).lengths.tolist() == [len(row) for row in rows]


def test_batch_has_the_layout_computed_by_hand() -> None:
    pairs = pairs_of([[5, 6, 7], [8]], [[10], [11, 12]])
    batch = make_batch(pairs, np.array([1, 0]))
    assert batch.src.tolist() == [[8, EOS_ID, PAD_ID, PAD_ID], [5, 6, 7, EOS_ID]]
    assert batch.tgt.tolist() == [[BOS_ID, 11, 12, EOS_ID], [BOS_ID, 10, EOS_ID, PAD_ID]]
    assert batch.src_padding_mask.tolist() == [[False, False, True, True], [False] * 4]
    assert batch.tgt_tokens == 5  # 11, 12, eos and 10, eos


def test_target_tokens_are_counted_without_bos_and_padding() -> None:
    pairs = pairs_of(random_rows(9, 7, seed=1), random_rows(9, 7, seed=2))
    batch = make_batch(pairs, np.arange(9))
    assert batch.tgt_tokens == int((batch.tgt[:, 1:] != PAD_ID).sum())


# --- grouping -------------------------------------------------------------------------------------

side_lengths = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=60)


@given(side_lengths, st.integers(1, 80), st.integers(0, 3))
def test_every_pair_is_in_one_batch_within_the_budget(
    lengths: list[tuple[int, int]], budget: int, seed: int
) -> None:
    pairs = lengths_only([s for s, _ in lengths], [t for _, t in lengths])
    batches = group_by_length(pairs, budget, np.random.default_rng(seed))
    assert sorted(i for rows in batches for i in rows.tolist()) == list(range(len(lengths)))
    for rows in batches:
        longest = max(max(lengths[i]) + 1 for i in rows)
        assert len(rows) == 1 or len(rows) * longest <= budget


@given(st.integers(1, 50), st.integers(1, 10), st.integers(10, 60))
def test_batches_are_as_large_as_the_budget_allows(count: int, length: int, budget: int) -> None:
    pairs = lengths_only([length] * count, [1] * count)
    batches = group_by_length(pairs, budget, np.random.default_rng(0))
    most = max(1, budget // (length + 1))
    assert sorted(map(len, batches)) == sorted(
        [most] * (count // most) + [count % most] * (count % most > 0)
    )


def test_a_pair_longer_than_the_budget_gets_its_own_batch() -> None:
    pairs = lengths_only([3, 200, 3], [3, 5, 3])
    batches = group_by_length(pairs, 16, np.random.default_rng(0))
    assert sorted(rows.tolist() for rows in batches if 1 in rows) == [[1]]
    assert sorted(map(len, batches)) == [1, 2]


def padding_counted(pairs: PairIds, batches: list[np.ndarray]) -> float:
    made = [make_batch(pairs, rows) for rows in batches]
    # Leave out the target's first column: bos is never predicted.
    positions = torch.cat([ids.flatten() for b in made for ids in (b.src, b.tgt[:, 1:])])
    return float((positions == PAD_ID).double().mean())


@given(side_lengths, st.integers(1, 80))
def test_padding_share_equals_that_of_the_matrices(
    lengths: list[tuple[int, int]], budget: int
) -> None:
    pairs = lengths_only([s for s, _ in lengths], [t for _, t in lengths])
    batches = group_by_length(pairs, budget, np.random.default_rng(0))
    assert padding_share(pairs, batches) == pytest.approx(padding_counted(pairs, batches))


def test_grouping_pads_less_than_half_as_much_as_random_batches() -> None:
    pairs = pairs_of(random_rows(500, 20, seed=1), random_rows(500, 20, seed=1))
    grouped = group_by_length(pairs, 400, np.random.default_rng(0))
    chance = np.array_split(np.random.default_rng(0).permutation(500), len(grouped))
    assert padding_share(pairs, grouped) < padding_share(pairs, chance) / 2


def test_batches_are_not_sorted_by_length() -> None:
    pairs = lengths_only(list(range(1, 101)), list(range(1, 101)))
    batches = group_by_length(pairs, 150, np.random.default_rng(0))
    longest = [int(rows.max()) for rows in batches]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


@given(st.lists(row_lists, min_size=1, max_size=3))
def test_written_rows_are_read_back(parts: list[Rows]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_ragged(Path(folder) / "src", [pa.array(rows, LISTS) for rows in parts])
        read = Ragged.open(Path(folder) / "src")
        joined = Ragged.from_lists([row for rows in parts for row in rows])
        assert isinstance(read.values, np.memmap)
        assert read.values.tolist() == joined.values.tolist()
        assert read.starts.tolist() == joined.starts.tolist()
        assert read.lengths.tolist() == joined.lengths.tolist()


@pytest.mark.parametrize(
    "array",
    [
        b"",
        b"PK\3\4 no archive",
        b"\x93NUMPY\1\0\x10\0{'descr': '<i8'(\n",
        np.array([]),
        np.array([0, 2, 1, 3]),
        np.array([0, 1]),
        np.array(0),
        np.array([[0, 3]]),
        [0.0, 3.0],
    ],
)
def test_damaged_rows_are_refused(tmp_path: Path, array: object) -> None:
    write_ragged(tmp_path / "src", [pa.array([[4, 5], [6]], LISTS)])
    path = tmp_path / "src-offsets.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, np.asarray(array))
    with pytest.raises(TranslatorError, match=r"src: missing or damaged; delete .*prepared again"):
        Ragged.open(tmp_path / "src")


# --- the stream -----------------------------------------------------------------------------------

PairsOfEpoch = Callable[[int], PairIds]


def stored_ids(folder: Path, src: Rows, tgt: Rows) -> PairsOfEpoch:
    for side, rows in (("src", src), ("tgt", tgt)):
        parts = [rows[:25], rows[25:26], rows[26:]]
        write_ragged(folder / side, [pa.array(part, LISTS) for part in parts])
    return encoded_pairs(folder)


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> PairsOfEpoch:
    folder = tmp_path_factory.mktemp("fixed")
    return stored_ids(folder, random_rows(60, 12, seed=1), random_rows(60, 12, seed=2))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer([text for pair in TEXTS for text in pair], 300, path)
    return Tokenizer(path)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> PairsOfEpoch:
    folder = tmp_path_factory.mktemp("sampled")
    src, tgt = [line[0] for line in LINES[:60]], [line[1] for line in LINES[:60]]
    datasets.Dataset.from_dict({"src": src, "tgt": tgt}).save_to_disk(folder / "train")
    return bpe_dropout_pairs(folder, MODEL_TEXT, tokenizer, dropout=0.2, seed=5)


@pytest.fixture(params=["fixed", "sampled"])
def pairs_of_epoch(request: pytest.FixtureRequest) -> PairsOfEpoch:
    value: PairsOfEpoch = request.getfixturevalue(request.param)
    return value


def content(batch: Batch) -> tuple[Rows, Rows, int]:
    return batch.src.tolist(), batch.tgt.tolist(), batch.tgt_tokens


def take(stream: BatchStream, count: int) -> list[tuple[Rows, Rows, int]]:
    return [content(stream.next()) for _ in range(count)]


def epoch_of(pairs_of_epoch: PairsOfEpoch, seed: int, epoch: int) -> list[tuple[Rows, Rows, int]]:
    stream = BatchStream(pairs_of_epoch, 100, seed)
    stream.restore({"epoch": epoch, "index": 0})
    return take(stream, len(stream.batches))


def test_stored_ids_are_read_back(tmp_path: Path) -> None:
    src, tgt = random_rows(20, 5, seed=1), [[], *random_rows(19, 5, seed=2)]
    pairs = stored_ids(tmp_path, src, tgt)(0)
    rows = np.arange(20)
    assert pairs.src.padded(rows, bos=False).tolist() == pad_by_hand(src, range(20), bos=False)
    assert pairs.tgt.padded(rows, bos=True).tolist() == pad_by_hand(tgt, range(20), bos=True)


def test_each_epoch_contains_every_pair(fixed: PairsOfEpoch) -> None:
    stream = BatchStream(fixed, 100, seed=1)
    expected = sorted(random_rows(60, 12, seed=1))
    for _ in range(3):
        rows = [row for _ in stream.batches for row in stream.next().src.tolist()]
        assert sorted(row[: row.index(EOS_ID)] for row in rows) == expected


@pytest.mark.parametrize("where", ["start", "inside", "end"])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_restored_stream_continues_with_the_same_batches(
    pairs_of_epoch: PairsOfEpoch, epoch: int, where: str
) -> None:
    stream = BatchStream(pairs_of_epoch, 100, seed=3)
    per_epoch: list[int] = []
    while len(per_epoch) < epoch:
        per_epoch.append(len(stream.batches))
        take(stream, len(stream.batches) + 1)
    while stream.index < {"start": 1, "inside": 4, "end": len(stream.batches)}[where]:
        stream.next()
    state = stream.state()
    uninterrupted = take(stream, 25)  # runs past the end of the epoch
    assert stream.epoch > epoch

    again = BatchStream(pairs_of_epoch, 100, seed=3)
    take(again, 2)
    again.restore(state)
    assert take(again, 25) == uninterrupted


def test_the_same_seed_gives_the_same_batches(pairs_of_epoch: PairsOfEpoch) -> None:
    assert epoch_of(pairs_of_epoch, 1, 2) == epoch_of(pairs_of_epoch, 1, 2)


def test_another_seed_gives_another_order(pairs_of_epoch: PairsOfEpoch) -> None:
    assert epoch_of(pairs_of_epoch, 1, 0) != epoch_of(pairs_of_epoch, 2, 0)


def test_another_epoch_gives_another_order(pairs_of_epoch: PairsOfEpoch) -> None:
    assert epoch_of(pairs_of_epoch, 1, 0) != epoch_of(pairs_of_epoch, 1, 1)


def test_another_epoch_groups_the_pairs_differently(fixed: PairsOfEpoch) -> None:
    one, other = ({str(sorted(src)) for src, _, _ in epoch_of(fixed, 1, epoch)} for epoch in (0, 1))
    assert one != other


def test_stream_uses_the_tokens_of_each_epoch(sampled: PairsOfEpoch) -> None:
    stream = BatchStream(sampled, 100, seed=1)
    for epoch in range(3):
        rows = stream.next().tgt.tolist()  # opens the epoch, which has batches of its own
        while stream.index < len(stream.batches):
            rows += stream.next().tgt.tolist()
        found = sorted(row[1 : row.index(EOS_ID)] for row in rows)
        tgt = sampled(epoch).tgt
        assert found == sorted(tgt.row(i) for i in range(len(tgt.lengths)))


def texts_of_epoch(sampled: PairsOfEpoch, tokenizer: Tokenizer, epoch: int) -> list[str]:
    tgt = sampled(epoch).tgt
    return tokenizer.decode([tgt.row(i) for i in range(len(tgt.lengths))])


def test_bpe_dropout_splits_the_same_text_into_other_tokens_each_epoch(
    sampled: PairsOfEpoch, tokenizer: Tokenizer
) -> None:
    assert sampled(0).tgt.values.tolist() != sampled(1).tgt.values.tolist()
    for epoch in (0, 1):
        assert texts_of_epoch(sampled, tokenizer, epoch) == [tgt for _, tgt in TEXTS[:60]]


@given(st.integers(1, 9), st.integers(1, 5))
def test_a_split_batch_holds_every_pair_once(rows: int, count: int) -> None:
    pairs = pairs_of(random_rows(rows, 6, seed=1), random_rows(rows, 6, seed=2))
    whole = make_batch(pairs, np.arange(rows))
    parts = whole.split(count)
    assert len(parts) <= count
    assert torch.equal(torch.cat([part.src for part in parts]), whole.src)
    assert torch.equal(torch.cat([part.tgt for part in parts]), whole.tgt)
    for part in parts:
        assert part.tgt_tokens == int((part.tgt[:, 1:] != PAD_ID).sum())
