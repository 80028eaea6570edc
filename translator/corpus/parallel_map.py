"""Steps over a whole corpus: batch by batch from disk to disk, on all cores where it is large."""

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

# A further process is started for so many pairs: for fewer, it takes longer to start than it saves.
PAIRS_PER_PROCESS = 100_000
# Each takes some 100 MB, and all of them read from one disk.
_MAX_PROCESSES = 16

# Pairs in memory at once. On disk as well they lie in batches of this size, column by column, so
# that one column of a large corpus can be read without mapping the others into memory.
BATCH = 10_000
# Of so many bytes, where lines are as long as documents.
BATCH_BYTES = 64 * 2**20


def map_batches(
    pairs: Dataset, function: Callable[..., Any], description: str, **options: Any
) -> Dataset:
    """`Dataset.map` in batches; the order of the pairs stays.

    Args:
        pairs: what to go through
        function: takes the columns of a batch, gives new ones; runs in other processes
        description: of the progress bar
        options: passed on to `Dataset.map`

    Raises:
        TranslatorError: a process was killed, as it is where memory is short.
    """
    processes = min(usable_cores(), _MAX_PROCESSES, len(pairs) // PAIRS_PER_PROCESS)
    batch_size = max(1, min(BATCH, BATCH_BYTES * len(pairs) // max(1, pairs.data.nbytes)))
    # The same corpus gives the same files, byte for byte. Left alone, `datasets` would mark them
    # with a hash of the function and of where the pairs lie, and take up what an earlier call left.
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
        if isinstance(error.__context__, KeyboardInterrupt):  # what it led to is of no interest
            raise KeyboardInterrupt from None
        if "abruptly died" not in str(error):
            raise
        raise TranslatorError(
            f"one of {processes} processes was killed while the corpus was worked on "
            f'("{description}"), perhaps because memory was short; run the command again'
        ) from error
    finally:
        _parent = None


def keep(pairs: Dataset, kept: npt.NDArray[np.bool_], description: str) -> Dataset:
    """The pairs where `kept` is true, written anew: to read them through a list of row numbers, as
    after `Dataset.select`, takes ten times as long.
    """

    def kept_of(batch: pa.Table, rows: list[int]) -> pa.Table:
        return batch.filter(pa.array(kept[rows]))

    as_table = pairs.with_format("arrow")
    return map_batches(as_table, kept_of, description, with_indices=True).with_format(None)


# Set while processes are started that shall not outlive this one: its number.
_parent: int | None = None


def _end_with_parent() -> None:
    """In a process just forked: leave Ctrl-C to its parent, and end when that has ended.

    If the parent is killed, its pool of processes would wait for work for ever.
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
