"""Score word alignments against gold: several ways to extract ours, and those of eflomal.

    pip install eflomal            # a statistical aligner in C; skipped if not installed
    python scripts/bench_alignment.py --run-dir runs/1h --reverse-run runs/back --gold gold.tsv

The gold alignments are a TSV file, as for `translator align --gold`. All systems align in both
directions and combine the two. Ours are combined by agreement and by grow-diag-final-and, those of
eflomal by grow-diag-final-and. As is usual, eflomal is trained on the lowercased words of the run's
training pairs and of the gold file. The script also measures what our alignments cost.
"""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from benchmarking.options import ScriptParser
from benchmarking.records import Record, write_records
from tabulate import tabulate

from translator.alignment.aligner import Aligner, bidirectional_links, load_aligner, training_pairs
from translator.alignment.scoring import GoldPair, parse_links, read_gold, score_links
from translator.alignment.symmetrization import Links, grow_diag_final_and
from translator.alignment.words import Pair
from translator.data.arrays import Ragged
from translator.data.batching import Batch, PairIds, group_by_length, make_batch
from translator.data.prepare import prepare_corpus
from translator.data.tokenizer import PAD_ID
from translator.errors import exit_on_user_error
from translator.inference.pytorch import BATCH_POSITIONS, PyTorchEngine
from translator.model.alignment_head import AlignmentHead
from translator.runs.run import Run
from translator.system.parallel import Workers

_SPEED_PAIRS = 2000
# How other aligners combine the two directions.
_STANDARD = "grow-diag-final-and"


def last_layer(aligner: Aligner) -> Aligner:
    """The naive baseline: attention of the last layer at the step that predicts a token."""
    return replace(aligner, reading=AlignmentHead(aligner.model.decoder_layers - 1, None, "output"))


def eflomal_links(training: Sequence[Pair], gold: Sequence[GoldPair]) -> list[Links]:
    """Links of eflomal, combined by grow-diag-final-and."""
    from eflomal import Aligner as Eflomal

    def lines(side: int) -> list[str]:
        words = [pair[side].words for pair in training]
        words += [pair.pair[side].words for pair in gold]
        return [" ".join(sentence).lower() + "\n" for sentence in words]

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("forward", "backward")]
        Eflomal().align(
            lines(0),
            lines(1),
            links_filename_fwd=str(files[0]),
            links_filename_rev=str(files[1]),
            quiet=True,
        )
        found = [
            [
                parse_links(line, *pair.pair, file.name)[0]
                for line, pair in zip(
                    file.read_text(encoding="utf-8").splitlines()[len(training) :],
                    gold,
                    strict=True,
                )
            ]
            for file in files
        ]
    return [grow_diag_final_and(*both) for both in zip(*found, strict=True)]


def seconds_of_pass(aligner: Aligner, pairs: Sequence[Pair]) -> float:
    """Seconds of a teacher-forced pass from text to log-probabilities, with parallel batches."""
    engine, translator = aligner.translator.engine, aligner.translator
    assert isinstance(engine, PyTorchEngine)
    model = engine.model
    workers = Workers(torch.get_num_threads())

    @torch.inference_mode()
    def forward(batch: Batch) -> None:
        mask = batch.src_padding_mask
        memory = model.encoder(batch.src, mask)
        states, _ = model.decoder(batch.tgt[:, :-1], memory)
        model.decoder.logits(states[batch.tgt[:, 1:] != PAD_ID]).log_softmax(dim=-1)

    started = time.perf_counter()
    texts = [translator.model_text.pair(src.text, tgt.text) for src, tgt in pairs]
    src, tgt = (translator.tokenizer.encode(list(side)) for side in zip(*texts, strict=True))
    ids = PairIds(Ragged.from_lists(src), Ragged.from_lists(tgt))
    rows = group_by_length(ids, BATCH_POSITIONS, np.random.default_rng(0))
    workers.map(forward, [make_batch(ids, batch_rows) for batch_rows in rows])
    return time.perf_counter() - started


def cost(aligner: Aligner, pairs: Sequence[Pair]) -> float:
    """Time of aligning the pairs, in teacher-forced passes over them; each the best of three."""
    passes, alignments = [], []
    for _ in range(3):
        passes.append(seconds_of_pass(aligner, pairs))
        started = time.perf_counter()
        aligner.links(pairs)
        alignments.append(time.perf_counter() - started)
    return min(alignments) / min(passes)


def main() -> None:
    """Align and score with each system, then print and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument(
        "--reverse-run", type=Path, required=True, help="a run in the opposite direction"
    )
    parser.add_argument("--gold", type=Path, required=True, help="gold alignments, a TSV file")
    parser.add_json_option()
    arguments = parser.parse_args()
    run = Run(arguments.run_dir)
    forward, backward = load_aligner(run), load_aligner(Run(arguments.reverse_run))
    gold = read_gold(arguments.gold)
    pairs = [pair.pair for pair in gold]
    found = {
        "translator": bidirectional_links(forward, backward, pairs, "agreement"),
        "translator-grow-diag": bidirectional_links(forward, backward, pairs, _STANDARD),
        "translator-last-layer": bidirectional_links(
            last_layer(forward), last_layer(backward), pairs, _STANDARD
        ),
    }
    training = list(training_pairs(prepare_corpus(run.load_config())))
    if importlib.util.find_spec("eflomal") is None:
        print("eflomal: skipped, it is not installed (see --help)", file=sys.stderr)
    else:
        found["eflomal"] = eflomal_links(training, gold)
    scores = {system: asdict(score_links(links, gold)) for system, links in found.items()}
    ratio = cost(forward, training[:_SPEED_PAIRS])
    print(f"forward: {forward.reading}; backward: {backward.reading}")
    print(tabulate([{"": name} | score for name, score in scores.items()], "keys", floatfmt=".3f"))
    print(f"aligning takes {ratio:.2f} times as long as a teacher-forced pass over the same pairs")
    records: list[Record] = [
        (system, name, value, "share")
        for system, score in scores.items()
        for name, value in score.items()
    ]
    write_records([*records, ("translator", "cost", ratio, "passes")], arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_alignment"):
        main()
