"""Files are written completely or not at all, read as written, and hashed the same everywhere."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import strategies as st
from power import Disk

from translator.errors import TranslatorError
from translator.system.checksums import (
    CHECKSUMS,
    find_damaged_file,
    fingerprint,
    sha256_of,
    write_checksums,
)
from translator.system.files import (
    atomic_path,
    os_errors_for,
    remove_temporaries,
    was_moved_away,
    write_bytes,
    write_text,
)

UTF8_TEXT = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), ValueError("no")])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: Exception
) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("ne")
            raise failure

    with pytest.raises((TranslatorError, ValueError)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_write_names_the_file_and_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "no-such-folder" / "a.txt"
    with pytest.raises(TranslatorError) as caught:
        write_text(path, "text")
    assert str(caught.value) == f"{path}: No such file or directory"


def test_an_error_without_a_reason_still_has_a_message(tmp_path: Path) -> None:
    with pytest.raises(TranslatorError, match="it broke"), os_errors_for(tmp_path):
        raise OSError("it broke")


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "changing.txt"
    contents = {letter * 300_000 for letter in "ab"}
    write_text(path, min(contents))
    finished = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not finished.is_set():
            text = path.read_text()
            if text not in contents:
                wrong.append(len(text))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        for content in sorted(contents):
            write_text(path, content)
    finished.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def fill(path: Path, text: str, failure: Exception | None = None, *, replace: bool = True) -> None:
    with atomic_path(path, replace=replace) as temporary:
        temporary.mkdir(parents=True)
        (temporary / "file").write_text(text)
        if failure:
            raise failure


def test_a_folder_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "made" / "folder"
    for text in ("first", "second"):
        fill(path, text)
        assert (path / "file").read_text() == text
        assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_filled_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    fill(path, "first")
    with pytest.raises(ValueError, match="no"):
        fill(path, "half", ValueError("no"))
    assert (path / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    fill(path, "first")
    rename = Path.rename

    def refuse_the_new_one(old: Path, new: Path) -> Path:
        if (old / "file").read_text() == "second":
            raise OSError(28, "No space left on device")
        return rename(old, new)

    monkeypatch.setattr(Path, "rename", refuse_the_new_one)
    with pytest.raises(TranslatorError, match="No space left"):
        fill(path, "second")
    assert (path / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_folder_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    fill(path, "old")
    with pytest.raises(TranslatorError, match="folder: Directory not empty"):
        fill(path, "new", replace=False)
    assert (path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with atomic_path(path, replace=False) as temporary:
            temporary.write_text("new")

    with pytest.raises(TranslatorError, match="file: File exists"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_folder_is_replaced_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    fill(path, "new", replace=False)
    assert (path / "file").read_text() == "new"


@pytest.mark.parametrize("left", ["file", "folder"])
def test_a_temporary_of_a_killed_process_with_the_same_id_is_no_obstacle(
    tmp_path: Path, left: str
) -> None:
    path = tmp_path / "folder"
    temporary = tmp_path / f".folder.{os.getpid()}.tmp"
    if left == "file":
        temporary.touch()
    else:
        (temporary / "half").mkdir(parents=True)
    fill(path, "whole")
    assert [file.name for file in path.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_synced_whole_then_renamed_and_then_the_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path)
    with disk.recording(monkeypatch), atomic_path(tmp_path / "new" / "folder") as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "a").write_text("a")
        assert disk.calls == []
    name = f"new/{temporary.name}"
    assert disk.calls == [
        *(f"sync {name}{inner}" for inner in ("/inner/a", "/inner", "")),
        "rename new/folder",
        "sync new",
        "sync .",
    ]
    assert disk.synced == {"new": None, "new/folder": None, "new/folder/inner": None,
                           "new/folder/inner/a": b"a"}  # fmt: skip


def test_a_file_is_synced_then_renamed_and_then_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")
    disk = Disk(tmp_path)
    with disk.recording(monkeypatch):
        write_bytes(tmp_path / "a", b"new", previous=tmp_path / "b")
    assert disk.calls == [f"sync .a.{os.getpid()}.tmp", "rename b", "rename a", "sync ."]
    assert disk.synced == {"a": b"new", "b": b"old"}


def test_a_folder_that_cannot_be_synced_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems; a file that can't be synced is an error."""
    fsync = os.fsync

    def refuse(descriptor: int, folders: bool) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", lambda descriptor: refuse(descriptor, folders=True))
    write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    monkeypatch.setattr(os, "fsync", lambda descriptor: refuse(descriptor, folders=False))
    with pytest.raises(TranslatorError, match="b: Invalid argument"):
        write_text(tmp_path / "b", "text")
    assert not (tmp_path / "b").exists()


def test_temporaries_of_killed_processes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    others = {".mine.12.tmp.keep", "mine.12.tmp", ".mine.tmp", ".yours.12.tmp"}
    for name in (*others, ".mine.12.tmp"):
        (tmp_path / name).touch()
    (tmp_path / ".mine.345.tmp" / "folder").mkdir(parents=True)
    remove_temporaries(tmp_path, "mine")
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_temporaries(tmp_path, except_of="yours")
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others - {".yours.12.tmp"}


@pytest.mark.parametrize("killed", ["between the renames", "after them"])
def test_a_kill_between_the_renames_of_a_folder_loses_neither(tmp_path: Path, killed: str) -> None:
    path = tmp_path / "folder"
    fill(tmp_path / ".folder.12.old.tmp", "old")
    fill(path if killed == "after them" else tmp_path / ".folder.12.tmp", "new")
    assert was_moved_away(path) == (killed == "between the renames")
    remove_temporaries(tmp_path, "folder")
    assert (path / "file").read_text() == ("new" if killed == "after them" else "old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    for name in (".run[1].12.tmp", ".run1.12.tmp"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, "run[1]")
    assert [path.name for path in tmp_path.iterdir()] == [".run1.12.tmp"]


def test_text_is_utf_8_with_lf(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "señal\nno\n")
    assert (tmp_path / "a.txt").read_bytes() == b"se\xc3\xb1al\nno\n"


def test_sha256_is_computed_from_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("damage", ["missing", "empty", "one name less", "a file more"])
def test_checksums_that_do_not_list_every_file_are_damaged(tmp_path: Path, damage: str) -> None:
    for name in ("a", "inner/b", "inner/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    later = tmp_path / "later"
    later.mkdir()
    (later / "c").touch()  # a folder that was added later has checksums of its own, if any
    (tmp_path / ".later.lock").touch()
    sums = tmp_path / CHECKSUMS
    assert find_damaged_file(tmp_path) is None
    expected = sums
    if damage == "missing":
        sums.unlink()
    elif damage == "empty":
        sums.write_text("")
    elif damage == "one name less":
        sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:-1]))
        expected = tmp_path / "inner" / "c"
    else:
        expected = tmp_path / "inner" / "more"
        expected.touch()
    assert find_damaged_file(tmp_path) == expected


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Python's hashes differ between processes, but the name of a cached folder must not."""
    module = "translator.system.checksums"
    code = f'from {module} import fingerprint; print(fingerprint(1, "é", {{"a": 1, "b": 2}}))'
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {fingerprint(1, "é", {"b": 2, "a": 1})}


def test_a_fingerprint_changes_with_every_part() -> None:
    variants = [(1, "a"), (2, "a"), (1, "b"), (1, "a", None), ("1", "a"), ([1, "a"],), ()]
    assert len({fingerprint(*parts) for parts in variants}) == len(variants)
