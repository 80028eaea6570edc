"""Malicious files can't fill the memory or run code; they are refused in one clear line."""

import gzip
import lzma
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line

from translator.cli import main
from translator.config import save_config
from translator.data.prepare import prepare
from translator.export.ctranslate2 import export_ctranslate2
from translator.runs.run import Run
from translator.system.checksums import sha256_of

# --- a gigabyte on one line -----------------------------------------------------------------------

GIGABYTE = 2**30
# Runs `translator …` and prints the peak memory in KiB. It is the peak of this process alone, where
# the value of getrusage starts with that of the parent process.
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
    """Peak memory in bytes."""
    return int(stdout.splitlines()[-1]) * 1024


def gigabyte(packing: str) -> bytes:
    """A line of zero bytes (valid UTF-8), in an archive of many parts, which is fast to write."""
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
    """The lines before it are translated, and it takes little more memory than those."""
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


# --- pickles in every file ------------------------------------------------------------------------


class Bomb:
    """An object that creates a file in the current folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


Plant = Callable[[Path], None]


def plant_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))  # torch reads this protocol too


def plant_archive(path: Path) -> None:
    torch.save({"progress": Bomb()}, path)


STATE = "training_state.safetensors"
# The files of a finished run and of its data. A test below fails for a file in neither list.
RUN_FILES = [
    "config.yaml", "run.json", "tokenizer.model", "lexicon.json", "weights.safetensors",
    STATE, "training_state.previous.safetensors", "metrics.jsonl",
    "dev.jsonl", "test.jsonl", "attention/step-0000030.png",
    "attention/step-0000060.png",
    "ctranslate2/SHA256SUMS", "ctranslate2/float32/tokenizer.model",
    "ctranslate2/float32/model.bin",
    "ctranslate2/float32/config.json", "ctranslate2/float32/shared_vocabulary.json",
]  # fmt: skip
DATA_FILES = [
    "report.json", "SHA256SUMS", "dev.jsonl", "test.jsonl", "train/state.json",
    "train/dataset_info.json", "train/data-00000-of-00001.arrow", "tokenizer/tokenizer.model",
    "tokenizer/lexicon.json", "tokenizer/report.json", "tokenizer/SHA256SUMS",
    *(f"tokenizer/{side}-{kind}.npy" for side in ("src", "tgt", "phrases-src", "phrases-tgt")
      for kind in ("ids", "offsets")),
]  # fmt: skip
# A training reads them too, and goes on without the damaged ones.
REPLACED = [STATE, "training_state.previous.safetensors", "metrics.jsonl"]
# For people and other programs. A training overwrites them when it ends.
NEVER_READ = ["report.md", "attention.png", "curves.png"]


@pytest.fixture(scope="module")
def stopped(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and an exported run that was stopped just before its end."""
    folder = tmp_path_factory.mktemp("stopped")
    run = Run(Path(shutil.copytree(trained_run, folder / "run")))
    prepare(replace(run.load_config(), data_dir=str(folder / "data")))  # used by this run only
    save_config(replace(run.load_config(), data_dir="data"), run.config)
    # Without an alignment head, so that it is chosen on dev.
    run.write_manifest(replace(run.read_manifest(), alignment_head=None, state="training"))
    export_ctranslate2(run)
    return folder


@pytest.fixture
def place(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the current folder."""
    monkeypatch.chdir(shutil.copytree(stopped, tmp_path / "place"))
    return Path.cwd()


def in_data(name: str) -> Path:
    """Find a file of the prepared data by its name without hashes."""
    [corpus] = Path("data/prepared").glob("[!.]*")
    [tokenizer] = corpus.glob("tokenizer-*")
    return corpus / name.replace("tokenizer/", f"{tokenizer.name}/", 1)


def test_every_file_gets_a_bomb(place: Path) -> None:
    of_run = {str(path.relative_to("run")) for path in Path("run").rglob("*") if path.is_file()}
    int8 = {name for name in of_run if name.startswith("ctranslate2/int8/")}
    assert of_run - int8 == {*RUN_FILES, *NEVER_READ}
    of_data = {path for path in Path("data").rglob("[!.]*") if path.is_file()}
    assert of_data == {in_data(name) for name in DATA_FILES}


def ends_well(capsys: pytest.CaptureFixture[str], *argv: str) -> bool:
    """Run a command, and return whether it succeeded; a failure must be one clear line."""
    capsys.readouterr()
    code: object = None
    try:
        main(list(argv))
    except SystemExit as ended:
        code = ended.code
    if code is None:
        return True
    last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
    assert (code, last.startswith("translator: "), len(last) < 400) == (2, True, True), last
    return False


TRANSLATE = ["translate", "--run-dir=run", "--beam-size=1", "Good evening."]
TRAIN = ["train", "--run-dir=run", "--data-dir=data", *TINY_OPTIONS]
ON_RUN = [
    TRANSLATE,
    [*TRANSLATE, "--engine=ctranslate2"],
    ["evaluate", "--run-dir=run", "--beam-size=1"],
    ["align", "--run-dir=run", "Good evening.", "Buenas tardes."],
    ["runs", "--folder=."],
    TRAIN,
]
ON_DATA = [
    ["align", "--run-dir=run", "--train"],
    ["prepare", "--data-dir=data", *TINY_OPTIONS],
    TRAIN,
]


@pytest.mark.parametrize("plant", [plant_pickle, plant_archive])
def test_the_bombs_work(place: Path, plant: Plant) -> None:
    plant(Path("bomb"))
    if plant is plant_archive:
        torch.load("bomb", weights_only=False)
    else:
        pickle.loads(Path("bomb").read_bytes())
    assert Path("exploded").exists()


@pytest.mark.parametrize("commands", [ON_RUN, ON_DATA], ids=["run", "data"])
def test_without_a_bomb_all_commands_succeed(
    place: Path, capsys: pytest.CaptureFixture[str], commands: list[list[str]]
) -> None:
    for command in commands:
        assert ends_well(capsys, *command)


@pytest.mark.parametrize(
    ("name", "plant"),
    [(name, plant_pickle) for name in RUN_FILES] + [(STATE, plant_archive)],
)
def test_a_planted_run_runs_no_code(
    place: Path, capsys: pytest.CaptureFixture[str], name: str, plant: Plant
) -> None:
    plant(Path("run", name))
    ended = [ends_well(capsys, *command) for command in ON_RUN]
    assert not all(ended) or name in REPLACED  # the planted file was read
    assert not Path("exploded").exists()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", DATA_FILES)
def test_planted_data_run_no_code(
    place: Path, capsys: pytest.CaptureFixture[str], name: str, signed: bool
) -> None:
    """Even if the attacker has also corrected the checksum."""
    path = in_data(name)
    before = sha256_of(path)
    plant_pickle(path)
    if signed:
        for sums in Path("data").rglob("SHA256SUMS"):
            sums.write_bytes(sums.read_bytes().replace(before.encode(), sha256_of(path).encode()))
    ended = [ends_well(capsys, *command) for command in ON_DATA]
    assert signed or not any(ended[1:])
    assert not Path("exploded").exists()
