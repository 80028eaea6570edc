"""How preparation grows with the corpus: time and memory from a hundred thousand pairs to millions.

    pip install -e '.[bench]'
    python scripts/bench_corpus.py --json corpus.json

For each size, a corpus of made-up words is written, prepared by `translator prepare`, and trained
on until the first loss is on record. Memory is that of all processes at once; what they share is
counted once, and pages of files that they look into are counted too. It needs 10 GB of disk.
Settings of `translator train`, such as --tokenizer.vocab_size 4000, may follow.
"""

import argparse
import itertools
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from matplotlib.figure import Figure
from peers.records import write_records
from tabulate import tabulate

from translator.errors import TranslatorError, exit_on_user_error
from translator.runs.figures import save_figure
from translator.runs.run import Run

SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_WORDS = 100_000  # of each language
_LINKED = 0.2  # share of the pairs that have a side of the pair before
_AT_ONCE = 10_000

UNITS = {
    "prepare_seconds": "s",
    "prepare_microseconds_per_pair": "µs",
    "prepare_seconds_over_n_log_n": "as the smallest = 1",
    "prepare_peak_gib": "GiB",
    "train_seconds_to_first_loss": "s",
    "train_peak_gib": "GiB",
}


def write_corpus(path: Path, pairs: int) -> None:
    """Write a TSV file of sentences whose words are as frequent as Zipf says."""
    random = np.random.default_rng(0)
    english, spanish = lexicon("bdfgklmnprstvw", "aeiou"), lexicon("bcdglmnprstñ", "aeoáí")
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, pairs, _AT_ONCE):
            count = min(_AT_ONCE, pairs - start)
            ends = np.cumsum(random.integers(3, 13, count)).tolist()
            ids = (_WORDS ** random.random(ends[-1])).astype(np.int64) - 1
            src, tgt = (sentences(words[ids].tolist(), ends) for words in (english, spanish))
            chance = random.random(count)
            for texts, linked in ((src, chance < _LINKED / 2), (tgt, chance > 1 - _LINKED / 2)):
                for i in np.flatnonzero(linked[1:]).tolist():
                    texts[i + 1] = texts[i]
            file.writelines(f"{s}\t{t}\n" for s, t in zip(src, tgt, strict=True))


def lexicon(consonants: str, vowels: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Made-up words, the shortest first, as the most frequent ones are."""
    syllables = ["".join(pair) for pair in itertools.product(consonants, vowels)]
    words = ("".join(w) for n in itertools.count(1) for w in itertools.product(syllables, repeat=n))
    return np.array(list(itertools.islice(words, _WORDS)), dtype=object)


def sentences(words: list[str], ends: list[int]) -> list[str]:
    """The words up to each end, joined, with a capital and a full stop."""
    return [
        " ".join(words[start:end]).capitalize() + "."
        for start, end in itertools.pairwise([0, *ends])
    ]


def watch(command: list[str], done: Callable[[], bool]) -> tuple[float, int]:
    """Run a command to its end, or until `done`.

    Returns:
        Seconds, and the most memory that its processes had at once, in bytes.

    Raises:
        TranslatorError: it failed.
    """
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not done():
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.2)
        seconds = time.perf_counter() - started
        if process.poll() is None:
            process.terminate()
        elif process.returncode:
            raise TranslatorError(f"failed with code {process.returncode}: {' '.join(command)}")
    return seconds, peak


def memory_of(pid: int) -> int:
    """Bytes that a process and its children have, what they share counted once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.uss)  # Linux alone knows the first
    except psutil.NoSuchProcess:
        pass  # it has just ended
    return total


def measure(folder: Path, pairs: int, settings: list[str]) -> dict[str, float]:
    """Write, prepare and train on a corpus of a size."""
    folder.mkdir(parents=True)
    corpus, run = folder / "corpus.tsv", Run(folder / "run")
    print(f"{pairs:,} pairs: writing …", file=sys.stderr)
    write_corpus(corpus, pairs)
    settings = [*settings, f"--corpus.files={corpus}", f"--data-dir={folder}"]
    translator = [sys.executable, "-m", "translator"]
    seconds, peak = watch([*translator, "prepare", *settings], done=lambda: False)
    options = ["--run-dir", str(run.path), "--training.max_steps=1000"]
    to_training, train_peak = watch([*translator, "train", *settings, *options], run.metrics.exists)
    shutil.rmtree(folder)
    return {
        "prepare_seconds": seconds,
        "prepare_microseconds_per_pair": seconds / pairs * 1e6,
        "prepare_seconds_over_n_log_n": seconds / (pairs * math.log(pairs)),
        "prepare_peak_gib": peak / 2**30,
        "train_seconds_to_first_loss": to_training,
        "train_peak_gib": train_peak / 2**30,
    }


def draw(measured: dict[int, dict[str, float]], path: Path) -> None:
    """Time and memory over the number of pairs."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = list(measured)
    seconds = [values["prepare_seconds"] for values in measured.values()]
    first = seconds[0] / (sizes[0] * math.log(sizes[0]))
    left.loglog(sizes, seconds, marker="o", label="measured")
    left.loglog(sizes, [first * n * math.log(n) for n in sizes], "--", label="n log n")
    left.set_title("seconds to prepare")
    left.legend()
    right.semilogx(sizes, [values["prepare_peak_gib"] for values in measured.values()], marker="o")
    right.set_title("peak memory of preparing (GiB)")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("pairs")
        axes.grid(alpha=0.3)
    save_figure(figure, path)


def main() -> None:
    """Measure each size; print, draw and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="in pairs, ascending")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench-corpus"))
    parser.add_argument("--json", type=Path, help="write the measures there")
    arguments, settings = parser.parse_known_args()
    if arguments.folder.exists():
        raise TranslatorError(f"{arguments.folder} is there already; name a new --folder")
    measured = {
        size: measure(arguments.folder / str(size), size, settings) for size in arguments.sizes
    }
    smallest = measured[arguments.sizes[0]]["prepare_seconds_over_n_log_n"]
    for values in measured.values():
        values["prepare_seconds_over_n_log_n"] /= smallest
    draw(measured, arguments.folder / "corpus.png")
    rows = [[f"{size:,}", *values.values()] for size, values in measured.items()]
    headers = [name.replace("_", "\n") for name in ("pairs", *UNITS)]
    print(tabulate(rows, headers, floatfmt=".3g", disable_numparse=[0]))
    print(f"picture: {arguments.folder / 'corpus.png'}")
    if arguments.json:
        records = [
            ("translator", f"{name}, {size} pairs", value, UNITS[name])
            for size, values in measured.items()
            for name, value in values.items()
        ]
        write_records(records, arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_corpus"):
        main()
