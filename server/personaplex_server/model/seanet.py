"""The codec's convolutions, true streaming, as matrix products over [rows, time, channels].

A streaming step brings few time steps but wide kernels, so a convolution is one product of unrolled windows with a
flat weight, several times quicker than torch's own, which re-lays its weights on every call. A transposed
convolution whose kernel is twice its stride is a convolution over two inputs that yields `stride` outputs: no overlap
to keep, and its memory is the last input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from .linear import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from .config import CodecConfig
    from .weights import TensorFile


class StreamState:
    """What the convolutions of one direction remember.

    Attributes:
        past: One tensor per convolution that remembers, [rows, steps, channels].
        first: Rows whose next frame is their first, bool [rows].
    """

    def __init__(self, shapes: list[tuple[int, int]], rows: int, device: torch.device) -> None:
        self.past = [
            torch.zeros(rows, steps, channels, device=device) for steps, channels in shapes
        ]
        self.first = torch.ones(rows, dtype=torch.bool, device=device)

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


class _Memory:
    """The slot of one convolution in a `StreamState`."""

    __slots__ = ("index", "steps")

    def __init__(self, shapes: list[tuple[int, int]], steps: int, channels: int) -> None:
        self.steps = steps
        self.index = len(shapes)
        if steps:
            shapes.append((steps, channels))

    def extend(
        self, x: Tensor, state: StreamState, active: Tensor | None, *, replicate: bool = False
    ) -> Tensor:
        """Return `x` [rows, time, channels] behind what came before it, and remember its end."""
        if not self.steps:
            return x
        past = state.past[self.index][: x.shape[0]]
        before = past
        if replicate:
            before = torch.where(state.first[: x.shape[0]].view(-1, 1, 1), x[:, :1], past)
        joined = torch.cat([before, x], 1)
        end = joined[:, joined.shape[1] - self.steps :]
        past.copy_(end if active is None else torch.where(active.view(-1, 1, 1), end, past))
        return joined


class Conv:
    """A causal convolution.

    Args:
        file: Where the weights are.
        name: Their name without `.weight`.
        channels: In and out.
        kernel: Taps.
        shapes: Memory of this direction, to which the convolution adds its own.
        steps: Outputs a usual call brings.
        stride: Between outputs.
        dilation: Between taps.
        bias: Whether there is one.
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
        steps: int,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        replicate: bool = False,
    ) -> None:
        inputs, outputs = channels
        weight = file.take(f"{name}.weight", (outputs, inputs, kernel))
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.replicate = replicate
        self.linear = Linear(
            weight.permute(0, 2, 1).reshape(outputs, kernel * inputs),
            file.take(f"{name}.bias", (outputs,)) if bias else None,
            rows=steps,
        )
        self.memory = _Memory(shapes, (kernel - 1) * dilation + 1 - stride, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time / stride, out] for `x` [rows, time, in]."""
        if self.kernel == 1:
            return self.linear(x)
        joined = self.memory.extend(x, state, active, replicate=self.replicate)
        rows, _, channels = x.shape
        count = x.shape[1] // self.stride
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


class TransposedConv:
    """A causal transposed convolution with a kernel of twice its stride.

    Args:
        file: Where the weights are.
        name: Their name without `.weight`.
        channels: In and out.
        stride: Outputs per input.
        shapes: Memory of this direction.
        steps: Inputs a usual call brings.
    """

    def __init__(
        self,
        file: TensorFile,
        name: str,
        channels: tuple[int, int],
        stride: int,
        shapes: list[tuple[int, int]],
        *,
        steps: int,
    ) -> None:
        inputs, self.outputs = channels
        self.stride = stride
        weight = file.take(f"{name}.weight", (inputs, self.outputs, 2 * stride))
        # Output t*stride + j = x[t] * w[j] + x[t-1] * w[j + stride].
        taps = torch.stack([weight[:, :, stride:], weight[:, :, :stride]])
        flat = taps.permute(3, 2, 0, 1).reshape(stride * self.outputs, 2 * inputs)
        bias = file.take(f"{name}.bias", (self.outputs,)).repeat(stride)
        self.linear = Linear(flat, bias, rows=steps)
        self.memory = _Memory(shapes, 1, inputs)

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, time * stride, out] for `x` [rows, time, in]."""
        joined = self.memory.extend(x, state, active)
        rows, count, channels = x.shape
        pairs = joined.as_strided((rows, count, 2 * channels), (joined.stride(0), channels, 1))
        return self.linear(pairs).view(rows, count * self.stride, self.outputs)


class DepthwiseUpsample:
    """The transposed convolution before the decoder: one filter per channel, kernel twice the stride."""

    def __init__(
        self, file: TensorFile, name: str, channels: int, stride: int, shapes: list[tuple[int, int]]
    ) -> None:
        weight = file.take(f"{name}.weight", (channels, 1, 2 * stride))[:, 0].t().contiguous()
        self.fresh, self.past = weight[:stride], weight[stride:]
        self.memory = _Memory(shapes, 1, channels)

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
        steps: int,
    ) -> None:
        narrow = width // config.compress
        self.wide = Conv(
            file,
            f"{name}.block.1.conv.conv",
            (width, narrow),
            config.residual_kernel_size,
            shapes,
            steps=steps,
            dilation=dilation,
        )
        self.point = Conv(
            file, f"{name}.block.3.conv.conv", (narrow, width), 1, shapes, steps=steps
        )
        self.skip = (
            None
            if config.true_skip
            else Conv(file, f"{name}.shortcut.conv.conv", (width, width), 1, shapes, steps=steps)
        )

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return the block's output, shaped as `x`."""
        inner = self.point(F.elu(self.wide(F.elu(x), state, active)), state, active)
        return inner + (x if self.skip is None else self.skip(x, state, active))


class Encoder:
    """From samples to the latent.

    Args:
        file: Where the weights are.
        config: Sizes.
        shapes: Memory of this direction.
        rows: Rows a usual call brings.
        samples: Samples per row of a usual call.
    """

    def __init__(
        self,
        file: TensorFile,
        config: CodecConfig,
        shapes: list[tuple[int, int]],
        *,
        rows: int,
        samples: int,
    ) -> None:
        width, steps, index = config.n_filters, rows * samples, 1
        self.first = Conv(
            file, "encoder.model.0.conv.conv", (1, width), config.kernel_size, shapes, steps=steps
        )
        self.stages: list[tuple[list[_Residual], Conv]] = []
        for ratio in reversed(config.ratios):
            blocks = [
                _Residual(
                    file,
                    f"encoder.model.{index + j}",
                    config,
                    width,
                    config.dilation_base**j,
                    shapes,
                    steps,
                )
                for j in range(config.n_residual_layers)
            ]
            index += config.n_residual_layers + 1
            steps //= ratio
            down = Conv(
                file,
                f"encoder.model.{index}.conv.conv",
                (width, 2 * width),
                2 * ratio,
                shapes,
                steps=steps,
                stride=ratio,
            )
            self.stages.append((blocks, down))
            index, width = index + 1, 2 * width
        self.last = Conv(
            file,
            f"encoder.model.{index + 1}.conv.conv",
            (width, config.dimension),
            config.last_kernel_size,
            shapes,
            steps=steps,
        )

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, positions, dimension] for `x` [rows, samples, 1]."""
        x = self.first(x, state, active)
        for blocks, down in self.stages:
            for block in blocks:
                x = block(x, state, active)
            x = down(F.elu(x), state, active)
        return self.last(F.elu(x), state, active)


class Decoder:
    """From the latent to samples; the mirror of `Encoder`."""

    def __init__(
        self,
        file: TensorFile,
        config: CodecConfig,
        shapes: list[tuple[int, int]],
        *,
        rows: int,
        samples: int,
    ) -> None:
        width = config.n_filters << len(config.ratios)
        steps, index = rows * samples // config.hop, 1
        self.first = Conv(
            file,
            "decoder.model.0.conv.conv",
            (config.dimension, width),
            config.kernel_size,
            shapes,
            steps=steps,
        )
        self.stages: list[tuple[TransposedConv, list[_Residual]]] = []
        for ratio in config.ratios:
            index += 1
            up = TransposedConv(
                file,
                f"decoder.model.{index}.convtr.convtr",
                (width, width // 2),
                ratio,
                shapes,
                steps=steps,
            )
            steps, width = steps * ratio, width // 2
            blocks = [
                _Residual(
                    file,
                    f"decoder.model.{index + 1 + j}",
                    config,
                    width,
                    config.dilation_base**j,
                    shapes,
                    steps,
                )
                for j in range(config.n_residual_layers)
            ]
            self.stages.append((up, blocks))
            index += config.n_residual_layers + 1
        self.last = Conv(
            file,
            f"decoder.model.{index + 1}.conv.conv",
            (width, 1),
            config.last_kernel_size,
            shapes,
            steps=steps,
        )

    def __call__(self, x: Tensor, state: StreamState, active: Tensor | None) -> Tensor:
        """Return [rows, samples, 1] for `x` [rows, positions, dimension]."""
        x = self.first(x, state, active)
        for up, blocks in self.stages:
            x = up(F.elu(x), state, active)
            for block in blocks:
                x = block(x, state, active)
        return self.last(F.elu(x), state, active)
