"""How fast training is: ours and JoeyNMT 2.3, one after the other on this machine.

The same split, vocabulary, model shape and batch for both. JoeyNMT needs older libraries, so an
environment of its own; where there is none, its part is skipped:

    python -m venv .venv-joeynmt
    .venv-joeynmt/bin/pip install joeynmt==2.3.0 importlib_metadata sentencepiece==0.2.0 \
      "torch<2.14"

Options that are not named here go to `translator train`.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from matplotlib.figure import Figure
from peers.joey import Peer, write_data
from peers.ours import train_as_user
from peers.records import Record, write_records
from tabulate import tabulate
from torch import nn

from translator.config import Config, ModelConfig
from translator.corpus.held_out import read_examples
from translator.data.batching import Batch, BatchStream, encoded_pairs
from translator.data.prepare import prepare
from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError, exit_on_user_error
from translator.evaluation.metrics import score
from translator.model.transformer import Transformer
from translator.runs.figures import save_figure
from translator.runs.measurements import read_measurements
from translator.runs.run import Run
from translator.system.device import describe_machine
from translator.training.muon import NEWTON_SCHULZ_STEPS

# The quickstart's, but with a vocabulary of 4,000, which JoeyNMT can afford better than 8,000; and
# measured often, for a smooth curve.
SETTINGS = ["--tokenizer.vocab_size=4000", "--training.evaluations=30"]
_BLEU_MARKS = (10, 20, 25, 30)


@dataclass(frozen=True)
class Curve:
    """A training, measured.

    Attributes:
        points: (seconds of training, dev BLEU), validation not counted
        tgt_tokens_per_second: target pieces, padding not counted
        flops_per_second: of matrix products
        model_flops_per_second: of these, without the optimizer's
        padding_share: of the positions of a batch
        input_share: of the time of training, spent waiting for batches
        precision: of the matrix products
    """

    points: list[tuple[float, float]]
    tgt_tokens_per_second: float
    flops_per_second: float
    model_flops_per_second: float
    padding_share: float
    input_share: float
    precision: str = "float32"

    def seconds_to(self, bleu: float) -> float | None:
        """When the curve first crosses a score, by straight lines between its points."""
        for (start, low), (end, high) in pairwise([(0.0, 0.0), *self.points]):
            if high >= bleu:
                return start + (end - start) * (bleu - low) / (high - low)
        return None


def training_flops(
    config: ModelConfig, vocab_size: int, rows: int, src: int, tgt: int, tgt_tokens: float
) -> float:
    """Of the matrix products of a batch, forwards and backwards.

    A product of (m, k) by (k, n) has 2·m·k·n; going backwards takes it twice more.

    Args:
        config: the model's shape
        vocab_size: V
        rows: B
        src: S, padding counted
        tgt: T, padding counted
        tgt_tokens: rows of logits
    """
    d, ff = config.d_model, config.d_ff
    read, written = rows * src, rows * tgt  # positions
    # Scores and the sum of values, for self-attention (2) and cross-attention.
    encoder = read * (4 * d * d + 2 * d * ff) + 2 * rows * src * src * d
    decoder = written * (4 * d * d + 2 * d * d + 2 * d * ff) + read * 2 * d * d
    decoder += 2 * rows * tgt * tgt * d + 2 * rows * tgt * src * d
    layers = config.encoder_layers * encoder + config.decoder_layers * decoder
    return 3 * 2 * (layers + tgt_tokens * d * vocab_size)


def orthogonalisation_flops(model: nn.Module) -> float:
    """Of the matrix products of a step of Muon: three in each Newton-Schulz iteration."""
    shapes = [
        sorted(module.weight.shape) for module in model.modules() if isinstance(module, nn.Linear)
    ]
    return sum(
        2 * NEWTON_SCHULZ_STEPS * (2 * short * short * long + short**3) for short, long in shapes
    )


def matrix_rate(precision: str) -> float:
    """FLOP/s of a product of large matrices: the best of twenty."""
    size = 1024
    left, right = torch.randn(2, size, size).to(getattr(torch, precision))
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def batch_flops(config: Config, vocab_size: int, batch: Batch) -> float:
    """`training_flops` of a batch."""
    rows, src = batch.src.shape
    return training_flops(
        config.model, vocab_size, rows, src, batch.tgt.size(1) - 1, batch.tgt_tokens
    )


def train_ours(options: list[str], folder: Path) -> tuple[Run, Curve]:
    """Run `translator train`, as a user does, and read what it leaves."""
    run = train_as_user(folder, options)
    manifest = run.read_manifest()
    progress = manifest.progress
    assert progress is not None
    config = run.load_config()
    prepared = prepare(config)
    # What the batches cost to make and to learn from, over an epoch of them.
    stream = BatchStream(
        encoded_pairs(prepared.tokenizer_dir), config.training.batch_tokens, config.seed
    )
    vocab_size = Tokenizer(run.tokenizer).vocab_size
    started = time.perf_counter()
    batches = [stream.next() for _ in stream.batches]
    input_seconds = (time.perf_counter() - started) / len(batches)
    flops = statistics.fmean(batch_flops(config, vocab_size, batch) for batch in batches)
    muon = config.training.optimizer == "muon"
    extra = orthogonalisation_flops(Transformer(config.model, vocab_size)) if muon else 0.0
    steps_per_second = progress.step / progress.seconds
    measured = read_measurements(run.metrics)
    points = [(m.seconds, m.dev_bleu) for m in measured if m.dev_bleu is not None]
    return run, Curve(
        points=points,
        tgt_tokens_per_second=progress.tgt_tokens / progress.seconds,
        flops_per_second=(flops + extra) * steps_per_second,
        model_flops_per_second=flops * steps_per_second,
        padding_share=manifest.padding_share,
        input_share=input_seconds * steps_per_second,
        precision=manifest.precision,
    )


def train_joeynmt(python: Path, run: Run, folder: Path, trial_steps: int, steps: int) -> Curve:
    """Choose JoeyNMT's learning rate, then train with it."""
    config = run.load_config()
    prepared = prepare(config)
    tokenizer = Tokenizer(run.tokenizer)
    write_data(config, prepared, tokenizer, folder / "data")
    peer = Peer(python, config, run.tokenizer.absolute(), (folder / "data").absolute())
    rate = peer.best_rate(folder / "rates", trial_steps)
    notes = peer.train(folder / "training", rate, steps, every=max(1, steps // 5), dev="dev")
    references = [example.references for example in read_examples(run.held_out("dev"))]
    last = notes[-1]
    # Its batches hold as many target pieces as ours per FLOP, but for their padding.
    stream = BatchStream(encoded_pairs(prepared.tokenizer_dir), config.training.batch_tokens, 0)
    batches = [stream.next() for _ in stream.batches]
    flops = sum(batch_flops(config, tokenizer.vocab_size, batch) for batch in batches)
    flops_per_second = (
        flops / sum(b.tgt_tokens for b in batches) * last["tgt_tokens"] / last["seconds"]
    )
    return Curve(
        points=[(note["seconds"], score(note["translations"], references).bleu) for note in notes],
        tgt_tokens_per_second=last["tgt_tokens"] / last["seconds"],
        flops_per_second=flops_per_second,
        model_flops_per_second=flops_per_second,
        padding_share=last["padding"] / last["positions"],
        input_share=last["input_seconds"] / last["seconds"],
    )


def measures(curve: Curve, rates: dict[str, float]) -> dict[str, tuple[float | None, str]]:
    """What the table shows, with units.

    Args:
        curve: a training
        rates: the machine's `matrix_rate` in each precision; shares are of that in float32, which
            a training in bfloat16 can surpass, but for the last, of that in its own precision
    """
    return {
        "target_tokens_per_second": (curve.tgt_tokens_per_second, "tokens/s"),
        "matmul_share": (curve.flops_per_second / rates["float32"], "share"),
        "model_matmul_share": (curve.model_flops_per_second / rates["float32"], "share"),
        "own_matmul_share": (curve.flops_per_second / rates[curve.precision], "share"),
        "padding_share": (curve.padding_share, "share"),
        "input_share": (curve.input_share, "share"),
        **{f"seconds_to_bleu_{bleu}": (curve.seconds_to(bleu), "s") for bleu in _BLEU_MARKS},
        "last_dev_bleu": (curve.points[-1][1], "BLEU"),
        "seconds": (curve.points[-1][0], "s"),
    }


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Dev BLEU over the time of training, of all systems."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for system, curve in curves.items():
        seconds, bleus = zip(*curve.points, strict=True)
        axes.plot([s / 60 for s in seconds], bleus, marker="o", markersize=3, label=system)
    axes.set_xlabel("minutes of training on this machine")
    axes.set_ylabel("dev BLEU (greedy)")
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def main() -> None:
    """Train, then print and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"), help="a new one")
    parser.add_argument("--joeynmt", type=Path, default=Path(".venv-joeynmt/bin/python"))
    parser.add_argument("--joeynmt-steps", type=int, default=1200)
    parser.add_argument("--joeynmt-trial-steps", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the measures there")
    arguments, options = parser.parse_known_args()
    folder: Path = arguments.folder
    if folder.exists():
        raise TranslatorError(f"{folder} is there already; name a new --folder")
    run, ours = train_ours([*SETTINGS, *options], folder / "translator")
    rates = {precision: matrix_rate(precision) for precision in ("float32", ours.precision)}
    curves = {"translator": ours}
    if arguments.joeynmt.exists():
        curves["joeynmt"] = train_joeynmt(
            arguments.joeynmt,
            run,
            folder / "joeynmt",
            arguments.joeynmt_trial_steps,
            arguments.joeynmt_steps,
        )
    else:
        print(f"joeynmt: skipped, there is no {arguments.joeynmt}", file=sys.stderr)
    measured = {system: measures(curve, rates) for system, curve in curves.items()}
    rows = [
        [name, unit, *(values[name][0] for values in measured.values())]
        for name, (_, unit) in measured["translator"].items()
    ]
    products = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in rates.items())
    print(f"{describe_machine(torch.device('cpu'))}; matrix products: {products}")
    print(tabulate(rows, ["", "", *measured], floatfmt=".4g", missingval="not reached"))
    draw(curves, folder / "curves.png")
    print(folder / "curves.png")
    if arguments.json:
        records: list[Record] = [
            (system, name, value, unit)
            for system, values in measured.items()
            for name, (value, unit) in values.items()
        ]
        records += [
            ("machine", f"matrix_rate_{name}", rate, "FLOP/s") for name, rate in rates.items()
        ]
        write_records(records, arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_training"):
        main()
