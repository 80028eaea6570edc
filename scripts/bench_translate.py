"""Measure how fast translation is: ours with each of its engines, compared with other toolkits.

Each system translates the test sentences of a run that was trained and exported. Each runs in its
own process, one after the other on this machine:

    pip install -e '.[bench]'
    translator export --run-dir runs/quickstart
    python scripts/bench_translate.py --run-dir runs/quickstart

The other systems are CTranslate2 with the exported model, called without our code; `transformers`
with a model of the same shape but random weights, and so without a score; and JoeyNMT with the
model that `bench_training.py` has trained. A system that is not installed is skipped. They get the
sentences in the form of the model (see `ModelText`), and their translations are converted back,
neither of which counts as their time.
"""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarking.model_steps import load_model_text, model_steps
from benchmarking.options import ScriptParser
from benchmarking.records import print_table, records_of, write_records

from translator.corpus.held_out import read_examples
from translator.data.tokenizer import Tokenizer
from translator.errors import exit_on_user_error
from translator.evaluation.metrics import score
from translator.inference.ctranslate2 import require_export
from translator.runs.run import Run
from translator.system.device import faster_in

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
_TRIES = 3
_WARMING = 100
_SENTENCE = "Where is the library?"


@dataclass(frozen=True)
class System:
    """A column of the table.

    Attributes:
        name: in the table and the records
        command: starts a process that answers a request (see `peers.measuring`)
        single: translates one sentence, for the cold start; None to use `command`
        ours: converts texts for the model itself
        tries: how often to translate the test sentences
        random_weights: the translations have no meaning, so they have no score
        skipped: why the system can't be measured here; None if it can
    """

    name: str
    command: list[str]
    single: list[str] | None = None
    ours: bool = False
    tries: int = _TRIES
    random_weights: bool = False
    skipped: str | None = None


def our_system(name: str, engine: str, run: Run, skipped: str | None = None) -> System:
    """One of our engines; its cold start is that of `translator translate`."""
    path = str(run.path)
    single = ["translate", "--engine", engine, "--run-dir", path, _SENTENCE]
    return System(
        name,
        [sys.executable, "-m", "benchmarking.engine", path, engine],
        single=[sys.executable, "-m", "translator", *single],
        ours=True,
        skipped=skipped,
    )


def all_systems(run: Run, joeynmt: Path, joeynmt_training: Path) -> list[System]:
    """Every system, in the order of the table."""
    no_int8 = None if faster_in(torch.int8) else "this processor has no int8 units"
    no_transformers = (
        None if importlib.util.find_spec("transformers") else "it is not installed (see --help)"
    )
    config = joeynmt_training / "config.yaml"
    missing = [path for path in (joeynmt, config) if not path.exists()]
    return [
        our_system("translator", "pytorch", run),
        our_system("translator-int8", "pytorch-int8", run, skipped=no_int8),
        our_system("translator-ctranslate2", "ctranslate2", run),
        System(
            "ctranslate2",
            [sys.executable, "-m", "peers.by_hand", str(run.ctranslate2 / "float32")],
        ),
        System(
            "transformers",
            [sys.executable, "-m", "peers.hugging_face", str(run.path)],
            random_weights=True,
            skipped=no_transformers,
        ),
        System(
            "joeynmt",
            [str(joeynmt.absolute()), "-m", "peers.joey_translator", str(config)],
            tries=1,  # each takes minutes
            skipped=f"there is no {missing[0]}" if missing else None,
        ),
    ]


def ask(command: list[str], request: dict[str, Any]) -> tuple[str, float]:
    """Run a process that answers a request.

    Returns:
        The output of the process, and the seconds from its start to its end.
    """
    path = [str(Path(__file__).parent.absolute()), os.environ.get("PYTHONPATH", "")]
    started = time.perf_counter()
    process = subprocess.run(
        command,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
    )
    if process.returncode:
        print(process.stderr, file=sys.stderr)
        sys.exit(f"bench_translate: failed: {shlex.join(command)}")
    return process.stdout, time.perf_counter() - started


def cold_start(system: System) -> float:
    """Seconds that a program takes to start, translate one sentence and end; the best of three."""
    request = {
        "texts": [_SENTENCE],
        "beam_sizes": {"beam5": 5},
        "tries": 1,
        "warming": 0,
        "lengths": {"beam5": [len(_SENTENCE.split())]},
    }
    return min(ask(system.single or system.command, request)[1] for _ in range(_TRIES))


def measure(systems: list[System], run: Run) -> dict[str, dict[str, float | None]]:
    """All measures of all systems.

    Args:
        systems: the first has trained weights; models with random weights write as many tokens
        run: its test sentences are translated
    """
    examples = read_examples(run.held_out("test"))
    references = [example.references for example in examples]
    tokenizer = Tokenizer(run.tokenizer)
    model_text = load_model_text(run)
    steps = model_steps(model_text)
    texts = [example.src for example in examples]
    converted = [steps.apply(text) for text in texts]
    lengths: dict[str, list[int]] = {}
    request: dict[str, Any] = {
        "beam_sizes": _BEAM_SIZES,
        "warming": _WARMING,
        "lengths": lengths,
    }
    measured: dict[str, dict[str, float | None]] = {}
    for system in systems:
        print(f"measuring {system.name} …", file=sys.stderr)
        asked = texts if system.ours else [text for result in converted for text in result.parts]
        output, _ = ask(system.command, request | {"texts": asked, "tries": system.tries})
        answered = json.loads(output.splitlines()[-1])
        values: dict[str, float | None] = {"peak_memory_bytes": answered["peak_memory_bytes"]}
        for name, translated in answered["translated"].items():
            seconds, lines = translated["seconds"], translated["lines"]
            if not system.ours:
                lines = [
                    steps.restore([line], result.state)
                    for line, result in zip(lines, converted, strict=True)
                ]
            written = [model_text.pair(*pair)[1] for pair in zip(texts, lines, strict=True)]
            counts = [len(ids) + 1 for ids in tokenizer.encode(written)]  # with eos
            lengths.setdefault(name, counts)
            tokens = sum(lengths[name] if system.random_weights else counts)
            values[f"sentences_per_second_{name}"] = len(lines) / seconds
            values[f"output_tokens_per_second_{name}"] = tokens / seconds
            values[f"bleu_{name}"] = (
                None if system.random_weights else score(lines, references).bleu
            )
        measured[system.name] = values | {"cold_start_seconds": cold_start(system)}
    return measured


def main() -> None:
    """Measure each system, then print and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/quickstart"))
    parser.add_argument(
        "--joeynmt",
        type=Path,
        default=Path(".venv-joeynmt/bin/python"),
        help="Python of JoeyNMT's environment",
    )
    parser.add_argument(
        "--joeynmt-training",
        type=Path,
        default=Path("runs/bench/joeynmt/training"),
        help="folder of the training by bench_training.py",
    )
    parser.add_json_option()
    arguments = parser.parse_args()
    run = Run(arguments.run_dir)
    run.read_manifest()
    require_export(run)
    systems = []
    for system in all_systems(run, arguments.joeynmt, arguments.joeynmt_training):
        if system.skipped:
            print(f"{system.name}: skipped, {system.skipped}", file=sys.stderr)
        else:
            systems.append(system)
    measured = measure(systems, run)
    print_table(measured, UNITS)
    write_records(records_of(measured, UNITS), arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_translate"):
        main()
