"""List the runs of a folder, with their state and scores."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from translator.errors import TranslatorError
from translator.runs.measurements import read_measurements
from translator.runs.run import Run

# Seconds in each unit, the largest first.
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class RunSummary:
    """The state and scores of a run. Numbers that the run doesn't have yet are None.

    Attributes:
        name: name of its folder
        written: when the run was last written to, in UTC
        state: training, stopped or finished; or the error, if the run can't be read
        direction: such as "en-es"
        parameters: number of parameters of the model
        step: step of the last measurement
        max_steps: the step at which the training ends
        dev_bleu: the best dev BLEU so far
        test_bleu: test BLEU of greedy search
        beam_bleu: test BLEU of beam search
    """

    name: str
    written: datetime
    state: str
    direction: str | None = None
    parameters: int | None = None
    step: int | None = None
    max_steps: int | None = None
    dev_bleu: float | None = None
    test_bleu: float | None = None
    beam_bleu: float | None = None


def list_runs(folder: Path) -> list[RunSummary]:
    """Summarize each run of a folder, the most recently written one first.

    Raises:
        TranslatorError: the folder doesn't exist, or contains no run.
    """
    runs = [Run(path.parent) for path in folder.glob("*/run.json")]
    if not runs:
        raise TranslatorError(
            f"no run in {folder}/ yet: train one with `translator train`, or name another folder"
        )
    return sorted(map(_summary, runs), key=lambda summary: summary.written, reverse=True)


def _summary(run: Run) -> RunSummary:
    written = _written(run)
    try:
        manifest, config = run.read_manifest(), run.load_config()
        measurements = read_measurements(run.metrics)
    except TranslatorError as error:
        return RunSummary(run.path.name, written, state=str(error))
    measured = [m.dev_bleu for m in measurements if m.dev_bleu is not None]
    scores = [of_search.bleu for of_search in manifest.scores.values()]
    state: str = manifest.state
    if state == "training" and not run.is_locked():
        state = "stopped"  # or killed; the same command resumes it
    return RunSummary(
        name=run.path.name,
        written=written,
        state=state,
        direction=config.corpus.direction,
        parameters=manifest.parameters,
        step=measurements[-1].step if measurements else 0,
        max_steps=manifest.max_steps,
        dev_bleu=max(measured, default=None),
        test_bleu=scores[0] if scores else None,
        beam_bleu=scores[-1] if scores else None,
    )


def _written(run: Run) -> datetime:
    paths = (run.manifest, run.metrics)
    return datetime.fromtimestamp(max(p.stat().st_mtime for p in paths if p.exists()), UTC)


def describe_age(written: datetime) -> str:
    """Return how long ago a time was, in the largest unit that fits, such as "3 d ago"."""
    seconds = time.time() - written.timestamp()
    # A time lies in the future if a clock was set back, or if another machine wrote the file.
    side = "ago" if seconds >= 0 else "after this clock's time"
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            return f"{int(abs(seconds) / size)} {unit} {side}"
    return "0 s ago"
