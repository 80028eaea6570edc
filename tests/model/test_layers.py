from typing import Any

import pytest
import torch
from test_attention import copy_attention
from torch import Tensor, nn

from translator.model.layers import DecoderLayer, Dropout, EncoderLayer, FeedForward

B, S, T, D, H, D_FF = 3, 7, 5, 8, 2, 12
AS_OURS: dict[str, Any] = {
    "dropout": 0.0,
    "activation": "relu",
    "norm_first": True,
    "batch_first": True,
}


def randomize(module: nn.Module) -> None:
    """Perturb every weight. Norms and biases too, which otherwise start at constants."""
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)


def copy_feed_forward(ours: FeedForward, theirs: Any) -> None:
    for linear, part in ((theirs.linear1, ours.up), (theirs.linear2, ours.down)):
        linear.weight.data = part.weight.data
        linear.bias.data.zero_()


def copy_encoder_layer(ours: EncoderLayer, theirs: nn.TransformerEncoderLayer) -> None:
    """Copy our weights into PyTorch's layer."""
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_feed_forward(ours.feed_forward, theirs)
    theirs.norm1.load_state_dict(ours.self_norm.state_dict())
    theirs.norm2.load_state_dict(ours.ff_norm.state_dict())


def copy_decoder_layer(ours: DecoderLayer, theirs: nn.TransformerDecoderLayer) -> None:
    """Copy our weights into PyTorch's layer."""
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_feed_forward(ours.feed_forward, theirs)
    theirs.norm1.load_state_dict(ours.self_norm.state_dict())
    theirs.norm2.load_state_dict(ours.cross_norm.state_dict())
    theirs.norm3.load_state_dict(ours.ff_norm.state_dict())


def vectors(length: int) -> Tensor:
    return torch.randn(B, length, D, dtype=torch.float64)


def padding_mask(length: int) -> Tensor:
    """Return a (B, length) mask, True for the padding at the end of the last two rows."""
    return torch.arange(length) >= torch.tensor([length, 4, 1])[:, None]


def test_encoder_layer_equals_pytorchs() -> None:
    ours = EncoderLayer(D, H, D_FF, dropout=0.0).double()
    theirs = nn.TransformerEncoderLayer(D, H, D_FF, **AS_OURS).double()
    randomize(ours)
    copy_encoder_layer(ours, theirs)
    x, padding = vectors(S), padding_mask(S)
    expected = theirs(x, src_key_padding_mask=padding)
    torch.testing.assert_close(
        ours(x, None, padding[:, None, None, :])[~padding], expected[~padding]
    )


def test_encoder_layer_without_mask_equals_pytorchs() -> None:
    ours = EncoderLayer(D, H, D_FF, dropout=0.0).double()
    theirs = nn.TransformerEncoderLayer(D, H, D_FF, **AS_OURS).double()
    randomize(ours)
    copy_encoder_layer(ours, theirs)
    x = vectors(S)
    torch.testing.assert_close(ours(x, None, None), theirs(x))


@pytest.mark.parametrize("need_weights", [False, True])
def test_decoder_layer_equals_pytorchs(need_weights: bool) -> None:
    ours = DecoderLayer(D, H, D_FF, dropout=0.0).double()
    theirs = nn.TransformerDecoderLayer(D, H, D_FF, **AS_OURS).double()
    randomize(ours)
    copy_decoder_layer(ours, theirs)
    x, memory = vectors(T), vectors(S)
    tgt_padding, memory_padding = padding_mask(T), padding_mask(S)
    expected = theirs(
        x,
        memory,
        tgt_mask=torch.tensor([[s > t for s in range(T)] for t in range(T)]),
        tgt_key_padding_mask=tgt_padding,
        memory_key_padding_mask=memory_padding,
    )
    keys, values = ours.cross_attention.keys_and_values(memory)
    output, weights = ours(
        x, None, keys, values, memory_padding[:, None, None, :], need_weights=need_weights
    )
    torch.testing.assert_close(output[~tgt_padding], expected[~tgt_padding])
    assert (weights is not None) == need_weights


def test_dropout_is_off_in_evaluation_and_on_in_training() -> None:
    layer = EncoderLayer(D, H, D_FF, dropout=0.5).double()
    x = vectors(S)
    assert not torch.equal(layer(x, None, None), layer(x, None, None))
    layer.eval()
    assert torch.equal(layer(x, None, None), layer(x, None, None))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_the_given_fraction_and_keeps_the_mean(rate: float) -> None:
    x = torch.full((1000, 1001), 3.0)  # the size is not a multiple of the bytes in a word
    dropped = Dropout(rate)(x)
    share = (dropped == 0).double().mean().item()
    # Within six standard deviations of the rate, which is rounded to a 256th.
    assert abs(share - rate) < 1 / 512 + 6 * (rate * (1 - rate) / x.numel()) ** 0.5
    scale = 256 / (256 - round(256 * rate))
    torch.testing.assert_close(dropped[dropped != 0].unique(), torch.tensor([3 * scale]))


def test_gradients_flow_only_through_values_that_dropout_kept() -> None:
    x = torch.randn(20, 30, requires_grad=True)
    dropped = Dropout(0.5)(x)
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    torch.testing.assert_close(gradient, (dropped != 0) * 2.0)


def test_dropout_draws_from_its_own_generator() -> None:
    dropout, x = Dropout(0.5), torch.ones(50, 50)
    dropout.generator = torch.Generator().manual_seed(1)
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first, second)
    torch.rand(1)  # draws from the default generator don't matter
    dropout.generator.manual_seed(1)
    assert torch.equal(dropout(x), first)
