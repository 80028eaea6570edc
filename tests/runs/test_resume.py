"""A training that was interrupted ends exactly like one that was not.

Everything that could break this is on: BPE dropout, dropout, averaged weights, several batches per
step, and a state saved at every step.
"""

import itertools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PAIRS, TINY_OPTIONS, contents, tiny_config
from helpers import saved_state
from safetensors.torch import load_file

from translator import pipeline
from translator.cli import main
from translator.errors import TranslatorError
from translator.runs.run import Run
from translator.training.checkpoint import load_state, save_state
from translator.training.trainer import Trainer

OPTIONS = [
    *TINY_OPTIONS,
    "--tokenizer.bpe_dropout=0.1",
    "--model.dropout=0.1",
    "--training.ema_decay=0.9",
    "--training.gradient_accumulation=2",
    "--training.max_steps=70",
    "--training.evaluations=3",
    "--training.checkpoint_minutes=1e-9",
    "--training.precision=bfloat16",
]
# Seconds to wait for a process, on a machine that has other things to do.
TIMEOUT = 600
# Seconds from a saved state to a signal: from the middle of a step to several steps later.
SECONDS_TO_CTRL_C = 0.1
SECONDS_TO_KILLS = (0.0, 0.13, 0.29)


def start(folder: Path, data_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "translator", "train", *OPTIONS]
    return subprocess.Popen(
        [*command, f"--run-dir={folder}", f"--data-dir={data_dir}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def resume(folder: Path, data_dir: Path) -> None:
    main(["train", *OPTIONS, f"--run-dir={folder}", f"--data-dir={data_dir}"])


def modified(path: Path) -> int:
    """The time of a file in nanoseconds; 0 without a file, as in the middle of a save."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_for_a_new_state(process: subprocess.Popen[str], run: Run) -> None:
    """Wait until this process has saved a state and so is in the middle of its steps."""
    before = modified(run.state)
    deadline = time.monotonic() + TIMEOUT
    while modified(run.state) in (0, before):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"no state was saved: {process.communicate()[1]}")
        time.sleep(0.005)


def interrupt_at(step: int, save: Callable[[Trainer], None]) -> Callable[[Trainer], None]:
    """A replacement for `Trainer.save` that saves this step and then interrupts the training."""

    def save_and_interrupt(trainer: Trainer) -> None:
        save(trainer)
        if trainer.progress.step == step:
            raise KeyboardInterrupt

    return save_and_interrupt


def measurements(run: Run) -> list[tuple[int, float | None, float | None]]:
    """The metrics, except times."""
    records = [json.loads(line) for line in run.metrics.open()]
    return [(record["step"], record.get("loss"), record.get("dev_bleu")) for record in records]


def assert_equal_tensors(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def assert_same_end(run: Run, reference: Run) -> None:
    assert run.read_manifest().state == "finished"
    assert_equal_tensors(load_file(run.weights), load_file(reference.weights))
    assert_equal_tensors(saved_state(run).tensors, saved_state(reference).tensors)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def uninterrupted(data_dir: Path) -> Run:
    """Trained in a separate process, so that no state of this process can leak into it."""
    process = start(data_dir / "uninterrupted", data_dir)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, stderr
    return Run(data_dir / "uninterrupted")


@pytest.fixture(scope="module")
def stopped(data_dir: Path) -> tuple[Run, int, str]:
    """A run stopped by Ctrl-C, with its exit code and its messages."""
    run = Run(data_dir / "stopped")
    process = start(run.path, data_dir)
    wait_for_a_new_state(process, run)
    time.sleep(SECONDS_TO_CTRL_C)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=TIMEOUT)
    return run, process.returncode, stderr


@pytest.fixture
def stopped_copy(stopped: tuple[Run, int, str], tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(stopped[0].path, tmp_path / "copy")))


# --- killed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(data_dir: Path) -> Run:
    """A run that was killed several times and then finished."""
    run = Run(data_dir / "killed")
    for seconds in SECONDS_TO_KILLS:
        process = start(run.path, data_dir)
        wait_for_a_new_state(process, run)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert run.read_manifest().state == "training"
    process = start(run.path, data_dir)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, stderr
    assert "resuming" in stderr
    return run


def test_kills_change_no_weight(killed: Run, uninterrupted: Run) -> None:
    assert_same_end(killed, uninterrupted)


def test_kills_change_no_measurement(killed: Run, uninterrupted: Run) -> None:
    assert measurements(killed) == measurements(uninterrupted)


def test_a_run_is_trained_by_one_process_at_a_time(data_dir: Path) -> None:
    run = Run(data_dir / "busy")
    process = start(run.path, data_dir)
    try:
        wait_for_a_new_state(process, run)
        with pytest.raises(TranslatorError, match=r"busy: another process is training this run"):
            pipeline.train(run.load_config(), run)
    finally:
        process.kill()
        process.communicate()
    with run.locked():  # the lock ended with its process
        pass


def test_a_kill_before_the_first_saved_state_repeats_no_measurement(
    uninterrupted: Run, stopped_copy: Run, data_dir: Path
) -> None:
    """If states are only saved every few minutes, losses are logged before the first state."""
    shutil.copyfile(uninterrupted.metrics, stopped_copy.metrics)
    for state in stopped_copy.states:
        state.unlink()
    stopped_copy.weights.unlink(missing_ok=True)
    resume(stopped_copy.path, data_dir)
    assert measurements(stopped_copy) == measurements(uninterrupted)
    assert_same_end(stopped_copy, uninterrupted)


# --- stopped --------------------------------------------------------------------------------------


def test_ctrl_c_saves_and_says_how_to_resume(stopped: tuple[Run, int, str]) -> None:
    run, code, stderr = stopped
    assert code == 130
    assert "Traceback" not in stderr
    step = saved_state(run).state.progress.step
    assert 0 < step < 70
    last = stderr.strip().splitlines()[-1]
    assert f"saved at step {step}" in last
    assert "the same command resumes it" in last


def test_a_moved_run_resumes_despite_an_interrupted_write(
    stopped_copy: Run, uninterrupted: Run, data_dir: Path
) -> None:
    """The folder was moved, and a killed process left half a state under a temporary name."""
    half = stopped_copy.path / ".training_state.safetensors.123.tmp"
    half.write_bytes(stopped_copy.state.read_bytes()[:5000])
    stopped_copy.attention.mkdir(exist_ok=True)
    half_picture = stopped_copy.attention / ".step-0000023.png.123.tmp"
    half_picture.touch()
    resume(stopped_copy.path, data_dir)
    assert not half.exists()
    assert not half_picture.exists()
    assert_same_end(stopped_copy, uninterrupted)


def test_a_measurement_cut_short_by_a_kill_is_repeated(
    stopped_copy: Run, uninterrupted: Run, data_dir: Path
) -> None:
    step = saved_state(stopped_copy).state.progress.step
    with stopped_copy.metrics.open("a") as file:
        file.write(
            f'{{"step": {step + 1}, "seconds": 9.0, "loss": 99.0}}\n{{"step": {step + 2}, "lo'
        )
    resume(stopped_copy.path, data_dir)
    assert measurements(stopped_copy) == measurements(uninterrupted)


# --- states that are none -------------------------------------------------------------------------


class Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("torch_format", [False, True])
def test_a_planted_state_is_never_executed(
    stopped_copy: Run, data_dir: Path, tmp_path: Path, torch_format: bool
) -> None:
    marker, planted = tmp_path / "executed", tmp_path / "planted"
    if torch_format:
        torch.save({"progress": Bomb(marker)}, planted)
        torch.load(planted, weights_only=False)
    else:
        planted.write_bytes(pickle.dumps(Bomb(marker)))
        pickle.loads(planted.read_bytes())
    assert marker.exists()  # the bomb works
    marker.unlink()
    for state in stopped_copy.states:
        shutil.copyfile(planted, state)
    with pytest.raises(SystemExit, match="2"):
        resume(stopped_copy.path, data_dir)
    assert not marker.exists()


def change_state(run: Run, tensors: dict[str, torch.Tensor] | None = None, **changes: Any) -> None:
    """Rewrite the newest state with changes, as code with another idea of a state would."""
    loaded = saved_state(run)
    state = replace(loaded.state, **changes)
    save_state(run.state, state, loaded.tensors if tensors is None else tensors, None)


@pytest.mark.parametrize("missing", ["model/", "average/", "optimizers/"])
def test_a_state_without_some_tensor_is_refused(
    stopped_copy: Run, data_dir: Path, missing: str
) -> None:
    tensors = saved_state(stopped_copy).tensors
    left_out = next(name for name in tensors if name.startswith(missing))
    change_state(stopped_copy, {n: t for n, t in tensors.items() if n != left_out})
    with pytest.raises(TranslatorError, match=r"safetensors: not a state of this run"):
        pipeline.train(stopped_copy.load_config(), stopped_copy)


def test_a_state_of_another_run_is_refused(
    stopped_copy: Run, data_dir: Path, tmp_path: Path
) -> None:
    """The other run has the same corpus and a model of the same shape, but another seed."""
    other = Run(tmp_path / "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save", interrupt_at(3, Trainer.save))
        with pytest.raises(SystemExit, match="130"):
            main(["train", *OPTIONS, "--seed=2", f"--run-dir={other.path}",
                  f"--data-dir={data_dir}"])  # fmt: skip
    shutil.copyfile(other.state, stopped_copy.state)
    before = contents(stopped_copy.path)
    with pytest.raises(
        TranslatorError, match=r"the state of another training, .* in seed; restore"
    ):
        pipeline.train(stopped_copy.load_config(), stopped_copy)
    assert contents(stopped_copy.path) == before


def test_the_older_state_replaces_a_damaged_one(
    stopped_copy: Run, uninterrupted: Run, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(stopped_copy.state.read_bytes())
    data[-1] ^= 1
    stopped_copy.state.write_bytes(data)
    parameters = stopped_copy.read_manifest().parameters
    step = load_state(stopped_copy.previous_state, parameters).state.progress.step
    resume(stopped_copy.path, data_dir)
    said = capsys.readouterr().err
    assert f"note: {stopped_copy.state}: damaged (its SHA-256 differs); going on from" in said
    assert f"resuming {stopped_copy.path} at step {step}" in said
    assert measurements(stopped_copy) == measurements(uninterrupted)
    assert_same_end(stopped_copy, uninterrupted)


@pytest.fixture
def trained_to_its_end(uninterrupted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that has made its last step, but is not evaluated, now or when it is resumed."""
    run = Run(Path(shutil.copytree(uninterrupted.path, tmp_path / "run")))
    run.write_manifest(replace(run.read_manifest(), state="training"))
    monkeypatch.setattr(pipeline, "_finish", lambda *_: None)
    return run


@pytest.mark.parametrize("damage", ["a bad line", "lost lines", "no file"])
def test_measurements_are_restored_from_the_state(
    trained_to_its_end: Run, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    run = trained_to_its_end
    lines = run.metrics.read_text().splitlines(keepends=True)
    changed = ['{"step": "many"}\n', *lines[1:]] if damage == "a bad line" else lines[2:]
    run.metrics.write_text("".join(changed))
    if damage == "no file":
        run.metrics.unlink()
    pipeline.train(run.load_config(), run)
    assert f"note: {run.metrics} was damaged or incomplete; restored" in capsys.readouterr().err
    assert run.metrics.read_text() == "".join(lines)
    pipeline.train(run.load_config(), run)
    assert "damaged or incomplete" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tokenizer.model", "lexicon.json", "dev.jsonl", "test.jsonl"])
def test_what_a_run_lost_of_its_preparation_is_restored(
    trained_to_its_end: Run, uninterrupted: Run, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """As after a power cut: the file is there, but empty."""
    run = trained_to_its_end
    (run.path / name).write_bytes(b"")
    pipeline.train(run.load_config(), run)
    said = capsys.readouterr().err
    assert said.count("was missing or damaged; restored from") == 1
    assert f"note: {run.path / name} was missing" in said
    assert (run.path / name).read_bytes() == (uninterrupted.path / name).read_bytes()


def test_the_device_may_change(
    stopped_copy: Run, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state claims to come from a GPU, and the configuration says auto instead of cpu."""
    before = saved_state(stopped_copy).state.computed_with
    assert before["device"] == "cpu"
    change_state(stopped_copy, computed_with=before | {"device": "cuda"})
    edit = stopped_copy.config.read_text(encoding="utf-8").replace("device: cpu", "device: auto")
    stopped_copy.config.write_text(edit, encoding="utf-8")
    resume(stopped_copy.path, data_dir)
    said = capsys.readouterr().err
    assert "computed with device cuda, now with cpu" in said
    assert "--training.device cuda prevents that" in said
    assert stopped_copy.read_manifest().state == "finished"


# --- ends -----------------------------------------------------------------------------------------


def test_patience_ends_a_training_that_gains_nothing(tmp_path: Path) -> None:
    """With a tiny learning rate the first evaluation stays the best; two more, then it stops."""
    config = tiny_config(
        tmp_path,
        max_steps=12,
        evaluations=6,
        patience=2,
        lr=1e-12,
        muon_lr=1e-12,
    )
    run = Run(tmp_path / "run")
    pipeline.train(config, run)
    assert [step for step, _, bleu in measurements(run) if bleu is not None] == [2, 4, 6]
    progress = run.read_manifest().progress
    assert progress is not None
    assert (progress.step, progress.best_step) == (6, 2)


def test_minutes_become_steps_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resuming a run that was stopped right after the measurement does not measure again."""

    def interrupt(trainer: Trainer) -> None:
        raise KeyboardInterrupt

    def measure_again(*args: object) -> int:
        raise AssertionError("the speed is measured a second time")

    config = tiny_config(tmp_path, max_steps=None, max_minutes=0.005, evaluations=1)
    run = Run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pipeline.train(config, run)
    max_steps = run.read_manifest().max_steps
    assert max_steps is not None
    assert max_steps >= 1
    monkeypatch.setattr(pipeline, "estimate_steps", measure_again)
    pipeline.train(config, run)
    manifest = run.read_manifest()
    assert manifest.progress is not None
    assert (manifest.max_steps, manifest.progress.step) == (max_steps, max_steps)


def test_a_changed_corpus_prevents_resuming(stopped_copy: Run) -> None:
    manifest = json.loads(stopped_copy.manifest.read_text())
    manifest["corpus"]["train_sha256"] = "0" * 64
    stopped_copy.manifest.write_text(json.dumps(manifest))
    before = stopped_copy.state.read_bytes()
    with pytest.raises(TranslatorError, match="the corpus has changed"):
        pipeline.train(stopped_copy.load_config(), stopped_copy)
    assert stopped_copy.state.read_bytes() == before


def test_a_corpus_file_edited_under_a_run_stops_it_until_it_is_restored(
    uninterrupted: Run, tmp_path: Path
) -> None:
    pairs = tmp_path / PAIRS.name
    shutil.copyfile(PAIRS, pairs)
    own = [f"--corpus.files={pairs}", f"--data-dir={tmp_path}", f"--run-dir={tmp_path / 'run'}"]
    run = Run(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save", interrupt_at(23, Trainer.save))
        with pytest.raises(SystemExit, match="130"):
            main(["train", *OPTIONS, *own])
    before = contents(run.path)
    pairs.write_bytes("The stove is cold.\tLa estufa está fría.\n".encode() + PAIRS.read_bytes())
    with pytest.raises(TranslatorError, match="the corpus has changed"):
        pipeline.train(run.load_config(), run)
    assert contents(run.path) == before
    shutil.copyfile(PAIRS, pairs)
    main(["train", *OPTIONS, *own])
    assert_same_end(run, uninterrupted)


def test_a_deleted_preparation_is_regenerated(
    stopped_copy: Run, uninterrupted: Run, tmp_path: Path
) -> None:
    resume(stopped_copy.path, tmp_path / "data")  # an empty folder
    assert any((tmp_path / "data" / "prepared").iterdir())
    assert_same_end(stopped_copy, uninterrupted)


def test_clocks_that_jump_change_no_weight(
    uninterrupted: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each state the clock and the times of all files jump by decades."""
    run = Run(tmp_path / "run")
    exact, now = Trainer.save, time.time()
    shifts = itertools.cycle([-30 * 365 * 86_400, 0, 30 * 365 * 86_400])

    def save_and_jump(trainer: Trainer) -> None:
        exact(trainer)
        shifted = now + next(shifts)
        monkeypatch.setattr(time, "time", lambda: shifted)
        for path in run.path.rglob("*"):
            os.utime(path, (shifted, shifted))

    monkeypatch.setattr(Trainer, "save", interrupt_at(40, save_and_jump))
    with pytest.raises(SystemExit, match="130"):
        resume(run.path, data_dir)
    monkeypatch.setattr(Trainer, "save", save_and_jump)
    resume(run.path, data_dir)
    assert_same_end(run, uninterrupted)
    assert measurements(run) == measurements(uninterrupted)


def test_a_busy_machine_does_not_change_the_precision(
    stopped_copy: Run, uninterrupted: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed again, bfloat16 would look too slow, and float32 would round differently."""
    monkeypatch.setattr("translator.system.device.speedup", lambda dtype: 1.2)
    main(["train", *OPTIONS, "--training.precision=auto", f"--run-dir={stopped_copy.path}",
          f"--data-dir={data_dir}"])  # fmt: skip
    assert_same_end(stopped_copy, uninterrupted)


def test_changes_that_affect_rounding_are_reported(
    stopped_copy: Run, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", *OPTIONS, "--training.precision=float32", f"--run-dir={stopped_copy.path}",
          f"--data-dir={data_dir}"])  # fmt: skip
    said = capsys.readouterr().err
    assert "precision bfloat16, now with float32" in said
    assert "--training.precision bfloat16 prevents that" in said
    assert "threads 1, now" not in said
    assert stopped_copy.read_manifest().state == "finished"
