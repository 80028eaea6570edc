"""How fast translation is: ours with each of its engines, and other toolkits beside it.

Each system translates the test sentences of a run that was trained and exported, in a process of
its own, one after the other on this machine:

    pip install -e '.[bench]'
    translator export --run-dir runs/quickstart
    python scripts/bench_translate.py --run-dir runs/quickstart

The peers: CTranslate2 called by hand with the exported model; `transformers`, with random weights
in our shape, so without a score; and JoeyNMT, with the model that `bench_training.py` has trained.
Of the last two, what is not there is skipped.
"""

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.measuring import Translate, answer
from peers.records import write_records
from tabulate import tabulate

from translator import load
from translator.corpus.held_out import read_examples
from translator.data.tokenizer import Tokenizer
from translator.errors import exit_on_user_error
from translator.inference.ctranslate2 import require_export
from translator.runs.run import Run

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
_ENGINES = {
    "translator": "pytorch",
    "translator-int8": "pytorch-int8",
    "translator-ctranslate2": "ctranslate2",
}
_BEAM_SIZES = {"greedy": 1, "beam5": 5}
_TRIES = 3
_WARMING = 100
_SENTENCE = "Where is the library?"

Lengths = dict[int, list[int]]


def ours(engine: str) -> Callable[[Run, Lengths], Translate]:
    """A system that is one of the project's engines."""

    def start(run: Run, _: Lengths) -> Translate:
        translator = load(run.path, "cpu", engine)
        return lambda texts, beam_size: [
            translation.text
            for translation in translator.translate(texts, beam_size=beam_size, with_scores=False)
        ]

    return start


def transformers_generate(run: Run, lengths: Lengths) -> Translate:
    """`transformers`, imported by the process that measures it alone."""
    from peers.hugging_face import random_m2m100

    return random_m2m100(run, lengths)


# Started in a process of this script's. CTranslate2 by hand has a script of its own, to be charged
# for no import of ours; and JoeyNMT one, and an environment.
STARTS: dict[str, Callable[[Run, Lengths], Translate]] = {
    **{system: ours(engine) for system, engine in _ENGINES.items()},
    "transformers": transformers_generate,
}


def answer_as(system: str, run: Run) -> None:
    """Be the process of a system: answer the request on standard input."""
    request = json.load(sys.stdin)
    lengths = {_BEAM_SIZES[name]: counts for name, counts in request["lengths"].items()}
    answer(STARTS[system](run, lengths), request)


def ask(command: list[str], request: dict[str, Any]) -> tuple[str, float]:
    """What a system's process prints, and the seconds from its start to its end."""
    started = time.perf_counter()
    process = subprocess.run(
        command,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.absolute())},
    )
    if process.returncode:
        print(process.stderr, file=sys.stderr)
        sys.exit(f"bench_translate: failed: {shlex.join(command)}")
    return process.stdout, time.perf_counter() - started


def systems(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The command that starts each system that is there; a line for each that isn't."""
    import torch  # not at the top: the systems' processes may go without

    from translator.system.device import faster_in

    run = ["--run-dir", str(arguments.run_dir)]
    commands = {name: [sys.executable, __file__, *run, "--answer", name] for name in _ENGINES}
    folder = str(Run(arguments.run_dir).ctranslate2 / "float32")
    commands["ctranslate2"] = [sys.executable, "-m", "peers.by_hand", folder]
    if importlib.util.find_spec("transformers") is None:
        print("transformers: skipped, it is not installed (see --help)", file=sys.stderr)
    else:
        commands["transformers"] = [sys.executable, __file__, *run, "--answer", "transformers"]
    if not faster_in(torch.int8):
        print("translator-int8: skipped, this processor has no units for it", file=sys.stderr)
        del commands["translator-int8"]
    training = arguments.joeynmt_training / "config.yaml"
    if arguments.joeynmt.exists() and training.exists():
        python = str(arguments.joeynmt.absolute())
        commands["joeynmt"] = [python, "-m", "peers.joey_translator", str(training)]
    else:
        missing = training if arguments.joeynmt.exists() else arguments.joeynmt
        print(f"joeynmt: skipped, there is no {missing}", file=sys.stderr)
    return commands


def cold_start(system: str, command: list[str], run: Run) -> float:
    """Seconds from starting a program to its end, with one sentence translated; the best time."""
    if system.startswith("translator"):
        command = [sys.executable, "-m", "translator", "translate", "--engine", _ENGINES[system]]
        command += ["--run-dir", str(run.path), _SENTENCE]
    request = {"texts": [_SENTENCE], "beam_sizes": {"beam5": 5}, "tries": 1, "warming": 0}
    request["lengths"] = {"beam5": [len(_SENTENCE.split())]}
    return min(ask(command, request)[1] for _ in range(_TRIES))


def measure(commands: dict[str, list[str]], run: Run) -> dict[str, dict[str, float | None]]:
    """Every measure of every system."""
    from translator.evaluation.metrics import (
        score,  # not at the top: the systems' processes go without
    )

    examples = read_examples(run.held_out("test"))
    references = [example.references for example in examples]
    tokenizer = Tokenizer(run.tokenizer)
    request: dict[str, Any] = {
        "texts": [example.src for example in examples],
        "beam_sizes": _BEAM_SIZES,
        "warming": _WARMING,
        "lengths": {},
    }
    measured: dict[str, dict[str, float | None]] = {}
    for system, command in commands.items():
        print(f"measuring {system} …", file=sys.stderr)
        request["tries"] = 1 if system == "joeynmt" else _TRIES  # each takes it minutes
        answered = json.loads(ask(command, request)[0].splitlines()[-1])
        values: dict[str, float | None] = {"peak_memory_bytes": answered["peak_memory_bytes"]}
        for name, translated in answered["translated"].items():
            seconds, lines = translated["seconds"], translated["lines"]
            counts = [len(ids) + 1 for ids in tokenizer.encode(lines)]
            random = system == "transformers"
            if system == "translator":
                request["lengths"][name] = counts
            if random:
                counts = request["lengths"][name]
            values[f"sentences_per_second_{name}"] = len(lines) / seconds
            values[f"output_tokens_per_second_{name}"] = sum(counts) / seconds
            values[f"bleu_{name}"] = None if random else score(lines, references).bleu
        measured[system] = values | {"cold_start_seconds": cold_start(system, command, run)}
    return measured


def main() -> None:
    """Measure each system; print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run-dir", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--joeynmt", type=Path, default=Path(".venv-joeynmt/bin/python"))
    parser.add_argument(
        "--joeynmt-training", type=Path, default=Path("runs/bench/joeynmt/training")
    )
    parser.add_argument("--json", type=Path, help="write the measures there")
    parser.add_argument("--answer", choices=STARTS, help=argparse.SUPPRESS)  # be that process
    arguments = parser.parse_args()
    run = Run(arguments.run_dir)
    if arguments.answer:
        answer_as(arguments.answer, run)
        return
    run.read_manifest()
    require_export(run)
    measured = measure(systems(arguments), run)
    rows = [
        [name, unit, *(values[name] for values in measured.values())]
        for name, unit in UNITS.items()
    ]
    print(tabulate(rows, ["", "", *measured], floatfmt=".4g", missingval="-"))
    if arguments.json:
        records = [
            (system, name, values[name], unit)
            for system, values in measured.items()
            for name, unit in UNITS.items()
        ]
        write_records(records, arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_translate"):
        main()
