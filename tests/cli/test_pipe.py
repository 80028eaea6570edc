"""`translate` in a pipe and at a terminal."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

from translator import load

LINES = ["Good evening.", "Goodbye.", "The shop is closed.", "Where is the ball?"]


def start(run: Path, **options: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "translator", "translate", "--run-dir", str(run)]
    # A background process ignores some signals, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, bufsize=0, **(pipes | options))
    # If both sides wait for each other, fail instead of waiting forever.
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
    assert err.decode().splitlines()[0] == "type a sentence a line; Ctrl-D ends"
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
