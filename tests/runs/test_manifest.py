"""run.json and metrics.jsonl: read back as written, by code that loads no large library."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from translator.errors import TranslatorError
from translator.runs.manifest import FORMAT, Progress
from translator.runs.measurements import (
    Measurement,
    append_measurement,
    read_measurements,
    write_measurements,
)
from translator.runs.run import Run


def test_a_manifest_is_read_back_as_written(trained_run: Path, tmp_path: Path) -> None:
    finished = Run(trained_run).read_manifest()
    started = replace(
        finished, state="training", max_steps=None, progress=None, scores={}, alignment_head=None
    )
    # Fewer steps than there are between two records of the loss.
    short = replace(finished, progress=Progress(step=3, seconds=1.5))
    run = Run(tmp_path)
    for manifest in (finished, started, short):
        run.write_manifest(manifest)
        assert run.read_manifest() == manifest
        assert next(iter(json.loads(run.manifest.read_text()).items())) == ("format", FORMAT)


@pytest.mark.parametrize("other", [{}, {"corpus": [], "scores": 1}, {"versions": {"torch": None}}])
def test_another_format_is_one_clear_error_whatever_else_differs(
    tmp_path: Path, other: dict[str, object]
) -> None:
    run = Run(tmp_path)
    run.manifest.write_text(json.dumps({"format": FORMAT - 1, **other}))
    with pytest.raises(TranslatorError, match=f"a run of format {FORMAT - 1}, .* train it again"):
        run.read_manifest()


def test_measurements_are_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    loss = Measurement(
        step=20, seconds=1.5, epoch=0, loss=2.5, losses={"guided": 0.5}, tgt_tokens_per_second=900
    )
    evaluation = Measurement(step=30, seconds=2.0, dev_bleu=1.25, evaluation_seconds=0.5)
    append_measurement(path, loss)
    append_measurement(path, evaluation)
    assert read_measurements(path) == [loss, evaluation]
    assert json.loads(path.read_text().splitlines()[1]) == {
        "step": 30, "seconds": 2.0, "dev_bleu": 1.25, "evaluation_seconds": 0.5
    }  # fmt: skip
    with path.open("a") as file:
        file.write('{"step": 40, "sec')  # cut short by a kill
    assert read_measurements(path) == [loss, evaluation]
    write_measurements(path, [loss])
    assert read_measurements(path) == [loss]


def test_reading_a_manifest_imports_no_large_library() -> None:
    code = (
        "import sys, translator.runs.run; "
        "print({'torch', 'datasets', 'numpy', 'matplotlib', 'tabulate'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
