import math
from functools import partial

import pytest
import torch
from helpers import SMALL, encode, random_ids, random_model, random_sources
from test_layers import AS_OURS, copy_decoder_layer, copy_encoder_layer, randomize
from torch import Tensor, nn

from translator.config import ModelConfig
from translator.data.tokenizer import BOS_ID, PAD_ID
from translator.model import decoder as decoding
from translator.model import text_encoder
from translator.model.cache import DecoderCache
from translator.model.transformer import Transformer, count_parameters

VOCAB = 20

random_tokens = partial(random_ids, vocab_size=VOCAB)
sources = partial(random_sources, vocab_size=VOCAB)


def perturbed_model() -> Transformer:
    """Return a model in double precision, with weights so large that no dependency vanishes."""
    model = random_model(VOCAB).double().eval().requires_grad_(False)
    randomize(model)
    return model


def prefixes(rows: int, length: int) -> Tensor:
    """Return bos followed by random ids in each row."""
    return torch.cat([torch.full((rows, 1), BOS_ID), random_tokens(rows, length - 1)], dim=1)


def with_padding(ids: Tensor, columns: int) -> Tensor:
    return nn.functional.pad(ids, (0, columns), value=PAD_ID)


def read(model: Transformer, src: Tensor, tgt: Tensor) -> Tensor:
    """Return the logits (B, T, V) of a whole target, computed at once."""
    return model.decoder.logits(model.decoder(tgt, encode(model, src))[0])


def step(model: Transformer, tokens: Tensor, cache: DecoderCache) -> Tensor:
    return model.decoder.logits(model.decoder.step(tokens, cache))


def assert_same(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def unrotated(length: int, width: int, device: torch.device) -> Tensor:
    """A replacement for `rotary_rotations` that rotates no position."""
    return torch.ones(length, width // 2, dtype=torch.complex64, device=device)


def test_model_equals_pytorchs_encoder_and_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotary positions are switched off, because PyTorch's layers don't have them."""
    for module in (text_encoder, decoding):
        monkeypatch.setattr(module, "rotary_rotations", unrotated)
    model = perturbed_model()
    d_model, n_heads, d_ff = SMALL.d_model, SMALL.n_heads, SMALL.d_ff
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(d_model, n_heads, d_ff, **AS_OURS),
        SMALL.encoder_layers,
        norm=nn.LayerNorm(d_model),
        enable_nested_tensor=False,
    ).double()
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(d_model, n_heads, d_ff, **AS_OURS),
        SMALL.decoder_layers,
        norm=nn.LayerNorm(d_model),
    ).double()
    for ours, theirs in zip(model.encoder.layers, encoder.layers, strict=True):
        copy_encoder_layer(ours, theirs)
    for ours, theirs in zip(model.decoder.layers, decoder.layers, strict=True):
        copy_decoder_layer(ours, theirs)
    encoder.norm.load_state_dict(model.encoder.norm.state_dict())
    decoder.norm.load_state_dict(model.decoder.norm.state_dict())

    def embed(ids: Tensor) -> Tensor:
        return model.embedding.weight[ids] * math.sqrt(d_model)

    src, tgt = sources(7, 3, 1), prefixes(3, 6)
    padding = src == PAD_ID
    memory = encoder(embed(src), src_key_padding_mask=padding)
    states = decoder(
        embed(tgt),
        memory,
        tgt_mask=torch.ones(6, 6, dtype=torch.bool).triu(1),
        memory_key_padding_mask=padding,
    )
    assert_same(encode(model, src).states[~padding], memory[~padding])
    assert_same(read(model, src, tgt), states @ model.embedding.weight.T)


def test_source_padding_does_not_change_the_result() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 1), prefixes(3, 6)
    wider = with_padding(src, 4)
    real = src != PAD_ID
    states = encode(model, wider).states[:, : src.size(1)]
    assert_same(states[real], encode(model, src).states[real])
    assert_same(read(model, wider, tgt), read(model, src, tgt))


def test_target_padding_does_not_change_the_result() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 1), prefixes(3, 6)
    assert_same(read(model, src, with_padding(tgt, 4))[:, :6], read(model, src, tgt))


def test_batch_order_does_not_change_the_result() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 5, 1), prefixes(4, 6)
    order = torch.tensor([2, 0, 3, 1])
    assert_same(read(model, src[order], tgt[order]), read(model, src, tgt)[order])


def test_other_rows_of_the_batch_do_not_change_the_result() -> None:
    model, lengths, tgt = perturbed_model(), (7, 3, 5, 1), prefixes(4, 6)
    src = sources(*lengths)
    together = read(model, src, tgt)
    for row, length in enumerate(lengths):
        alone = read(model, src[row : row + 1, :length], tgt[row : row + 1])
        assert_same(together[row : row + 1], alone)


def test_a_position_depends_on_no_later_target_token() -> None:
    model, src, tgt = perturbed_model(), sources(4), prefixes(1, 6)
    before = read(model, src, tgt)
    for position in range(1, 6):
        changed = tgt.clone()
        changed[0, position] = 4 if tgt[0, position] != 4 else 5
        after = read(model, src, changed)
        assert_same(after[:, :position], before[:, :position])
        assert (after[:, position:] != before[:, position:]).any(dim=-1).all()


def test_every_source_token_affects_the_logits_of_every_position() -> None:
    model, src, tgt = perturbed_model(), sources(5), prefixes(1, 3)
    before = read(model, src, tgt)
    for position in range(5):
        changed = src.clone()
        changed[0, position] = 4 if src[0, position] != 4 else 5
        assert (read(model, changed, tgt) != before).any(dim=-1).all()


def test_order_of_the_source_tokens_matters() -> None:
    model, src, tgt = perturbed_model(), sources(5), prefixes(1, 3)
    src[0, :2] = torch.tensor([4, 5])
    swapped = src.clone()
    swapped[0, :2] = torch.tensor([5, 4])
    assert not torch.allclose(read(model, src, tgt), read(model, swapped, tgt))


def test_weights_of_returns_the_weights_of_each_layer_and_the_same_states() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 1), prefixes(3, 6)
    memory = encode(model, src)
    plain, none = model.decoder(tgt, memory)
    states, weights = model.decoder(tgt, memory, weights_of=range(2))
    assert none == []
    assert_same(states, plain)
    assert [layer.shape for layer in weights] == [(3, SMALL.n_heads, 6, 7)] * 2
    assert not torch.allclose(weights[0], weights[1])
    for layer in weights:
        assert_same(layer.sum(dim=-1), torch.ones(3, SMALL.n_heads, 6, dtype=torch.float64))


def test_padding_of_the_source_gets_no_attention() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 1), prefixes(3, 6)
    padding = src == PAD_ID
    _, weights = model.decoder(tgt, encode(model, src), weights_of=range(2))
    for layer in weights:
        by_key = layer.permute(0, 3, 1, 2)  # (B, S, H, T)
        assert (by_key[padding] == 0).all()
        assert (by_key[~padding] > 0).all()


def test_decoding_step_by_step_equals_decoding_at_once() -> None:
    model, src, tgt = perturbed_model(), sources(7, 3, 1), prefixes(3, 9)
    expected = read(model, src, tgt)
    cache = model.decoder.start(encode(model, src), max_length=9)
    for t in range(9):
        assert cache.length == t
        assert_same(step(model, tgt[:, t], cache), expected[:, t])


def test_a_reordered_cache_continues_the_reordered_targets() -> None:
    beams = 4
    model, src = perturbed_model(), sources(7, 3, 1)
    cache = model.decoder.start(encode(model, src), 8, beams)
    src = src.repeat_interleave(beams, dim=0)
    tgt = prefixes(len(src), 1)
    for _ in range(8):
        assert_same(
            step(model, tgt[:, -1], cache),
            read(model, src, tgt)[:, -1],
        )
        first = torch.arange(0, len(src), beams)[:, None]
        rows = (first + torch.randint(beams, (3, beams))).flatten()
        cache.reorder(rows)
        tgt = torch.cat([tgt[rows], random_tokens(len(src), 1)], dim=1)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_cache_with_selected_sources_continues_their_targets(beams: int) -> None:
    model, src = perturbed_model(), sources(7, 3, 1, 5)
    cache = model.decoder.start(encode(model, src), 8, beams)
    src = src.repeat_interleave(beams, dim=0)
    tgt = prefixes(len(src), 1)
    for sources_left in (4, 6, 6, 3, 2, 2, 1):
        assert_same(
            step(model, tgt[:, -1], cache),
            read(model, src, tgt)[:, -1],
        )
        chosen = torch.randint(len(src) // beams, (sources_left,))
        rows = chosen[:, None] * beams + torch.randint(beams, (sources_left, beams))
        cache.select(chosen, rows.flatten())
        src, tgt = src[rows.flatten()], tgt[rows.flatten()]
        tgt = torch.cat([tgt, random_tokens(len(src), 1)], dim=1)
    assert_same(step(model, tgt[:, -1], cache), read(model, src, tgt)[:, -1])


@pytest.mark.parametrize(("encoder_layers", "decoder_layers"), [(1, 3), (3, 1)])
def test_number_of_parameters_follows_from_the_configuration(
    encoder_layers: int, decoder_layers: int
) -> None:
    config = ModelConfig(16, 2, encoder_layers, decoder_layers, d_ff=24)
    attention, norm = 4 * 16 * 16, 2 * 16
    feed_forward = 2 * 16 * 24
    in_encoder = encoder_layers * (attention + feed_forward + 2 * norm) + norm
    in_decoder = decoder_layers * (2 * attention + feed_forward + 3 * norm) + norm
    assert count_parameters(Transformer(config, VOCAB)) == VOCAB * 16 + in_encoder + in_decoder


def test_a_new_model_predicts_a_nearly_uniform_distribution() -> None:
    """Logits start with a variance near 1, so the first loss is near log(vocabulary size)."""
    model = Transformer(ModelConfig(d_model=64, n_heads=2), 1000).eval()
    src, tgt = torch.randint(4, 1000, (8, 10)), torch.randint(4, 1000, (8, 10))
    with torch.no_grad():
        assert read(model, src, tgt).var().item() == pytest.approx(1, abs=0.2)
