"""What the README says to type works: its commands are parsed or run, its Python is run."""

import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from conftest import PAIRS
from torch.distributed.run import get_args_parser

from translator.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


LINES = [line for block in blocks("sh") for line in block.splitlines()]
COMMAND_LINES = [line for line in LINES if line.startswith("translator ")]
TORCHRUN_LINES = [line for line in LINES if " -m translator " in line]
TABLE_COMMANDS = re.findall(r"`(translator train --config [^`]*)`", README)


@pytest.fixture
def checkout(
    tmp_path: Path, trained_run: Path, reverse_run: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder that looks like a checkout in which the README was followed."""
    shutil.copytree(reverse_run, tmp_path / "runs" / "back")
    quickstart = Path(shutil.copytree(trained_run, tmp_path / "runs" / "quickstart"))
    (quickstart / "weights.safetensors").touch()  # the one trained last
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shutil.copy(PAIRS, tmp_path / "pairs.tsv")
    (tmp_path / "gold.tsv").write_text("One line .\tUna línea .\t0-0 1-1 2-2\n", encoding="utf-8")
    for name in ("english.txt", "news.en", "news.es", "other.es"):
        (tmp_path / name).write_text("One line.\nAnd another.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_commands_of_every_kind() -> None:
    assert {line.split()[1] for line in COMMAND_LINES} == set(COMMANDS)
    assert len(TABLE_COMMANDS) >= 4
    assert len(TORCHRUN_LINES) == 4
    assert len(blocks("python")) >= 2


@pytest.mark.parametrize("line", COMMAND_LINES + TABLE_COMMANDS)
def test_command(
    line: str,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = shlex.split(line, comments=True)[1:]
    if ">" in words:
        words = words[: words.index(">")]
    if "<" in words:
        text = Path(words[words.index("<") + 1]).read_bytes()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        words = words[: words.index("<")]
    if "--engine" in words:
        main(["export", "--run-dir", "runs/quickstart"])
    if words[0] in ("train", "prepare", "tokenizer"):
        # Training takes minutes: here the options are parsed and checked, and no more.
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--print_config"])
        assert stopped.value.code in (0, None)
    else:
        main(words)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("line", TORCHRUN_LINES)
def test_command_of_several_processes(line: str, checkout: Path) -> None:
    torchrun, train = line.split(" -m translator ")
    arguments = shlex.split(torchrun.partition("torchrun ")[2])
    parsed = get_args_parser().parse_args([*arguments, "script"])
    assert (parsed.nnodes, parsed.nproc_per_node) in {("1:1", "4"), ("2", "4"), ("1:1", "2")}
    with pytest.raises(SystemExit) as stopped:
        main([*shlex.split(train), "--print_config"])
    assert stopped.value.code in (0, None)


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
