"""Files that never exist by half, and their hashes."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError

# In bytes. A whole novel has one or two million: what is longer is a file of another kind, and
# must not fill the memory before that is noticed.
MAX_LINE_BYTES = 10 * 2**20


def line_too_long_error(place: str) -> TranslatorError:
    """What is said of a line of text beyond `MAX_LINE_BYTES`.

    Args:
        place: the file and the number of the line
    """
    return TranslatorError(
        f"{place}: longer than {MAX_LINE_BYTES / 2**20:.0f} MiB; is it text with one sentence per "
        "line?"
    )


@contextmanager
def os_errors_for(path: Path) -> Iterator[None]:
    """Turn an `OSError` (disk full, no permission …) into a one-line `TranslatorError`."""
    try:
        yield
    except OSError as error:
        raise TranslatorError(f"{path}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it.

    A reader, or a process killed at any moment, sees the old file or the new one, whole.

    Raises:
        TranslatorError: the file can't be written; the old one is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os_errors_for(path):
        try:
            write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, to be filled; then it is renamed, and replaces an older one.

    If it can't be filled, nothing of it is left, and the older one stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    try:
        with os_errors_for(path):
            partial.mkdir(parents=True)
        yield partial
        with os_errors_for(path):
            if path.exists():
                path.rename(replaced)
            try:
                partial.rename(path)
            except OSError:
                if replaced.exists():
                    replaced.rename(path)
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[None]:
    """Be the one process that makes `path`; the lock ends with the process, however that is.

    Args:
        path: need not be there yet; the lock is a file beside it
        busy: what is wrong if another process makes it; None waits for the end of that process

    Raises:
        TranslatorError: another process makes it, or the lock can't be written.
    """
    from filelock import FileLock, Timeout  # which whoever only translates need not wait for

    lock = lock_path(path)
    with os_errors_for(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        try:
            held.acquire(timeout=0)
        except Timeout as error:
            if not lock.exists():  # in a place like /proc, which takes no files
                raise TranslatorError(f"{lock}: can't be written") from error
            if busy is not None:
                raise TranslatorError(busy) from error
            print(f"{path}: another process makes it; waiting for its end …", file=sys.stderr)
            held.acquire()
    try:
        yield
    finally:
        held.release()


def lock_path(path: Path) -> Path:
    """The file that `locked` locks."""
    return path.with_name(f".{path.name}.lock")


def remove_temporaries(folder: Path, name: str = "*") -> None:
    """Remove what killed processes have left of files and folders they were making.

    Args:
        folder: where; nobody else may be writing there
        name: of what they were making
    """
    with os_errors_for(folder):
        for path in folder.glob(f".{name}.[0-9]*.tmp"):
            path.unlink()
        for path in folder.glob(f".{name}.[0-9]*.partial"):
            shutil.rmtree(path)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with LF line ends."""
    write_bytes(path, text.encode())


def is_utf8(text: str) -> bool:
    """Whether a text can be written: half of a surrogate pair, or a stray byte, can't."""
    return text.encode(errors="ignore").decode() == text


def json_line(record: dict[str, Any] | list[Any]) -> str:
    """One JSON value as a line, accents readable."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def prepared_data_error(path: Path, folder: Path) -> TranslatorError:
    """The error for prepared data that can't be used.

    Args:
        path: the file that is missing or damaged
        folder: the folder to delete; it is regenerated when it is needed
    """
    return TranslatorError(f"{path}: missing or damaged; delete {folder}, and it is regenerated")
