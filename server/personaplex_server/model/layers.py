"""What both transformers of the language model, and those of the codec, share: norm, rotary positions, gates."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

NORM_EPSILON: Final = 1e-8


def rms_norm(x: Tensor, alpha: Tensor) -> Tensor:
    """Normalise `x` [..., D] in float32 and scale by `alpha` [D] (float32); the result has x's dtype."""
    if x.dtype == torch.float32:
        return F.rms_norm(x, alpha.shape, alpha, NORM_EPSILON)
    return F.rms_norm(x.float(), alpha.shape, alpha, NORM_EPSILON).to(x.dtype)


def rotary_frequencies(width: int, max_period: float, device: torch.device) -> Tensor:
    """Return the float32 angular step of each pair of a head of `width`: [width/2]."""
    pairs = torch.arange(width // 2, dtype=torch.float32, device=device)
    return torch.exp(pairs * (-math.log(max_period) * 2 / width))


def rotation(positions: Tensor, frequencies: Tensor) -> Tensor:
    """Return the unit complex numbers that turn pairs at `positions` [...]: complex64 [..., width/2]."""
    angles = positions.to(torch.float32).unsqueeze(-1) * frequencies
    return torch.complex(torch.cos(angles), torch.sin(angles))


def rotate_(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the interleaved pairs of `x` [..., width] by `turn` (broadcastable), in float32.

    Works in place for float32, which saves a copy per layer; the turned tensor is returned in any case.
    """
    if x.dtype == torch.float32:
        torch.view_as_complex(x.view(*x.shape[:-1], -1, 2)).mul_(turn)
        return x
    turned = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2)) * turn
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def gated(x: Tensor) -> Tensor:
    """Return SiLU of the first half of the last axis, times its second half."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value
