"""The PyTorch engine in int8, for CPUs with int8 instructions."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from helpers import everyday_lines
from torch import nn

from translator import load
from translator.config import ModelConfig, NormalizerName
from translator.errors import TranslatorError
from translator.inference import pytorch
from translator.inference.int8 import Int8Linear, QuantizingNorm, quantize_model
from translator.inference.pytorch import PyTorchEngine
from translator.model.transformer import Transformer

SENTENCES = [english for english, *_ in everyday_lines()[1:40]]


def pretend(monkeypatch: pytest.MonkeyPatch, *, faster: bool) -> None:
    """Pretend that int8 is faster on this CPU, or that it isn't."""
    monkeypatch.setattr(pytorch, "faster_in", lambda dtype: faster)


def test_int8_values_are_multiplied_exactly() -> None:
    weight = torch.randint(-127, 128, (24, 40)).float()
    x = torch.randint(-127, 128, (3, 7, 40)).float()
    weight[:, 0] = x[..., 0] = 127  # so that the quantization step is 1
    scales = torch.rand(24, 1) + 0.1
    exact = x @ (weight * scales).T
    # float32 rounds sums of about 10,000; an error of one quantization step would be about 10.
    torch.testing.assert_close(Int8Linear(weight * scales)(x), exact, atol=0.1, rtol=0)


def test_rounding_error_is_about_one_percent() -> None:
    weight, x = torch.randn(300, 128), torch.randn(50, 128) * torch.logspace(-3, 3, 50)[:, None]
    exact = x @ weight.T
    errors = (Int8Linear(weight)(x) - exact).norm(dim=1) / exact.norm(dim=1)
    assert 0.001 < errors.max() < 0.02


def test_other_rows_of_the_batch_do_not_change_a_product() -> None:
    product, x = Int8Linear(torch.randn(30, 64)), torch.randn(20, 64)
    x[3] *= 1e4
    x[4] = 0
    together = product(x)
    for i, row in enumerate(x):
        assert torch.equal(product(row[None])[0], together[i])
    assert torch.equal(together[4], torch.zeros(30))


def test_quantizing_in_the_norm_equals_quantizing_in_the_product() -> None:
    norm, product, x = nn.LayerNorm(64), Int8Linear(torch.randn(30, 64)), torch.randn(2, 5, 64)
    assert torch.equal(product(QuantizingNorm(norm)(x)), product(norm(x)))


@pytest.mark.parametrize("beam_size", [1, 4])
def test_int8_translates_nearly_the_same(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch, beam_size: int
) -> None:
    pretend(monkeypatch, faster=True)
    short, exact = load(trained_run, "cpu", "pytorch-int8"), load(trained_run, "cpu")
    modules = short.engine.model.modules()  # type: ignore[attr-defined]
    assert not any(isinstance(module, nn.Linear) for module in modules)
    found, expected = (
        translator.translate(SENTENCES, beam_size=beam_size) for translator in (short, exact)
    )
    differences = [abs(a.score - b.score) for a, b in zip(found, expected, strict=True)]
    assert 0 < sum(differences) / len(differences) < 0.05
    same = [a.text == b.text for a, b in zip(found, expected, strict=True)]
    assert sum(same) > len(same) / 2


@pytest.mark.parametrize("name", get_args(NormalizerName))
def test_int8_works_with_every_attention_normalizer(name: NormalizerName) -> None:
    config = ModelConfig(d_model=16, n_heads=2, encoder_layers=1, decoder_layers=1, d_ff=32,
                         cross_attention=name, self_attention=name)  # fmt: skip
    model = Transformer(config, vocab_size=20)
    exact = PyTorchEngine(model).cross_attention([[5, 6, 7]], [[8, 9]], layers=[0])
    quantize_model(model)
    engine = PyTorchEngine(model)
    for beam_size in (1, 3):
        found = engine.search([[5, 6, 7], [8]], beam_size, 1.0, 1)
        assert [len(hypotheses) for hypotheses in found] == [1, 1]
    [weights] = engine.cross_attention([[5, 6, 7]], [[8, 9]], layers=[0])
    torch.testing.assert_close(weights, exact[0], atol=0.05, rtol=0)


def test_int8_is_refused_on_a_cpu_where_it_would_be_slow(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, faster=False)
    with pytest.raises(TranslatorError, match=r"no units for int8.*engine pytorch"):
        load(trained_run, "cpu", "pytorch-int8")


def test_int8_is_refused_on_other_devices_than_a_cpu(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytorch, "pick_device", lambda wanted: torch.device("meta"))
    with pytest.raises(TranslatorError, match=r"can't use meta: take the device cpu"):
        load(trained_run, engine="pytorch-int8")
