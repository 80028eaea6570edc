"""Measure time and memory of preparing corpora of a hundred thousand to ten million pairs.

    pip install -e '.[bench]'
    python scripts/bench_corpus.py --json corpus.json

For each size, the script writes a corpus of random made-up words, prepares it with `translator
prepare`, and trains on it until the first loss is logged. Memory is the peak of all processes
together: shared pages count once, and mapped pages of files count too. This needs 10 GB of disk.
Other options, such as --tokenizer.vocab_size 4000, are passed on to `translator`.
"""

import itertools
import math
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from benchmarking.options import ScriptParser, require_new, require_positive
from benchmarking.records import write_records
from matplotlib.figure import Figure
from tabulate import tabulate

from translator.errors import TranslatorError, exit_on_user_error
from translator.runs.figures import save_figure
from translator.runs.run import Run

SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_VOCABULARY = 100_000  # words of each language
_LINKED_SHARE = 0.2  # share of the pairs that repeat one side of the pair before them
_CHUNK = 10_000  # pairs that are generated at a time

UNITS = {
    "prepare_seconds": "s",
    "prepare_microseconds_per_pair": "µs",
    "prepare_seconds_over_n_log_n": "as the smallest = 1",
    "prepare_peak_gib": "GiB",
    "train_seconds_to_first_loss": "s",
    "train_peak_gib": "GiB",
}


def write_corpus(path: Path, pairs: int) -> None:
    """Write a TSV file of random sentences, with word frequencies according to Zipf's law."""
    random = np.random.default_rng(0)
    english, spanish = lexicon("bdfgklmnprstvw", "aeiou"), lexicon("bcdglmnprstñ", "aeoáí")
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, pairs, _CHUNK):
            count = min(_CHUNK, pairs - start)
            ends = np.cumsum(random.integers(3, 13, count)).tolist()
            ids = (_VOCABULARY ** random.random(ends[-1])).astype(np.int64) - 1
            src, tgt = (sentences(words[ids].tolist(), ends) for words in (english, spanish))
            chance = random.random(count)
            half = _LINKED_SHARE / 2
            for texts, linked in ((src, chance < half), (tgt, chance > 1 - half)):
                for i in np.flatnonzero(linked[1:]).tolist():
                    texts[i + 1] = texts[i]
            file.writelines(f"{s}\t{t}\n" for s, t in zip(src, tgt, strict=True))


def lexicon(consonants: str, vowels: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Made-up words, shortest first, so that frequent words are short."""
    syllables = ["".join(pair) for pair in itertools.product(consonants, vowels)]
    words = ("".join(w) for n in itertools.count(1) for w in itertools.product(syllables, repeat=n))
    return np.array(list(itertools.islice(words, _VOCABULARY)), dtype=object)


def sentences(words: list[str], ends: list[int]) -> list[str]:
    """Split words into sentences at the given ends; capitalize them and add full stops."""
    return [
        " ".join(words[start:end]).capitalize() + "."
        for start, end in itertools.pairwise([0, *ends])
    ]


def watch(command: list[str], done: Callable[[], bool]) -> tuple[float, int]:
    """Run a command until it ends or `done` returns True.

    Returns:
        The time in seconds, and the peak memory of all its processes together in bytes.

    Raises:
        TranslatorError: the command failed.
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
            raise TranslatorError(f"exit code {process.returncode} of {shlex.join(command)}")
    return seconds, peak


def memory_of(pid: int) -> int:
    """Memory of a process and its children in bytes; shared pages count once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.uss)  # only Linux reports pss
    except psutil.NoSuchProcess:
        pass  # the process has just ended
    return total


def measure(folder: Path, pairs: int, settings: list[str]) -> dict[str, float]:
    """Write a corpus of this many pairs, prepare it, and train on it."""
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
    """Plot time and memory of preparation against the number of pairs."""
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
    """Measure each size, then print, draw and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="numbers of pairs, ascending"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/bench-corpus"), help="must not exist"
    )
    parser.add_json_option()
    arguments, settings = parser.parse_known_args()
    for size in arguments.sizes:
        require_positive("--sizes", size)
    require_new(arguments.folder)
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
    records = [
        ("translator", f"{name}, {size} pairs", value, UNITS[name])
        for size, values in measured.items()
        for name, value in values.items()
    ]
    write_records(records, arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_corpus"):
        main()
