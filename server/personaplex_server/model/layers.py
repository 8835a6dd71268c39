"""What both transformers of the language model, and those of the codec, share: norm, rotary positions, gates."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from personaplex_server.kernels.machine import kernels, serves
from personaplex_server.kernels.record import NORM_EPSILON, room

_NOUGHT: Final = torch.zeros(1, dtype=torch.int64)


def embedded(
    tokens: Tensor, table: Tensor, starts: Tensor | None = None, first: Tensor | None = None
) -> Tensor:
    """Return the sum of several lines of a table for each row.

    Args:
        tokens: Which line of each stream, whole numbers [rows, streams].
        table: [lines, width].
        starts: Where each stream's lines begin, int64 [streams]; None where there is one stream.
        first: Added to them, [rows, width].
    """
    made = kernels() if serves(table) else None
    if made is None:
        found = F.embedding(tokens if starts is None else tokens + starts, table)
        total = found.squeeze(1) if starts is None else found.sum(1)
        return total if first is None else first + total
    tokens = tokens.to(torch.int64).contiguous()
    rows, streams = tokens.shape
    width = table.shape[1]
    out = torch.empty(rows, width)
    apart = 0 if first is None else first.stride(0)
    starts = _NOUGHT if starts is None else starts
    made.embed(tokens, tokens.stride(0), starts, streams, table, first, apart, out, rows, width)
    return out


def rms_norm(x: Tensor, alpha: Tensor) -> Tensor:
    """Normalise `x` [..., D] in float32 and scale by `alpha` [D] (float32); the result has x's dtype."""
    made = kernels() if serves(x) else None
    if made is None:
        return F.rms_norm(x.float(), alpha.shape, alpha, NORM_EPSILON).to(x.dtype)
    x, width = x.contiguous(), x.shape[-1]
    out = torch.empty_like(x)
    made.norm(x, alpha, out, x.numel() // width, width)
    return out


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
    made = kernels() if serves(x) else None
    if made is None:
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value
    x, width = x.contiguous(), x.shape[-1] // 2
    out = torch.empty(*x.shape[:-1], width)
    made.gate(x, out, x.numel() // (2 * width), width)
    return out


def gelu(x: Tensor) -> Tensor:
    """Return each number times the share of a normal distribution below it."""
    made = kernels() if serves(x) else None
    if made is None:
        return F.gelu(x)
    x = x.contiguous()
    out = torch.empty_like(x)
    made.gelu(x, out, x.numel())
    return out


def attends(memory: Tensor) -> bool:
    """Whether `attend_own` can work on such a memory, [..., width]."""
    made = kernels() if serves(memory) else None
    return made is not None and made.attend(memory.shape[-1]) is not None


def attend_own(
    joint: Tensor, memory: Tensor, positions: Tensor, turns: Tensor | None = None
) -> Tensor:
    """Turn and remember new positions of each row, and let them look at what the row remembers, on a CPU.

    Args:
        joint: Query, key and value, [rows, count, 3 * heads * width] without gaps; may be changed.
        memory: Keys and values of one layer, [2, rows or more, heads, window, width]; slot = position % window.
        positions: The first new position of each row, int64 [rows].
        turns: Angles of `rotation`, [rows, count, width / 2]; None does not turn.

    Returns:
        [rows, count, heads * width].
    """
    made = kernels()
    rows, count, _ = joint.shape
    _, _, heads, window, width = memory.shape
    attend = None if made is None else made.attend(width)
    if attend is None:
        raise RuntimeError("This computer's own functions are not there.")
    out = torch.empty(rows, count, heads * width)
    scores = room(window + 8)
    keys, values = memory.unbind()
    attend(joint, keys, values, turns, positions, scores, out, rows, count, heads, window)
    return out


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
    rows, heads, _, width = keys.shape
    count = query.shape[2]
    mask = None if hidden is None else hidden.to(query.dtype)
    mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    return mixed.transpose(1, 2).reshape(rows, count, heads * width)
