"""Kill a training again and again: it must end as if it had never been killed.

    python scripts/crash_test.py --kills 50

The script trains a tiny model twice on the same corpus. One training is left alone. The other is
killed (SIGKILL, including the processes it started) at random moments of every phase and started
again each time. Each start must resume from the last saved state. In the end no unfinished file may
be left, and weights, state and measurements must be the same bit for bit; otherwise the exit code
is 1. Without --pairs, the corpus is the default one, so its download is killed too.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from benchmarking.options import ScriptParser, require_file, require_new, require_positive
from benchmarking.records import Record, write_records
from crashing.killer import BrokenTrainingError, Killer, check_start, train_without_kills
from crashing.process import DOWNLOAD, EVALUATIONS, PHASES, PREPARING, TIMEOUT, Training
from tabulate import tabulate

from translator.errors import exit_on_user_error
from translator.runs.measurements import Measurement, read_measurements

# A multiple of the 20 steps between two losses in metrics.jsonl: the loss of a step is logged just
# before the evaluation of the same step, and so shows that this evaluation has begun.
_STEPS_PER_EVALUATION = 20
# In phases that are not repeated, kill within this share of the time measured without kills, since
# the machine may be twice as fast the second time.
_EARLY_SHARE = 0.4


def differences(killed: Training, reference: Training) -> list[str]:
    """Compare two finished trainings.

    Returns:
        A line for each difference.
    """
    found = []
    if killed.run.weights.read_bytes() != reference.run.weights.read_bytes():
        found.append("weights.safetensors differs")
    found += _differing_parts(*(_parts_of_state(training) for training in (killed, reference)))
    metrics = [
        [_without_times(measurement) for measurement in read_measurements(run.metrics)]
        for run in (killed.run, reference.run)
    ]
    if metrics[0] != metrics[1]:
        found.append("metrics.jsonl differs in more than times")
    scores = [training.run.read_manifest().scores for training in (killed, reference)]
    if scores[0] != scores[1] or not scores[0]:
        found.append("the scores in run.json differ")
    left, wanted = killed.files(), reference.files()
    found += [f"{path} is left over" for path in sorted(left - wanted)]
    found += [f"{path} is missing" for path in sorted(wanted - left)]
    return found


def _without_times(measurement: Measurement) -> Measurement:
    """Everything else must be equal."""
    return replace(measurement, seconds=0.0, evaluation_seconds=None, tgt_tokens_per_second=None)


def _parts_of_state(training: Training) -> dict[str, Any]:
    """The parts of a saved state by name, without the times."""
    saved = training.saved()
    if saved is None:
        return {}
    parts = {**vars(saved.state), **vars(saved.state.progress), **saved.tensors}
    for name in ("progress", "seconds"):
        del parts[name]
    parts["measurements"] = list(map(_without_times, saved.state.measurements))
    return parts


def _differing_parts(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """A line for each part of two states that differs."""
    different = []
    for name in sorted(left.keys() | right.keys()):
        one, other = left.get(name), right.get(name)
        if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
            equal = one.dtype == other.dtype and torch.equal(one, other)
        else:
            equal = one == other
        if not equal:
            different.append(f"the saved states differ in {name}")
    return different


def crash(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Train twice, without kills and with them, and report the result.

    Returns:
        A line for each thing that is wrong.
    """
    seed = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    print(f"moments of the kills: --seed {seed}", file=sys.stderr)
    max_steps = EVALUATIONS * _STEPS_PER_EVALUATION * math.ceil(arguments.kills / 10)
    reference, killed = (
        Training(folder / name, arguments.pairs, max_steps) for name in ("untouched", "killed")
    )
    print("training without kills …", file=sys.stderr)
    killer = Killer(killed, train_without_kills(reference), random.Random(seed))
    wrong: list[str] = []
    try:
        plan = killer.plan(arguments.kills)
        for number, (phase, step) in enumerate(plan, start=1):
            print(f"kill {number} of {arguments.kills}: {phase}, step {step}", file=sys.stderr)
            # Preparation is not repeated once it is done, so only the last kill in one of its
            # phases may be close to the end of the phase.
            last = phase not in PREPARING or (phase, step) not in plan[number:]
            killer.kill_at(phase, step, share=1.0 if last else _EARLY_SHARE)
        with killed.process() as process:
            process.popen.wait(TIMEOUT)
            check_start(process)
        wrong += differences(killed, reference)
    except (BrokenTrainingError, subprocess.TimeoutExpired) as failure:
        wrong.append(str(failure))
    if killer.lost > 1:
        wrong.append(f"{killer.lost} steps were lost, although a state is saved at every step")
    report(killer, seed, max_steps, wrong, arguments.json)
    return wrong


def report(killer: Killer, seed: int, steps: int, wrong: list[str], path: Path | None) -> None:
    """Print and write the measures."""
    records: list[Record] = [
        ("translator", f"kills: {phase}", killer.kills[phase], "kills")
        for phase in PHASES
        if phase != DOWNLOAD or killer.training.downloads
    ]
    records += [
        ("translator", "kills", sum(killer.kills.values()), "kills"),
        ("translator", "steps of the training", steps, "steps"),
        ("translator", "steps lost at most by a kill", killer.lost, "steps"),
        ("translator", "the end is the same, bit for bit", int(not wrong), "0 or 1"),
        ("translator", "seed of the kill moments", seed, ""),
    ]
    print(tabulate([record[1:] for record in records], ["", "value", "unit"], floatfmt="g"))
    write_records(records, path)


def main() -> None:
    """Run the crash test; exit with code 1 if something is wrong."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often, spread over all phases")
    parser.add_argument("--pairs", type=Path, help="a TSV file instead of the default corpus")
    parser.add_argument("--folder", type=Path, help="must not exist; default: a temporary one")
    parser.add_argument("--seed", type=int, help="repeat the kills of an earlier --seed")
    parser.add_json_option()
    arguments = parser.parse_args()
    require_positive("--kills", arguments.kills)
    if arguments.pairs:
        print("with --pairs nothing is downloaded, so no download killed", file=sys.stderr)
        require_file(arguments.pairs)
    if arguments.folder:
        require_new(arguments.folder)
    with tempfile.TemporaryDirectory() as temporary:
        wrong = crash(arguments, arguments.folder or Path(temporary))
    if wrong:
        sys.exit("crash_test: " + "\n".join(wrong))


if __name__ == "__main__":
    with exit_on_user_error("crash_test"):
        main()
