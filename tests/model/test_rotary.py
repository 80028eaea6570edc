import math

import torch
from torch import Tensor

from translator.model.attention import MultiHeadAttention
from translator.model.rotary import apply_rotary, rotary_rotations

B, H, T, K = 2, 3, 9, 8
CPU = torch.device("cpu")


def heads() -> Tensor:
    return torch.randn(B, H, T, K, dtype=torch.float64)


def test_rotation_follows_the_paper() -> None:
    """Su et al. 2021, equation 15: pair i at position m is rotated by m · 10000^(-2i/K)."""
    x = heads()
    rotated = apply_rotary(x, rotary_rotations(T, K, CPU))
    for position in range(T):
        matrix = torch.zeros(K, K, dtype=torch.float64)
        for i in range(K // 2):
            angle = position * 10000 ** (-2 * i / K)
            block = [
                [math.cos(angle), -math.sin(angle)],
                [math.sin(angle), math.cos(angle)],
            ]
            matrix[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor(block)
        torch.testing.assert_close(
            rotated[:, :, position], x[:, :, position] @ matrix.T, rtol=0, atol=1e-5
        )


def test_attention_depends_on_relative_positions_only() -> None:
    attention = MultiHeadAttention(H * K, H).double()
    x = torch.randn(B, T, H * K, dtype=torch.float64)
    outputs = []
    for first in (0, 50):
        rotation = rotary_rotations(first + T, K, CPU)[first:]
        keys, values = attention.keys_and_values(x, rotation)
        outputs.append(attention(x, keys, values, rotation=rotation, causal=True)[0])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5)
    keys, values = attention.keys_and_values(x)
    unrotated, _ = attention(x, keys, values, causal=True)
    assert (unrotated - outputs[0]).abs().max() > 1e-3


def test_bfloat16_stays_bfloat16() -> None:
    x = heads()
    rotated = apply_rotary(x.bfloat16(), rotary_rotations(T, K, CPU))
    assert rotated.dtype == torch.bfloat16
    torch.testing.assert_close(
        rotated.double(), apply_rotary(x, rotary_rotations(T, K, CPU)), rtol=0, atol=0.05
    )
