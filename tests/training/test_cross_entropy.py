import copy

import pytest
import torch
import torch.nn.functional as F
from helpers import encode, random_ids, random_model
from torch import Tensor

from translator.data.arrays import Ragged
from translator.data.batching import Batch
from translator.data.tokenizer import PAD_ID
from translator.model.transformer import Transformer
from translator.training.cross_entropy import _BLOCK_ROWS, projected_cross_entropy
from translator.training.objectives import CrossEntropy, SupervisedObjective

VOCAB, WIDTH = 30, 8
ROWS_AT_ONCE = _BLOCK_ROWS["cpu"]
SMOOTHINGS = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])


def states_and_targets(rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Draw with a wide spread, so that some tokens have a probability near zero."""
    states = torch.randn(rows, WIDTH, dtype=torch.float64).to(dtype).requires_grad_()
    embedding = (2 * torch.randn(VOCAB, WIDTH, dtype=torch.float64)).to(dtype).requires_grad_()
    return states, embedding, torch.randint(VOCAB, (rows,))


@SMOOTHINGS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 5, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3])
@pytest.mark.parametrize("factor", [1.0, 0.01, -3.0, 0.0])
def test_loss_and_gradients_equal_pytorchs(
    smoothing: float, dtype: torch.dtype, rows: int, factor: float
) -> None:
    states, embedding, targets = states_and_targets(rows, dtype)
    theirs = F.cross_entropy(
        states @ embedding.T, targets, reduction="sum", label_smoothing=smoothing
    )
    expected = torch.autograd.grad(theirs * factor, (states, embedding))
    ours = projected_cross_entropy(states, embedding, targets, smoothing)
    torch.testing.assert_close(ours, theirs)
    gradients = torch.autograd.grad(ours * factor, (states, embedding))
    largest = max(gradient.abs().max().item() for gradient in expected)
    for gradient, right in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, right, rtol=1e-5, atol=1e-6 * largest)


@SMOOTHINGS
@pytest.mark.parametrize("rows", [1, 5, 2 * ROWS_AT_ONCE + 3])
def test_loss_and_gradients_with_token_weights_equal_pytorchs(smoothing: float, rows: int) -> None:
    states, embedding, targets = states_and_targets(rows, torch.float64)
    weights = torch.randn(rows, dtype=torch.float64)  # rewards can be negative
    each = F.cross_entropy(
        states @ embedding.T, targets, reduction="none", label_smoothing=smoothing
    )
    theirs = (weights * each).sum()
    ours = projected_cross_entropy(states, embedding, targets, smoothing, weights)
    torch.testing.assert_close(ours, theirs)
    expected = torch.autograd.grad(theirs, (states, embedding))
    torch.testing.assert_close(torch.autograd.grad(ours, (states, embedding)), expected)


def test_huge_logits_do_not_overflow() -> None:
    # exp(1e4) overflows in double precision too, whose rounding doesn't affect the comparison.
    states = torch.eye(2, dtype=torch.float64, requires_grad=True)
    embedding = torch.tensor([[1e4, -1e4], [-1e4, -1e4], [0.0, -1e4]], dtype=torch.float64)
    embedding.requires_grad_()
    targets = torch.tensor([1, 2])
    theirs = F.cross_entropy(states @ embedding.T, targets, reduction="sum", label_smoothing=0.1)
    expected = torch.autograd.grad(theirs, (states, embedding))
    ours = projected_cross_entropy(states, embedding, targets, 0.1)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, (states, embedding)), expected)


def test_loss_and_gradients_without_targets_are_zero() -> None:
    states, embedding, targets = states_and_targets(0, torch.float32)
    loss = projected_cross_entropy(states, embedding, targets, 0.1)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, embedding)[0].abs().max() == 0


def perturbed_model() -> Transformer:
    model = random_model(VOCAB)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def random_batch(*lengths: tuple[int, int], padding: int = 0) -> Batch:
    """Return random pairs of these lengths (without eos), with `padding` extra columns."""
    sides = []
    for side, bos in ((0, False), (1, True)):
        rows = [random_ids(pair[side], vocab_size=VOCAB).tolist() for pair in lengths]
        ragged = Ragged.from_lists(rows)
        ids = torch.from_numpy(ragged.padded(torch.arange(len(rows)).numpy(), bos=bos))
        sides.append(F.pad(ids, (0, padding), value=PAD_ID))
    return Batch(*sides, tgt_tokens=sum(tgt + 1 for _, tgt in lengths))


def naive_loss(model: Transformer, batch: Batch, smoothing: float) -> Tensor:
    states, _ = model.decoder(batch.tgt[:, :-1], encode(model, batch.src))
    return F.cross_entropy(
        (states @ model.embedding.weight.T).flatten(0, 1),
        batch.tgt[:, 1:].flatten(),
        ignore_index=PAD_ID,
        reduction="sum",
        label_smoothing=smoothing,
    )


def batch_loss(model: Transformer, batch: Batch, smoothing: float) -> Tensor:
    return SupervisedObjective([CrossEntropy(smoothing)])(model, batch).total


def gradients(model: Transformer, loss: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


@SMOOTHINGS
def test_batch_loss_and_gradients_equal_the_naive_ones(smoothing: float) -> None:
    model = perturbed_model()
    exact = copy.deepcopy(model).double()
    # The batch has more target tokens than one block of the computation.
    batch = random_batch(*[(i % 7, (3 * i) % 11) for i in range(30)])
    assert batch.tgt_tokens > ROWS_AT_ONCE
    theirs, ours = naive_loss(exact, batch, smoothing), batch_loss(model, batch, smoothing)
    torch.testing.assert_close(ours, theirs.float())
    expected = {name: g.float() for name, g in gradients(exact, theirs).items()}
    largest = max(g.abs().max().item() for g in expected.values())
    torch.testing.assert_close(gradients(model, ours), expected, rtol=0, atol=1e-5 * largest)


def test_padding_changes_neither_loss_nor_gradients() -> None:
    model = perturbed_model().double()
    tight = random_batch((5, 3), (2, 6))
    padded = Batch(*(F.pad(ids, (0, 4), value=PAD_ID) for ids in (tight.src, tight.tgt)), 11)
    ours, theirs = batch_loss(model, padded, 0.1), batch_loss(model, tight, 0.1)
    torch.testing.assert_close(ours, theirs)
    expected = gradients(model, theirs)
    torch.testing.assert_close(gradients(model, ours), expected, rtol=1e-6, atol=1e-6)


def test_batch_loss_is_the_sum_over_its_pairs() -> None:
    model = perturbed_model()
    batch = random_batch((5, 3), (2, 6), (4, 0))
    alone = [
        batch_loss(model, Batch(batch.src[i : i + 1], batch.tgt[i : i + 1], 0), 0.1)
        for i in range(3)
    ]
    torch.testing.assert_close(batch_loss(model, batch, 0.1), torch.stack(alone).sum())


def test_half_precision_gives_a_float32_loss_and_finite_float32_gradients() -> None:
    model = perturbed_model()
    batch = random_batch(*[(i % 7, (3 * i) % 11) for i in range(30)])
    exact = batch_loss(model, batch, 0.1)
    expected = gradients(model, exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.embedding.weight.matmul(model.embedding.weight.T).dtype == torch.bfloat16
        loss = batch_loss(model, batch, 0.1)
    assert loss.dtype == torch.float32
    assert loss.item() != exact.item()
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    for name, gradient in gradients(model, loss).items():
        assert gradient.dtype == torch.float32
        assert gradient.isfinite().all()
        cosine = F.cosine_similarity(gradient.flatten(), expected[name].flatten(), dim=0)
        assert cosine > 0.98, name
