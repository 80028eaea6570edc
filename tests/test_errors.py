"""Whatever a message quotes, it is one short line that changes nothing else on the screen."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.cli import COMMANDS, main
from translator.cli.progress import Progress
from translator.errors import TranslatorError, print_note, printable

CLEAR_SCREEN = "\x1b[2J"


@given(text=st.text(max_size=2000))
@example(text="\0" * 10_000)
@example(text="\ud800\udcff\u202e\u2028\x9b")
def test_a_message_is_one_short_line_that_can_be_printed(text: str) -> None:
    message = str(TranslatorError(text))
    assert len(message) <= 1000
    assert message.isprintable()
    assert printable(message) == message


@given(text=st.text("añ漢🐈 \\'\"…", max_size=1000))
def test_what_people_read_is_not_changed(text: str) -> None:
    assert printable(text) == text


def test_a_long_message_keeps_its_place_and_its_advice() -> None:
    message = printable(f'config.yaml: "{"x" * 25_000_000}" is no number; write one')
    assert message.startswith('config.yaml: "xxx')
    assert message.endswith('xxx" is no number; write one')
    assert " … " in message


def test_every_kind_of_message_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_note(f"{CLEAR_SCREEN}a name")
    with Progress(shown=False) as progress:
        progress.warn(f"{CLEAR_SCREEN}a warning")
    with pytest.raises(SystemExit):
        main([f"{CLEAR_SCREEN}a command"])
    lines = capsys.readouterr().err.splitlines()
    assert [line.isprintable() for line in lines] == [True, True, True]
    assert all(r"\x1b[2Ja " in line for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_names_of_runs_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [b"\x1b[2Ja", b"b\nc", b"\xff", "ñ".encode(), "\u202ed".encode()]
    for name in names:
        run = tmp_path / os.fsdecode(name)
        run.mkdir()
        (run / "run.json").write_text("{}")
    main(["runs", "--folder", str(tmp_path)])
    main(["runs", "--folder", str(tmp_path), "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(names)  # a table with a header, and JSON
    assert all(map(str.isprintable, lines))
    assert any("ñ" in line for line in lines)


def test_help_without_docstrings_has_no_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with PYTHONOPTIMIZE=2."""
    for command in COMMANDS.values():
        monkeypatch.setattr(command, "__doc__", None)
    main(["--help"])
    assert "train" in capsys.readouterr().out
    for verb in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code in (0, None)
        assert "None" not in capsys.readouterr().out.partition("options:")[0]
