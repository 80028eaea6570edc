"""Where a piece stands in its sentence: rotary positions (Su et al. 2021, arXiv 2104.09864).

Nothing is added to the vectors. In self-attention, queries and keys are turned by an angle that
grows with their position. A product of two turned vectors depends on the difference of their
angles, so what attention sees is how far apart two pieces are, at any length.
"""

import torch
from torch import Tensor


def rotary_rotations(length: int, width: int, device: torch.device) -> Tensor:
    """The turns of each position, as complex numbers of length 1.

    Args:
        length: positions, counted from 0
        width: K, of a head, even: two values make a number, and each pair turns at its own speed

    Returns:
        (length, K / 2), complex64.
    """
    # Turns per position from 1 down to 1/10000 radian in geometric progression, as in the paper.
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=device) / width)  # (K / 2,)
    angles = torch.arange(length, device=device)[:, None] * rates  # (T, K / 2)
    return torch.polar(torch.ones_like(angles), angles)


def apply_rotary(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn each pair of neighbouring values.

    Args:
        x: queries or keys (B, H, T, K)
        rotation: (T, K / 2), of their positions

    Returns:
        (B, H, T, K), of the type of x.
    """
    exact = x.float() if x.dtype == torch.bfloat16 else x  # no complex numbers are so short
    pairs = torch.view_as_complex(exact.view(*x.shape[:-1], -1, 2))  # (B, H, T, K / 2)
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)
