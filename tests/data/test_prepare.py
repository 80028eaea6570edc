"""Preparation is done once, whole or not at all, with other processes around or killed ones."""

import os
from pathlib import Path

import pytest
import torch
from conftest import contents, tiny_config

from translator import pipeline
from translator.data import prepare as preparing
from translator.data.prepare import Prepared, prepare
from translator.errors import TranslatorError
from translator.runs.run import Run
from translator.system import checksums
from translator.system.checksums import CHECKSUMS, sha256_of
from translator.training.distributed import World


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


def hashed_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Fills up with the files whose checksums are computed."""
    hashed: list[Path] = []

    def spy(path: Path) -> str:
        hashed.append(path)
        return sha256_of(path)

    monkeypatch.setattr(checksums, "sha256_of", spy)
    return hashed


def test_a_start_hashes_each_prepared_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(tiny_config(tmp_path))
    hashed = hashed_files(monkeypatch)
    assert prepare(tiny_config(tmp_path)) == prepared
    found = [path for path in contents(prepared.corpus_dir) if path.suffix != ".lock"]
    assert sorted(hashed) == sorted(path for path in found if path.name != CHECKSUMS)


@pytest.mark.parametrize("name", ["dev.jsonl", "train", "tokenizer"])
def test_damage_is_noticed_by_one_process_of_each_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The others of a machine read the same files, and hash none of them."""
    prepared = prepare(tiny_config(tmp_path))
    path = {
        "dev.jsonl": prepared.corpus_dir / "dev.jsonl",
        "train": prepared.corpus_dir / "train" / "data-00000-of-00001.arrow",
        "tokenizer": prepared.tokenizer_dir / "src-ids.npy",
    }[name]
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk that forgets a bit

    class PreparedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise PreparedError

    monkeypatch.setattr(pipeline, "Tokenizer", stop)
    hashed = hashed_files(monkeypatch)
    run, device = Run(tmp_path / "run"), torch.device("cpu")
    for rank, local_rank, error in ((0, 0, TranslatorError), (5, 1, PreparedError)):
        hashed.clear()
        with pytest.raises(error):
            pipeline._train(tiny_config(tmp_path), run, device, World(rank, 1, local_rank))
        assert (path in hashed) == (local_rank == 0)
    assert not hashed
