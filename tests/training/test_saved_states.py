"""A training resumes from whatever a kill or a loss of power leaves, and ends as if uninterrupted.

A toy learner, whose steps take no time, stands for a real one; see `runs/test_resume.py` for that.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from conftest import contents, tiny_config
from power import Disk, put
from torch import Tensor, nn

from translator import pipeline
from translator.config import TrainingConfig
from translator.errors import TranslatorError
from translator.model.weights import Origin, save_weights
from translator.runs.measurements import Measurement, read_measurements
from translator.runs.run import Run
from translator.training.checkpoint import Identity, load_state
from translator.training.distributed import World
from translator.training.trainer import Trainer

STEPS = 12
# Dev BLEU of the toy: the best weights are those of steps 2, 4 and 10.
SCORES = {2: 5.0, 4: 8.0, 6: 6.0, 8: 7.5, 10: 9.0, 12: 4.0}
IDENTITY = Identity({"seed": 1}, {"the data (dev)": "ab"}, STEPS)


class ToyLearner:
    """Makes steps that depend on the weights, so that a lost or repeated one shows."""

    def __init__(self) -> None:
        self.model = nn.Linear(2, 1)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.fill_(1)
        self.evaluated_model = self.model
        self.device, self.precision = torch.device("cpu"), "float32"
        self.position = {"epoch": 0, "index": 0}
        self.batches = SimpleNamespace(
            epoch=0, state=lambda: dict(self.position), restore=self.position.update
        )

    def step(self, step: int) -> tuple[dict[str, float], int]:
        self.position["index"] += 1
        with torch.no_grad():
            self.model.weight.mul_(1.25).add_(self.position["index"])
        return {"loss": 1 / (step + 1)}, 3

    def state_dict(self) -> dict[str, Tensor]:
        return {f"model/{name}": p.detach() for name, p in self.model.named_parameters()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.model.load_state_dict({name[6:]: tensor for name, tensor in state.items()})


def trainer_of(run: Run, score: Callable[[int], float] = SCORES.__getitem__) -> Trainer:
    """Return a trainer of the toy that evaluates every second step and saves every step."""
    config = TrainingConfig(max_steps=STEPS, evaluations=STEPS // 2, checkpoint_minutes=1e-9)
    learner = cast(Any, ToyLearner())
    trainer = Trainer(config, learner, lambda _, step: score(step), run, IDENTITY, World())
    trainer.resume()
    return trainer


def without_times(run: Run) -> list[Measurement]:
    return [
        replace(measurement, seconds=0.0, evaluation_seconds=None, tgt_tokens_per_second=None)
        for measurement in read_measurements(run.metrics)
    ]


def end_of(run: Run) -> tuple[Any, ...]:
    """Everything that a training leaves, except times."""
    loaded = load_state(run.state, 3)
    progress = replace(loaded.state.progress, seconds=0.0)
    tensors = {name: tensor.tolist() for name, tensor in loaded.tensors.items()}
    return run.weights.read_bytes(), without_times(run), progress, tensors


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "disk" / "run").mkdir(parents=True)
    return Run(tmp_path / "disk" / "run")


@pytest.fixture
def uninterrupted(tmp_path: Path) -> tuple[Any, ...]:
    run = Run(tmp_path / "uninterrupted")
    run.path.mkdir()
    trainer_of(run).train()
    return end_of(run)


@pytest.fixture
def fallback(run: Run) -> Run:
    """A run that was stopped at step 6, with a newer state that is damaged."""
    trainer = trainer_of(run)
    trainer.max_steps = 6
    trainer.config = replace(trainer.config, evaluations=3)
    trainer.train()
    run.state.write_bytes(run.state.read_bytes()[:-1])
    return run


def test_a_power_cut_at_any_moment_loses_no_saved_step(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: tuple[Any, ...]
) -> None:
    disk = Disk(tmp_path / "disk")
    save = Trainer.save

    def save_and_mark(trainer: Trainer) -> None:
        save(trainer)
        disk.mark = trainer.progress.step

    monkeypatch.setattr(Trainer, "save", save_and_mark)
    with disk.recording(monkeypatch):
        trainer_of(run).train()
    assert end_of(run) == uninterrupted
    assert len(disk.cuts) > 4 * STEPS
    for number, (files, saved_step) in enumerate(disk.cuts):
        again = Run(put(files, tmp_path / str(number)) / "run")
        trainer = trainer_of(again)
        assert trainer.progress.step >= saved_step
        trainer.train()
        assert end_of(again) == uninterrupted
        shutil.rmtree(again.path.parent)


def test_a_save_syncs_each_file_once_and_then_its_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(run)
    trainer.train()
    disk = Disk(tmp_path / "disk")
    with disk.recording(monkeypatch):
        trainer.save()
    [temporary] = {call for call in disk.calls if call.endswith(".tmp")}
    assert disk.calls == [
        "sync run/metrics.jsonl",
        temporary,
        "rename run/training_state.previous.safetensors",
        "rename run/training_state.safetensors",
        "sync run",
    ]


def test_the_run_ends_the_same_from_the_older_state(
    fallback: Run, uninterrupted: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    older = fallback.previous_state.read_bytes()
    trainer = trainer_of(fallback)
    assert trainer.progress.step == 5
    said = capsys.readouterr().err
    assert said.count("note: ") == 1
    assert "going on from training_state.previous.safetensors, saved at step 5" in said
    trainer.save()
    assert fallback.previous_state.read_bytes() == older  # and not the damaged one
    trainer.train()
    assert end_of(fallback) == uninterrupted


def test_weights_newer_than_the_state_are_written_again_even_if_their_score_is_lower_now(
    run: Run, uninterrupted: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed between its weights and its state; another one rounds differently."""
    save = Trainer.save

    def fail_at_4(trainer: Trainer) -> None:
        if trainer.progress.step == 4:
            raise KeyboardInterrupt
        save(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", fail_at_4)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(run).train()
    newer = run.weights.read_bytes()
    same = Run(Path(shutil.copytree(run.path, run.path.with_name("same"))))
    trainer_of(same).train()
    assert end_of(same) == uninterrupted
    trainer = trainer_of(run, lambda step: {4: 1.0, 10: 0.0}.get(step, 0.5))
    assert trainer.progress.step == 3
    trainer.train()
    assert run.weights.read_bytes() == newer
    assert (trainer.progress.best_bleu, trainer.progress.best_step) == (1.0, 4)
    trainer_of(run)  # weights and state belong together


@pytest.mark.parametrize(
    "origin",
    [Origin("another", 12), Origin(IDENTITY.fingerprint, 4), None],
    ids=["another training", "an earlier step", "missing"],
)
def test_weights_that_do_not_belong_to_the_state_are_refused(
    run: Run, origin: Origin | None
) -> None:
    trainer_of(run).train()
    if origin:
        save_weights(nn.Linear(2, 1), run.weights, origin)
    else:
        run.weights.unlink()
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(TranslatorError, match=r"weights\.safetensors: no"):
        trainer_of(run)
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_power_cut_leaves_new_runs_and_prepared_data_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run that has begun is on the disk, with all folders above it.

    The folder of a run may have some of its files before, if training sees that it is a new one.
    """

    def interrupt(trainer: Trainer) -> None:
        raise KeyboardInterrupt

    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root)
    monkeypatch.setattr(Trainer, "resume", interrupt)
    run = root / "new" / "runs" / "tiny"
    with disk.recording(monkeypatch), pytest.raises(KeyboardInterrupt):
        pipeline.train(tiny_config(root / "new" / "data"), Run(run))
    [corpus] = (root / "new" / "data" / "prepared").glob("[!.]*")
    [tokenizer] = corpus.glob("tokenizer-*")
    for folder in (run, tokenizer, corpus):
        name = str(folder.relative_to(root))
        whole = {
            str(path.relative_to(root)): content
            for path, content in contents(folder).items()
            # The tokenizer is added to its corpus later, and is checked on its own.
            if path.suffix != ".lock" and (folder != corpus or tokenizer not in path.parents)
        }
        assert whole
        assert whole.items() <= disk.synced.items()
        for i, (files, _) in enumerate(disk.cuts):
            if name in files and not whole.items() <= files.items():
                assert folder == run
                assert Run(put(files, tmp_path / f"cut {i}") / name).is_new()
