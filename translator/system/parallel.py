"""Divide work: into chunks, and among processor cores and threads."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def chunked(
    items: Iterable[Item],
    max_items: int,
    *,
    size: Callable[[Item], int] | None = None,
    max_size: int = 0,
) -> Iterator[list[Item]]:
    """Cut items into lists, in order, reading no further ahead than one list.

    Args:
        items: any number
        max_items: a list ends when it has this many items
        size: the size of one item, where items differ
        max_size: with `size`: a list ends with the item that takes its total size above this

    Yields:
        Lists of at least one item.
    """
    chunk: list[Item] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item) if size else 0
        if len(chunk) == max_items or total > max_size:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def usable_cores() -> int:
    """The number of cores this process may use; a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def single_thread() -> Iterator[None]:
    """Let PyTorch compute in the calling thread only, without threads of its own.

    A forked process has none of its parent's threads. If the parent has computed with several, an
    operation that is divided among them would wait for them forever in the child.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Workers:
    """A pool of threads that compute several batches, or parts of one batch, in parallel.

    PyTorch itself uses several cores by splitting every single operation. In a small model most
    operations are too short for that to pay. Two threads with one core each, which compute half
    of the work each, spend their time on matrix products instead. Python's global lock doesn't
    get in the way, because PyTorch releases it while it computes.

    In a forked process the pool starts again, since only the thread that forks survives there.
    """

    def __init__(self, count: int) -> None:
        """Divide PyTorch's threads among `count` workers; a single worker is the calling thread."""
        import torch  # slow, and translating with CTranslate2 doesn't need it

        self.count = count
        self._set_threads = partial(torch.set_num_threads, max(1, torch.get_num_threads() // count))
        self._start()

    def _start(self) -> None:
        """Start the threads of this process."""
        self._process = os.getpid()
        self._pool = (
            ThreadPoolExecutor(self.count, initializer=self._set_threads)
            if self.count > 1
            else None
        )

    def map(self, function: Callable[..., Result], *arguments: Iterable[Any]) -> list[Result]:
        """Like the built-in `map`, but the calls run in parallel; the results keep their order."""
        if self._process != os.getpid():
            self._start()
        if self._pool is None:
            return list(map(function, *arguments))
        return list(self._pool.map(function, *arguments))
