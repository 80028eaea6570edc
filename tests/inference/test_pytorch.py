"""Our engine in bfloat16, for processors that have units for it."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from conftest import PAIRS

from translator import load
from translator.config import MappingName, ModelConfig
from translator.errors import TranslatorError
from translator.inference.pytorch import PyTorchEngine
from translator.model.transformer import Transformer

SENTENCES = [line.split("\t")[0] for line in PAIRS.read_text(encoding="utf-8").splitlines()[1:40]]


def pretend(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    """The processor has units for bfloat16, or not."""
    monkeypatch.setattr(
        "translator.inference.pytorch.pick_precision", lambda wanted, device: precision
    )


@pytest.mark.parametrize("beam_size", [1, 4])
def test_bfloat16_says_nearly_the_same(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch, beam_size: int
) -> None:
    pretend(monkeypatch, "bfloat16")
    short = load(trained_run, "cpu", "pytorch-bfloat16")
    exact = load(trained_run, "cpu")
    assert short.engine.model.embedding.weight.dtype == torch.bfloat16  # type: ignore[attr-defined]
    found, expected = (
        translator.translate(SENTENCES, beam_size=beam_size) for translator in (short, exact)
    )
    differences = [abs(a.score - b.score) for a, b in zip(found, expected, strict=True)]
    assert sum(differences) / len(differences) < 0.05
    same = [a.text == b.text for a, b in zip(found, expected, strict=True)]
    assert sum(same) > len(same) / 2
    src, tgt, weights = short.cross_attention("Good evening.", "Buenas tardes.")
    assert weights.dtype == torch.float32
    assert weights.shape[2:] == (len(tgt), len(src))


@pytest.mark.parametrize("name", get_args(MappingName))
def test_bfloat16_goes_with_every_attention(name: MappingName) -> None:
    config = ModelConfig(d_model=16, n_heads=2, encoder_layers=1, decoder_layers=1, d_ff=32,
                         cross_attention=name, self_attention=name)  # fmt: skip
    engine = PyTorchEngine(Transformer(config, vocab_size=20).bfloat16())
    for beam_size in (1, 3):
        found = engine.search([[5, 6, 7], [8]], beam_size, 1.0, 1)
        assert [len(hypotheses) for hypotheses in found] == [1, 1]


def test_where_it_would_be_slow_it_is_refused(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "float32")
    with pytest.raises(TranslatorError, match=r"no units for bfloat16.*engine pytorch"):
        load(trained_run, "cpu", "pytorch-bfloat16")
