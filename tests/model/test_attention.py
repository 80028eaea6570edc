import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translator.model.attention import MultiHeadAttention, attend

B, H, T, S, K = 3, 2, 5, 7, 4
D = H * K


def heads(length: int) -> Tensor:
    return torch.randn(B, H, length, K, dtype=torch.float64, requires_grad=True)


def random_mask() -> Tensor:
    """Return a (B, 1, T, S) mask, True where a key is hidden. The first key stays visible."""
    mask = torch.rand(B, 1, T, S) < 0.5
    mask[..., 0] = False
    return mask


def padding_mask() -> Tensor:
    """Return a (B, S) mask, True for the padding at the end of the last two rows."""
    return torch.arange(S) >= torch.tensor([S, 4, 1])[:, None]


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    """Copy our weights into PyTorch's layer and set its biases to zero: ours has none."""
    inputs = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight.data for part in inputs])
    theirs.in_proj_bias.data.zero_()
    theirs.out_proj.weight.data = ours.output.weight.data
    theirs.out_proj.bias.data.zero_()


def hardmax(scores: Tensor) -> Tensor:
    """Give all the weight to the highest score."""
    return F.one_hot(scores.argmax(dim=-1), scores.size(-1)).to(scores.dtype)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attend_equals_scaled_dot_product_attention(
    masked: bool, causal: bool, need_weights: bool
) -> None:
    query, key, value = heads(T), heads(S), heads(S)
    mask = random_mask() if masked else None
    hidden = torch.zeros(B, 1, T, S, dtype=torch.bool)
    if mask is not None:
        hidden |= mask
    if causal:
        hidden |= torch.tensor([[s > t for s in range(S)] for t in range(T)])
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=~hidden)
    output, weights = attend(query, key, value, mask=mask, causal=causal, need_weights=need_weights)
    torch.testing.assert_close(output, expected)
    assert (weights is not None) == need_weights


def test_weights_sum_to_one_and_are_zero_where_masked() -> None:
    mask = random_mask()
    _, weights = attend(heads(T), heads(S), heads(S), mask=mask, causal=True, need_weights=True)
    assert weights is not None
    hidden = (mask | torch.ones(T, S, dtype=torch.bool).triu(1)).expand(B, H, T, S)
    assert (weights[hidden] == 0).all()
    assert (weights[~hidden] > 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, H, T, dtype=torch.float64))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_do_not_depend_on_need_weights(masked: bool, causal: bool) -> None:
    inputs = heads(T), heads(S), heads(S)
    mask = random_mask() if masked else None
    fast, _ = attend(*inputs, mask=mask, causal=causal)
    slow, _ = attend(*inputs, mask=mask, causal=causal, need_weights=True)
    torch.testing.assert_close(fast, slow)
    direction = torch.randn_like(fast)
    fast_gradients = torch.autograd.grad(fast, inputs, direction)
    slow_gradients = torch.autograd.grad(slow, inputs, direction)
    torch.testing.assert_close(fast_gradients, slow_gradients)


@pytest.mark.parametrize("need_weights", [False, True])
def test_attend_uses_the_normalizer_instead_of_softmax(need_weights: bool) -> None:
    query, key, value = heads(T), heads(S), heads(S)
    mask = random_mask()
    output, weights = attend(
        query, key, value, mask=mask, normalizer=hardmax, need_weights=need_weights
    )
    for b in range(B):
        for h in range(H):
            for t in range(T):
                scores = [(query[b, h, t] @ key[b, h, s]).item() for s in range(S)]
                scores = [-math.inf if mask[b, 0, t, s] else scores[s] for s in range(S)]
                best = scores.index(max(scores))
                torch.testing.assert_close(output[b, h, t], value[b, h, best])
                assert weights is None or weights[b, h, t, best] == 1


def test_layer_uses_its_normalizer() -> None:
    ours = MultiHeadAttention(D, H, normalizer=hardmax).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    _, weights = ours(x, *ours.keys_and_values(x), need_weights=True)
    assert set(weights.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_layer_equals_pytorchs(cross: bool, need_weights: bool) -> None:
    ours = MultiHeadAttention(D, H).double()
    theirs = nn.MultiheadAttention(D, H, batch_first=True).double()
    copy_attention(ours, theirs)
    memory = torch.randn(B, S, D, dtype=torch.float64)
    x = torch.randn(B, T, D, dtype=torch.float64) if cross else memory
    padding = padding_mask()
    expected, expected_weights = theirs(
        x, memory, memory, key_padding_mask=padding, average_attn_weights=False
    )
    keys, values = ours.keys_and_values(memory)
    output, weights = ours(
        x, keys, values, mask=padding[:, None, None, :], need_weights=need_weights
    )
    torch.testing.assert_close(output, expected)
    if need_weights:
        torch.testing.assert_close(weights, expected_weights)
    else:
        assert weights is None


def test_causal_layer_equals_pytorchs() -> None:
    ours = MultiHeadAttention(D, H).double()
    theirs = nn.MultiheadAttention(D, H, batch_first=True).double()
    copy_attention(ours, theirs)
    x = torch.randn(B, T, D, dtype=torch.float64)
    future = torch.tensor([[s > t for s in range(T)] for t in range(T)])
    expected, _ = theirs(x, x, x, attn_mask=future)
    output, _ = ours(x, *ours.keys_and_values(x), causal=True)
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("causal", [False, True])
def test_bfloat16_differs_only_by_rounding(causal: bool) -> None:
    exact = [heads(S).float().bfloat16().double().detach().requires_grad_() for _ in range(3)]
    half = [x.detach().bfloat16().requires_grad_() for x in exact]
    mask = padding_mask()[:, None, None, :]
    expected, _ = attend(*exact, mask=mask, causal=causal)
    output, _ = attend(*half, mask=mask, causal=causal)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.double(), expected, rtol=2**-8, atol=1e-6)
    wanted = torch.autograd.grad(expected.sum(), exact)
    for gradient, right in zip(torch.autograd.grad(output.sum(), half), wanted, strict=True):
        torch.testing.assert_close(gradient.double(), right, rtol=2**-8, atol=1e-5)
