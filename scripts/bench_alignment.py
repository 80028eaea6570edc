"""How right word alignments are, and what they cost: ours in several readings, and eflomal's.

    pip install eflomal            # a statistical aligner, compiled from C; skipped if it is absent
    python scripts/bench_alignment.py --run-dir runs/1h --reverse-run runs/back --gold gold.tsv

Gold is a TSV file, as for `translator align --gold`. All alignments are of both directions: ours
joined by their agreement and, as eflomal's, by grow-diag-final-and. eflomal is trained on the
training pairs of the run and the words of the gold file, in lower case, as its users do.
"""

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from peers.records import Record, write_records
from tabulate import tabulate

from translator.alignment.aligner import Aligner, bidirectional_links, load_aligner, training_pairs
from translator.alignment.extraction import Reading
from translator.alignment.scoring import GoldPair, parse_links, read_gold, score_links
from translator.alignment.symmetrization import Links, grow_diag_final_and
from translator.alignment.words import Pair
from translator.data.arrays import Ragged
from translator.data.batching import Batch, PairIds, group_by_length, make_batch
from translator.data.prepare import prepare_corpus
from translator.data.tokenizer import PAD_ID
from translator.errors import exit_on_user_error
from translator.inference.pytorch import BATCH_POSITIONS, PyTorchEngine
from translator.runs.run import Run
from translator.system.parallel import Workers

_SPEED_PAIRS = 2000
# How other aligners join two directions.
_USUAL = "grow-diag-final-and"


def last_layer(aligner: Aligner) -> Aligner:
    """The same, read as is usual and naive: the last layer at the step that predicts a word."""
    return replace(aligner, reading=Reading(aligner.model.decoder_layers - 1, None, "output"))


def eflomal_links(training: Sequence[Pair], gold: Sequence[GoldPair]) -> list[Links]:
    """The joined links of eflomal."""
    from eflomal import Aligner as Eflomal

    def lines(side: int) -> list[str]:
        words = [pair[side].words for pair in training]
        words += [pair.pair[side].words for pair in gold]
        return [" ".join(of_sentence).lower() + "\n" for of_sentence in words]

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
    return [grow_diag_final_and(*of_pair) for of_pair in zip(*found, strict=True)]


def seconds_of_pass(aligner: Aligner, pairs: Sequence[Pair]) -> float:
    """Of one teacher-forced pass from text to log-probabilities, batches side by side as ours."""
    engine, tokenizer = aligner.translator.engine, aligner.translator.tokenizer
    assert isinstance(engine, PyTorchEngine)
    model = engine.model
    workers = Workers(torch.get_num_threads())

    @torch.inference_mode()
    def read(batch: Batch) -> None:
        mask = batch.src_padding_mask
        memory = model.encode(batch.src, mask)
        states, _ = model.decode(batch.tgt[:, :-1], memory, mask)
        model.logits(states[batch.tgt[:, 1:] != PAD_ID]).log_softmax(dim=-1)

    started = time.perf_counter()
    src, tgt = (tokenizer.encode([pair[side].text for pair in pairs]) for side in (0, 1))
    ids = PairIds(Ragged.from_lists(src), Ragged.from_lists(tgt))
    rows = group_by_length(ids, BATCH_POSITIONS, np.random.default_rng(0))
    workers.map(read, [make_batch(ids, of_batch) for of_batch in rows])
    return time.perf_counter() - started


def cost(aligner: Aligner, pairs: Sequence[Pair]) -> float:
    """Seconds of aligning pairs, over those of a teacher-forced pass; the best of three each."""
    passes, alignments = [], []
    for _ in range(3):
        passes.append(seconds_of_pass(aligner, pairs))
        started = time.perf_counter()
        aligner.links(pairs)
        alignments.append(time.perf_counter() - started)
    return min(alignments) / min(passes)


def main() -> None:
    """Align, score; print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--reverse-run", type=Path, required=True, help="of the opposite direction")
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write the measures there")
    arguments = parser.parse_args()
    run = Run(arguments.run_dir)
    forward, backward = load_aligner(run), load_aligner(Run(arguments.reverse_run))
    gold = read_gold(arguments.gold)
    pairs = [pair.pair for pair in gold]
    found = {
        "translator": bidirectional_links(forward, backward, pairs, "agreement"),
        "translator-grow-diag": bidirectional_links(forward, backward, pairs, _USUAL),
        "translator-last-layer": bidirectional_links(
            last_layer(forward), last_layer(backward), pairs, _USUAL
        ),
    }
    training = list(training_pairs(prepare_corpus(run.load_config())))
    if importlib.util.find_spec("eflomal") is None:
        print("eflomal: skipped, it is not installed (see --help)", file=sys.stderr)
    else:
        found["eflomal"] = eflomal_links(training, gold)
    scores = {system: asdict(score_links(links, gold)) for system, links in found.items()}
    ratio = cost(forward, training[:_SPEED_PAIRS])
    print(f"read by {forward.reading}; backwards by {backward.reading}")
    print(tabulate([{"": name} | score for name, score in scores.items()], "keys", floatfmt=".3f"))
    print(f"aligning takes {ratio:.2f} times a teacher-forced pass over the same pairs")
    if arguments.json:
        records: list[Record] = [
            (system, name, value, "share")
            for system, score in scores.items()
            for name, value in score.items()
        ]
        write_records([*records, ("translator", "cost", ratio, "passes")], arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_alignment"):
        main()
