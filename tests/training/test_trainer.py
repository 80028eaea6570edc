"""What the training loop says of numbers that go wrong."""

from pathlib import Path

import pytest
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line, contents, tiny_config

from translator.pipeline import train
from translator.run import Run
from translator.training.learner import Learner


def test_a_loss_that_runs_away_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Learner.step

    def worse(learner: Learner, step: int) -> tuple[float, int]:
        loss, tokens = exact(learner, step)
        return loss + (9 * tokens if step >= 20 else 0), tokens

    monkeypatch.setattr(Learner, "step", worse)
    train(tiny_config(tmp_path / "data", max_steps=40, evaluations=2), Run(tmp_path / "run"))
    said = capsys.readouterr().err
    assert said.count("warning: the training loss has risen from") == 1
    assert said.index("step 40, ") < said.index("has risen")


def test_a_training_that_explodes_stops_at_what_is_saved(cli: Cli, tmp_path: Path) -> None:
    command = ["train", *TINY_OPTIONS, "--run-dir=run", "--training.max_steps=30"]
    rates = ["--training.optimizer=adamw", "--training.learning_rate=1e30"]
    saving = ["--training.evaluations=30", "--training.warmup_steps=0"]
    result = cli(*command, *rates, *saving)
    assert_one_clear_line(result, "step ", "not a number", "--training.learning_rate")
    run = Run(tmp_path / "run")
    assert run.read_manifest()["state"] == "training"
    before = contents(run.path)
    again = cli(*command, *rates, *saving)
    assert_one_clear_line(again, "not a number")
    assert contents(run.path) == before
