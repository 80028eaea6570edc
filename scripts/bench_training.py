"""Measure how fast training is: ours and JoeyNMT 2.3, one after the other on this machine.

Both use the same split, vocabulary, model shape and batch size. JoeyNMT needs older libraries and
so its own environment. Without that environment it is skipped:

    python -m venv .venv-joeynmt
    .venv-joeynmt/bin/pip install joeynmt==2.3.0 importlib_metadata sentencepiece==0.2.0 \
      "torch<2.14"

Other options are passed on to `translator train`.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from benchmarking.flops import batch_flops, matrix_rate, orthogonalization_flops
from benchmarking.model_steps import load_model_text, model_steps
from benchmarking.options import ScriptParser, require_new, require_positive
from benchmarking.records import Record, print_table, records_of, write_records
from benchmarking.training import train_as_user
from matplotlib.figure import Figure
from peers.joey import Peer, write_data

from translator.corpus.held_out import read_examples
from translator.data.batching import BatchStream, encoded_pairs
from translator.data.prepare import prepare
from translator.data.tokenizer import Tokenizer
from translator.errors import exit_on_user_error
from translator.evaluation.metrics import score
from translator.model.transformer import Transformer
from translator.pipeline import pairs_of_epoch
from translator.runs.figures import save_figure
from translator.runs.measurements import read_measurements
from translator.runs.run import Run
from translator.system.device import describe_machine

# As in the quickstart, except for a vocabulary of 4,000, since 8,000 slows JoeyNMT down more than
# us, and more evaluations, for a smooth curve.
SETTINGS = ["--tokenizer.vocab_size=4000", "--training.evaluations=30"]
_BLEU_MARKS = (10, 20, 25, 30)
UNITS = {
    "target_tokens_per_second": "tokens/s",
    "matmul_share": "share",
    "model_matmul_share": "share",
    "own_matmul_share": "share",
    "padding_share": "share",
    "input_share": "share",
    **{f"seconds_to_bleu_{bleu}": "s" for bleu in _BLEU_MARKS},
    "last_dev_bleu": "BLEU",
    "seconds": "s",
}


@dataclass(frozen=True)
class Curve:
    """A measured training.

    Attributes:
        points: (seconds of training without validation, dev BLEU)
        tgt_tokens_per_second: target tokens without padding
        flops_per_second: of all matrix products
        model_flops_per_second: of matrix products, without those of the optimizer
        padding_share: share of a batch's positions that are padding
        input_share: share of the training time spent waiting for batches
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
        """When the curve first reaches a score, interpolated linearly between its points."""
        for (start, low), (end, high) in pairwise([(0.0, 0.0), *self.points]):
            if high >= bleu:
                return start + (end - start) * (bleu - low) / (high - low)
        return None


def train_ours(options: list[str], folder: Path) -> tuple[Run, Curve]:
    """Run `translator train` as a user does, and measure it from the files of the run."""
    run = train_as_user(folder, options)
    manifest = run.read_manifest()
    progress = manifest.progress
    assert progress is not None
    config = run.load_config()
    prepared = prepare(config)
    tokenizer = Tokenizer(run.tokenizer)
    vocab_size = tokenizer.vocab_size
    # The mean time and FLOPs of a batch, over one epoch.
    pairs = pairs_of_epoch(config, prepared, tokenizer)
    started = time.perf_counter()
    stream = BatchStream(pairs, config.training.batch_tokens, config.seed)
    batches = [stream.next() for _ in stream.batches]
    input_seconds = (time.perf_counter() - started) / len(batches)
    flops = statistics.fmean(batch_flops(config.model, vocab_size, batch) for batch in batches)
    muon = config.training.optimizer == "muon"
    extra = orthogonalization_flops(Transformer(config.model, vocab_size)) if muon else 0.0
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
    """Choose JoeyNMT's learning rate, train with it, and measure the training.

    It learns from the same texts as our model, but they are the same in each epoch.
    """
    config = run.load_config()
    prepared = prepare(config)
    tokenizer = Tokenizer(run.tokenizer)
    model_text = load_model_text(run)
    write_data(config, prepared, model_text, tokenizer, folder / "data")
    peer = Peer(python, config, run.tokenizer.absolute(), (folder / "data").absolute())
    lr = peer.best_lr(folder / "trials", trial_steps)
    notes = peer.train(folder / "training", lr, steps, every=max(1, steps // 5), dev="dev")
    examples = read_examples(run.held_out("dev"))
    conversion = model_steps(model_text)
    states = [conversion.apply(example.src).state for example in examples]

    def dev_bleu(translations: list[str]) -> float:
        pairs = zip(translations, states, strict=True)
        lines = [conversion.restore([translation], state) for translation, state in pairs]
        return score(lines, [example.references for example in examples]).bleu

    last = notes[-1]
    # A target token takes as many FLOPs as in our batches, up to padding.
    stream = BatchStream(encoded_pairs(prepared.tokenizer_dir), config.training.batch_tokens, 0)
    batches = [stream.next() for _ in stream.batches]
    flops = sum(batch_flops(config.model, tokenizer.vocab_size, batch) for batch in batches)
    flops_per_second = (
        flops / sum(b.tgt_tokens for b in batches) * last["tgt_tokens"] / last["seconds"]
    )
    return Curve(
        points=[(note["seconds"], dev_bleu(note["translations"])) for note in notes],
        tgt_tokens_per_second=last["tgt_tokens"] / last["seconds"],
        flops_per_second=flops_per_second,
        model_flops_per_second=flops_per_second,
        padding_share=last["padding"] / last["positions"],
        input_share=last["input_seconds"] / last["seconds"],
    )


def measures_of(curve: Curve, rates: dict[str, float]) -> dict[str, float | None]:
    """The measures that `UNITS` names.

    Args:
        curve: a measured training
        rates: the machine's `matrix_rate` in each precision. `own_matmul_share` is relative to the
            rate in the training's own precision; the other shares are relative to float32, so a
            training in bfloat16 can exceed 1
    """
    return {
        "target_tokens_per_second": curve.tgt_tokens_per_second,
        "matmul_share": curve.flops_per_second / rates["float32"],
        "model_matmul_share": curve.model_flops_per_second / rates["float32"],
        "own_matmul_share": curve.flops_per_second / rates[curve.precision],
        "padding_share": curve.padding_share,
        "input_share": curve.input_share,
        **{f"seconds_to_bleu_{bleu}": curve.seconds_to(bleu) for bleu in _BLEU_MARKS},
        "last_dev_bleu": curve.points[-1][1],
        "seconds": curve.points[-1][0],
    }


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Plot dev BLEU against training time for each system."""
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
    """Train with both systems, then print, draw and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"), help="must not exist")
    parser.add_argument(
        "--joeynmt",
        type=Path,
        default=Path(".venv-joeynmt/bin/python"),
        help="Python of JoeyNMT's environment",
    )
    parser.add_argument("--joeynmt-steps", type=int, default=1200)
    parser.add_argument(
        "--joeynmt-trial-steps", type=int, default=200, help="to choose its learning rate"
    )
    parser.add_json_option()
    arguments, options = parser.parse_known_args()
    require_positive("--joeynmt-steps", arguments.joeynmt_steps)
    require_positive("--joeynmt-trial-steps", arguments.joeynmt_trial_steps)
    folder: Path = arguments.folder
    require_new(folder)
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
    measured = {system: measures_of(curve, rates) for system, curve in curves.items()}
    products = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in rates.items())
    print(f"{describe_machine(torch.device('cpu'))}; matrix products: {products}")
    print_table(measured, UNITS, missing="not reached")
    draw(curves, folder / "curves.png")
    print(folder / "curves.png")
    machine: list[Record] = [
        ("machine", f"matrix_rate_{name}", rate, "FLOP/s") for name, rate in rates.items()
    ]
    write_records(records_of(measured, UNITS) + machine, arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_training"):
        main()
