"""Write files and folders atomically, lock them, and read and write JSON."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError, print_note

# In bytes. A whole novel has one or two million, so a longer line is not a sentence: refuse it
# before it fills the memory.
MAX_LINE_BYTES = 10 * 2**20


def line_too_long_error(place: str) -> TranslatorError:
    """The error for a line of text longer than `MAX_LINE_BYTES`.

    Args:
        place: the file and the line number
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


@contextmanager
def atomic_path(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, flush it to disk, then rename it.

    A reader, or a process killed at any moment, sees the old file or the new one, never half of
    one. A folder takes two renames, since no folder can be renamed onto another: a process killed
    between them leaves no folder. If the block fails, the old file or folder stays, and the
    temporary one is removed.

    Args:
        path: the file or folder to write; its parent must exist when the block ends
        replace: whether to replace an older file or folder; an empty folder is always replaced

    Yields:
        The temporary path, next to `path`. Nothing exists there yet: the block creates a file or
        a folder.

    Raises:
        TranslatorError: it can't be written, or `path` exists and `replace` is false.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os_errors_for(path):
        try:
            _remove(temporary)  # a killed process may have had the same id
            yield temporary
            _flush(temporary)
            _rename(temporary, path, replace)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                _remove(temporary)
            raise


def remove_temporaries(folder: Path, name: str = "*") -> None:
    """Remove the temporary files and folders that killed processes have left.

    Args:
        folder: where they are; no other process may be writing there
        name: the file or folder that was being written (see `atomic_path`); default: any
    """
    pattern = name if name == "*" else escape(name)
    with os_errors_for(folder):
        for path in folder.glob(f".{pattern}.[0-9]*.tmp"):
            _remove(path)


def _flush(path: Path) -> None:
    """Flush a file, or every file in a folder, to disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def _rename(temporary: Path, path: Path, replace: bool) -> None:
    """Rename a file or a folder; if that fails, whatever was at `path` stays there."""
    if not replace and path.is_file():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if not (replace and temporary.is_dir() and path.exists()):
        temporary.rename(path)  # fails if `path` is a folder that is not empty
        return
    older = temporary.with_suffix(".old.tmp")
    path.rename(older)
    try:
        temporary.rename(path)
    except OSError:
        older.rename(path)
        raise
    _remove(older)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the operating system releases it when the process dies.

    Args:
        path: what to lock; it need not exist yet, since the lock is a file next to it
        busy: the error message if another process holds the lock; None waits for that process

    Raises:
        TranslatorError: another process holds the lock, or its file can't be written.
    """
    from filelock import FileLock, Timeout  # slow, and translating doesn't need it

    lock = lock_path(path)
    with os_errors_for(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        try:
            held.acquire(timeout=0)
        except Timeout as error:
            if not lock.exists():  # on a file system like /proc, which takes no files
                raise TranslatorError(f"{lock}: can't be written") from error
            if busy is not None:
                raise TranslatorError(busy) from error
            print_note(f"{path}: another process is writing it; waiting …")
            held.acquire()
    try:
        yield
    finally:
        held.release()


def lock_path(path: Path) -> Path:
    """The file that `locked` locks."""
    return path.with_name(f".{path.name}.lock")


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with LF line ends."""
    write_bytes(path, text.encode())


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8; half of a surrogate pair or a stray byte can't."""
    return text.encode(errors="ignore").decode() == text


def json_line(record: dict[str, Any] | list[Any]) -> str:
    """A JSON value as one line, with accents readable."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def prepared_data_error(path: Path, folder: Path) -> TranslatorError:
    """The error for prepared data that can't be used.

    Args:
        path: the file or folder that is missing or damaged
        folder: the folder to delete; it is prepared again when needed
    """
    return TranslatorError(
        f"{path}: missing or damaged; delete {folder}, and it will be prepared again"
    )
