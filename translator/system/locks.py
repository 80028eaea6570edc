"""Let one process at a time write a file or a folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from translator.errors import TranslatorError, print_note
from translator.system.files import os_errors_for

# Seconds to wait for a lock before another process counts as busy. `is_locked` holds it for a
# moment.
_PATIENCE = 1.0
_POLL_INTERVAL = 0.02


def lock_path(path: Path) -> Path:
    """The file that `locked` locks, next to `path`."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the operating system releases it when the process dies.

    Two names of one folder, such as a link to it, give the same locks inside it.

    Args:
        path: what to lock; it need not exist yet, since the lock is a file next to it
        busy: the error message if another process holds the lock; None waits for that process

    Raises:
        TranslatorError: another process holds the lock, or its file can't be written.
    """
    lock = lock_path(path)
    with os_errors_for(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = _lock(lock, _PATIENCE)
        if file is None:
            if busy is not None:
                raise TranslatorError(busy)
            print_note(f"{path}: another process is writing it; waiting …")
            file = _lock(lock, float("inf"))
    assert file is not None
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may be read-only by now
            lock.unlink(missing_ok=True)
        file.close()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on `path`; its folder may be read-only."""
    try:
        # The lock is shared, so that two processes that ask at the same time don't see each other.
        with lock_path(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock file
        return False
    return False


def _lock(lock: Path, patience: float) -> BinaryIO | None:
    """Return the locked file; None if another process still holds it after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        file = lock.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL_INTERVAL)
            continue
        # Its last holder may have removed the file in between; then others would lock a new one.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()
