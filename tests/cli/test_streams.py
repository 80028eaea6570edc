"""Standard streams that are closed, full, or read by nobody: one clear line, and nothing lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from translator.cli import main


def full() -> int:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    return os.open("/dev/full", os.O_WRONLY)


def unread() -> int:
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


def put(monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[], int] | None) -> None:
    """Replace a standard stream; None stands for a closed one, as in `sys`."""
    buffering = 1 if name == "stderr" else -1  # as Python opens them
    stream = make and os.fdopen(make(), "w", buffering)
    monkeypatch.setattr(sys, name, stream)


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (full, 2, "translator: standard output: No space left on device\n"),
        (None, 2, "translator: standard output: it is closed\n"),
        (unread, 141, ""),  # as other programs do
    ],
)
def test_output_that_can_not_be_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[], int] | None,
    code: int,
    said: str,
) -> None:
    put(monkeypatch, "stdout", make)
    with pytest.raises(SystemExit, match=str(code)):
        main(["--version"])
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("make", [full, None, unread])
def test_messages_that_can_not_be_written_are_lost_and_nothing_else(
    trained_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[], int] | None,
) -> None:
    put(monkeypatch, "stderr", make)
    main(["translate", "--run-dir", str(trained_run), "The huose.", "The huose."])
    assert len(capsys.readouterr().out.splitlines()) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["trian"])


def test_input_that_is_closed(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit, match="2"):
        main(["translate", "--run-dir", str(trained_run)])
    assert capsys.readouterr().err.startswith("translator: standard input is closed: ")
    main(["translate", "--run-dir", str(trained_run), "Good evening."])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_file_does_not_get_the_descriptor_of_a_closed_stream() -> None:
    """Otherwise a message would be written into the file."""
    code = (
        "import os, sys; os.close(1); os.close(2); sys.stdout = sys.stderr = None; "
        "from translator.cli.streams import safe_streams\n"
        "with safe_streams(): sys.exit(os.open(os.devnull, os.O_RDONLY))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False)
    assert result.returncode > 2
