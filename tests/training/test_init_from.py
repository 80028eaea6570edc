"""A training that starts from another run's weights and tokenizer."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import PAIRS, TINY_OPTIONS, Cli, assert_one_clear_line, tiny_config
from safetensors.torch import load_file

from translator.config import Config
from translator.errors import TranslatorError
from translator.pipeline import train
from translator.runs.run import Run
from translator.training.trainer import Trainer

# Learning rates so low that steps change float32 weights by rounding errors at most.
FROZEN = {"muon_lr": 1e-12, "lr": 1e-12, "max_steps": 2, "evaluations": 1}


@pytest.fixture
def base(trained_run: Path, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained_run, tmp_path / "base")))


@pytest.fixture
def other_pairs(tmp_path: Path) -> Path:
    """Half of the test corpus and a pair with a letter that the base run has never seen."""
    lines = PAIRS.read_text(encoding="utf-8").splitlines()[1::2]
    path = tmp_path / "other.tsv"
    path.write_text("\n".join([*lines, "Øre.\tOreja."]) + "\n", encoding="utf-8")
    return path


def adapted(base: Run, pairs: Path, data_dir: Path, **training: object) -> Config:
    config = tiny_config(data_dir, **(FROZEN | {"init_from": str(base.path)} | training))
    return replace(config, corpus=replace(config.corpus, files=str(pairs)))


def test_training_starts_from_the_weights_and_the_tokenizer_of_the_base_run(
    base: Run, other_pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "adapted")
    train(adapted(base, other_pairs, tmp_path / "data"), run)
    assert run.tokenizer.read_bytes() == base.tokenizer.read_bytes()
    before, after = load_file(base.weights), load_file(run.weights)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)
    assert "1 characters of this corpus are not in the vocabulary" in capsys.readouterr().err


def test_training_from_a_base_run_learns_faster(
    base: Run, other_pairs: Path, tmp_path: Path
) -> None:
    settings = {"max_steps": 40, "muon_lr": 0.02, "lr": 0.006, "warmup_steps": 5}
    losses = []
    for name, init_from in (("adapted", str(base.path)), ("new", None)):
        run = Run(tmp_path / name)
        train(adapted(base, other_pairs, tmp_path / "data", **settings, init_from=init_from), run)
        progress = run.read_manifest().progress
        assert progress is not None
        losses.append(progress.loss)
    assert losses[0] < losses[1] - 0.3, "nats per token after 40 steps"


def test_a_saved_run_resumes_without_the_base_run(
    base: Run, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data_dir = Run(tmp_path / "adapted"), tmp_path / "data"
    config = adapted(base, other_pairs, data_dir, max_steps=4, evaluations=2)
    save = Trainer.save

    def save_and_interrupt(trainer: Trainer) -> None:
        save(trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save", save_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    shutil.rmtree(base.path)
    train(config, run)
    assert run.read_manifest().state == "finished"


def test_resuming_is_refused_when_the_base_weights_have_changed(
    base: Run, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "adapted")
    config = adapted(base, other_pairs, tmp_path / "data")

    def interrupt(trainer: Trainer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    base.weights.write_bytes(base.weights.read_bytes() + b" ")
    with pytest.raises(TranslatorError, match=r"base has changed since this run was started"):
        train(config, run)


def test_a_base_run_of_another_shape_is_refused_with_the_differing_keys(
    base: Run, other_pairs: Path, tmp_path: Path
) -> None:
    config = adapted(base, other_pairs, tmp_path / "data")
    config = replace(config, model=replace(config.model, d_model=64, decoder_layers=1))
    with pytest.raises(TranslatorError, match=r"model\.d_model \(32 there\), model\.decoder_l"):
        train(config, Run(tmp_path / "adapted"))
    assert not (tmp_path / "adapted").exists()


def test_a_missing_base_run_is_named(cli: Cli) -> None:
    result = cli("train", *TINY_OPTIONS, "--training.init_from=runs/none")
    assert_one_clear_line(result, "runs/none", "no run")
