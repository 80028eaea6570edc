"""Rotary positions: where a token stands in its sentence (Su et al. 2021, arXiv 2104.09864).

Nothing is added to the vectors. In self-attention, queries and keys are rotated by an angle that
grows with their position. The product of two rotated vectors depends on the difference of their
angles, so attention sees how far apart two tokens are, in sentences of any length.
"""

import torch
from torch import Tensor


def rotary_rotations(length: int, width: int, device: torch.device) -> Tensor:
    """The rotation of each position, as complex numbers of absolute value 1.

    Args:
        length: number of positions
        width: K, the width of a head, even: each pair of values rotates at its own rate
        device: where the result is needed

    Returns:
        (length, K / 2), complex64.
    """
    # Radians per position, from 1 down to 1/10000 in geometric progression, as in the paper.
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=device) / width)  # (K / 2,)
    angles = torch.arange(length, device=device)[:, None] * rates  # (T, K / 2)
    return torch.polar(torch.ones_like(angles), angles)


def apply_rotary(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate each pair of neighbouring values.

    Args:
        x: queries or keys (B, H, T, K)
        rotation: (T, K / 2), from `rotary_rotations`

    Returns:
        (B, H, T, K), with the dtype of x.
    """
    exact = x.float() if x.dtype == torch.bfloat16 else x  # there is no complex bfloat16
    pairs = torch.view_as_complex(exact.view(*x.shape[:-1], -1, 2))  # (B, H, T, K / 2)
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)
