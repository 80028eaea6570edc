"""`translate` in a pipe and at a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Cli, assert_one_clear_line

from translator import load

LINES = ["Good evening.", "Goodbye.", "The shop is closed.", "Where is the ball?"]


def start(
    run: Path, program: tuple[str, ...] = ("-m", "translator"), **options: int
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, *program, "translate", "--run-dir", str(run)]
    # Children inherit ignored signals, and a process in the background ignores this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, bufsize=0, **(pipes | options))
    # If both sides wait for each other, the test fails instead of waiting too.
    end = threading.Timer(60, process.kill)
    end.daemon = True
    end.start()
    return process


def test_a_line_is_answered_before_the_next_is_written(trained_run: Path) -> None:
    """A program may write a line, read its translation, and only then write the next line."""
    process = start(trained_run)
    assert process.stdin
    assert process.stdout
    answers = []
    for line in LINES:
        process.stdin.write(f"{line}\n".encode())
        answers.append(process.stdout.readline().decode().rstrip("\n"))
    out, err = process.communicate(b"Goodbye.")  # without a line break
    assert process.returncode == 0, err
    expected = load(trained_run).translate([*LINES, "Goodbye."])
    assert [*answers, out.decode().rstrip("\n")] == [translation.text for translation in expected]


def test_ctrl_c_ends_it_quietly_with_whole_lines(trained_run: Path) -> None:
    process = start(trained_run)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"Good evening.\n" * 4)
    first = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert (out, err) == (b"", b"")
    assert len(set(first)) == 1


def test_ctrl_c_in_the_middle_of_a_search(trained_run: Path) -> None:
    process = start(trained_run)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"Good evening, where is the ball?\n" * 1500)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert err == b""
    assert out.endswith(b"\n") or not out


def test_a_person_is_told_what_to_do_and_answered_line_by_line(trained_run: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(trained_run, stdin=theirs)
    os.close(theirs)
    assert process.stdout
    for line in LINES[:2]:
        os.write(ours, f"{line}\n".encode())
        assert process.stdout.readline().endswith(b"\n")
    os.write(ours, b"\x04")  # Ctrl-D
    out, err = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert out == b""
    assert err.decode().splitlines()[0] == "type one sentence per line; Ctrl-D ends"
    assert "line/s" not in err.decode()


def test_a_closed_pipe_ends_it_quietly(trained_run: Path) -> None:
    translate = [sys.executable, "-m", "translator", "translate", "--run-dir", str(trained_run)]
    lines = "Good evening.\n" * 3000
    shell = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$@" | head -n 1', "bash", *translate],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 141
    assert len(shell.stdout.splitlines()) == 1
    assert shell.stderr == ""


# --- progress and warnings ------------------------------------------------------------------------

WARNED = "The huose.\n" * 6
WARNINGS = [f'line {number}: "huose" is read as "house"' for number in range(1, 7)]


def progress_after(delay: float, interval: float) -> tuple[str, ...]:
    """The program, but its progress appears earlier or later than usual."""
    code = (
        "from translator.cli import main, progress; "
        f"progress._DELAY = {delay}; "
        f"progress._BAR_INTERVAL = progress._LOG_INTERVAL = {interval}; main()"
    )
    return ("-c", code)


def everything_from(terminal: int) -> str:
    """What programs that have ended wrote to a terminal."""
    written = b""
    with suppress(OSError):  # the end
        while chunk := os.read(terminal, 4096):
            written += chunk
    os.close(terminal)
    return written.decode()


def screen(written: str) -> list[str]:
    """The lines that a terminal shows: a carriage return goes back to the start of a line."""
    shown = []
    for line in written.replace("\r\n", "\n").split("\n"):
        cells = ""
        for overwriting in line.split("\r"):
            cells = overwriting + cells[len(overwriting) :]
        shown.append(cells.rstrip())
    return shown


def test_a_log_has_whole_lines_of_warnings_and_progress(trained_run: Path, tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("wb") as file:
        process = start(trained_run, progress_after(0, 0), stdout=file.fileno())
        _, err = process.communicate(WARNED.encode())
    lines = err.decode().split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if line.startswith("line ")] == WARNINGS
    counts = [
        re.fullmatch(r"(\d) lines translated, \d+\.\d per second", line)
        for line in lines
        if not line.startswith("line ")
    ]
    # Batches of 1, 2 and the other 3 lines.
    assert [match and match[1] for match in counts] == ["1", "3", "6"]


@pytest.mark.parametrize(("delay", "bar"), [(0, r"6line \[.*\]"), (1000, "")], ids=["bar", "none"])
def test_in_a_terminal_warnings_stand_above_the_bar(
    trained_run: Path, tmp_path: Path, delay: float, bar: str
) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    with (tmp_path / "out.txt").open("wb") as file:
        program = progress_after(delay, 0)
        process = start(trained_run, program, stdout=file.fileno(), stderr=theirs)
    os.close(theirs)
    process.communicate(WARNED.encode())
    written = everything_from(ours)
    *above, last = [line for line in screen(written) if line] + ([] if bar else [""])
    assert above == WARNINGS
    assert re.fullmatch(bar, last)
    assert bool(bar) == ("line/s" in written)


@pytest.mark.parametrize("text", ["-Hello.", "--Hello.", "-hello", "-hello there", "-¡Hola!"])
def test_a_text_that_looks_like_an_option_gets_a_hint(cli: Cli, text: str) -> None:
    result = cli("translate", text)
    assert_one_clear_line(result, f'translator translate -- "{text}"')


def test_a_mistyped_option_gets_no_such_hint(cli: Cli) -> None:
    result = cli("translate", "--length-penalty", "-1", "--beam", "3", "Hello.")
    assert_one_clear_line(result, '"beam-size"')
    assert " -- " not in result.stderr


def test_after_two_dashes_it_is_a_text(cli: Cli, trained_run: Path) -> None:
    result = cli("translate", "--run-dir", str(trained_run), "--", "-Hello.", "--beam-size")
    assert len(result.stdout.splitlines()) == 2, result.stderr


def test_an_argument_that_is_not_utf_8_is_one_clear_line(cli: Cli) -> None:
    assert_one_clear_line(cli("translate", os.fsdecode(b"-Hello \xff")), "UTF-8")
