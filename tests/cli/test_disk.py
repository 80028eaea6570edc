"""A full or read-only disk gives one clear line, and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line, contents, tiny_config

from translator.cli import main
from translator.data.prepare import prepare
from translator.runs.run import Run

WEIGHTS = ["weights.safetensors"]
STATE = "training_state.safetensors"

# `translator` with a limit on file sizes, which acts like a full disk and needs no privileges.
LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from translator.cli import main
main()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs the rights of an administrator")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(cli: Cli, trained_run: Path, small_disk: Path) -> None:
    """There is room for the first state but not for the second; with more room the run resumes."""
    run = small_disk / "run"
    command = ["train", *TINY_OPTIONS, f"--data-dir={trained_run.parents[1] / 'data'}"]
    room = sum((trained_run / name).stat().st_size for name in (STATE, *WEIGHTS * 2))
    (small_disk / "filler").write_bytes(bytes(2 * 2**20 - room - 120_000))
    result = cli(*command, "--run-dir", str(run))
    assert_one_clear_line(result, str(run), "No space left on device")
    assert (run / STATE).exists()
    assert not [path for path in run.iterdir() if path.suffix == ".tmp"]
    (small_disk / "filler").unlink()
    result = cli(*command, "--run-dir", str(run))
    assert result.returncode == 0, result.stderr
    assert "at step 30" in result.stderr
    for name in WEIGHTS:
        assert (run / name).read_bytes() == (trained_run / name).read_bytes()


def test_a_run_resumes_after_a_state_did_not_fit(
    cli: Cli, tmp_path: Path, trained_run: Path
) -> None:
    """Not even the first state fits, although its weights do."""
    limit = (trained_run / STATE).stat().st_size - 1
    assert limit > (trained_run / WEIGHTS[0]).stat().st_size
    command = ["train", *TINY_OPTIONS, f"--data-dir={trained_run.parents[1] / 'data'}"]
    result = cli(str(limit), *command, "--run-dir=run", program=("-c", LIMITED))
    assert_one_clear_line(result, f"run/{STATE}: File too large")
    run = tmp_path / "run"
    assert not [path for path in run.rglob("*") if path.suffix == ".tmp"]
    main([*command, f"--run-dir={run}"])
    for name in WEIGHTS:
        assert (run / name).read_bytes() == (trained_run / name).read_bytes()


@pytest.mark.parametrize("done", ["nothing", "the corpus"])
def test_a_preparation_that_did_not_fit_is_completed_later(
    cli: Cli, tmp_path: Path, done: str
) -> None:
    data = tmp_path / "data"
    if done == "the corpus":
        shutil.rmtree(prepare(tiny_config(data)).tokenizer_dir)
    before = {path: content for path, content in contents(data).items() if path.suffix != ".lock"}
    result = cli("2500", "prepare", *TINY_OPTIONS, program=("-c", LIMITED))
    assert_one_clear_line(result, "data/prepared/", "File too large")
    after = {path: content for path, content in contents(data).items() if path.suffix != ".lock"}
    assert after == before
    assert not list(data.rglob("*.tmp"))
    prepare(tiny_config(data))


ReadOnly = Callable[[Path], None]


@pytest.fixture
def read_only() -> Iterator[ReadOnly]:
    """Make a folder read-only; for root by a mount, since root ignores file modes."""
    mounted: list[Path] = []
    closed: list[Path] = []

    def make(folder: Path) -> None:
        if os.geteuid() != 0:
            closed.extend(path for path in (folder, *folder.rglob("*")) if path.is_dir())
            for path in closed:
                path.chmod(0o555)
            return
        bind = ["mount", "--bind", str(folder), str(folder)]
        if subprocess.run(bind, capture_output=True, check=False).returncode != 0:
            pytest.skip("root can't be kept out of a folder here")
        mounted.append(folder)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)

    yield make
    for path in closed:
        path.chmod(0o755)
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def unfinished(trained_run: Path, tmp_path: Path) -> Path:
    """A run to resume, and everything that training needs, in `tmp_path`."""
    run = Path(shutil.copytree(trained_run, tmp_path / "runs" / "run"))
    shutil.copytree(trained_run.parents[1] / "data", tmp_path / "data")
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(manifest | {"state": "training"}), encoding="utf-8")
    with Run(run).locked():  # as the earlier training did, so that the lock file exists
        pass
    return run


@pytest.mark.parametrize("folder", ["runs/run", "runs"])
def test_a_read_only_run_folder(
    unfinished: Path,
    tmp_path: Path,
    folder: str,
    read_only: ReadOnly,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run can be used, and does not look as if a training were active."""
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path / "runs")
    read_only(tmp_path / folder)
    with pytest.raises(SystemExit, match="2"):
        main(["train", *TINY_OPTIONS, "--run-dir=runs/run"])
    last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
    assert last.startswith("translator: runs/")
    assert last.endswith((": Read-only file system", ": Permission denied"))
    main(["translate", "--run-dir=runs/run", "Good evening."])
    main(["runs", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["state"] == "stopped"
    assert contents(tmp_path / "runs") == before


def test_a_run_is_finished_even_if_its_scores_can_not_be_printed(
    unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads them, as in `train | true`."""
    ours, theirs = os.pipe()
    os.close(ours)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", os.fdopen(theirs, "w"))
    with pytest.raises(SystemExit, match="141"):
        main(["train", *TINY_OPTIONS, "--run-dir=runs/run"])
    assert Run(unfinished).read_manifest().state == "finished"
    assert (unfinished / "report.md").exists()


def test_a_training_in_a_read_only_folder_is_noticed(unfinished: Path, read_only: ReadOnly) -> None:
    run = Run(unfinished)
    with run.locked():
        read_only(unfinished.parent)
        assert run.is_locked()
    assert not run.is_locked()


def test_a_read_only_data_folder(
    unfinished: Path,
    tmp_path: Path,
    read_only: ReadOnly,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prepared data in it can be trained on; nothing else can be prepared."""
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path / "data")
    read_only(tmp_path / "data")
    main(["train", *TINY_OPTIONS, "--run-dir=runs/run"])
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(["train", *TINY_OPTIONS, "--corpus.max_chars=40", "--run-dir=runs/other"])
    last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
    assert last.startswith("translator: data/prepared/")
    assert last.endswith((": Read-only file system", ": Permission denied"))
    assert not (tmp_path / "runs" / "other").exists()
    assert contents(tmp_path / "data") == before
