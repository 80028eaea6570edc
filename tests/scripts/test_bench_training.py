"""The FLOPs that the benchmark reports are those that PyTorch counts."""

import pytest
import torch
from bench_training import Curve
from benchmarking.flops import orthogonalization_flops, training_flops
from torch.utils.flop_counter import FlopCounterMode

from translator.config import ModelConfig, TrainingConfig
from translator.data.batching import Batch
from translator.model.attention import MultiHeadAttention
from translator.model.transformer import Transformer
from translator.training.objectives import CrossEntropy, SupervisedObjective
from translator.training.optimizer import Optimizers

VOCAB = 50


def small_model(config: ModelConfig) -> Transformer:
    """A model without the fused attention kernel, whose FLOPs PyTorch does not count."""
    model = Transformer(config, VOCAB)
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.normalizer = lambda scores: scores.softmax(dim=-1)
    return model


def counted(mode: FlopCounterMode) -> int:
    return int(mode.get_total_flops())


@pytest.mark.parametrize(("encoder_layers", "decoder_layers"), [(1, 1), (3, 2)])
def test_flops_of_a_batch_are_those_that_pytorch_counts(
    encoder_layers: int, decoder_layers: int
) -> None:
    config = ModelConfig(16, 2, encoder_layers, decoder_layers, d_ff=24)
    rows, src, tgt = 5, 7, 6
    batch = Batch(
        torch.randint(4, VOCAB, (rows, src)), torch.randint(4, VOCAB, (rows, tgt + 1)), rows * tgt
    )
    model = small_model(config)
    with FlopCounterMode(display=False) as mode:
        torch.autograd.grad(
            SupervisedObjective([CrossEntropy(0.1)])(model, batch).total, list(model.parameters())
        )
    expected = training_flops(config, VOCAB, rows, src, tgt, batch.tgt_tokens)
    assert counted(mode) == expected


def test_flops_of_the_optimizer_are_those_that_pytorch_counts() -> None:
    model = small_model(ModelConfig(16, 2, 1, 2, d_ff=24))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizers = Optimizers(model, TrainingConfig(), max_steps=10)
    with FlopCounterMode(display=False) as mode:
        optimizers.step(0)
    assert counted(mode) == orthogonalization_flops(model)


def test_a_mark_is_crossed_between_two_points() -> None:
    curve = Curve([(10.0, 5.0), (20.0, 15.0), (30.0, 12.0), (40.0, 22.0)], 1, 1, 1, 0, 0)
    assert curve.seconds_to(2.5) == 5
    assert curve.seconds_to(10) == 15
    assert curve.seconds_to(20) == 38
    assert curve.seconds_to(25) is None
