import copy
import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from translator.config import ModelConfig, TrainingConfig
from translator.model.transformer import Transformer
from translator.training.muon import NEWTON_SCHULZ_STEPS, Muon, orthogonalize
from translator.training.optimizer import ExponentialMovingAverage, Optimizers, lr_factor

SHAPES = pytest.mark.parametrize("shape", [(40, 8), (8, 40), (16, 16), (1, 5), (5, 1)])
BOTH = pytest.mark.parametrize("optimizer", ["muon", "adamw"])
NEGLIGIBLE = 1e-30


def random_matrix(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64)


def alone(matrix: Tensor) -> Tensor:
    return orthogonalize(matrix[None])[0]


def naive_orthogonalize(matrix: Tensor) -> Tensor:
    """Iterate on the singular values themselves, as Jordan et al. define it."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(NEWTON_SCHULZ_STEPS):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ s.diag() @ vt


@SHAPES
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_singular_values_become_about_one(shape: tuple[int, int], scale: float) -> None:
    """The spread is 20 to 1: five iterations can't raise singular values that are much smaller."""
    u, s, vt = torch.linalg.svd(random_matrix(*shape), full_matrices=False)
    spread = scale * torch.linspace(1, 0.05, len(s), dtype=torch.float64)
    after = torch.linalg.svdvals(alone(u @ spread.diag() @ vt))
    assert after.min() > 0.6
    assert after.max() < 1.3


@pytest.mark.parametrize("shape", [(500, 40, 8), (500, 8, 40)])
def test_singular_values_of_random_tall_and_wide_matrices_become_about_one(
    shape: tuple[int, int, int],
) -> None:
    after = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert after.min() > 0.6
    assert after.max() < 1.3


@SHAPES
def test_singular_vectors_are_kept(shape: tuple[int, int]) -> None:
    matrix = random_matrix(*shape)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    cosine = torch.cosine_similarity(alone(matrix).flatten(), (u @ vt).flatten(), dim=0)
    assert cosine > 0.9


@SHAPES
def test_orthogonalize_equals_the_iteration_on_singular_values(shape: tuple[int, int]) -> None:
    matrix = random_matrix(*shape)
    # The code adds 1e-7 to the norm.
    torch.testing.assert_close(alone(matrix), naive_orthogonalize(matrix), rtol=0, atol=1e-6)


@SHAPES
def test_stacked_matrices_give_the_same_as_one_by_one(shape: tuple[int, int]) -> None:
    matrices = [scale * random_matrix(*shape) for scale in (0.01, 1, 100)]
    together = orthogonalize(torch.stack(matrices))
    torch.testing.assert_close(together, torch.stack([alone(m) for m in matrices]))


def test_zero_matrix_stays_zero() -> None:
    assert torch.equal(alone(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_muon_equals_the_naive_version_matrix_by_matrix(weight_decay: float) -> None:
    shapes = [(6, 3), (3, 6), (6, 3), (4, 4), (6, 3)]
    parameters = [nn.Parameter(random_matrix(*shape)) for shape in shapes]
    expected = [p.detach().clone() for p in parameters]
    momenta = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    muon = Muon(parameters, lr=0.1, momentum=0.9, weight_decay=weight_decay)
    for step in range(4):
        for i, (rows, columns) in enumerate(shapes):
            if i == 2 and step == 1:  # without a gradient, the parameter must not change
                parameters[i].grad = None
                continue
            gradient = random_matrix(rows, columns)
            parameters[i].grad = gradient.clone()
            momenta[i] = 0.9 * momenta[i] + 0.1 * gradient
            update = naive_orthogonalize(0.9 * momenta[i] + 0.1 * gradient)
            expected[i] *= 1 - 0.1 * weight_decay
            expected[i] -= 0.1 * math.sqrt(max(1, rows / columns)) * update
        muon.step()
    for parameter, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=0, atol=1e-5)


def test_bfloat16_changes_the_direction_of_muons_update_little() -> None:
    gradient = torch.randn(64, 32)
    updates = []
    for dtype in (None, torch.bfloat16):
        parameter = nn.Parameter(torch.zeros(64, 32))
        parameter.grad = gradient.clone()
        Muon([parameter], lr=1.0, dtype=dtype).step()
        assert parameter.dtype == torch.float32
        updates.append(parameter.detach().flatten())
    exact, half = updates
    assert not torch.equal(exact, half)
    assert torch.cosine_similarity(exact, half, dim=0) > 0.999


def small_model() -> Transformer:
    """Return a model whose weights are all far from zero, so that weight decay is visible."""
    config = ModelConfig(d_model=8, n_heads=2, encoder_layers=1, decoder_layers=1, d_ff=12)
    model = Transformer(config, vocab_size=10)
    for parameter in model.parameters():
        parameter.data.uniform_(0.5, 1.0)
    return model


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(model: Transformer, config: TrainingConfig) -> set[str]:
    """Return the names of the weights that one step at the peak learning rates changes."""
    before = weights(model)
    give_gradients(model, seed=1)
    Optimizers(model, config, max_steps=10).step(0)
    return {name for name, value in weights(model).items() if not torch.equal(value, before[name])}


def is_matrix(name: str) -> bool:
    """Whether a weight multiplies activations: not the embedding, no bias, no norm."""
    return name.endswith(".weight") and "norm" not in name and name != "embedding.weight"


def test_muon_updates_the_matrices_and_adamw_the_rest() -> None:
    names = set(weights(small_model()))
    matrices = {name for name in names if is_matrix(name)}
    assert len(matrices) == 6 + 10  # 4 for each attention, 2 for each feed-forward block
    without_adamw = TrainingConfig(lr=NEGLIGIBLE, warmup_steps=0)
    assert changed(small_model(), without_adamw) == matrices
    without_muon = TrainingConfig(muon_lr=NEGLIGIBLE, warmup_steps=0)
    assert changed(small_model(), without_muon) == names - matrices


@BOTH
def test_every_weight_is_in_exactly_one_parameter_group(
    optimizer: Literal["muon", "adamw"],
) -> None:
    model = small_model()
    optimizers = Optimizers(model, TrainingConfig(optimizer=optimizer), max_steps=10)
    held = [p for one in optimizers._all for group in one.param_groups for p in group["params"]]
    assert len(held) == len(list(model.parameters()))
    assert {id(p) for p in held} == {id(p) for p in model.parameters()}


def test_adamw_equals_pytorchs_with_the_schedule() -> None:
    model = small_model()
    expected = copy.deepcopy(model)
    config = TrainingConfig(optimizer="adamw", lr=0.1, warmup_steps=3)
    optimizers = Optimizers(model, config, max_steps=8)
    theirs = torch.optim.AdamW(expected.parameters(), betas=(0.9, 0.98), weight_decay=0)
    rates = [0.025, 0.05, 0.075, 0.1, 0.08, 0.06, 0.04, 0.02]
    for step, rate in enumerate(rates):
        give_gradients(model, seed=step)
        give_gradients(expected, seed=step)
        optimizers.step(step)
        theirs.param_groups[0]["lr"] = rate
        theirs.step()
    torch.testing.assert_close(weights(model), weights(expected))


@BOTH
def test_weight_decay_shrinks_only_the_matrices(optimizer: Literal["muon", "adamw"]) -> None:
    model = small_model()
    before = weights(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    config = TrainingConfig(
        optimizer=optimizer,
        weight_decay=0.5,
        lr=0.1,
        muon_lr=0.1,
        warmup_steps=1,
    )
    Optimizers(model, config, max_steps=10).step(0)  # at half of the peak rates
    for name, value in weights(model).items():
        left = 1 - 0.5 * 0.1 * 0.5 if is_matrix(name) else 1
        torch.testing.assert_close(value, left * before[name])


def test_gradients_are_cleared_after_a_step() -> None:
    model = small_model()
    give_gradients(model, seed=0)
    Optimizers(model, TrainingConfig(), max_steps=10).step(0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_learning_rates_rise_and_fall_linearly() -> None:
    factors = [lr_factor(step, warmup_steps=3, max_steps=8) for step in range(9)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 0.8, 0.6, 0.4, 0.2, 0])


@given(warmup_steps=st.integers(0, 50), max_steps=st.integers(1, 100))
def test_learning_rates_are_positive_up_to_the_last_step(warmup_steps: int, max_steps: int) -> None:
    factors = [lr_factor(step, warmup_steps, max_steps) for step in range(max_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert lr_factor(max_steps, warmup_steps, max_steps) == 0
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    if warmup_steps < max_steps:
        assert peak == warmup_steps
        assert factors[peak] == 1


def test_average_of_weights_equals_a_naive_loop() -> None:
    model = small_model().double()
    average = ExponentialMovingAverage(model, decay=0.5)
    expected = weights(model)
    for step in range(20):
        for parameter in model.parameters():
            parameter.data += torch.randn_like(parameter)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in weights(model).items():
            expected[name] = decay * expected[name] + (1 - decay) * value
        average.update(model, step)
    torch.testing.assert_close(weights(average.model), expected)


def test_average_of_weights_does_not_change_the_trained_model() -> None:
    model = small_model()
    average = ExponentialMovingAverage(model, decay=0.5)
    before = weights(model)
    average.model.embedding.weight.data.zero_()
    average.update(model, 0)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    assert not average.model.training


@BOTH
def test_restored_optimizers_take_the_same_steps(optimizer: Literal["muon", "adamw"]) -> None:
    config = TrainingConfig(optimizer=optimizer, weight_decay=0.1, warmup_steps=2)
    model = small_model()
    optimizers = Optimizers(model, config, max_steps=10)
    for step in range(3):
        give_gradients(model, seed=step)
        optimizers.step(step)
    other = copy.deepcopy(model)
    restored = Optimizers(other, config, max_steps=10)
    restored.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    for step in range(3, 6):
        for one, its in ((model, optimizers), (other, restored)):
            give_gradients(one, seed=step)
            its.step(step)
    expected = weights(model)
    assert all(torch.equal(value, expected[name]) for name, value in weights(other).items())
