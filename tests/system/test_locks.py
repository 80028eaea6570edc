"""One process at a time holds a lock, whatever name it uses, and asking never disturbs it."""

import fcntl
import threading
import time
from pathlib import Path

import pytest
from helpers import run_in_threads

from translator.errors import TranslatorError
from translator.system.locks import is_locked, lock_path, locked


def test_the_second_process_waits_or_gets_an_error(tmp_path: Path) -> None:
    path = tmp_path / "made"
    order: list[str] = []

    def second() -> None:
        with locked(path):
            order.append("second")

    with locked(path):
        with pytest.raises(TranslatorError, match="somebody else"), locked(path, "somebody else"):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_holds_for_every_name_of_a_folder(tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    with locked(folder / "file"):
        assert is_locked(link / "file")
        with pytest.raises(TranslatorError, match="busy"), locked(link / "file", "busy"):
            pass
    assert not is_locked(link / "file")
    assert list(folder.iterdir()) == []


def test_asking_for_a_lock_does_not_make_another_process_fail(tmp_path: Path) -> None:
    """`is_locked` holds the lock for a moment; here the moment is long."""
    path = tmp_path / "file"
    lock_path(path).touch()
    asking = lock_path(path).open("rb")
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(0.1, asking.close).start()
    with locked(path, "busy"):
        assert asking.closed


def test_a_lock_that_its_holder_removes_is_not_held_twice(tmp_path: Path) -> None:
    """Several threads take turns, and each removes the file of its lock."""
    path, held, most = tmp_path / "file", [], []

    def take_turns() -> None:
        for _ in range(20):
            with locked(path):
                held.append(1)
                most.append(len(held))
                time.sleep(0.001)
                held.pop()

    run_in_threads(4, take_turns)
    assert len(most) == 80
    assert max(most) == 1


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs a place that takes no files")
def test_a_read_only_lock_file_does_not_look_held() -> None:
    with (
        pytest.raises(TranslatorError, match=r"\.run\.lock: .*"),
        locked(Path("/proc/run"), busy="another one"),
    ):
        pass
