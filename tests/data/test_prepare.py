"""Preparation is done once, whole or not at all, whoever else prepares or was killed."""

import os
from pathlib import Path

import pytest
from conftest import contents, tiny_config

from translator.data import prepare as preparing
from translator.data.prepare import Prepared, prepare
from translator.errors import TranslatorError


def prepared_files(prepared: Prepared) -> dict[str, bytes]:
    """By name, but for reports, which hold times, and the hashes of these."""
    return {
        str(path.relative_to(prepared.corpus_dir)): data
        for path, data in contents(prepared.corpus_dir).items()
        if path.name not in ("report.json", "SHA256SUMS")
    }


def test_what_a_kill_has_left_is_removed(tmp_path: Path) -> None:
    """Even if its number was that of this process, which is no rarity in a container."""
    untouched = prepare(tiny_config(tmp_path / "untouched"))
    corpus, tokenizer = untouched.corpus_dir.name, untouched.tokenizer_dir.name
    left = [tmp_path / "data" / "prepared" / f".{corpus}.{n}.tmp" for n in (os.getpid(), 1)]
    for folder in left:
        (folder / "work").mkdir(parents=True)
    prepared = prepare(tiny_config(tmp_path / "data"))
    assert prepared_files(prepared) == prepared_files(untouched)
    assert not [folder for folder in left if folder.exists()]
    half = prepared.tokenizer_dir.rename(prepared.corpus_dir / f".{tokenizer}.1.tmp")
    prepared = prepare(tiny_config(tmp_path / "data"))
    assert prepared_files(prepared) == prepared_files(untouched)
    assert not half.exists()


def test_what_another_process_has_made_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is done while this one waits for the lock."""
    prepared = prepare(tiny_config(tmp_path))
    exists = Path.exists
    asked: list[Path] = []

    def not_at_first(path: Path) -> bool:
        asked.append(path)
        return asked.count(path) > 1 and exists(path)

    def make_again(*_: object) -> None:
        raise AssertionError("it is made a second time")

    monkeypatch.setattr(Path, "exists", not_at_first)
    monkeypatch.setattr(preparing, "_make_corpus", make_again)
    monkeypatch.setattr(preparing, "_make_tokenizer", make_again)
    assert prepare(tiny_config(tmp_path)) == prepared


def test_a_failure_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing, "check_leaks", fail)
    with pytest.raises(TranslatorError, match=r"prepared/.*: No space left on device"):
        prepare(tiny_config(tmp_path))
    assert {path.suffix for path in (tmp_path / "prepared").iterdir()} == {".lock"}
