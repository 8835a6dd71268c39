"""The audio codec (Mimi), true streaming both ways: a frame of 1920 samples to a few codes, and back.

Every row has a state of its own: it can start, sit out a tick, and be reset without any other row noticing.
Only the codebooks that the language model uses are loaded, however many the file stores. Always float32: in a
coarser type the codes would change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from .config import FRAME_SAMPLES
from .layers import attend, attend_own, attends, gelu, rotary_frequencies, rotate_, rotation
from .linear import Linear
from .seanet import Conv, Decoder, DepthwiseUpsample, Encoder
from .streams import StreamState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .config import CodecConfig
    from .weights import TensorFile

PREFIX_STEP: Final = 64
_NORM_EPSILON: Final = 1e-5
_LEAST_USAGE: Final = 1e-5
_SUM_NAMES: Final = ("embedding_sum", "embed_sum", "embed_avg")


class _AttentionState:
    """Keys and values [layers, 2, rows, heads, window, width]; slot = position % window."""

    def __init__(self, config: CodecConfig, rows: int, device: torch.device) -> None:
        # One slot less than the context: the reference hides the oldest slot of its full ring.
        self.window = config.context - 1
        width = config.transformer_dim // config.transformer_heads
        self.memory = torch.zeros(
            config.transformer_layers,
            2,
            rows,
            config.transformer_heads,
            self.window,
            width,
            device=device,
        )
        self.position = torch.zeros(rows, dtype=torch.int64, device=device)


class Side:
    """State of one direction, encoding or decoding, for all rows.

    Attributes:
        stream: What the convolutions remember.
        attention: What the transformer remembers.
        frames: Frames each row has had, counted on the host.
    """

    def __init__(
        self, config: CodecConfig, shapes: list[tuple[int, int]], rows: int, device: torch.device
    ) -> None:
        self.stream = StreamState.fresh(shapes, rows, device)
        self.attention = _AttentionState(config, rows, device)
        self.frames = [0] * rows
        self._positions = config.positions

    def reset(self, row: int) -> None:
        """Forget everything of `row`; its old keys and values are hidden by their positions."""
        self.stream.reset(row)
        self.attention.position[row] = 0
        self.frames[row] = 0

    def move(self, source: int, target: int) -> None:
        """Copy row `source` over row `target`."""
        self.stream.move(source, target)
        self.attention.memory[:, :, target] = self.attention.memory[:, :, source]
        self.attention.position[target] = self.attention.position[source]
        self.frames[target] = self.frames[source]

    def prefix(self, rows: int) -> int:
        """Return how many ring slots the next frame of the first `rows` rows may look at."""
        needed = (max(self.frames[:rows]) + 1) * self._positions
        return min(-(-needed // PREFIX_STEP) * PREFIX_STEP, self.attention.window)

    def advance(self, rows: int, active: Sequence[bool] | None) -> None:
        """Count a frame for the rows that took part."""
        for row in range(rows):
            self.frames[row] += active is None or active[row]


class _TransformerLayer:
    def __init__(self, file: TensorFile, name: str, config: CodecConfig) -> None:
        dim, hidden = config.transformer_dim, config.transformer_hidden

        def scaled(key: str, scale: str, inputs: int) -> Tensor:
            weight = file.take(f"{name}{key}", (dim, inputs))
            if not config.transformer_scaled:
                return weight
            # Folded into the weights, so that a step need not multiply.
            return weight * file.take(f"{name}{scale}.scale", (dim,)).unsqueeze(1)

        self.norms = [
            (file.take(f"{name}{norm}.weight", (dim,)), file.take(f"{name}{norm}.bias", (dim,)))
            for norm in ("norm1", "norm2")
        ]
        self.attend_in = Linear(file.take(f"{name}self_attn.in_proj_weight", (3 * dim, dim)))
        self.attend_out = Linear(scaled("self_attn.out_proj.weight", "layer_scale_1", dim))
        self.widen = Linear(file.take(f"{name}linear1.weight", (hidden, dim)))
        self.narrow = Linear(scaled("linear2.weight", "layer_scale_2", hidden))


class _Transformer:
    """The transformer between convolutions and codes."""

    def __init__(self, file: TensorFile, name: str, config: CodecConfig) -> None:
        self.dim, self.heads = config.transformer_dim, config.transformer_heads
        self.width = self.dim // self.heads
        self.enter = self.leave = None
        if config.transformer_dim != config.dimension:
            wide, narrow = config.dimension, config.transformer_dim
            self.enter = Linear(file.take(f"{name}.input_proj.weight", (narrow, wide)))
            self.leave = Linear(file.take(f"{name}.output_projs.0.weight", (wide, narrow)))
        self.layers = [
            _TransformerLayer(file, f"{name}.transformer.layers.{index}.", config)
            for index in range(config.transformer_layers)
        ]
        self._frequencies = rotary_frequencies(self.width, config.max_period, file.device)

    def __call__(
        self, x: Tensor, state: _AttentionState, active: Tensor | None, prefix: int
    ) -> Tensor:
        """Return [rows, time, dimension] for `x` of the same shape."""
        rows, count, _ = x.shape
        window, heads = state.window, self.heads
        start = state.position[:rows].unsqueeze(1)
        position = start + torch.arange(count, device=x.device)
        turn = rotation(position, self._frequencies)
        if attends(state.memory):
            x = self._think(x, state, turn)
            state.position[:rows].add_(count if active is None else active * count)
            return x
        turn = turn.view(rows, count, 1, 1, self.width // 2)
        at = self._slots(position, state)
        # What a slot holds once this frame is written; a position of the frame hides the later ones.
        last = start + (count - 1)
        slots = torch.arange(prefix, device=x.device)
        held = last - (last - slots) % window
        seen = (held >= 0).unsqueeze(1) & (held.unsqueeze(1) <= position.unsqueeze(2))
        hidden = torch.zeros_like(seen, dtype=torch.float32)
        hidden = hidden.masked_fill(~seen, float("-inf")).unsqueeze(1)
        if self.enter is not None:
            x = self.enter(x)
        for layer, memory in zip(self.layers, state.memory.unbind(), strict=True):
            (gain1, bias1), (gain2, bias2) = layer.norms
            joint = layer.attend_in(F.layer_norm(x, (self.dim,), gain1, bias1, _NORM_EPSILON))
            joint = joint.view(rows, count, 3, heads, self.width)
            rotate_(joint[:, :, :2], turn)
            memory.view(-1, self.width).index_copy_(0, at, joint[:, :, 1:].reshape(-1, self.width))
            mixed = attend(
                joint[:, :, 0].transpose(1, 2),
                memory[0, :rows, :, :prefix],
                memory[1, :rows, :, :prefix],
                hidden,
            )
            x = layer.attend_out.onto(x, mixed)
            normed = F.layer_norm(x, (self.dim,), gain2, bias2, _NORM_EPSILON)
            x = layer.narrow.onto(x, gelu(layer.widen(normed)))
        state.position[:rows].add_(count if active is None else active * count)
        return x if self.leave is None else self.leave(x)

    def _think(self, x: Tensor, state: _AttentionState, turn: Tensor) -> Tensor:
        """Do the same by this computer's own functions."""
        positions = state.position[: len(x)]
        x = x.contiguous() if self.enter is None else self.enter(x)
        for layer, memory in zip(self.layers, state.memory.unbind(), strict=True):
            (gain1, bias1), (gain2, bias2) = layer.norms
            joint = layer.attend_in(F.layer_norm(x, (self.dim,), gain1, bias1, _NORM_EPSILON))
            x = layer.attend_out.onto(x, attend_own(joint, memory, positions, turn))
            normed = F.layer_norm(x, (self.dim,), gain2, bias2, _NORM_EPSILON)
            x = layer.narrow.onto(x, gelu(layer.widen(normed)))
        return x if self.leave is None else self.leave(x)

    def _slots(self, position: Tensor, state: _AttentionState) -> Tensor:
        """Return where [rows, time, (key, value), heads] goes in the flat memory."""
        rows, count = position.shape
        device = position.device
        lines = state.memory.shape[2] * self.heads
        line = torch.arange(rows, device=device).view(-1, 1, 1, 1) * self.heads
        line = line + torch.arange(self.heads, device=device)
        line = line + torch.arange(2, device=device).view(2, 1) * lines
        slot = (position % state.window).view(rows, count, 1, 1)
        return (line * state.window + slot).view(-1)


class _Codebook:
    """One codebook: searched as a product, since |x - e|² is least where x·e - |e|²/2 is largest."""

    def __init__(self, file: TensorFile, name: str, config: CodecConfig) -> None:
        shape = (config.bins, config.code_dim)
        summed = next((each for each in _SUM_NAMES if file.has(f"{name}.{each}")), _SUM_NAMES[0])
        usage = file.take(f"{name}.cluster_usage", (config.bins,)).clamp(min=_LEAST_USAGE)
        self.vectors = file.take(f"{name}.{summed}", shape) / usage.unsqueeze(1)
        self.search = Linear(self.vectors, -self.vectors.square().sum(1) / 2)


class _Quantizer:
    """Split residual quantizer: the first codebook and the chain of the others hear the same latent."""

    def __init__(self, file: TensorFile, config: CodecConfig, used: int) -> None:
        inner, outer = config.code_dim, config.dimension
        branches = [("quantizer.rvq_first", 1), ("quantizer.rvq_rest", used - 1)]
        self.branches: list[tuple[Linear, list[_Codebook]]] = []
        tables: list[Tensor] = []
        for name, count in branches:
            if not count:
                continue
            books = [
                _Codebook(file, f"{name}.vq.layers.{index}._codebook", config)
                for index in range(count)
            ]
            enter = file.take(f"{name}.input_proj.weight", (inner, outer, 1))[..., 0]
            leave = file.take(f"{name}.output_proj.weight", (outer, inner, 1))[..., 0]
            self.branches.append((Linear(enter.contiguous()), books))
            # Multiplied out beforehand: decoding a code is then one row of a table.
            tables += [F.linear(book.vectors, leave) for book in books]
        self.table = torch.cat(tables)
        self._row_of = torch.arange(used, device=file.device) * config.bins

    def encode(self, x: Tensor) -> Tensor:
        """Return codes, int64 [rows, used], for `x` [rows, dimension]."""
        codes: list[Tensor] = []
        for enter, books in self.branches:
            rest = enter(x)
            for index, book in enumerate(books):
                code = book.search(rest).argmax(-1)
                codes.append(code)
                if index + 1 < len(books):
                    rest = rest - F.embedding(code, book.vectors)
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return [rows, dimension] for codes [rows, used]."""
        return F.embedding(codes + self._row_of, self.table).sum(1)


class Codec:
    """The codec of one checkpoint.

    Args:
        file: Where the weights are; its dtype should be float32.
        config: Sizes.
        used: Codebooks that the language model uses.

    Raises:
        CheckpointError: A weight is missing or has another shape.
    """

    def __init__(self, file: TensorFile, config: CodecConfig, used: int) -> None:
        self.config, self.device = config, file.device
        self._encoder_shapes: list[tuple[int, int]] = []
        self._decoder_shapes: list[tuple[int, int]] = []
        stride, dim = config.positions, config.dimension
        self.encoder = Encoder(file, config, self._encoder_shapes, samples=FRAME_SAMPLES)
        self.encoder_transformer = _Transformer(file, "encoder_transformer", config)
        self.down = self.up = None
        if stride > 1:
            self.down = Conv(
                file,
                "downsample.conv.conv.conv",
                (dim, dim),
                2 * stride,
                self._encoder_shapes,
                stride=stride,
                bias=False,
                replicate=True,
            )
            self.up = DepthwiseUpsample(
                file, "upsample.convtr.convtr.convtr", dim, stride, self._decoder_shapes
            )
        self.quantizer = _Quantizer(file, config, used)
        self.decoder_transformer = _Transformer(file, "decoder_transformer", config)
        self.decoder = Decoder(file, config, self._decoder_shapes, samples=FRAME_SAMPLES)

    def encoding(self, rows: int) -> Side:
        """Return fresh state for encoding `rows` rows."""
        return Side(self.config, self._encoder_shapes, rows, self.device)

    def decoding(self, rows: int) -> Side:
        """Return fresh state for decoding `rows` rows."""
        return Side(self.config, self._decoder_shapes, rows, self.device)

    def encode(self, pcm: Tensor, side: Side, active: Tensor | None, *, prefix: int) -> Tensor:
        """Return the codes of one frame per row.

        Args:
            pcm: float32 [rows, 1920].
            side: State of the first rows, advanced in place (`Side.advance` is the caller's).
            active: Which rows take part, bool [rows]; None means all. The others keep their state.
            prefix: `Side.prefix` of these rows.

        Returns:
            int64 [rows, used].
        """
        x = self.encoder(pcm.unsqueeze(2), side.stream, active)
        x = self.encoder_transformer(x, side.attention, active, prefix)
        if self.down is not None:
            x = self.down(x, side.stream, active)
        first = side.stream.first[: pcm.shape[0]]
        first.logical_and_(~active if active is not None else torch.zeros_like(first))
        return self.quantizer.encode(x[:, 0])

    def decode(self, codes: Tensor, side: Side, active: Tensor | None, *, prefix: int) -> Tensor:
        """Return the samples of one frame per row: float32 [rows, 1920].

        Args:
            codes: int64 [rows, used].
            side: State of the first rows, advanced in place.
            active: Which rows take part.
            prefix: `Side.prefix` of these rows.
        """
        x = self.quantizer.decode(codes).unsqueeze(1)
        if self.up is not None:
            x = self.up(x, side.stream, active)
        x = self.decoder_transformer(x, side.attention, active, prefix)
        return self.decoder(x, side.stream, active).squeeze(2)
