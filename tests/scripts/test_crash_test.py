"""The crash test reports everything that a crash could break."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import crash_test
import pytest
from conftest import PAIRS
from crash_test import differences
from crashing.killer import BrokenTrainingError, check_start
from crashing.process import Training
from helpers import saved_state

from translator.training.checkpoint import save_state


@pytest.fixture
def trainings(trained_run: Path, tmp_path: Path) -> tuple[Training, Training]:
    """Two trainings with the same end."""
    killed, reference = (Training(tmp_path / name, PAIRS, 60) for name in ("killed", "untouched"))
    for training in (killed, reference):
        shutil.copytree(trained_run, training.run.path)
    return killed, reference


def edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_the_same_end_is_equal_except_for_times(trainings: tuple[Training, Training]) -> None:
    killed, reference = trainings
    edit(killed.run.metrics, r'"seconds": [\d.]+', '"seconds": 12345.6')
    assert differences(killed, reference) == []


def test_every_difference_is_named(trainings: tuple[Training, Training]) -> None:
    killed, reference = trainings
    weights = bytearray(killed.run.weights.read_bytes())
    weights[-1] ^= 1
    killed.run.weights.write_bytes(weights)
    saved = saved_state(killed.run)
    name = next(name for name in saved.tensors if name.startswith("average/"))
    saved.tensors[name].view(-1)[0] += 1e-6
    saved.state.progress.tgt_tokens += 1
    save_state(killed.run.state, saved.state, saved.tensors, None)
    edit(killed.run.metrics, r'"loss": \d', '"loss": 99')
    edit(killed.run.manifest, r'"bleu": \d', '"bleu": 99')
    (killed.run.path / ".training_state.safetensors.123.tmp").touch()
    (killed.run.path / "report.md").unlink()
    assert differences(killed, reference) == [
        "weights.safetensors differs",
        f"the saved states differ in {name}",
        "the saved states differ in tgt_tokens",
        "metrics.jsonl differs in more than times",
        "the scores in run.json differ",
        "run/.training_state.safetensors.123.tmp is left over",
        "run/report.md is missing",
    ]


@pytest.mark.parametrize(
    ("code", "output", "saved", "wrong"),
    [
        (-9, "", 40, None),  # killed before it could report the step
        (-9, "resuming run at step 40\n", 43, None),
        (-9, "resuming run at step 39\n", 43, "step 40, but it began at 39"),
        (-9, "", 41, "step 40, but it began at 0"),
        (1, "Traceback", 40, "ended with code 1"),
        (2, "translator: no", 40, "ended with code 2"),
    ],
)
def test_a_start_at_another_step_is_reported(
    code: int, output: str, saved: int, wrong: str | None
) -> None:
    process = SimpleNamespace(
        popen=SimpleNamespace(returncode=code),
        output=lambda: output,
        step=lambda: saved,
        first_step=40,
    )
    if wrong is None:
        check_start(process)  # type: ignore[arg-type]
        return
    with pytest.raises(BrokenTrainingError, match=wrong):
        check_start(process)  # type: ignore[arg-type]


def test_differences_are_the_exit_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_test, "crash", lambda *_: ["weights.safetensors differs"])
    monkeypatch.setattr("sys.argv", ["crash_test.py"])
    with pytest.raises(SystemExit, match=r"crash_test: weights\.safetensors differs"):
        crash_test.main()
