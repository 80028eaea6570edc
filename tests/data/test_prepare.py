"""Preparation happens once and completely, even when processes are killed or run in parallel."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import PAIRS, contents, tiny_config
from helpers import everyday_lines

from translator import pipeline
from translator.config import Config, CorpusConfig, SourceConfig
from translator.corpus.held_out import read_examples
from translator.data import prepare as preparing
from translator.data.prepare import Prepared, prepare
from translator.errors import TranslatorError
from translator.runs.run import Run
from translator.system import checksums
from translator.system.checksums import CHECKSUMS, sha256_of
from translator.training.distributed import World


def prepared_files(prepared: Prepared) -> dict[str, bytes]:
    """Return the files by name, except reports, which contain times, and their checksums."""
    return {
        str(path.relative_to(prepared.corpus_dir)): data
        for path, data in contents(prepared.corpus_dir).items()
        if path.name not in ("report.json", "SHA256SUMS")
    }


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """Even if the killed process had the same id as this one, which is common in containers."""
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


def test_data_prepared_by_another_process_in_the_meantime_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process finishes while this one waits for the lock."""
    prepared = prepare(tiny_config(tmp_path))
    exists = Path.exists
    asked: list[Path] = []

    def not_at_first(path: Path) -> bool:
        asked.append(path)
        return asked.count(path) > 1 and exists(path)

    def prepare_again(*_: object) -> None:
        raise AssertionError("it is prepared a second time")

    monkeypatch.setattr(Path, "exists", not_at_first)
    monkeypatch.setattr(preparing, "_make_corpus", prepare_again)
    monkeypatch.setattr(preparing, "write_encoded", prepare_again)
    assert prepare(tiny_config(tmp_path)) == prepared


def test_a_failure_leaves_no_incomplete_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing, "check_leaks", fail)
    with pytest.raises(TranslatorError, match=r"prepared/.*: No space left on device"):
        prepare(tiny_config(tmp_path))
    assert list((tmp_path / "prepared").iterdir()) == []


LAMPS = [(f"Lamp {n} is on.", f"La lámpara {n} está encendida.") for n in range(40)]


def sources_config(folder: Path, **weights: float) -> Config:
    """The test corpus and forty pairs about lamps, with drops and duplicates of the corpus."""
    lamps = [*LAMPS, ("Same", "Same"), *(tuple(line[:2]) for line in everyday_lines()[:3])]
    path = folder / "lamps.tsv"
    path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in lamps), encoding="utf-8")
    files = {"everyday": PAIRS, "lamps": path}
    sources = [
        SourceConfig(name=name, files=str(files[name]), weight=weight)
        for name, weight in weights.items()
    ]
    return replace(tiny_config(folder / "data"), corpus=CorpusConfig(sources=sources))


def test_pairs_are_counted_by_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = prepare(sources_config(tmp_path, everyday=1, lamps=5))
    everyday, lamps = prepared.report.sources
    assert (lamps.name, lamps.source, lamps.pairs_read) == ("lamps", "lamps.tsv", 44)
    assert lamps.dropped == {"copied side": 1, "exact duplicate": 3}
    assert (lamps.pairs_kept, lamps.train_pairs) == (40, 32)
    assert (lamps.dev_sentences, lamps.test_sentences) == (4, 4)
    for name in ("pairs_read", "pairs_kept", "train_pairs"):
        total = getattr(everyday, name) + getattr(lamps, name)
        assert getattr(prepared.report, name) == total
    assert prepared.report.dropped["exact duplicate"] == 3 + everyday.dropped.get(
        "exact duplicate", 0
    )
    assert prepared.report.source == "everyday: everyday.tsv; lamps: lamps.tsv"
    assert "lamps: your own files" in prepared.report.licence
    table = prepared.report.table().splitlines()
    after = table[[line.split()[:3] for line in table].index(["lamps:", "pairs", "read"]) :]
    assert [line.split()[-1] for line in after[:7]] == ["44", "-1", "-3", "40", "32", "4", "4"]
    assert "note: lamps is small, so test has 4 of its" in capsys.readouterr().err
    # The training pairs of a source stand together, as the weights need it.
    train = preparing.load_pairs(prepared.corpus_dir / "train")
    assert train.column_names == ["src", "tgt", "source"]
    about_lamps = [text.startswith("Lamp ") for text in train["src"]]
    assert about_lamps == [False] * everyday.train_pairs + [True] * 32
    origins = [e.origins for e in read_examples(prepared.corpus_dir / "test.jsonl")]
    assert [names for names in origins if "lamps" in names] == [["lamps"]] * 4


def test_a_single_source_is_prepared_like_its_short_form(tmp_path: Path) -> None:
    short = prepare(tiny_config(tmp_path / "data"))
    single = prepare(sources_config(tmp_path, everyday=3))
    assert single.report.hashes == short.report.hashes
    assert single.report.source == short.report.source == "everyday.tsv"
    assert single.report.table().count("pairs read") == 1


def test_a_source_without_new_pairs_is_refused(tmp_path: Path) -> None:
    config = sources_config(tmp_path, everyday=1, lamps=1)
    (tmp_path / "lamps.tsv").write_bytes(b"\n".join(PAIRS.read_bytes().splitlines()[:5]))
    with pytest.raises(TranslatorError, match=r"lamps\.tsv: no pair is left .*exact duplicate"):
        prepare(config)
    (tmp_path / "lamps.tsv").write_bytes(b"")
    with pytest.raises(TranslatorError, match=r"lamps\.tsv: the corpus is empty"):
        prepare(config)


def test_lost_checksums_are_an_error_that_names_the_fix(tmp_path: Path) -> None:
    prepared = prepare(tiny_config(tmp_path))
    (prepared.tokenizer_dir / CHECKSUMS).unlink()
    with pytest.raises(
        TranslatorError, match=r"SHA256SUMS: missing or damaged; delete .*tokenizer"
    ):
        prepare(tiny_config(tmp_path))


def hashed_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list to which each file is added whose checksum is computed."""
    hashed: list[Path] = []

    def spy(path: Path) -> str:
        hashed.append(path)
        return sha256_of(path)

    monkeypatch.setattr(checksums, "sha256_of", spy)
    return hashed


def test_each_prepared_file_is_hashed_once_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(tiny_config(tmp_path))
    hashed = hashed_files(monkeypatch)
    assert prepare(tiny_config(tmp_path)) == prepared
    found = [path for path in contents(prepared.corpus_dir) if path.suffix != ".lock"]
    assert sorted(hashed) == sorted(path for path in found if path.name != CHECKSUMS)


@pytest.mark.parametrize("name", ["dev.jsonl", "train", "tokenizer"])
def test_one_process_of_each_machine_detects_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The other processes of the machine read the same files without hashing them."""
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
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # like a flipped bit on the disk

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
