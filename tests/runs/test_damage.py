"""Weights and training states that changed on disk are refused, unless the change has no effect."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from translator.errors import TranslatorError
from translator.model.weights import load_weights, save_weights
from translator.training.checkpoint import load_state, save_state

STATE = {"step": 7, "learner": [{"mean": torch.tensor([1.0, -2.5]), "epoch": None}, "text"]}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(nn.Linear(3, 2), path)
    return path


def values(held: Any) -> Any:
    """Replace tensors with lists, which can be compared."""
    if isinstance(held, dict):
        return {key: values(inner) for key, inner in held.items()}
    if isinstance(held, list):
        return [values(inner) for inner in held]
    return held.tolist() if isinstance(held, Tensor) else held


def load(path: Path) -> Any:
    return values(load_weights(lambda: nn.Linear(3, 2), 8, path).state_dict())


def one_bit_changed(data: bytes, step: int) -> Iterator[bytes]:
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 1 << (place // step % 8)
        yield bytes(changed)


def noticed(path: Path, read: Callable[[Path], Any], step: int) -> int:
    """Count the changed files that are refused; the others must be read as if unchanged."""
    expected = values(read(path))
    refusals = []
    for changed in one_bit_changed(path.read_bytes(), step):
        path.write_bytes(changed)
        try:
            assert values(read(path)) == expected
        except TranslatorError as error:
            refusals.append(str(error))
    assert all(line.startswith(f"{path}: damaged") for line in refusals)
    assert all("restore the file" in line for line in refusals)
    return len(refusals)


def test_no_bit_of_the_weights_changes_unnoticed(weights: Path) -> None:
    size = weights.stat().st_size
    assert noticed(weights, load, step=1) > 0.9 * size  # the header contains white space


def test_no_bit_of_a_training_state_changes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    save_state(STATE, path)
    # An archive contains much that is never read, such as times and padding.
    assert noticed(path, load_state, step=3) > 0.4 * path.stat().st_size / 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(weights: Path, tmp_path: Path, value: float) -> None:
    """Even with a valid checksum."""
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.bias[1] = value
    save_weights(model, weights)
    with pytest.raises(TranslatorError, match=r"weights\.safetensors: damaged .* float32 numbers"):
        load(weights)
    state = tmp_path / "training_state.pt"
    save_state({**STATE, "model": model.state_dict()}, state)
    with pytest.raises(TranslatorError, match=r"training_state\.pt: damaged .* NaN or infinity"):
        load_state(state)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float16])
def test_other_types_are_refused(weights: Path, dtype: torch.dtype) -> None:
    save_file({name: w.to(dtype) for name, w in load_file(weights).items()}, weights)
    with pytest.raises(TranslatorError, match=r"damaged .* float32 numbers"):
        load(weights)


def test_older_weights_without_a_checksum_are_read(weights: Path) -> None:
    written = load_file(weights)
    save_file(written, weights)
    assert b"sha256" not in weights.read_bytes()
    assert load(weights) == values(written)


def test_a_model_larger_than_its_file_is_not_created(weights: Path) -> None:
    def fail() -> nn.Module:
        raise AssertionError("it is made")

    with pytest.raises(
        TranslatorError, match=r"weights\.safetensors: the weights don't fit the config"
    ):
        load_weights(fail, 9, weights)
