"""Fixed weights in the form that the product reads, and calls of it with tensors."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch

from .pages import PAGES
from .record import room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .record import Functions

BLOCK: Final = 256
"""Inputs in a block at most."""
ROWS_NEAR: Final = 128
"""Rows that pass one block of weights together at most."""
APART: Final = BLOCK + 16
"""Numbers from one row to the next in the room where inputs are put together: not a multiple of a page's."""
PLAN: Final = ("weights", "scale", "bias", "blocks", "places", "lengths", "outputs")
"""What describes fixed weights, each a 64-bit whole: pointers but for `blocks` and `outputs`."""


@lru_cache(maxsize=1024)
def evenly(rows: int, apart: int) -> Tensor:
    """Return where each of `rows` rows begins that lie `apart` numbers from each other: int64 [rows]."""
    return torch.arange(rows) * apart


@lru_cache(maxsize=1024)
def spots(rows: int, apart: int, count: int, step: int) -> Tensor:
    """Return where each window begins: `count` windows, `step` numbers apart, in each of `rows` rows."""
    return (torch.arange(rows).unsqueeze(1) * apart + torch.arange(count) * step).view(-1)


class Weights:
    """Weights [out, in] that are multiplied with many inputs.

    Args:
        kernels: What multiplies.
        weight: float32 [out, in], or int8 with a scale.
        bias: [out], or None.
        scale: Of each output of 8-bit weights, [out].
        taps: Where the inputs lie that belong together, as (place, length) from where a row begins; None where
            all lie in one piece.
    """

    __slots__ = ("_kept", "_plan", "_product", "inputs", "outputs")

    def __init__(
        self,
        kernels: Functions,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        scale: Tensor | None = None,
        taps: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.outputs, self.inputs = weight.shape
        self._product = kernels.product if scale is None else kernels.product8
        panel = 2 * kernels.lanes
        if scale is None and self.outputs <= kernels.lanes:
            panel = next(each for each in kernels.narrow if each >= self.outputs)
            self._product = kernels.narrow[panel]
        padded = -(-self.outputs // panel) * panel
        places: list[int] = []
        lengths: list[int] = []
        for place, length in taps or [(0, self.inputs)]:
            for start in range(0, length, BLOCK):
                places.append(place + start)
                lengths.append(min(BLOCK, length - start))

        def padded_row(values: Tensor | None) -> Tensor:
            row = torch.zeros(padded)
            if values is not None:
                row[: self.outputs] = values
            return row

        packed = PAGES.empty(padded * self.inputs, weight.dtype)
        start = 0
        for length in lengths:
            block = weight.new_zeros(padded, length)
            stop = start + length
            block[: self.outputs] = weight[:, start:stop]
            target = packed[start * padded : stop * padded].view(padded // panel, length, panel)
            target.copy_(block.view(padded // panel, panel, length).transpose(1, 2))
            start = stop
        self._kept = (
            packed,
            padded_row(scale),
            padded_row(bias),
            torch.tensor(places, dtype=torch.int64),
            torch.tensor(lengths, dtype=torch.int64),
        )
        packed_at, scale_at, bias_at, places_at, lengths_at = (
            each.data_ptr() for each in self._kept
        )
        found = {
            "weights": packed_at,
            "scale": scale_at,
            "bias": bias_at,
            "blocks": len(lengths),
            "places": places_at,
            "lengths": lengths_at,
            "outputs": self.outputs,
        }
        self._plan = torch.tensor([found[each] for each in PLAN], dtype=torch.int64)

    def __call__(self, x: Tensor) -> Tensor:
        """Return [..., out] for `x` [..., in]."""
        out = torch.empty((*x.shape[:-1], self.outputs))
        self._run(x.contiguous(), out, add=0)
        return out

    def onto(self, total: Tensor, x: Tensor) -> Tensor:
        """Add the product with `x` [..., in] to `total` [..., out], which has no gaps, and return that."""
        self._run(x.contiguous(), total, add=1)
        return total

    def _run(self, x: Tensor, out: Tensor, *, add: int) -> None:
        count = x.numel() // self.inputs
        begins, ends = evenly(count, self.inputs), evenly(count, self.outputs)
        self._product(self._plan, x, out, begins, ends, count, add, room(ROWS_NEAR * APART))

    def windows(self, x: Tensor, begins: Tensor, out: Tensor, *, onto: bool = False) -> Tensor:
        """Write the products with inputs that lie anywhere to `out`, and return that.

        Args:
            x: Where inputs lie.
            begins: Where each row's begin, in numbers from the start of `x`: int64 [rows].
            out: [..., out] without gaps, `rows` of them.
            onto: Add to what is there.
        """
        count = len(begins)
        ends, gathered = evenly(count, self.outputs), room(ROWS_NEAR * APART)
        self._product(self._plan, x, out, begins, ends, count, int(onto), gathered)
        return out
