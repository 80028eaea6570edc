"""Files made to do harm: they fill no memory, run no code, and are refused in one clear line."""

import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Cli, assert_one_clear_line

# --- a gigabyte on one line -------------------------------------------------------------------------------

GIGABYTE = 2**30
# `translator …`, and then the most memory that it had at once, in KiB: of this process alone, where
# what getrusage tells begins with that of the process which started it.
WITH_PEAK = """
import re, sys
from pathlib import Path
from translator.cli import main
try:
    main(sys.argv[1:])
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="how much memory was used is read from /proc"
)


def peak(stdout: str) -> int:
    """In bytes."""
    return int(stdout.splitlines()[-1]) * 1024


def gigabyte(packing: str) -> bytes:
    """Of zeros, which are UTF-8, in an archive of many parts, which takes a moment to write."""
    part = bytes(2**20)
    return (gzip.compress(part) if packing == "gz" else lzma.compress(part)) * (GIGABYTE // 2**20)


@needs_proc
@pytest.mark.parametrize("packing", ["plain", "gz", "xz"])
def test_a_file_of_one_endless_line(cli: Cli, tmp_path: Path, packing: str) -> None:
    path = tmp_path / "endless"
    if packing == "plain":
        with path.open("wb") as file:
            file.truncate(GIGABYTE)
    else:
        path.write_bytes(gigabyte(packing))
    result = cli("evaluate", "--run-dir=run", "--src=endless", "--ref=endless",
                 program=["-c", WITH_PEAK])  # fmt: skip
    assert peak(result.stdout) < GIGABYTE / 3
    result.stdout = ""
    assert_one_clear_line(result, "endless, line 1", "longer than 10 MiB")


@needs_proc
def test_an_endless_line_on_standard_input(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    """The lines before it are translated, and it takes little more memory than they do."""
    command = ["translate", "--run-dir", str(trained_run)]
    usual = cli(*command, stdin="Good evening.\n", program=["-c", WITH_PEAK])
    assert usual.returncode == 0, usual.stderr
    endless = f'echo "Good evening."; head -c {GIGABYTE} /dev/zero'
    with subprocess.Popen(["bash", "-c", endless], stdout=subprocess.PIPE) as source:
        result = subprocess.run(
            [sys.executable, "-c", WITH_PEAK, *command],
            stdin=source.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        source.kill()
    assert result.stdout.splitlines()[0] == usual.stdout.splitlines()[0]
    assert peak(result.stdout) < peak(usual.stdout) + 100 * 2**20
    result.stdout = ""
    assert_one_clear_line(result, "standard input, line 2", "longer than 10 MiB")
