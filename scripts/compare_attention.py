"""Compare the normalizers of cross-attention: train the same model with each of them.

    python scripts/compare_attention.py --folder runs/attention --training.max_steps 700

Each normalizer is trained with seed 1. The two with the best dev BLEU are also trained with seeds 2
and 3. A run that is already finished is not trained again. Other options are passed on to
`translator train`.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from benchmarking.options import ScriptParser
from benchmarking.records import records_of, write_records
from benchmarking.training import train_as_user
from tabulate import tabulate

from translator.alignment.aligner import Aligner, load_aligner
from translator.alignment.scoring import GoldPair, read_gold, score_links
from translator.config import NormalizerName
from translator.corpus.held_out import read_examples
from translator.errors import exit_on_user_error
from translator.evaluation.metrics import evaluate
from translator.runs.run import Run

# Number of dev pairs on which the attention weights are measured.
_PAIRS = 500
UNITS = {
    "dev_bleu": "BLEU",
    "dev_chrf": "chrF",
    "aer": "share",
    "exact_zeros": "share",
    "entropy": "nats",
    "target_tokens_per_second": "tokens/s",
}


@dataclass(frozen=True)
class Trained:
    """A measured run.

    Attributes:
        normalizer: of cross-attention
        seed: of the training
        measures: those that `UNITS` names; no `aer` without gold alignments
    """

    normalizer: str
    seed: int
    measures: dict[str, float]


def attention_measures(aligner: Aligner, run: Run) -> dict[str, float]:
    """Sparsity of the last decoder layer's cross-attention on dev.

    Returns:
        `exact_zeros`, the share of the weights that are 0, and `entropy`, the mean entropy of the
        weights of a target position.
    """
    translator = aligner.translator
    examples = read_examples(run.held_out("dev"))[:_PAIRS]
    pairs = [translator.model_text.pair(e.src, e.references[0]) for e in examples]
    src, tgt = (translator.tokenizer.encode(list(side)) for side in zip(*pairs, strict=True))
    layer = aligner.model.decoder_layers - 1
    found = [
        weights[0].double().numpy()
        for weights in translator.engine.cross_attention(src, tgt, [layer])
    ]
    zeros = sum(int((weights == 0).sum()) for weights in found)
    logs = [np.log(weights, out=np.zeros_like(weights), where=weights > 0) for weights in found]
    entropies = np.concatenate(
        [-(weights * log).sum(axis=-1).ravel() for weights, log in zip(found, logs, strict=True)]
    )
    return {
        "exact_zeros": zeros / sum(weights.size for weights in found),
        "entropy": float(entropies.mean()),
    }


def measure(run: Run, gold: list[GoldPair]) -> dict[str, float]:
    """All measures of a run; `aer` only if there are gold alignments."""
    aligner = load_aligner(run)
    _, scores = evaluate(aligner.translator, read_examples(run.held_out("dev")), beam_size=1)
    progress = run.read_manifest().progress
    assert progress is not None
    measures = {"dev_bleu": scores.bleu, "dev_chrf": scores.chrf}
    if gold:
        links = aligner.links([pair.pair for pair in gold])
        measures["aer"] = score_links(links, gold).aer
    measures |= attention_measures(aligner, run)
    measures["target_tokens_per_second"] = progress.tgt_tokens / progress.seconds
    return measures


def mean_row(normalizer: str, runs: list[Trained]) -> list[str]:
    """The mean of each measure over the seeds, and its standard deviation if there are several."""
    row = [normalizer, ", ".join(str(run.seed) for run in runs)]
    for name in UNITS:
        values = [run.measures[name] for run in runs if name in run.measures]
        text = f"{statistics.fmean(values):.4g}" if values else "-"
        row.append(text + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""))
    return row


def main() -> None:
    """Train and measure the runs, then print and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/attention"), help="where the runs are"
    )
    parser.add_argument("--gold", type=Path, help="also score alignments on this TSV file")
    parser.add_json_option()
    arguments, options = parser.parse_known_args()
    gold = read_gold(arguments.gold) if arguments.gold else []

    def trained(normalizer: str, seed: int) -> Trained:
        chosen = [f"--model.cross_attention={normalizer}", f"--seed={seed}"]
        run = train_as_user(arguments.folder / f"{normalizer}-{seed}", [*options, *chosen])
        return Trained(normalizer, seed, measure(run, gold))

    runs = {normalizer: [trained(normalizer, 1)] for normalizer in get_args(NormalizerName)}
    ranked = sorted(runs, key=lambda normalizer: -runs[normalizer][0].measures["dev_bleu"])
    for normalizer in ranked[:2]:
        runs[normalizer] += [trained(normalizer, seed) for seed in (2, 3)]
    headers = ["cross-attention", "seeds", *(f"{name} ({unit})" for name, unit in UNITS.items())]
    print(tabulate([mean_row(*item) for item in runs.items()], headers, disable_numparse=True))
    measured = {
        f"{run.normalizer}, seed {run.seed}": run.measures
        for same_normalizer in runs.values()
        for run in same_normalizer
    }
    write_records(records_of(measured, UNITS), arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("compare_attention"):
        main()
