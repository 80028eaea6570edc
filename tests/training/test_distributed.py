"""Several processes train the same model as one, and stop when one of them dies.

When torchrun runs this file, it saves what the processes computed together.
"""

import datetime
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY_OPTIONS, tiny_config
from safetensors.torch import load_file

from translator.config import ModelConfig, TrainingConfig
from translator.data.arrays import Ragged
from translator.data.batching import PairIds, make_batch
from translator.errors import TranslatorError
from translator.model.transformer import Transformer
from translator.pipeline import train
from translator.runs.measurements import read_measurements
from translator.runs.run import Run
from translator.training import distributed
from translator.training.distributed import World, process_group
from translator.training.learner import Learner
from translator.training.muon import orthogonalize
from translator.training.objectives import CrossEntropy, GuidedAlignment, SupervisedObjective

# Long enough that training is still running when a state has been saved, even on a busy machine.
OPTIONS = [
    *TINY_OPTIONS,
    "--training.max_steps=150",
    "--training.checkpoint_minutes=1e-9",
    "--training.precision=float32",
]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
# Seconds within which a rank must notice that another has ended.
PATIENCE = 30


def random_pairs(rows: int) -> PairIds:
    generator = np.random.default_rng(3)

    def sentences() -> Ragged:
        lengths = generator.integers(1, 9, size=rows)
        return Ragged.from_lists([generator.integers(4, 40, size=n).tolist() for n in lengths])

    # The first token of each target is linked to the first of its source.
    return PairIds(sentences(), sentences(), Ragged.from_lists([[0]] * rows))


def gradients_together(world: World) -> tuple[float, list[torch.Tensor]]:
    """Return loss and gradients of three batches; the last has fewer pairs than processes."""
    torch.manual_seed(1)
    shape = ModelConfig(d_model=16, n_heads=2, encoder_layers=1, decoder_layers=2, d_ff=24)
    model = Transformer(shape, vocab_size=40)
    config = TrainingConfig(precision="float32")
    losses = [CrossEntropy(config.label_smoothing), GuidedAlignment(0, 0, weight=0.3)]
    objective = SupervisedObjective(losses)
    learner = Learner(config, model, objective, None, max_steps=1, seed=1, world=world)  # type: ignore[arg-type]
    pairs = random_pairs(30)
    batches = [make_batch(pairs, rows) for rows in np.split(np.arange(30), [17, 29])]
    tokens = sum(batch.tgt_tokens for batch in batches)
    sums, gradients = learner.gradients(batches, tokens, step=0)
    assert set(sums) == {"loss", "cross_entropy", "guided_alignment"}
    return sums["loss"], gradients


def updates_together(world: World, count: int) -> tuple[int, torch.Tensor]:
    """Return how many matrices this process orthogonalized, and the results for all."""
    computed = []

    def record(matrices: torch.Tensor) -> torch.Tensor:
        computed.append(len(matrices))
        return orthogonalize(matrices)

    matrices = torch.randn(count, 6, 4, generator=torch.Generator().manual_seed(1))
    updates = world.map_shares(record, matrices)
    return sum(computed), updates


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


# --- sharding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_each_pair_is_in_exactly_one_shard(size: int) -> None:
    batch = make_batch(random_pairs(30), np.arange(30))
    shards = [batch.shard(rank, size) for rank in range(size)]
    pairs = [
        (src.tolist(), tgt.tolist(), links.tolist())
        for shard in shards
        for src, tgt, links in zip(shard.src, shard.tgt, shard.links, strict=True)  # type: ignore[arg-type]
    ]
    whole = zip(batch.src.tolist(), batch.tgt.tolist(), batch.links.tolist(), strict=True)  # type: ignore[union-attr]
    assert sorted(pairs) == sorted(whole)
    assert sum(shard.tgt_tokens for shard in shards) == batch.tgt_tokens
    sizes = [len(shard.src) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of three processes has; see the end of this file."""
    folder = tmp_path_factory.mktemp("three")
    command = [*TORCHRUN, "--standalone", "--nproc-per-node=3", __file__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, check=True, timeout=120, capture_output=True, env=environment)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(3)]


def test_gradients_equal_those_of_one_process(three: list[dict[str, Any]]) -> None:
    loss, gradients = gradients_together(World())
    for found in three:
        assert found["loss"] == pytest.approx(loss, rel=1e-6)
        for one, other in zip(found["gradients"], gradients, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_processes_share_out_matrices(three: list[dict[str, Any]], count: int) -> None:
    _, expected = updates_together(World(), count)
    for found in three:
        rows, updates = found["updates"][count]
        assert rows == math.ceil(count / 3)
        torch.testing.assert_close(updates, expected)
        assert torch.equal(updates, three[0]["updates"][count][1])


def test_all_processes_get_what_the_main_process_computes(three: list[dict[str, Any]]) -> None:
    assert [found["values"] for found in three] == [["ñ 0", 0.1, ""]] * 3


# --- whole trainings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def alone(data_dir: Path) -> Run:
    run = Run(data_dir / "alone")
    train(tiny_config(data_dir, max_steps=150, precision="float32"), run)
    return run


def start(run: Run, data_dir: Path, **environment: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "translator", "train", *OPTIONS, f"--data-dir={data_dir}"]
    return subprocess.Popen(
        [*command, f"--run-dir={run.path}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )


@pytest.fixture
def two(data_dir: Path, tmp_path: Path) -> Iterator[tuple[Run, list[subprocess.Popen[str]]]]:
    """A training by two processes, interruptible in the middle of its steps."""
    run = Run(tmp_path / "two")
    meeting = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [start(run, data_dir, RANK=i, LOCAL_RANK=i, **meeting) for i in range(2)]
    deadline = time.monotonic() + 120
    while not run.state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    yield run, processes
    for process in processes:
        process.kill()
        process.communicate()


def assert_same_end(run: Run, reference: Run) -> None:
    """Check that two runs end alike, up to rounding errors that grow with each step."""
    assert run.read_manifest().state == "finished"
    expected = load_file(reference.weights)
    for name, weight in load_file(run.weights).items():
        assert (weight - expected[name]).norm() < 0.1 * expected[name].norm(), name
    losses = [
        [m.loss for m in read_measurements(read.metrics) if m.loss is not None]
        for read in (run, reference)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)


def test_a_process_stops_when_the_other_is_killed_and_one_process_can_resume(
    two: tuple[Run, list[subprocess.Popen[str]]], alone: Run, data_dir: Path
) -> None:
    run, (first, second) = two
    first.kill()
    _, said = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("translator: process 1: another process of this training has ended")
    assert "Traceback" not in said
    one = start(run, data_dir)
    _, said = one.communicate(timeout=120)
    assert one.returncode == 0, said
    assert f"resuming {run.path} at step" in said
    assert "computed with processes 2, now with 1" in said
    assert_same_end(run, alone)


def test_two_machines_resume_what_one_has_started(alone: Run, data_dir: Path) -> None:
    """Two torchrun agents with one process each, which meet at a port."""
    run = Run(data_dir / "agents")
    process = start(run, data_dir)
    while not run.state.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    agent = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=1"]
    agent += [f"--rdzv-endpoint=127.0.0.1:{free_port()}", "-m", "translator", "train", *OPTIONS]
    agent += [f"--data-dir={data_dir}", f"--run-dir={run.path}"]
    agents = [
        subprocess.Popen(agent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = "".join(agent.communicate(timeout=120)[1] for agent in agents)
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert "computed with processes 1, now with 2" in said
    # Only the first process prints.
    assert said.count("resuming") == said.count(" s: dev BLEU ") / 2 == 1
    assert_same_end(run, alone)


# --- processes that can't join --------------------------------------------------------------------


def test_a_process_that_never_comes_is_not_awaited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distributed, "_JOIN_TIMEOUT", datetime.timedelta(seconds=1))
    variables = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**variables, "MASTER_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, value)
    said = "process 0: not all 2 processes have come within 0.017 minutes"
    with pytest.raises(TranslatorError, match=said), process_group(torch.device("cpu")):
        pass


# --- refused devices ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"), [("cuda", "has no GPU of its own: there are 0"), ("mps", "can't share mps")]
)
def test_a_process_without_a_device_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TranslatorError, match=said), process_group(torch.device(kind)):
        pass


if __name__ == "__main__":
    with process_group(torch.device("cpu")) as together:
        rank = together.rank
        summed, parts = gradients_together(together)
        shared = {count: updates_together(together, count) for count in (1, 3, 7)}
        computed = [
            together.computed_by_main(lambda: f"ñ {rank}"),
            together.computed_by_main(lambda: 0.1),
            together.computed_by_main(str),
        ]
    saved = {"loss": summed, "gradients": parts, "updates": shared, "values": computed}
    torch.save(saved, Path(sys.argv[1]) / f"{rank}.pt")
