"""Steps over a large corpus: several processes give the same result as one, and all end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from helpers import everyday_lines

from translator.config import Config, CorpusConfig, TokenizerConfig
from translator.corpus import parallel_map as steps
from translator.corpus.parallel_map import filter_rows, map_batches
from translator.corpus.sources import Source
from translator.data import encoding
from translator.data import prepare as preparing
from translator.data.prepare import Prepared, load_pairs, prepare
from translator.errors import TranslatorError


def large(path: Path) -> Path:
    """Four thousand pairs: the small corpus, repeated with different numbers."""
    text = [f"{n} {e}\t{n} {s}\n" for n in range(10) for e, s, *_ in everyday_lines()]
    path.write_text("".join(text), encoding="utf-8")
    return path


def prepared(tmp_path: Path, name: str) -> Prepared:
    corpus = CorpusConfig(files=str(large(tmp_path / "large.tsv")), dev_sentences=50)
    return prepare(
        Config(
            corpus=corpus, tokenizer=TokenizerConfig(vocab_size=300), data_dir=str(tmp_path / name)
        )
    )


def test_several_processes_prepare_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "BATCH", 700)
    monkeypatch.setattr(steps, "BATCH", 700)
    one = prepared(tmp_path, "one")
    monkeypatch.setattr(preparing, "BATCH", 300)
    monkeypatch.setattr(steps, "BATCH_BYTES", 10_000)  # fewer than 300 pairs
    monkeypatch.setattr(steps, "PAIRS_PER_PROCESS", 1000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3), raising=False)
    processes: list[int] = []
    original = Dataset.map

    def spy(self: Dataset, *arguments: object, num_proc: int = 1, **options: object) -> Dataset:
        processes.append(num_proc)
        return original(self, *arguments, num_proc=num_proc, **options)

    monkeypatch.setattr(Dataset, "map", spy)
    several = prepared(tmp_path, "several")
    assert set(processes) == {3}
    assert several.report.hashes == one.report.hashes
    assert load_pairs(one.corpus_dir / "train").column_names == ["src", "tgt", "source"]
    for column in ("src", "tgt", "source"):
        assert (
            load_pairs(several.corpus_dir / "train")[column][:]
            == load_pairs(one.corpus_dir / "train")[column][:]
        )
    for path in one.tokenizer_dir.glob("*.npy"):
        assert (several.tokenizer_dir / path.name).read_bytes() == path.read_bytes()
    assert len(load_pairs(one.corpus_dir / "train")) > 3000
    assert several.corpus_dir.name == one.corpus_dir.name


def test_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "BATCH", 1000)
    pairs = Dataset.from_dict({"src": [str(n) for n in range(2500)], "n": list(range(2500))})
    kept = np.arange(2500) % 7 == 3
    kept[:1200] = False  # drop the first batch and a part of the next
    result = filter_rows(pairs, kept, "keep")
    assert result["n"][:] == np.flatnonzero(kept).tolist()
    assert result.column_names == pairs.column_names
    assert result.features == pairs.features
    assert len(filter_rows(pairs, np.zeros(2500, dtype=np.bool_), "none")) == 0


# Two processes: one ends at once, the other never does.
ENDLESS = """
import os, time
from datasets import Dataset
from translator.corpus import parallel_map as steps
steps.PAIRS_PER_PROCESS = 1000
os.sched_getaffinity = lambda _: range(2)

def wait(batch):
    print("at work", flush=True)
    while batch["n"][0]:  # only in the second half
        time.sleep(0.1)
    return batch

steps.map_batches(Dataset.from_dict({"n": list(range(2000))}), wait, "wait")
"""


def processes_of(group: int) -> list[int]:
    """The running processes of a process group; zombies do not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the process has just ended
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_no_process_outlives_its_parent() -> None:
    """Neither a busy process nor a waiting one."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, process_group=0, text=True
    ) as parent:
        assert parent.stdout is not None
        for _ in range(2):  # two tasks, of which one is done
            parent.stdout.readline()
        started = processes_of(parent.pid)
        parent.kill()
    assert len(started) >= 3
    for _ in range(50):
        if not processes_of(parent.pid):
            return
        time.sleep(0.1)
    os.killpg(parent.pid, signal.SIGKILL)
    pytest.fail("a process has outlived its parent")


def test_ctrl_c_ends_it_quietly() -> None:
    """A terminal sends Ctrl-C to all processes of a command."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        for _ in range(2):
            parent.stdout.readline()
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=60)
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert said.count("Traceback") == 1
    assert parent.returncode != 0


def test_a_killed_process_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAIRS_PER_PROCESS", 1000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2), raising=False)
    parent = os.getpid()

    def die(batch: dict[str, list[int]]) -> dict[str, list[int]]:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    pairs = Dataset.from_dict({"n": list(range(2000))})
    with pytest.raises(TranslatorError, match=r'killed .*"die".*memory'):
        map_batches(pairs, die, "die")


def test_words_and_tokens_are_learned_from_blocks_all_over_a_large_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = Dataset.from_dict(
        {"src": [f"s{n}" for n in range(95)], "tgt": [f"t{n}" for n in range(95)]}
    )
    monkeypatch.setattr(encoding, "_BLOCK", 10)

    def numbers() -> list[int]:
        found = list(encoding._sample(pairs))
        assert [src[1:] for src, _ in found] == [tgt[1:] for _, tgt in found]
        return [int(src[1:]) for src, _ in found]

    monkeypatch.setattr(encoding, "_MAX_PAIRS", 95)
    assert sorted(numbers()) == [*range(95)]
    monkeypatch.setattr(encoding, "_MAX_PAIRS", 94)  # every second block
    assert sorted(numbers()) == [n for n in range(95) if n // 10 % 2 == 0]


def test_lines_as_long_as_documents_come_in_small_batches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preparing, "BATCH_BYTES", 100)
    rows = [{"src": "s" * n, "tgt": "t" * n, "source": ""} for n in (5, 50, 60, 1, 1)]
    pairs = preparing._read([Source("", "", "", lambda: iter(rows))], tmp_path / "work")
    batches = pairs.data.column("src").chunks
    assert [len(batch) for batch in batches] == [2, 1, 2]
