"""What streaming convolutions share: their memory of what came before, and the ELU between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from personaplex_server.kernels.machine import kernels, serves

if TYPE_CHECKING:
    from .weights import TensorFile


def elu_(x: Tensor, out: Tensor) -> None:
    """Write ELU of `x` [rows, ...] into `out`, which may be `x` itself; each row of both has no gaps."""
    made = kernels() if serves(x) else None
    if made is None:
        out.copy_(F.elu(x))
        return
    rows = x.shape[0]
    made.elu(x, out, rows, x.numel() // (rows or 1), x.stride(0), out.stride(0))


def transposed_taps(
    file: TensorFile, name: str, channels: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor]:
    """Return a transposed convolution with a kernel of twice its stride as a causal one of kernel 2.

    Output t*stride + j = x[t] * w[j] + x[t-1] * w[j + stride].

    Args:
        file: Where the weights are.
        name: Their name without `.weight`.
        channels: In and out.
        stride: Outputs per input.

    Returns:
        Weights [2, in, out, stride], those of the earlier input first, and bias [stride * out].
    """
    weight = file.take(f"{name}.weight", (*channels, 2 * stride))
    taps = torch.stack([weight[:, :, stride:], weight[:, :, :stride]])
    return taps, file.take(f"{name}.bias", (channels[1],)).repeat(stride)


class StreamState:
    """What the convolutions of one direction remember.

    Args:
        past: One tensor per convolution that remembers, [rows, steps, channels].
        first: Rows whose next frame is their first, bool [rows].
    """

    def __init__(self, past: list[Tensor], first: Tensor) -> None:
        self.past, self.first = past, first
        self._groups: dict[int, list[StreamState]] = {}

    @classmethod
    def fresh(cls, shapes: list[tuple[int, int]], rows: int, device: torch.device) -> StreamState:
        """Return an empty state for `rows` rows; `shapes` are the (steps, channels) of each memory."""
        past = [torch.zeros(rows, steps, channels, device=device) for steps, channels in shapes]
        return cls(past, torch.ones(rows, dtype=torch.bool, device=device))

    def groups(self, size: int) -> list[StreamState]:
        """Return the same memory in groups of `size` rows, each a state of its own."""
        if size not in self._groups:
            self._groups[size] = [
                StreamState(
                    [past[row : row + size] for past in self.past], self.first[row : row + size]
                )
                for row in range(0, len(self.first), size)
            ]
        return self._groups[size]

    def reset(self, row: int) -> None:
        """Forget everything of `row`."""
        for past in self.past:
            past[row] = 0.0
        self.first[row] = True

    def move(self, source: int, target: int) -> None:
        """Copy row `source` over row `target`."""
        for past in self.past:
            past[target] = past[source]
        self.first[target] = self.first[source]


class Memory:
    """The slot of one convolution in a `StreamState`."""

    __slots__ = ("index", "steps")

    def __init__(self, shapes: list[tuple[int, int]], steps: int, channels: int) -> None:
        self.steps = steps
        self.index = len(shapes)
        if steps:
            shapes.append((steps, channels))

    def extend(
        self,
        x: Tensor,
        state: StreamState,
        active: Tensor | None,
        *,
        elu: bool = False,
        replicate: bool = False,
    ) -> Tensor:
        """Return `x` [rows, time, channels], or its ELU, behind what came before it, and remember its end."""
        rows, time, channels = x.shape
        joined = x.new_empty(rows, self.steps + time, channels)
        made = None if replicate or not serves(x) else kernels()
        if made is not None:
            work = made.extend_elu if elu else made.extend
            past = state.past[self.index] if self.steps else None
            x = x.contiguous()
            work(
                x.data_ptr(),
                None if past is None else past.data_ptr(),
                joined.data_ptr(),
                None if active is None else active.data_ptr(),
                rows,
                time * channels,
                self.steps * channels,
            )
            return joined
        fresh = joined[:, self.steps :]
        if elu:
            elu_(x.contiguous(), fresh)
        else:
            fresh.copy_(x)
        if not self.steps:
            return joined
        past = state.past[self.index][:rows]
        before = past
        if replicate:
            before = torch.where(state.first[:rows].view(-1, 1, 1), fresh[:, :1], past)
        joined[:, : self.steps] = before
        end = joined[:, time:]
        past.copy_(end if active is None else torch.where(active.view(-1, 1, 1), end, past))
        return joined
