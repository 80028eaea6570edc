"""A user's own files to evaluate on."""

from pathlib import Path

import pytest

from translator.corpus.held_out import read_test_files


@pytest.mark.parametrize("ends", [("", "\n\n"), ("\n \n", "\n"), ("\n", "")])
def test_blank_lines_at_the_end_are_ignored(tmp_path: Path, ends: tuple[str, str]) -> None:
    src, reference = tmp_path / "a.en", tmp_path / "a.es"
    src.write_text(f"One\nTwo{ends[0]}", encoding="utf-8")
    reference.write_text(f"Uno\nDos{ends[1]}", encoding="utf-8")
    examples = read_test_files(src, [reference])
    assert [(example.src, example.references) for example in examples] == [
        ("One", ["Uno"]),
        ("Two", ["Dos"]),
    ]
