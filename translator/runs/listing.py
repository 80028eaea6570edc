"""The runs of a folder, side by side."""

import time
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError
from translator.runs.run import Run

# Seconds of each, from the largest that is told.
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """A row for each run, the one written last first; what it has not got yet is None.

    Raises:
        TranslatorError: there is no such folder, or no run in it.
    """
    runs = [Run(path.parent) for path in folder.glob("*/run.json")]
    if not runs:
        raise TranslatorError(
            f"no run in {folder}/ yet: train one with `translator train`, or name another folder"
        )
    return [_row(run) for run in sorted(runs, key=_written, reverse=True)]


def _row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.path.name}
    try:
        manifest, config, metrics = run.read_manifest(), run.load_config(), run.read_metrics()
    except TranslatorError as error:
        return row | {"state": str(error)}
    measured = [record["dev_bleu"] for record in metrics if "dev_bleu" in record]
    step = metrics[-1]["step"] if metrics else 0
    scores = list(manifest.get("scores", {}).values())
    state = manifest["state"]
    if state == "training" and not run.is_locked():
        state = "stopped"  # or killed; the same command goes on
    return row | {
        "state": state,
        "direction": config.corpus.direction,
        "parameters": manifest["parameters"],
        "step": f"{step}/{manifest['max_steps'] or '?'}",
        "dev BLEU": max(measured, default=None),
        "test BLEU": scores[0]["bleu"] if scores else None,
        "with beam": scores[-1]["bleu"] if scores else None,
        "written": _age(time.time() - _written(run)),
    }


def _written(run: Run) -> float:
    """When a run was last written to, in seconds since 1970."""
    return max(p.stat().st_mtime for p in (run.manifest, run.metrics, run.state) if p.exists())


def _age(seconds: float) -> str:
    """A length of time in its largest unit, and on which side of now."""
    # After now only if a clock was set back, or another machine with another clock has written.
    side = "ago" if seconds >= 0 else "after this clock's time"
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            return f"{int(abs(seconds) / size)} {unit} {side}"
    return "0 s ago"
