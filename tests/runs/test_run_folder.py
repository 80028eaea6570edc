"""A run starts in any empty folder, completely or not at all, and in one process at a time."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TINY_OPTIONS, contents, tiny_config
from helpers import run_in_threads

from translator.cli import main
from translator.errors import TranslatorError
from translator.runs.run import Run
from translator.training.run_checks import open_run

FIRST_FILES = ["config.yaml", "tokenizer.model", "lexicon.json", "dev.jsonl", "test.jsonl"]


def start(run: Run) -> None:
    with run.locked(), run.started() as new:
        for name in (*FIRST_FILES, "run.json"):
            (new.path / name).write_text(name)


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture(params=["missing", "empty", "link", "volume", "mounted"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder to train into."""
    folder = tmp_path / "runs" / "run"
    mounted = False
    if request.param != "missing":
        folder.mkdir(parents=True)
    if request.param == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif request.param == "volume":
        (folder / "lost+found").mkdir()
    elif request.param == "mounted":
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        refuse_to_rename(folder, monkeypatch)
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def refuse_to_rename(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system does for a mounted volume."""
    rename = Path.rename

    def refuse(old: Path, new: Path) -> Path:
        if folder in (old, new):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return rename(old, new)

    monkeypatch.setattr(Path, "rename", refuse)


def test_a_run_starts_in_any_empty_folder(folder: Path) -> None:
    run = Run(folder)
    assert run.is_new()
    start(run)
    assert not run.is_new()
    assert left(folder) - {"lost+found"} == {*FIRST_FILES, "run.json"}


def test_a_start_that_fails_leaves_nothing(folder: Path) -> None:
    run, existed = Run(folder), folder.exists()
    before = left(folder)

    def start_and_fail() -> None:
        with run.locked(), run.started() as new:
            new.config.write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        start_and_fail()
    assert left(folder) == before
    assert folder.exists() == existed
    assert run.is_new()


@pytest.mark.parametrize("moved", range(len(FIRST_FILES) + 1))
def test_a_start_that_was_killed_is_repeated(tmp_path: Path, moved: int) -> None:
    run = Run(tmp_path / "run")
    temporary = run.path / ".run.json.123.tmp"
    temporary.mkdir(parents=True)
    (run.path / ".run.json.lock").touch()
    for number, name in enumerate((*FIRST_FILES, "run.json")):
        ((run.path if number < moved else temporary) / name).write_text("half")
    assert run.is_new()
    with run.locked():
        pass  # a second start fails before its first file
    assert run.is_new()
    start(run)
    assert left(run.path) == {*FIRST_FILES, "run.json"}
    assert run.config.read_text() == "config.yaml"


@pytest.mark.parametrize("name", ["config.yaml", "notes.txt"])
def test_a_folder_with_files_of_the_user_is_refused(tmp_path: Path, name: str) -> None:
    run = Run(tmp_path / "run")
    run.path.mkdir()
    (run.path / name).write_text("mine")
    with pytest.raises(TranslatorError, match="no run there"):
        open_run(tiny_config(tmp_path), run)
    with run.locked():
        pass
    assert contents(run.path) == {run.path / name: b"mine"}


def test_a_link_to_a_missing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("gone")
    with pytest.raises(TranslatorError, match="run: a link to gone, which doesn't exist"):
        open_run(tiny_config(tmp_path), Run(tmp_path / "run"))


def test_a_folder_that_can_not_be_written_is_noticed_before_the_preparation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    folders = [f"--run-dir={tmp_path}/file/run", f"--data-dir={tmp_path / 'data'}"]
    with pytest.raises(SystemExit, match="2"):
        main(["train", *TINY_OPTIONS, *folders])
    assert "Not a directory" in capsys.readouterr().err
    assert left(tmp_path) == {"file"}


def test_one_process_trains_a_run_whatever_name_it_uses(tmp_path: Path) -> None:
    link = tmp_path / "link"
    (tmp_path / "run").mkdir()
    link.symlink_to("run")
    with Run(tmp_path / "run").locked():
        assert Run(link).is_locked()
        with pytest.raises(TranslatorError, match="another process is training"):
            start(Run(link))
    start(Run(link))


def test_only_one_of_several_processes_starts_a_new_run(tmp_path: Path) -> None:
    run, started, refused = Run(tmp_path / "run"), [], []
    all_have_tried = threading.Event()

    def train() -> None:
        try:
            with run.locked():
                started.append(1)
                all_have_tried.wait(20)
        except TranslatorError:
            refused.append(1)
            if len(refused) == 3:
                all_have_tried.set()

    run_in_threads(4, train)
    assert (len(started), len(refused)) == (1, 3)


def test_a_training_leaves_the_unfinished_export_of_another_process(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path / "run")
    start(run)
    exporting = run.path / ".ctranslate2.123.tmp" / "int8"
    exporting.mkdir(parents=True)
    half = run.path / ".metrics.jsonl.123.tmp"
    half.touch()
    with run.locked():
        assert exporting.exists()
        assert not half.exists()
