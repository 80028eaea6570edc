"""The functions that attention can use instead of softmax."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from translator.config import ModelConfig, NormalizerName
from translator.model.cache import DecoderCache
from translator.model.normalizers import AdaptiveEntmax, TopK, make_normalizer, softmax
from translator.model.transformer import Transformer

NAMES = get_args(NormalizerName)
B, H, T, S = 2, 3, 4, 7


def scores(dtype: torch.dtype = torch.float64) -> Tensor:
    """Return random scores, some of them masked as padding is."""
    drawn = 2 * torch.randn(B, H, T, S, dtype=torch.float64)
    drawn[0, :, :, 5:] = -math.inf
    drawn[1, :, 0, 1:] = -math.inf  # a single key is visible
    return drawn.to(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_each_row_is_a_distribution_over_the_visible_keys(
    name: NormalizerName, dtype: torch.dtype
) -> None:
    given = scores(dtype)
    weights = make_normalizer(name, H, 3)(given)
    assert weights.shape == given.shape
    assert (weights >= 0).all()
    assert (weights[given == -math.inf] == 0).all()
    tolerance = 2e-2 if weights.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(
        weights.sum(dim=-1), torch.ones(B, H, T, dtype=weights.dtype), atol=tolerance, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: NormalizerName) -> None:
    normalizer = make_normalizer(name, H, 3)
    if isinstance(normalizer, AdaptiveEntmax):
        normalizer.double()
        torch.nn.init.normal_(normalizer.a)
    drawn = torch.randn(B, H, T, S, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalizer, drawn, eps=1e-6, atol=1e-5)


def test_gradient_of_alpha_equals_finite_differences() -> None:
    normalizer = AdaptiveEntmax(H).double()
    drawn = torch.randn(B, H, T, S, dtype=torch.float64)
    target = torch.rand(B, H, T, S, dtype=torch.float64)

    def loss(a: Tensor) -> Tensor:
        weights: Tensor = torch.func.functional_call(normalizer, {"a": a}, drawn)
        return (weights * target).sum()

    start = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, start, eps=1e-6, atol=1e-5)


@pytest.mark.parametrize(("alpha", "name"), [(1.5, "entmax15"), (2.0, "sparsemax")])
def test_adaptive_entmax_equals_entmax15_and_sparsemax_at_their_alphas(
    alpha: float, name: NormalizerName
) -> None:
    given = scores()
    normalizer = AdaptiveEntmax(H).double()
    torch.nn.init.constant_(normalizer.a, torch.logit(torch.tensor((alpha - 1.01) / 0.99), 1e-12))
    torch.testing.assert_close(
        normalizer(given), make_normalizer(name, H, 1)(given), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("a", [-30.0, -12.0, 0.0, 12.0, 30.0])
def test_extreme_alphas_stay_accurate_in_float32(a: float) -> None:
    """Weights and gradients in float32 equal those in float64, masked scores included."""
    found = []
    for dtype in (torch.float32, torch.float64):
        normalizer = AdaptiveEntmax(H).to(dtype)
        torch.nn.init.constant_(normalizer.a, a)
        torch.manual_seed(1)
        given = scores(dtype).requires_grad_()
        weights = normalizer(given)
        target = torch.linspace(0, 1, S, dtype=dtype)
        gradients = torch.autograd.grad((weights * target).sum(), [given, normalizer.a])
        found.append([tensor.double() for tensor in (weights, *gradients)])
    for short, exact in zip(*found, strict=True):
        torch.testing.assert_close(short, exact, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("k", [S, S + 1])
def test_top_k_with_all_keys_equals_softmax(k: int) -> None:
    given = scores()
    assert torch.equal(TopK(k)(given), softmax(given))


def test_top_k_keeps_the_highest_weights_in_proportion() -> None:
    given = scores()
    weights, all_weights = TopK(2)(given), softmax(given)
    for row, full in zip(weights.flatten(0, -2), all_weights.flatten(0, -2), strict=True):
        kept = row > 0
        assert kept.sum() == min(2, (full > 0).sum())
        assert full[kept].min() >= full[~kept].max()
        torch.testing.assert_close(row[kept], full[kept] / full[kept].sum())


def test_sparser_normalizers_give_more_zeros() -> None:
    given = 2 * torch.randn(50, H, T, S)
    zeros = [(make_normalizer(name, H, 4)(given) == 0).sum() for name in NAMES[:3]]
    assert 0 == zeros[0] < zeros[1] < zeros[2]


@pytest.mark.parametrize("cross", NAMES)
@pytest.mark.parametrize("own", ["softmax", "topk", "entmax"])
def test_decoding_step_by_step_equals_decoding_at_once(
    cross: NormalizerName, own: NormalizerName
) -> None:
    shape = {"d_model": 16, "n_heads": 2, "encoder_layers": 1, "decoder_layers": 2, "d_ff": 32}
    config = ModelConfig(**shape, cross_attention=cross, self_attention=own, top_k=2)
    model = Transformer(config, vocab_size=20).double().eval()
    src, tgt = torch.randint(4, 20, (B, S)), torch.randint(4, 20, (B, T))
    mask = torch.zeros(B, S, dtype=torch.bool)
    mask[1, 4:] = True
    memory = model.encoder(src, mask)
    states, weights = model.decoder(tgt, memory, weights_of=range(2))
    assert (weights[0][1, :, :, 4:] == 0).all()
    cache: DecoderCache = model.decoder.start(memory, T)
    for t in range(T):
        torch.testing.assert_close(model.decoder.step(tgt[:, t], cache), states[:, t])
