"""How work is shared out: usable cores, and threads that work side by side."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def usable_cores() -> int:
    """Those that this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """As many threads as batches, or parts of one, are worked on side by side.

    PyTorch's own way to use several cores is to cut every single operation into pieces. At the
    sizes of a small model most of these are too short to be worth it; two threads that each
    compute half of the work, with a core each, spend their time on matrix products. (Python's
    lock is no hindrance: PyTorch lets go of it while it computes.)
    """

    def __init__(self, count: int) -> None:
        """Share PyTorch's threads out to `count` workers; one worker is the calling thread."""
        import torch  # whoever translates with CTranslate2 need not wait for it

        self.count = count
        self._pool: ThreadPoolExecutor | None = None
        if count > 1:
            each = max(1, torch.get_num_threads() // count)
            self._pool = ThreadPoolExecutor(
                count, initializer=torch.set_num_threads, initargs=(each,)
            )

    def map(self, function: Callable[..., Result], *arguments: Iterable[Any]) -> list[Result]:
        """The results of calls side by side, in order, as of the built-in `map`."""
        if self._pool is None:
            return list(map(function, *arguments))
        return list(self._pool.map(function, *arguments))
