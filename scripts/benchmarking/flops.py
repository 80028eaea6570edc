"""How many floating-point operations the matrix products of a training take.

A product of an (m, k) matrix and a (k, n) matrix takes 2·m·k·n of them.
"""

import time

import torch
from torch import nn

from translator.config import ModelConfig
from translator.data.batching import Batch
from translator.training.muon import NEWTON_SCHULZ_STEPS


def training_flops(
    config: ModelConfig, vocab_size: int, rows: int, src: int, tgt: int, tgt_tokens: float
) -> float:
    """FLOPs of the matrix products of a batch, forward and backward.

    The backward pass takes twice as many as the forward pass.

    Args:
        config: the model's shape
        vocab_size: V
        rows: B
        src: S, including padding
        tgt: T, including padding
        tgt_tokens: target tokens without padding; each has a row of logits
    """
    d, ff = config.d_model, config.d_ff
    src_positions, tgt_positions = rows * src, rows * tgt
    # Scores and the weighted sum of values, for self-attention and cross-attention.
    encoder = src_positions * (4 * d * d + 2 * d * ff) + 2 * rows * src * src * d
    decoder = tgt_positions * (4 * d * d + 2 * d * d + 2 * d * ff) + src_positions * 2 * d * d
    decoder += 2 * rows * tgt * tgt * d + 2 * rows * tgt * src * d
    layers = config.encoder_layers * encoder + config.decoder_layers * decoder
    return 3 * 2 * (layers + tgt_tokens * d * vocab_size)


def batch_flops(config: ModelConfig, vocab_size: int, batch: Batch) -> float:
    """`training_flops` of a batch; the last target position is only predicted."""
    rows, src = batch.src.shape
    return training_flops(config, vocab_size, rows, src, batch.tgt.size(1) - 1, batch.tgt_tokens)


def orthogonalization_flops(model: nn.Module) -> float:
    """FLOPs of a step of Muon: three matrix products in each Newton-Schulz iteration."""
    shapes = [
        sorted(module.weight.shape) for module in model.modules() if isinstance(module, nn.Linear)
    ]
    return sum(
        2 * NEWTON_SCHULZ_STEPS * (2 * short * short * long + short**3) for short, long in shapes
    )


def matrix_rate(precision: str) -> float:
    """FLOP/s that this machine reaches with large matrices: the best of twenty products."""
    size = 1024
    left, right = torch.randn(2, size, size).to(getattr(torch, precision))
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)
