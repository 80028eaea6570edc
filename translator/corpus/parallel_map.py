"""Map and filter a corpus on disk, batch by batch; a large corpus uses several processes."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset

from translator.errors import TranslatorError
from translator.system.checksums import fingerprint
from translator.system.parallel import usable_cores

# Minimum number of pairs for each process. With fewer, starting a process takes longer than it
# saves.
PAIRS_PER_PROCESS = 100_000
# Each process takes about 100 MB, and all of them share one disk.
_MAX_PROCESSES = 16

# Number of pairs in memory at once. The Arrow files have batches of this size too, stored column
# by column, so that one column of a large corpus can be read without mapping the others into
# memory.
BATCH = 10_000
# Limit on the bytes in memory at once, for corpora whose lines are as long as documents.
BATCH_BYTES = 64 * 2**20


def map_batches(
    pairs: Dataset, function: Callable[..., Any], description: str, **options: Any
) -> Dataset:
    """Call `Dataset.map` in batches; the pairs keep their order.

    Args:
        pairs: any number
        function: maps the columns of a batch to new columns; it may run in other processes
        description: the label of the progress bar
        options: passed on to `Dataset.map`

    Raises:
        TranslatorError: a process was killed, usually because memory was short.
    """
    processes = min(usable_cores(), _MAX_PROCESSES, len(pairs) // PAIRS_PER_PROCESS)
    batch_size = max(1, min(BATCH, BATCH_BYTES * len(pairs) // max(1, pairs.data.nbytes)))
    # The same corpus must give the same files, byte for byte. By default, `datasets` marks them
    # with a hash of the function and of the pairs' path, and reuses the cache of an earlier call.
    options |= {
        "new_fingerprint": fingerprint(description),
        "load_from_cache_file": False,
        "batched": True,
        "batch_size": batch_size,
        "writer_batch_size": batch_size,
        "desc": description,
    }
    if processes <= 1:
        return pairs.map(function, **options)
    global _parent
    _parent = os.getpid()
    try:
        return pairs.map(function, num_proc=processes, **options)
    except Exception as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # hide the errors that followed it
            raise KeyboardInterrupt from None
        if "abruptly died" not in str(error):
            raise
        raise TranslatorError(
            f"one of {processes} processes was killed while it prepared the corpus "
            f'("{description}"), perhaps because memory was short; run the command again'
        ) from error
    finally:
        _parent = None


def filter_rows(pairs: Dataset, kept: npt.NDArray[np.bool_], description: str) -> Dataset:
    """Copy the pairs where `kept` is true.

    `Dataset.select` would keep a list of row numbers instead, and reading rows through such a list
    takes ten times as long.

    Args:
        pairs: any number
        kept: one value for each pair
        description: the label of the progress bar
    """

    def filter_batch(batch: pa.Table, rows: list[int]) -> pa.Table:
        return batch.filter(pa.array(kept[rows]))

    tables = pairs.with_format("arrow")
    return map_batches(tables, filter_batch, description, with_indices=True).with_format(None)


def column_array(pairs: Dataset, column: str) -> npt.NDArray[Any]:
    """Read one column of integers into memory."""
    if len(pairs) == 0:  # where `datasets` returns numbers of another type
        return np.zeros(0, np.int64)
    return np.asarray(pairs.with_format("numpy")[column][:])


# The id of this process while it starts worker processes, which must not outlive it.
_parent: int | None = None


def _end_with_parent() -> None:
    """In a forked process, ignore Ctrl-C, which the parent handles, and exit with the parent.

    Otherwise the processes of a killed parent would wait for work forever.
    """
    if _parent is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, args=[_parent], daemon=True).start()


os.register_at_fork(after_in_child=_end_with_parent)
