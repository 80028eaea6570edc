"""The READMEs are right: commands are parsed or run, Python code is run, links exist."""

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
from translator.config import Config, flatten
from translator.config.parsing import load_config

ROOT = Path(__file__).parent.parent
TOP = ROOT / "README.md"
PACKAGE = ROOT / "translator" / "README.md"


def readmes() -> list[Path]:
    """Return the READMEs of the checkout, without those of environments, caches and runs."""
    found = [TOP]
    for folder in sorted(path for path in ROOT.iterdir() if path.is_dir()):
        skipped = folder.name.startswith(".") or folder.name == "runs"
        if not skipped and not (folder / "pyvenv.cfg").exists():
            found += sorted(folder.rglob("README.md"))
    return found


READMES = {path: path.read_text(encoding="utf-8") for path in readmes()}
EVERYTHING = "\n".join(READMES.values())

MAX_LINES = 220
MAX_PATH_FILES, MAX_PATH_LINES = 12, 1800


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", EVERYTHING, flags=re.DOTALL)


LINES = [line for block in blocks("sh") for line in block.splitlines()]
COMMAND_LINES = [line for line in LINES if line.startswith("translator ")]
TORCHRUN_LINES = [line for line in LINES if " -m translator " in line]
SCRIPT_LINES = [line for line in LINES if line.startswith("python scripts/")]
TABLE_COMMANDS = re.findall(r"`(translator train --config [^`]*)`", EVERYTHING)


@pytest.fixture
def checkout(
    tmp_path: Path, trained_run: Path, reverse_run: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder that looks like a checkout in which someone has followed the READMEs."""
    shutil.copytree(reverse_run, tmp_path / "runs" / "back")
    quickstart = Path(shutil.copytree(trained_run, tmp_path / "runs" / "quickstart"))
    (quickstart / "weights.safetensors").touch()  # makes this the run trained last
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shutil.copy(PAIRS, tmp_path / "pairs.tsv")
    (tmp_path / "gold.tsv").write_text("One line .\tUna línea .\t0-0 1-1 2-2\n", encoding="utf-8")
    for name in ("english.txt", "news.en", "news.es", "other.es"):
        (tmp_path / name).write_text("One line.\nAnd another.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readmes_have_commands_of_every_kind() -> None:
    assert {path.parent.relative_to(ROOT).as_posix() for path in READMES} == {
        ".", "configs", "data", "scripts", "tests", "translator", "translator/alignment"
    }  # fmt: skip
    assert {line.split()[1] for line in COMMAND_LINES} == {*COMMANDS, "--version"}
    assert len(TABLE_COMMANDS) >= 4
    assert len(TORCHRUN_LINES) == 4
    assert len(SCRIPT_LINES) >= 7
    assert len(blocks("python")) >= 2
    assert len(blocks("yaml")) >= 1


@pytest.mark.parametrize("line", COMMAND_LINES + TABLE_COMMANDS)
def test_command_runs(
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
        parse_only(words)
    else:
        main(words)
    assert capsys.readouterr().out.strip()


def parse_only(words: list[str]) -> None:
    """Parse and check the options of a training command. Running it would take minutes."""
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--print-config"])
    assert stopped.value.code in (0, None)


@pytest.mark.parametrize("line", TORCHRUN_LINES)
def test_command_of_several_processes_is_parsed(line: str, checkout: Path) -> None:
    torchrun, train = line.split(" -m translator ")
    arguments = shlex.split(torchrun.partition("torchrun ")[2])
    parsed = get_args_parser().parse_args([*arguments, "script"])
    assert (parsed.nnodes, parsed.nproc_per_node) in {("1:1", "4"), ("2", "4"), ("1:1", "2")}
    parse_only(shlex.split(train))


@pytest.mark.parametrize("line", SCRIPT_LINES)
def test_script_exists_and_has_these_options(
    line: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tests/scripts` runs the scripts themselves."""
    path, *words = shlex.split(line, comments=True)[1:]
    assert (ROOT / path).is_file()
    source = "\n".join(file.read_text() for file in (ROOT / "scripts").rglob("*.py"))
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    own = {option for option in options if f'"{option}"' in source}
    rest = [word for option in options - own for word in (option, words[words.index(option) + 1])]
    if rest:  # settings that the script passes on to the training
        parse_only(["train", *rest])


@pytest.mark.parametrize("text", blocks("yaml"))
def test_configuration_can_be_loaded(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path) != Config()


@pytest.mark.parametrize("code", blocks("python"))
def test_python_code_runs(code: str, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    usage = capsys.readouterr().out.partition("\n\n")[0]
    options = set(re.findall(r"--([a-z][\w.-]*)", usage))
    assert options
    # These options read a whole section from a file; the READMEs do not describe them.
    options -= {"corpus", "tokenizer", "variation", "model", "training"}
    # The READMEs may name a setting without dashes, as in a configuration file.
    written = {option: re.escape(option if "." in option else f"--{option}") for option in options}
    missing = {
        option
        for option, pattern in written.items()
        if not re.search(rf"(?<![\w.]){pattern}(?![\w-])", EVERYTHING)
    }
    assert missing == set()


def test_every_setting_in_the_readmes_exists() -> None:
    sections = "corpus|tokenizer|variation|model|training"
    named = set(re.findall(rf"(?<![\w/.])(?:{sections})\.[a-z]\w*", EVERYTHING))
    assert len(named) > 30
    files = {"corpus.json", "tokenizer.model"}
    assert named - files - set(flatten(Config())) == set()


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_linked_files_and_headings_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)(#[^):]*)?\)", READMES[path])
    assert links or path.parent.name == "tests"
    missing = [link for link, _ in links if not (path.parent / link).exists()]
    assert missing == []
    for link, anchor in links:
        if anchor:
            text = READMES[(path.parent / link).resolve() if link else path]
            assert anchor[1:] in anchors(text), (link, anchor)


def anchors(markdown: str) -> set[str]:
    """Return the anchors of all headings, in GitHub's form."""
    headings = re.findall(r"^#+ (.*)$", markdown, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_top_readme_is_short() -> None:
    assert len(READMES[TOP].splitlines()) <= MAX_LINES


def test_the_first_screen_shows_a_command_its_output_a_result_and_a_picture() -> None:
    screen = "\n".join(READMES[TOP].splitlines()[:45])
    for shown in ("make train", "$ translator translate", "| `quickstart`", "![", "test, beam 5"):
        assert shown in screen


def test_the_reading_path_is_short_enough_for_an_evening() -> None:
    section = re.search(
        r"^## A reading path\n(.*?)^## ", READMES[PACKAGE], re.DOTALL | re.MULTILINE
    )
    assert section
    rows = re.findall(r"^\| \[[^]]*\]\(([^)]*\.py)\)", section[1], flags=re.MULTILINE)
    lines = {row: len((PACKAGE.parent / row).read_text().splitlines()) for row in rows}
    assert 8 <= len(lines) <= MAX_PATH_FILES
    assert sum(lines.values()) <= MAX_PATH_LINES, lines


def test_the_package_readme_lists_every_package() -> None:
    packages = {path.parent.name for path in PACKAGE.parent.glob("*/__init__.py")}
    named = set(re.findall(r"^\| \[`(\w+)/`\]", READMES[PACKAGE], flags=re.MULTILINE))
    assert named == packages
