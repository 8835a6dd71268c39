"""What both transformers of the language model, and those of the codec, share: norm, rotary positions, gates."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

NORM_EPSILON: Final = 1e-8


@lru_cache(maxsize=16)
def _norm_constants(width: int) -> tuple[Tensor, float]:
    return torch.tensor(math.sqrt(width * NORM_EPSILON)), 1.0 / math.sqrt(width)


def rms_norm(x: Tensor, alpha: Tensor) -> Tensor:
    """Normalise `x` [..., D] in float32 and scale by `alpha` [D] (float32); the result has x's dtype."""
    if x.dtype == torch.float32:
        if x.device.type != "cpu" or type(x) is not Tensor:
            return F.rms_norm(x, alpha.shape, alpha, NORM_EPSILON)
        # Half the time of torch's own on a CPU: 1 / sqrt(mean + epsilon) is sqrt(D) / hypot(|x|, sqrt(D * epsilon)).
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        floor, root = _norm_constants(x.shape[-1])
        return (x / torch.hypot(length, floor).mul_(root)).mul_(alpha)
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


def attend(query: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None) -> Tensor:
    """Let a few positions per row look at what the row remembers.

    Args:
        query: [rows, heads, count, width].
        keys: [rows, heads, slots, width].
        values: The same.
        hidden: Added to the scores of each slot, float [rows, 1, count, slots]: minus infinity hides one. None hides
            none.

    Returns:
        [rows, count, heads * width].
    """
    rows, heads, slots, width = keys.shape
    count = query.shape[2]
    if query.device.type == "cpu" and query.dtype == torch.float32:
        # A quarter quicker there than torch's fused attention, which is made for many queries.
        scores = torch.bmm(
            query.reshape(rows * heads, count, width), keys.flatten(0, 1).transpose(1, 2)
        )
        scores = scores.view(rows, heads, count, slots).mul_(width**-0.5)
        if hidden is not None:
            scores += hidden
        weights = scores.softmax(-1).view(rows * heads, count, slots)
        mixed = torch.bmm(weights, values.flatten(0, 1)).view(rows, heads, count, width)
    else:
        mask = None if hidden is None else hidden.to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    return mixed.transpose(1, 2).reshape(rows, count, heads * width)
