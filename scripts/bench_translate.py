"""How fast translation is: our own engine, CTranslate2 by way of ours, and CTranslate2 by hand.

Each system translates the test sentences of a run that was trained and exported, in a process of
its own, one after the other on this machine:

    translator export --run-dir runs/quickstart
    python scripts/bench_translate.py --run-dir runs/quickstart
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from translator import load
from translator.corpus.held_out import read_examples
from translator.files import write_text
from translator.run import Run

Translate = Callable[[list[str], int], list[str]]
UNITS = {
    "sentences_per_second_greedy": "1/s",
    "sentences_per_second_beam5": "1/s",
    "output_tokens_per_second_greedy": "1/s",
    "output_tokens_per_second_beam5": "1/s",
    "bleu_greedy": "BLEU",
    "bleu_beam5": "BLEU",
    "peak_memory_bytes": "bytes",
    "cold_start_seconds": "s",
}
_BEAM_SIZES = {"greedy": 1, "beam5": 5}
# The best time counts: what disturbs a machine only ever makes it slower.
_TRIES = 3
# Translated before the clock starts: first calls take memory and choose kernels.
_WARMING_SENTENCES = 100


def ours(engine: str) -> Callable[[Run], Translate]:
    """A system that is one of the project's engines."""

    def start(run: Run) -> Translate:
        translator = load(run.path, "cpu", engine)
        return lambda texts, beam_size: [
            translation.text for translation in translator.translate(texts, beam_size=beam_size)
        ]

    return start


def ctranslate2_by_hand(run: Run) -> Translate:
    """CTranslate2 as its users call it, with a thread a core and batches of like length."""
    import ctranslate2
    import sentencepiece

    folder = run.ctranslate2 / "float32"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    engine = ctranslate2.Translator(str(folder), inter_threads=os.cpu_count() or 1, intra_threads=1)

    def translate(texts: list[str], beam_size: int) -> list[str]:
        results = engine.translate_batch(
            pieces.encode(texts, out_type=str),
            max_batch_size=1024,
            batch_type="tokens",
            beam_size=beam_size,
        )
        found: list[str] = pieces.decode([result.hypotheses[0] for result in results])
        return found

    return translate


SYSTEMS: dict[str, Callable[[Run], Translate]] = {
    "translator": ours("pytorch"),
    "translator-ctranslate2": ours("ctranslate2"),
    "ctranslate2": ctranslate2_by_hand,
}


def measure(system: str, run: Run) -> dict[str, float]:
    """All but the cold start, in this process."""
    examples = read_examples(run.held_out("test"))
    texts = [example.src for example in examples]
    translate = SYSTEMS[system](run)
    translated: dict[str, tuple[float, list[str]]] = {}
    for name, beam_size in _BEAM_SIZES.items():
        translate(texts[:_WARMING_SENTENCES], beam_size)
        times = []
        for _ in range(_TRIES):
            started = time.perf_counter()
            lines = translate(texts, beam_size)
            times.append(time.perf_counter() - started)
        translated[name] = (min(times), lines)
    # Before anything is imported that the system itself doesn't need.
    measured: dict[str, float] = {"peak_memory_bytes": peak_memory()}
    from translator.evaluation import score
    from translator.tokenizer import Tokenizer

    tokenizer = Tokenizer(run.tokenizer)
    for name, (seconds, lines) in translated.items():
        tokens = sum(map(len, tokenizer.encode(lines)))
        measured[f"sentences_per_second_{name}"] = len(texts) / seconds
        measured[f"output_tokens_per_second_{name}"] = tokens / seconds
        measured[f"bleu_{name}"] = score(lines, [example.references for example in examples]).bleu
    return measured


def peak_memory() -> int:
    """In bytes; not `translator.device`'s, which would load PyTorch."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cold_start(system: str, run: Run) -> float:
    """Seconds from starting a program to its end, with one sentence translated."""
    sentence = "Where is the library?"
    command = [sys.executable, __file__, "--run-dir", str(run.path), "--one", system]
    if system.startswith("translator"):
        engine = system.removeprefix("translator-").replace("translator", "pytorch")
        command = [sys.executable, "-m", "translator", "translate", "--engine", engine]
        command += ["--run-dir", str(run.path), sentence]
    times = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Measure each system in a process of its own; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run-dir", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--json", type=Path, help="write the measures there")
    for hidden in ("--one", "--measure"):  # what a process of its own is asked for
        parser.add_argument(hidden, choices=SYSTEMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    run = Run(arguments.run_dir)
    if arguments.one:
        print(SYSTEMS[arguments.one](run)(["Where is the library?"], 5)[0])
        return
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, run)))
        return
    if not run.ctranslate2.exists():
        print(
            f"bench_translate: {run.path} is not exported; write it with: translator export "
            f"--run-dir {run.path}",
            file=sys.stderr,
        )
        sys.exit(2)
    measured: dict[str, dict[str, Any]] = {}
    for system in SYSTEMS:
        print(f"measuring {system} …", file=sys.stderr)
        command = [sys.executable, __file__, "--run-dir", str(run.path), "--measure", system]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        measured[system] = json.loads(output) | {"cold_start_seconds": cold_start(system, run)}
    rows = [
        [name, unit, *(measured[system][name] for system in SYSTEMS)]
        for name, unit in UNITS.items()
    ]
    print(tabulate(rows, ["", "", *SYSTEMS], floatfmt=".4g"))
    if arguments.json:
        records = [
            {"system": system, "measure": name, "value": measured[system][name], "unit": unit}
            for system in SYSTEMS
            for name, unit in UNITS.items()
        ]
        write_text(arguments.json, json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
