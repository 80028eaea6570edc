"""Weights and training states that changed on disk are refused, unless the change has no effect."""

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from translator.errors import TranslatorError
from translator.model.weights import Origin, load_weights, read_origin, save_weights
from translator.runs.manifest import Progress
from translator.runs.measurements import Measurement
from translator.system.tensors import _checksum
from translator.training.checkpoint import (
    Identity,
    LoadedState,
    TrainingState,
    load_newest_state,
    load_state,
    save_state,
)

ORIGIN = Origin("some training", 30)
TENSORS = {
    "model/weight": torch.tensor([[1.0, -2.5], [0.1, 3e-40]]),
    "optimizers/weight/step": torch.tensor(7.0),
    "average/bias": torch.tensor([0.25], dtype=torch.bfloat16),
}


def state_at(step: int) -> TrainingState:
    return TrainingState(
        identity=Identity({"seed": 1}, {"the data (dev)": "ab", "training.init_from": None}, 60),
        progress=Progress(step=step, seconds=0.1 + 0.2, loss_sums={"loss": 1 / 3}),
        batches={"epoch": 0, "index": step},
        computed_with={"device": "cpu", "threads": 1},
        weights_sha256=None,
        measurements=[Measurement(step=step, seconds=1.5, dev_bleu=0.1)],
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(nn.Linear(3, 2), path, ORIGIN)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "training_state.safetensors"
    save_state(path, state_at(7), TENSORS, None)
    return path


def values(held: Any) -> Any:
    """Replace tensors with lists, which can be compared."""
    if isinstance(held, dict):
        return {key: values(inner) for key, inner in held.items()}
    if isinstance(held, list):
        return [values(inner) for inner in held]
    if isinstance(held, LoadedState):
        return held.state, values(held.tensors)
    return held.tolist() if isinstance(held, Tensor) else held


def load(path: Path) -> Any:
    return values(load_weights(lambda: nn.Linear(3, 2), 8, path).state_dict())


def noticed(path: Path, read: Callable[[Path], Any], bits: Iterable[int]) -> int:
    """Flip one bit after the other; count those for which the file is refused.

    With any other bit, the file must be read as if unchanged.
    """
    expected = values(read(path))
    refusals = []
    data = path.read_bytes()
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            assert values(read(path)) == expected
        except TranslatorError as error:
            refusals.append(str(error))
    path.write_bytes(data)
    assert all(line.startswith(f"{path}: damaged") for line in refusals)
    assert all("restore the file" in line for line in refusals)
    return len(refusals)


def test_no_bit_of_the_weights_changes_unnoticed(weights: Path) -> None:
    bits = range(0, 8 * weights.stat().st_size, 7)
    assert noticed(weights, load, bits) > 0.9 * len(bits)  # the header contains white space

    def origin(path: Path) -> Origin:
        found, sha256 = read_origin(path, 8)
        if found is None or sha256 is None:  # no training resumes with these
            raise TranslatorError(f"{path}: damaged; restore the file")
        return found

    assert noticed(weights, origin, bits) > 0.9 * len(bits)


def test_no_bit_of_a_training_state_changes_unnoticed(state: Path) -> None:
    """Bits of every byte of the header and of the values."""
    bits = range(0, 8 * state.stat().st_size, 3)
    assert noticed(state, lambda path: load_state(path, 8), bits) > 0.99 * len(bits)


def test_a_state_is_read_back_as_written(state: Path) -> None:
    loaded = load_state(state, 8)
    assert loaded.state == state_at(7)
    assert loaded.tensors.keys() == TENSORS.keys()
    for name, tensor in loaded.tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])


def test_the_last_two_states_are_kept_and_the_older_one_is_used_if_the_newer_is_damaged(
    state: Path,
) -> None:
    previous = state.with_name("previous")
    for step in (8, 9):
        save_state(state, state_at(step), TENSORS, previous)
    assert [load_state(path, 8).state.progress.step for path in (state, previous)] == [9, 8]
    newest = load_newest_state([state, previous], 8)
    assert newest is not None
    assert (newest.path, newest.damaged) == (state, None)
    state.write_bytes(state.read_bytes()[:-1])
    loaded = load_newest_state([state, previous], 8)
    assert loaded is not None
    assert (loaded.path, loaded.state.progress.step) == (previous, 8)
    assert loaded.damaged is not None
    assert loaded.damaged.startswith(f"{state}: damaged or cut off")
    previous.write_bytes(b"")
    with pytest.raises(TranslatorError, match=r"training_state\.safetensors: damaged"):
        load_newest_state([state, previous], 8)
    assert load_newest_state([], 8) is None


def test_a_state_of_another_format_is_no_damage(state: Path) -> None:
    """The state before it has the same format, so it is not tried."""
    save_state(state, replace(state_at(7), format=99), TENSORS, None)
    with pytest.raises(TranslatorError, match=r"format 99, .*resume with the version that wrote"):
        load_newest_state([state, state], 8)


@pytest.mark.parametrize("size", [2**42, 2**63])
def test_a_header_that_claims_terabytes_is_refused_before_anything_is_allocated(
    state: Path, size: int
) -> None:
    """Whether the file has that size, as a hole on the disk, or not."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"model/weight": tensor}).encode()
    with state.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        if size < 2**43:
            file.truncate(8 + len(header) + size)
    with pytest.raises(TranslatorError, match="damaged"):
        load_state(state, 8)
    with pytest.raises(TranslatorError, match="damaged"):
        read_origin(state, 8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(weights: Path, state: Path, value: float) -> None:
    """Even with a valid checksum."""
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.bias[1] = value
    save_weights(model, weights, ORIGIN)
    with pytest.raises(TranslatorError, match=r"weights\.safetensors: damaged .* float32 numbers"):
        load(weights)
    save_state(state, state_at(7), {**TENSORS, **model.state_dict()}, None)
    with pytest.raises(TranslatorError, match=r"state\.safetensors: damaged .* NaN or infinity"):
        load_state(state, 8)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float16])
def test_other_types_are_refused(weights: Path, dtype: torch.dtype) -> None:
    save_file({name: w.to(dtype) for name, w in load_file(weights).items()}, weights)
    with pytest.raises(TranslatorError, match=r"damaged .* float32 numbers"):
        load(weights)


@pytest.mark.parametrize("checksum", [None, ""])
def test_older_weights_are_read(weights: Path, checksum: str | None) -> None:
    """They have a checksum of the tensors only, or none at all."""
    # Copies, since some versions of safetensors read from the file only when needed.
    written = {name: tensor.clone() for name, tensor in load_file(weights).items()}
    metadata = None if checksum is None else {"sha256": _checksum(written, checksum)}
    save_file(written, weights, metadata)
    assert load(weights) == values(written)
    assert read_origin(weights, 8)[0] is None
    if metadata:
        weights.write_bytes(weights.read_bytes().replace(metadata["sha256"].encode(), b"0" * 64))
        with pytest.raises(TranslatorError, match="SHA-256 differs"):
            load(weights)


def test_a_model_larger_than_its_file_is_not_created(weights: Path) -> None:
    def fail() -> nn.Module:
        raise AssertionError("it is made")

    with pytest.raises(
        TranslatorError, match=r"weights\.safetensors: the weights don't fit the config"
    ):
        load_weights(fail, 9, weights)
