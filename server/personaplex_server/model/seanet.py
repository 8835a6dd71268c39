"""The codec's convolutions, true streaming, as matrix products over [rows, time, channels].

A streaming step brings few time steps but wide kernels, so a convolution is one product of unrolled windows with a
flat weight, several times quicker than torch's own, which re-lays its weights on every call. A transposed
convolution whose kernel is twice its stride is a convolution over two inputs that yields `stride` outputs: no overlap
to keep, and its memory is the last input.

Near the samples time is long and weights are small: on a CPU few rows at a time go through that part, so that
what lies between two convolutions stays in the processor's nearest memory. The deep part, whose weights
are the larger share, takes all rows at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import torch
from torch import Tensor

from personaplex_server.kernels.machine import serves
from personaplex_server.kernels.weights import spots

from .linear import Linear
from .streams import Memory, StreamState, elu_, transposed_taps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import CodecConfig
    from .weights import TensorFile

NEAR_FROM: Final = 256
"""Time steps per row from which few rows are computed at a time on a CPU."""
NEAR: Final = 1 << 17
"""Numbers between two convolutions that stay in the processor's near memory."""


class _Part(Protocol):
    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None, /) -> Tensor: ...


class Conv:
    """A causal convolution.

    Args:
        file: Where the weights are.
        name: Their name without `.weight`.
        channels: In and out.
        kernel: Taps.
        shapes: Memory of this direction, to which the convolution adds its own.
        stride: Between outputs.
        dilation: Between taps.
        bias: Whether there is one.
        elu: Take the input's ELU.
        replicate: Repeat a row's very first input backwards, instead of zeros.
    """

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
        bias: bool = True,
        elu: bool = False,
        replicate: bool = False,
    ) -> None:
        inputs, outputs = channels
        weight = file.take(f"{name}.weight", (outputs, inputs, kernel))
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.elu, self.replicate = elu, replicate
        self.linear = Linear(
            weight.permute(0, 2, 1).reshape(outputs, kernel * inputs),
            file.take(f"{name}.bias", (outputs,)) if bias else None,
            taps=[(tap * dilation * inputs, inputs) for tap in range(kernel)]
            if dilation > 1
            else None,
        )
        self.memory = Memory(shapes, (kernel - 1) * dilation + 1 - stride, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time / stride, out] for `x` [rows, time, in]."""
        if self.kernel == 1:
            if self.elu:
                x = self.memory.extend(x, state, active, elu=True)
            return self.linear(x)
        joined = self.memory.extend(x, state, active, elu=self.elu, replicate=self.replicate)
        rows, _, channels = x.shape
        count = x.shape[1] // self.stride
        if self.linear.own is not None:
            out = torch.empty(rows, count, self.linear.outputs)
            begins = spots(rows, joined.stride(0), count, self.stride * channels)
            return self.linear.own.windows(joined, begins, out)
        if self.dilation == 1:
            # Channels are innermost, so one window is one run of memory.
            windows = joined.as_strided(
                (rows, count, self.kernel * channels),
                (joined.stride(0), self.stride * channels, 1),
            )
        else:
            last = (count - 1) * self.stride + 1
            windows = torch.cat(
                [
                    joined[:, tap * self.dilation : tap * self.dilation + last : self.stride]
                    for tap in range(self.kernel)
                ],
                -1,
            )
        return self.linear(windows)

    def onto(self, total: Tensor, x: Tensor) -> Tensor:
        """Return `total` plus the output for `x`, of a kernel of 1 without ELU; `total` may be used up."""
        return self.linear.onto(total, x)


class ToSamples:
    """The last convolution, of its input's ELU to a single channel.

    It is quicker to weigh each input once for every tap, and to add up the taps then.
    """

    def __init__(
        self,
        file: TensorFile,
        name: str,
        inputs: int,
        kernel: int,
        shapes: list[tuple[int, int]],
    ) -> None:
        self.kernel = kernel
        weight = file.take(f"{name}.weight", (1, inputs, kernel))
        self.taps = Linear(weight[0].t().contiguous())
        self.bias = file.take(f"{name}.bias", (1,))
        self.memory = Memory(shapes, kernel - 1, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time, 1] for `x` [rows, time, in]."""
        time = x.shape[1]
        weighed = self.taps(self.memory.extend(x, state, active, elu=True))
        out = weighed[:, :time, :1] + self.bias
        for tap in range(1, self.kernel):
            out += weighed[:, tap : tap + time, tap : tap + 1]
        return out


class TransposedConv:
    """A causal transposed convolution, of its input's ELU, with a kernel of twice its stride.

    Args:
        file: Where the weights are.
        name: Their name without `.weight`.
        channels: In and out.
        stride: Outputs per input.
        shapes: Memory of this direction.
    """

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
        flat = taps.permute(3, 2, 0, 1).reshape(stride * self.outputs, 2 * inputs)
        self.linear = Linear(flat, bias)
        self.memory = Memory(shapes, 1, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time * stride, out] for `x` [rows, time, in]."""
        joined = self.memory.extend(x, state, active, elu=True)
        rows, count, channels = x.shape
        if self.linear.own is not None:
            out = torch.empty(rows, count, self.linear.outputs)
            begins = spots(rows, joined.stride(0), count, channels)
            self.linear.own.windows(joined, begins, out)
            return out.view(rows, count * self.stride, self.outputs)
        pairs = joined.as_strided((rows, count, 2 * channels), (joined.stride(0), channels, 1))
        return self.linear(pairs).view(rows, count * self.stride, self.outputs)


class DepthwiseUpsample:
    """The transposed convolution before the decoder: one filter per channel, kernel twice the stride."""

    def __init__(
        self, file: TensorFile, name: str, channels: int, stride: int, shapes: list[tuple[int, int]]
    ) -> None:
        weight = file.take(f"{name}.weight", (channels, 1, 2 * stride))[:, 0].t().contiguous()
        self.fresh, self.past = weight[:stride], weight[stride:]
        self.memory = Memory(shapes, 1, channels)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time * stride, channels] for `x` [rows, time, channels]."""
        joined = self.memory.extend(x, state, active).unsqueeze(2)
        out = joined[:, 1:] * self.fresh + joined[:, :-1] * self.past
        return out.flatten(1, 2)


class _Residual:
    """One residual block: a dilated and a plain convolution beside the input."""

    def __init__(
        self,
        file: TensorFile,
        name: str,
        config: CodecConfig,
        width: int,
        dilation: int,
        shapes: list[tuple[int, int]],
    ) -> None:
        narrow = width // config.compress
        self.wide = Conv(
            file,
            f"{name}.block.1.conv.conv",
            (width, narrow),
            config.residual_kernel_size,
            shapes,
            dilation=dilation,
            elu=True,
        )
        self.point = Conv(file, f"{name}.block.3.conv.conv", (narrow, width), 1, shapes)
        self.skip = (
            None
            if config.true_skip
            else Conv(file, f"{name}.shortcut.conv.conv", (width, width), 1, shapes)
        )

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return the block's output, shaped as `x`."""
        inner = self.wide(x, state, active)
        elu_(inner, inner)
        beside = x if self.skip is None else self.skip(x, state, active)
        return self.point.onto(beside, inner)


def residuals(
    file: TensorFile,
    side: str,
    index: int,
    config: CodecConfig,
    width: int,
    shapes: list[tuple[int, int]],
) -> list[_Residual]:
    """Return the residual blocks of one stage; `index` is the first one's place in the file."""
    return [
        _Residual(
            file,
            f"{side}.model.{index + j}",
            config,
            width,
            config.dilation_base**j,
            shapes,
        )
        for j in range(config.n_residual_layers)
    ]


class _Chain:
    """Convolutions and blocks one behind the other, those near the samples a few rows at a time on a CPU."""

    def __init__(self, width: int) -> None:
        # So many numbers a row are what the outermost convolution makes, and no other makes many more.
        self._few = max(1, NEAR // width)
        self._deep: list[_Part] = []
        self._near: list[_Part] = []
        self._near_first = False

    def add(self, part: _Part, time: int) -> None:
        """Append a part that takes in `time` steps a row."""
        near = time >= NEAR_FROM
        # Time only gets shorter (encoding) or only longer (decoding), so one kind comes first.
        if not self._deep and not self._near:
            self._near_first = near
        (self._near if near else self._deep).append(part)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return the last part's output for `x` [rows, time, channels]."""
        if self._near_first:
            return _run(self._deep, self._rows(x, state, active), state, active)
        return self._rows(_run(self._deep, x, state, active), state, active)

    def _rows(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        rows, few = x.shape[0], self._few
        if rows <= few or not serves(x):
            return _run(self._near, x, state, active)
        done: list[Tensor] = []
        for row, group in zip(range(0, rows, few), state.groups(few), strict=False):
            who = None if active is None else active[row : row + few]
            done.append(_run(self._near, x[row : row + few], group, who))
        return torch.cat(done)


def _run(parts: Sequence[_Part], x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
    for part in parts:
        x = part(x, state, active)
    return x


class Encoder(_Chain):
    """From samples [rows, samples, 1] to the latent [rows, positions, dimension].

    Args:
        file: Where the weights are.
        config: Sizes.
        shapes: Memory of this direction.
        samples: Samples per row of a usual call.
    """

    def __init__(
        self,
        file: TensorFile,
        config: CodecConfig,
        shapes: list[tuple[int, int]],
        *,
        samples: int,
    ) -> None:
        super().__init__(config.n_filters * samples)
        width, time, index = config.n_filters, samples, 1
        name = "encoder.model.{}.conv.conv".format
        first, last = config.kernel_size, config.last_kernel_size
        self.add(Conv(file, name(0), (1, width), first, shapes), time)
        for ratio in reversed(config.ratios):
            for block in residuals(file, "encoder", index, config, width, shapes):
                self.add(block, time)
            index += config.n_residual_layers + 1
            down = Conv(
                file,
                name(index),
                (width, 2 * width),
                2 * ratio,
                shapes,
                stride=ratio,
                elu=True,
            )
            self.add(down, time)
            index, width, time = index + 1, 2 * width, time // ratio
        out = (width, config.dimension)
        self.add(Conv(file, name(index + 1), out, last, shapes, elu=True), time)


class Decoder(_Chain):
    """From the latent [rows, positions, dimension] to samples [rows, samples, 1]; the mirror of `Encoder`."""

    def __init__(
        self,
        file: TensorFile,
        config: CodecConfig,
        shapes: list[tuple[int, int]],
        *,
        samples: int,
    ) -> None:
        super().__init__(config.n_filters * samples)
        width, time, index = config.n_filters << len(config.ratios), samples // config.hop, 1
        first, last = config.kernel_size, config.last_kernel_size
        name = "decoder.model.0.conv.conv"
        self.add(Conv(file, name, (config.dimension, width), first, shapes), time)
        for ratio in config.ratios:
            index += 1
            name = f"decoder.model.{index}.convtr.convtr"
            channels = (width, width // 2)
            self.add(TransposedConv(file, name, channels, ratio, shapes), time)
            width, time = width // 2, time * ratio
            for block in residuals(file, "decoder", index + 1, config, width, shapes):
                self.add(block, time)
            index += config.n_residual_layers + 1
        name = f"decoder.model.{index + 1}.conv.conv"
        self.add(ToSamples(file, name, width, last, shapes), time)
