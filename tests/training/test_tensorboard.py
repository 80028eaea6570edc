"""TensorBoard reads the same values as metrics.jsonl, each step once."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_OPTIONS, tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from translator.cli import main
from translator.pipeline import train
from translator.runs.measurements import Measurement, read_measurements
from translator.runs.run import Run
from translator.training.tensorboard import CURVES, EventFile
from translator.training.trainer import Trainer


def curves(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Return the (step, seconds, value) of each curve, as TensorBoard reads them."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        name: [
            (e.step, e.wall_time, pytest.approx(e.value, rel=1e-6)) for e in events.Scalars(name)
        ]
        for name in events.Tags()["scalars"]
    }


def measured(records: list[Measurement]) -> dict[str, list[tuple[int, float, float]]]:
    """Return the same from the records of metrics.jsonl."""
    found = {
        name: [
            (m.step, m.seconds, getattr(m, name)) for m in records if getattr(m, name) is not None
        ]
        for name in CURVES
    }
    return {name: points for name, points in found.items() if points}


def test_events_equal_the_metrics_after_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses are measured at steps 40 and 60, but the last saved step is 30."""
    run = Run(tmp_path / "run")
    config = tiny_config(tmp_path / "data", tensorboard=True, max_steps=90, evaluations=3)
    save = Trainer.save

    def save_once(trainer: Trainer) -> None:
        if trainer.progress.step == 60:
            raise KeyboardInterrupt
        save(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", save_once)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    before = read_measurements(run.metrics)
    assert [record.step for record in before] == [20, 30, 40, 60, 60]
    assert measured(before) == curves(run.tensorboard)
    [first] = run.tensorboard.iterdir()
    train(config, run)
    records = read_measurements(run.metrics)
    assert [record.step for record in records] == [20, 30, 40, 60, 60, 80, 90]
    assert set(measured(records)) == set(CURVES)
    assert measured(records) == curves(run.tensorboard)
    [second] = run.tensorboard.iterdir()
    assert second.name > first.name


def test_a_reader_during_training_sees_each_step_once(tmp_path: Path) -> None:
    """The reader knows the old file, which a kill at the wrong moment can also leave behind."""
    records = [Measurement(step=n, seconds=n / 10, loss=1 / n) for n in range(1, 6)]
    first = EventFile(tmp_path, records)
    reader = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in reader.Scalars("loss")] == [1, 2, 3, 4, 5]
    content = first.path.read_bytes()
    second = EventFile(tmp_path, records[:3])
    first.path.write_bytes(content)
    second.append(records[3])
    assert [event.step for event in reader.Reload().Scalars("loss")] == [1, 2, 3, 4]
    assert curves(tmp_path) == measured(records[:4])


def test_tensorboard_can_be_switched_on_when_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")
    config = tiny_config(tmp_path / "data", max_steps=30)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("translator.pipeline._finish", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    assert not run.tensorboard.exists()
    train(tiny_config(tmp_path / "data", max_steps=30, tensorboard=True), run)
    assert curves(run.tensorboard) == measured(read_measurements(run.metrics))


def test_a_missing_tensorboard_package_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("tensorboard"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return exact(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["train", *TINY_OPTIONS, "--training.tensorboard=true"])
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'tensorboard" in line
    assert list(tmp_path.iterdir()) == []
