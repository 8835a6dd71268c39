"""Convolutions of few channels on a CPU, over [channels, time, rows].

With rows innermost a few of them share each product, and its long side is time times rows: products of a few channels
alone, row by row, take many times what their sums need. These are `seanet`'s parts in that form, with the same memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from .streams import Memory, transposed_taps

if TYPE_CHECKING:
    from torch import Tensor

    from .streams import StreamState
    from .weights import TensorFile

FEW_FILTERS: Final = 8
"""Channels of the outermost convolution up to which a codec works so."""
FROM: Final = 64
"""Time steps per row from which it does."""
ROWS: Final = 16
"""Rows that go together; with more, what lies between two convolutions falls out of the processor's near memory."""


def _slide(weight: Tensor, bias: Tensor | None, x: Tensor, apart: int, count: int) -> Tensor:
    """Return the sum of all taps' products, [out, count].

    Args:
        weight: [taps, out, in].
        bias: [out, 1], or None.
        x: [in, length].
        apart: From one tap's first input to the next one's.
        count: Outputs.
    """
    first = x[:, :count]
    out = torch.mm(weight[0], first) if bias is None else torch.addmm(bias, weight[0], first)
    for tap in range(1, len(weight)):
        start = tap * apart
        out.addmm_(weight[tap], x[:, start : start + count])
    return out


class Conv:
    """A causal convolution; arguments as for `seanet.Conv`."""

    def __init__(
        self,
        file: TensorFile,
        name: str,
        channels: tuple[int, int],
        kernel: int,
        shapes: list[tuple[int, int]],
        *,
        stride: int = 1,
        dilation: int = 1,
        elu: bool = False,
    ) -> None:
        inputs, outputs = channels
        weight = file.take(f"{name}.weight", (outputs, inputs, kernel))
        taps = weight.view(outputs, inputs, -1, stride).permute(2, 0, 3, 1)
        self.taps = taps.reshape(len(taps), outputs, stride * inputs)
        self.bias = file.take(f"{name}.bias", (outputs,)).unsqueeze(1)
        self.stride, self.dilation, self.elu = stride, dilation, elu
        self.memory = Memory(shapes, (kernel - 1) * dilation + 1 - stride, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [out, time / stride, rows] for `x` [in, time, rows]."""
        channels, time, rows = x.shape
        if len(self.taps) > 1 or self.elu:
            x = self.memory.extend_along(x, state, active, elu=self.elu, stride=self.stride)
        else:
            x = x.view(channels, -1)
        count = time // self.stride
        out = _slide(self.taps, self.bias, x, self.dilation * rows, count * rows)
        return out.view(-1, count, rows)

    def onto(self, total: Tensor, x: Tensor) -> Tensor:
        """Return `total` plus the output for `x`, of a kernel of 1 without ELU; `total` is used up."""
        flat = total.view(len(self.bias), -1)
        flat.addmm_(self.taps[0], x.view(x.shape[0], -1)).add_(self.bias)
        return total


class ToSamples:
    """The last convolution, of its input's ELU to a single channel; arguments as for `seanet.ToSamples`."""

    def __init__(
        self,
        file: TensorFile,
        name: str,
        inputs: int,
        kernel: int,
        shapes: list[tuple[int, int]],
    ) -> None:
        self.taps = file.take(f"{name}.weight", (1, inputs, kernel))[0].t().contiguous()
        self.bias = file.take(f"{name}.bias", (1,))
        self.memory = Memory(shapes, kernel - 1, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [1, time, rows] for `x` [in, time, rows]."""
        _, time, rows = x.shape
        weighed = torch.mm(self.taps, self.memory.extend_along(x, state, active, elu=True))
        out = weighed[0, : time * rows] + self.bias
        for tap in range(1, len(self.taps)):
            out += weighed[tap, tap * rows : (tap + time) * rows]
        return out.view(1, time, rows)


class TransposedConv:
    """A causal transposed convolution; arguments as for `seanet.TransposedConv`."""

    def __init__(
        self,
        file: TensorFile,
        name: str,
        channels: tuple[int, int],
        stride: int,
        shapes: list[tuple[int, int]],
    ) -> None:
        inputs, self.outputs = channels
        self.stride = stride
        taps, bias = transposed_taps(file, name, channels, stride)
        self.taps = taps.permute(0, 3, 2, 1).reshape(2, -1, inputs)
        self.bias = bias.unsqueeze(1)
        self.memory = Memory(shapes, 1, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [out, time * stride, rows] for `x` [in, time, rows]."""
        _, count, rows = x.shape
        joined = self.memory.extend_along(x, state, active, elu=True)
        out = _slide(self.taps, self.bias, joined, rows, count * rows)
        out = out.view(self.stride, self.outputs, count, rows).permute(1, 2, 0, 3)
        return out.reshape(self.outputs, count * self.stride, rows)
