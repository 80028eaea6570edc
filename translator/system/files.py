"""Write files and folders atomically, and read and write JSON."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError

# In bytes. A whole novel has one or two million, so a longer line is not a sentence: refuse it
# before it fills the memory.
MAX_LINE_BYTES = 10 * 2**20
# Some file systems can't sync a folder, and a folder above ours may not be readable. There is
# nothing more that a program can do then.
_FOLDER_SYNC_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)


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
def atomic_path(
    path: Path, *, replace: bool = True, previous: Path | None = None
) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, sync it to the disk, then rename it.

    A reader, or a process killed at any moment, sees the old file or the new one, never half of
    one. A folder takes two renames, since no folder can be renamed onto another: a process killed
    between them leaves no folder. If the block fails, the old file or folder stays, and the
    temporary one is removed.

    When the block has ended, the new file or folder also survives a loss of power, since its
    content was synced before the rename, and its name after it.

    Args:
        path: the file or folder to write; its parent must exist when the block ends
        replace: whether to replace an older file or folder; an empty folder is always replaced
        previous: the name that an older file gets, next to `path`. A process killed between the
            two renames leaves `previous` only

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
            sync(temporary)
            is_folder = temporary.is_dir()
            if previous is not None and path.exists():
                path.replace(previous)
            _rename(temporary, path, replace)
            if is_folder:
                _sync_names(path.parent)
            else:
                _sync_one(path.parent)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                _remove(temporary)
            raise


@contextmanager
def filled_folder(folder: Path, last: str) -> Iterator[Path]:
    """Write the files of an empty folder, so that one of them appears after all others.

    `atomic_path` would rename a folder, which doesn't work if `folder` is a link or a mounted
    volume. If the block fails, the folder stays empty. A killed process leaves a temporary folder
    in it, and perhaps some of the files, but not the last one.

    Args:
        folder: an existing folder; no other process may be writing there
        last: the file whose presence means that the folder is complete

    Yields:
        The temporary folder, in which the block writes the files.

    Raises:
        TranslatorError: they can't be written.
    """
    temporary = folder / f".{last}.{os.getpid()}.tmp"
    moved: list[Path] = []
    with os_errors_for(folder):
        try:
            _remove(temporary)
            temporary.mkdir()
            yield temporary
            sync(temporary)
            for path in sorted(temporary.iterdir(), key=lambda path: path.name == last):
                if path.name == last:
                    _sync_one(folder)  # the names of all others are on the disk before this one
                moved.append(folder / path.name)
                path.rename(moved[-1])
            temporary.rmdir()
            _sync_names(folder)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                for path in reversed(moved):
                    _remove(path)
                _remove(temporary)
            raise


# What `atomic_path` and `filled_folder` name temporary files and folders: the name, the process,
# and ".old" for the folder that is being replaced.
_TEMPORARY = re.compile(r"\.(?P<name>.+?)\.\d+(?P<old>\.old)?\.tmp")


def remove_temporaries(folder: Path, name: str | None = None, *, except_of: str = "") -> None:
    """Remove the temporary files and folders that killed processes have left.

    If such a process was replacing a folder and had moved the old one away, the old one gets its
    name back.

    Args:
        folder: where they are
        name: the file or folder that was being written (see `atomic_path`); default: any. No other
            process may be writing it
        except_of: a name that another process may be writing
    """
    with os_errors_for(folder):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            found = _TEMPORARY.fullmatch(path.name)
            if found and found["name"] != except_of and name in (None, found["name"]):
                target = folder / found["name"]
                if found["old"] and not target.exists():
                    path.rename(target)
                else:
                    _remove(path)


def was_moved_away(path: Path) -> bool:
    """Whether a process was killed between the two renames that replace this folder."""
    older = path.parent.glob(f".{escape(path.name)}.[0-9]*.old.tmp")
    return not path.exists() and any(older)


def sync(path: Path) -> None:
    """Sync a file, or a folder with everything in it, to the disk, where it survives a power cut.

    The name of `path` itself belongs to its parent, which must be synced on its own.
    """
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
    _sync_one(path)


def _sync_names(folder: Path) -> None:
    """Sync the names in a folder and in those above it, which may be new too."""
    for path in (folder, *folder.absolute().parents):
        _sync_one(path)


def _sync_one(path: Path) -> None:
    """Sync the content of a file, or the names in a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in _FOLDER_SYNC_UNSUPPORTED):
            raise


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


def write_bytes(path: Path, data: bytes, previous: Path | None = None) -> None:
    """Write `data` to `path` atomically; for `previous` see `atomic_path`."""
    with atomic_path(path, previous=previous) as temporary:
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
