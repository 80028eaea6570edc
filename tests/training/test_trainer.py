"""The training loop reports a diverging loss, a useless model and values that are not finite."""

from pathlib import Path

import pytest
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line, contents, tiny_config

from translator import pipeline
from translator.corpus.held_out import Example
from translator.evaluation.metrics import evaluate
from translator.inference.translator import Translator
from translator.pipeline import train
from translator.runs.manifest import Evaluation
from translator.runs.run import Run
from translator.training.learner import Learner


def test_a_rising_loss_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Learner.step

    def worse(learner: Learner, step: int) -> tuple[dict[str, float], int]:
        losses, tokens = exact(learner, step)
        rise = 9 * tokens if step >= 20 else 0
        return losses | {"loss": losses["loss"] + rise}, tokens

    monkeypatch.setattr(Learner, "step", worse)
    train(tiny_config(tmp_path / "data", max_steps=40, evaluations=2), Run(tmp_path / "run"))
    said = capsys.readouterr().err
    assert said.count("warning: the training loss has risen from") == 1
    assert said.index("step 40, ") < said.index("has risen")


def test_a_model_with_one_translation_for_everything_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning comes at the next evaluation, and only once if the model improves."""
    evaluations: list[int] = []

    def dull_at_first(
        translator: Translator, examples: list[Example], **options: int
    ) -> tuple[list[str], Evaluation]:
        lines, scores = evaluate(translator, examples, **options)
        evaluations.append(len(lines))
        return (["Sí, sí."] if len(evaluations) == 1 else ["Sí.", "No."]) * len(lines), scores

    monkeypatch.setattr(pipeline, "evaluate", dull_at_first)
    train(tiny_config(tmp_path / "data", max_steps=40, evaluations=2), Run(tmp_path / "run"))
    said = capsys.readouterr().err
    assert said.count('warning: every translation is "Sí, sí."') == 1
    assert said.index("every translation is") < said.index("step 20, ")


def test_a_diverging_training_stops_and_keeps_the_saved_state(cli: Cli, tmp_path: Path) -> None:
    command = ["train", *TINY_OPTIONS, "--run-dir=run", "--training.max_steps=30"]
    rates = ["--training.optimizer=adamw", "--training.lr=1e9"]
    saving = ["--training.evaluations=30", "--training.warmup_steps=0"]
    result = cli(*command, *rates, *saving)
    assert_one_clear_line(result, "step ", "not a number", "--training.lr")
    run = Run(tmp_path / "run")
    assert run.read_manifest().state == "training"
    before = contents(run.path)
    again = cli(*command, *rates, *saving)
    assert_one_clear_line(again, "not a number")
    assert contents(run.path) == before
