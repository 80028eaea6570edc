"""Chunks of items: complete, in order, limited in number and size. Threads after a fork."""

from collections.abc import Iterator

import pytest
import torch
from helpers import holds_in_a_fork
from hypothesis import given
from hypothesis import strategies as st

from translator.system.parallel import Workers, chunked, single_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@given(items=st.lists(st.integers(0, 50)), max_items=st.integers(1, 10), max_size=st.integers(0))
def test_chunks_hold_every_item_in_order_and_end_at_the_first_limit(
    items: list[int], max_items: int, max_size: int
) -> None:
    chunks = list(chunked(items, max_items, size=lambda item: item, max_size=max_size))
    assert [item for chunk in chunks for item in chunk] == items
    for chunk in chunks:
        assert 1 <= len(chunk) <= max_items
        assert sum(chunk[:-1]) <= max_size
    for chunk in chunks[:-1]:
        assert len(chunk) == max_items or sum(chunk) > max_size


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3])]
)
def test_without_sizes_only_the_number_counts(count: int, lengths: list[int]) -> None:
    assert [len(chunk) for chunk in chunked(range(count), 3)] == lengths


def test_a_chunk_comes_before_the_next_item_is_read() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(9):
            read.append(item)
            yield item

    assert next(chunked(items(), 3)) == [0, 1, 2]
    assert read == [0, 1, 2]


def test_long_lines_come_in_small_chunks() -> None:
    lengths = [10, 100, 120, 2, 2]
    chunks = chunked(lengths, 10_000, size=lambda length: length, max_size=100)
    assert [len(chunk) for chunk in chunks] == [2, 1, 2]


def test_workers_work_after_a_fork() -> None:
    workers = Workers(2)
    squares = [0, 1, 4]
    assert workers.map(pow, range(3), [2] * 3) == squares
    assert holds_in_a_fork(lambda: workers.map(pow, range(3), [2] * 3) == squares)
    assert workers.map(pow, range(3), [2] * 3) == squares


def test_a_forked_process_computes_in_a_single_thread(two_threads: None) -> None:
    """The parent has used PyTorch's own threads, which the child doesn't have."""
    many = torch.ones(1_000_000)

    def all_finite() -> bool:
        with single_thread():
            return bool(many.isfinite().all())

    assert many.isfinite().all()
    assert holds_in_a_fork(all_finite)
    assert all_finite()
    assert torch.get_num_threads() == 2
