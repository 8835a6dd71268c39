"""The language model that thinks once per frame: temporal transformer, its memory per row, and token alignment.

All state has a leading row axis and is written in place, so rows start, pause and end independently. A call
of `Lm.step` decides nothing on the host and reads nothing back: what depends on the host (how many rows,
how far back they look, whether any token is forced) is passed in as plain Python values.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from personaplex_server.kernels.machine import kernels
from personaplex_server.kernels.record import Replay

from .depth import Depth
from .layers import (
    attend,
    attend_own,
    attends,
    embedded,
    gated,
    rms_norm,
    rotary_frequencies,
    rotate_,
    rotation,
)
from .quant import Quant, maker
from .sampling import Draw, choose, nothing_drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import LmConfig
    from .prompt import PromptCalls
    from .weights import TensorFile

PREFILL_CHUNK: Final = 128
"""Prompt positions computed at once; bounds memory, and the time that other rows wait."""
PREFIX_STEP: Final = 128
"""Attention looks at a prefix of the ring, rounded up to this."""


_Replays = tuple[Replay[tuple[Tensor, Tensor, Tensor]], Replay[list[Tensor]]]


class _Layer:
    def __init__(self, file: TensorFile, config: LmConfig, index: int, quant: Quant) -> None:
        make = maker(quant)
        dim = config.dim
        name = f"transformer.layers.{index}."
        hidden = file.columns(f"{name}gating.linear_out.weight")
        self.norm1 = file.take(f"{name}norm1.alpha", (1, 1, dim), dtype=torch.float32).view(dim)
        self.norm2 = file.take(f"{name}norm2.alpha", (1, 1, dim), dtype=torch.float32).view(dim)
        self.attend_in = make(file.take(f"{name}self_attn.in_proj_weight", (3 * dim, dim)))
        self.attend_out = make(file.take(f"{name}self_attn.out_proj.weight", (dim, dim)))
        self.gate_in = make(file.take(f"{name}gating.linear_in.weight", (2 * hidden, dim)))
        self.gate_out = make(file.take(f"{name}gating.linear_out.weight", (dim, hidden)))


class LmState:
    """Memory of all rows.

    Attributes:
        memory: Keys and values, [layers, 2, rows, heads, window, width]; slot = position % window.
        call: The next call of each row, int64 [rows]; a call predicts the position of its own number.
        ring: Tokens by stream and position % slots, int64 [rows, streams, slots].
        forced: Which tokens of text and own audio are given rather than drawn, bool [rows, 1 + own, slots].
        history: What each position was given, int32 [rows, streams, window]; slot = position % window. For
            `renewal`, which thinks the recent ones through once more.
        replays: What a step thinks and what it speaks, written down for the CPU's own functions; None elsewhere.
    """

    def __init__(
        self, config: LmConfig, rows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.replays: _Replays | None = None
        # One slot less than the context: the reference hides the oldest slot of its full ring.
        self.window = config.context - 1
        self.slots = config.max_delay + 3
        width = config.dim // config.num_heads
        self.memory = torch.zeros(
            config.num_layers,
            2,
            rows,
            config.num_heads,
            self.window,
            width,
            dtype=dtype,
            device=device,
        )
        self.call = torch.ones(rows, dtype=torch.int64, device=device)
        self.ring = torch.zeros(rows, config.streams, self.slots, dtype=torch.int64, device=device)
        self.forced = torch.zeros(
            rows, 1 + config.own_codebooks, self.slots, dtype=torch.bool, device=device
        )
        self.history = torch.zeros(
            rows, config.streams, self.window, dtype=torch.int32, device=device
        )

    def move(self, source: int, target: int) -> None:
        """Copy row `source` over row `target`."""
        self.memory[:, :, target] = self.memory[:, :, source]
        self.call[target] = self.call[source]
        self.ring[target] = self.ring[source]
        self.forced[target] = self.forced[source]
        self.history[target] = self.history[source]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row filled with a prompt, ready to be copied into any row any number of times.

    Attributes:
        memory: [layers, 2, heads, n, width], the first n slots of the ring.
        ring: [streams, slots].
        forced: [1 + own, slots].
        calls: Calls that the prompt took; 0 for an empty one.
    """

    memory: Tensor
    ring: Tensor
    forced: Tensor
    calls: int

    @property
    def bytes(self) -> int:
        """Memory that this snapshot holds."""
        return self.memory.numel() * self.memory.element_size()


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step gives for each row.

    Attributes:
        tokens: Text and own audio of one whole frame, int64 [rows, 1 + own]; meaningless for a row whose
            call does not exceed the largest delay.
        text_logits: float32 [rows, text tokens], until the next step.
        depth_s: How long the depth transformer took to be worked out on a CPU, or to be launched on a GPU.
    """

    tokens: Tensor
    text_logits: Tensor
    depth_s: float


class Lm:
    """The language model of one checkpoint.

    Args:
        file: Where the weights are.
        config: Sizes.
        quant: How matrices are kept; embeddings and norms always keep the file's type.

    Raises:
        CheckpointError: A weight is missing or has another shape.
    """

    def __init__(self, file: TensorFile, config: LmConfig, quant: Quant = Quant.NONE) -> None:
        self.config = config
        self.device, self.dtype, self.quant = file.device, file.dtype, quant
        dim = config.dim
        self.heads = config.num_heads
        self.width = dim // self.heads
        self.window = config.context - 1
        parts = [file.take("text_emb.weight", (config.text_card + 1, dim))]
        parts += [
            file.take(f"emb.{stream}.weight", (config.card + 1, dim))
            for stream in range(config.n_q)
        ]
        self.embedding = torch.cat(parts)
        del parts
        self.layers = [_Layer(file, config, index, quant) for index in range(config.num_layers)]
        self.out_norm = file.take("out_norm.alpha", (1, 1, dim), dtype=torch.float32).view(dim)
        self.text_head = maker(quant)(file.take("text_linear.weight", (config.text_card, dim)))
        self.depth = Depth(file, config, quant)

        def whole(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64, device=self.device)

        self.initial = whole([config.text_card] + [config.card] * config.n_q)
        self.delays = whole(list(config.delays))
        self._own = 1 + config.own_codebooks
        self._row_of = whole(
            [0] + [config.text_card + 1 + i * (config.card + 1) for i in range(config.n_q)]
        )
        self._frequencies = rotary_frequencies(self.width, config.max_period, self.device)
        self._head_index = torch.arange(self.heads, device=self.device)

    def state(self, rows: int) -> LmState:
        """Return empty memory for `rows` rows; fill each with `install` before use."""
        state = LmState(self.config, rows, self.dtype, self.device)
        state.replays = self._replays(state.memory)
        return state

    def _replays(self, memory: Tensor) -> _Replays | None:
        made = kernels() if attends(memory) and self.depth.width % 8 == 0 else None
        if made is None:
            return None

        def think(
            tokens: Tensor,
            position: Tensor,
            turn: Tensor,
            kept: Tensor,
            scale: Tensor,
            last: Tensor,
            spins: Tensor,
        ) -> tuple[Tensor, Tensor, Tensor]:
            thought = self._think_own(memory, tokens, position, turn)
            return thought, *self._say(thought, Draw(scale, last, spins, None, 1), kept)

        def speak(
            thought: Tensor, text: Tensor, kept: Tensor, scale: Tensor, last: Tensor, spins: Tensor
        ) -> list[Tensor]:
            return self.depth(thought, text, Draw(scale, last, spins, None, 1), kept)

        return Replay(made.run, think), Replay(made.run, speak)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the summed embeddings of `tokens` [rows, streams]: [rows, dim]."""
        return embedded(tokens, self.embedding, self._row_of)

    def prefix(self, furthest: int) -> int:
        """Return how many slots a step must look at whose largest call is `furthest`."""
        needed = min(furthest, self.window)
        return min(-(-needed // PREFIX_STEP) * PREFIX_STEP, self.window)

    def step(
        self,
        state: LmState,
        user: Tensor,
        active: Tensor | None,
        *,
        prefix: int,
        full: bool,
        forcing: bool,
        text_draw: Draw | None,
        audio_draw: Draw | None,
    ) -> StepResult:
        """Think once for the first rows of `state`.

        Args:
            state: All memory; the first `len(user)` rows take part.
            user: The caller's tokens, int64 [rows, n_q - own].
            active: Which rows advance, bool [rows]; None means all. The others keep their state.
            prefix: Ring slots to look at (`prefix`).
            full: Every one of these slots is valid in every row, so no mask is needed.
            forcing: Some row may hold forced tokens: the calls after a start or prompt, `max_delay` of them.
            text_draw: How text is drawn; None is greedy.
            audio_draw: How audio is drawn; None is greedy.
        """
        rows = user.shape[0]
        call, ring = state.call[:rows], state.ring[:rows]
        slots = state.slots
        column = call.unsqueeze(1)
        # A row that sits out writes too; its real call writes the same slots before anything reads them.
        user_slot = (column + self.delays[self._own :]) % slots
        ring[:, self._own :].scatter_(2, user_slot.unsqueeze(2), user.unsqueeze(2))
        position, shape = call - 1, (rows, ring.shape[1], 1)
        earlier = position.view(rows, 1, 1)
        given_now = ring.gather(2, (earlier % slots).expand(shape))
        then = (earlier % self.window).expand(shape)
        state.history[:rows].scatter_(2, then, given_now.to(torch.int32))
        target = (column % slots).unsqueeze(1).expand(rows, self._own, 1)
        kept = None
        if forcing:
            forced = state.forced[:rows]
            is_kept = forced.gather(2, target)
            kept = ring[:, : self._own].gather(2, target).where(is_kept, -1).squeeze(2)
            left = torch.zeros_like(is_kept) if active is None else is_kept & ~active.view(-1, 1, 1)
            forced.scatter_(2, target, left)
        tokens = given_now.squeeze(2)
        turn = rotation(position, self._frequencies)
        if state.replays is not None:
            think, speak = state.replays
            text_by = (text_draw or nothing_drawn(rows)).coldest()
            audio_by = (audio_draw or nothing_drawn(rows, self._own - 1)).coldest()
            if kept is None:
                kept = _nothing_kept(rows, self._own)
            thought, logits, text = think(
                tokens, position, turn, kept[:, 0], text_by.scale, text_by.last, text_by.spins
            )
            thought_at = time.perf_counter()
            audio = speak(thought, text, kept[:, 1:], audio_by.scale, audio_by.last, audio_by.spins)
        else:
            thought = self._think(state, tokens, position, turn, prefix, full)
            logits, text = self._say(thought, text_draw, None if kept is None else kept[:, 0])
            thought_at = time.perf_counter()
            audio = self.depth(thought, text, audio_draw, None if kept is None else kept[:, 1:])
        depth_s = time.perf_counter() - thought_at
        frame = torch.stack([text, *audio], 1)
        ring[:, : self._own].scatter_(2, target, frame.unsqueeze(2))
        heard = (column - self.config.max_delay + self.delays[: self._own]) % slots
        tokens = ring[:, : self._own].gather(2, heard.unsqueeze(2)).squeeze(2)
        if active is None:
            call.add_(1)
        else:
            call.add_(active)
        return StepResult(tokens, logits, depth_s)

    def _say(
        self, thought: Tensor, draw: Draw | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        logits = self.text_head(thought).float()
        return logits, choose(logits, draw, kept)

    def _think_own(self, memory: Tensor, tokens: Tensor, position: Tensor, turn: Tensor) -> Tensor:
        x = self.embed(tokens)
        for layer, layer_memory in zip(self.layers, memory.unbind(), strict=True):
            joint = layer.attend_in(rms_norm(x, layer.norm1)).unsqueeze(1)
            mixed = attend_own(joint, layer_memory, position, turn)
            x = layer.attend_out.onto(x, mixed.squeeze(1))
            x = layer.gate_out.onto(x, gated(layer.gate_in(rms_norm(x, layer.norm2))))
        return rms_norm(x, self.out_norm)

    def _think(
        self,
        state: LmState,
        tokens: Tensor,
        position: Tensor,
        turn: Tensor,
        prefix: int,
        full: bool,
    ) -> Tensor:
        if attends(state.memory):
            return self._think_own(state.memory, tokens, position, turn)
        x = self.embed(tokens)
        rows, heads, window = tokens.shape[0], self.heads, self.window
        all_rows = state.memory.shape[2]
        turn = turn.view(rows, 1, 1, -1)
        slot = (position % window).unsqueeze(1)
        line = torch.arange(rows, device=x.device).unsqueeze(1) * heads + self._head_index
        keys_at = line * window + slot
        at = torch.stack([keys_at, keys_at + all_rows * heads * window], 1).view(-1)
        in_place = x.dtype == torch.float32
        hidden = None
        if not full:
            seen = torch.arange(prefix, device=x.device) <= position.unsqueeze(1)
            hidden = torch.zeros_like(seen, dtype=torch.float32)
            hidden = hidden.masked_fill(~seen, float("-inf")).view(rows, 1, 1, prefix)
        for layer, memory in zip(self.layers, state.memory.unbind(), strict=True):
            joint = layer.attend_in(rms_norm(x, layer.norm1)).view(rows, 3, heads, self.width)
            turned = rotate_(joint[:, :2], turn)
            fresh = joint[:, 1:] if in_place else torch.stack([turned[:, 1], joint[:, 2]], 1)
            memory.view(-1, self.width).index_copy_(0, at, fresh.reshape(-1, self.width))
            mixed = attend(
                turned[:, 0].unsqueeze(2),
                memory[0, :rows, :, :prefix],
                memory[1, :rows, :, :prefix],
                hidden,
            )
            x = layer.attend_out.onto(x, mixed.squeeze(1))
            x = layer.gate_out.onto(x, gated(layer.gate_in(rms_norm(x, layer.norm2))))
        return rms_norm(x, self.out_norm)

    def prefill(self, prompt: PromptCalls) -> Iterator[float | Snapshot]:
        """Compute the state after a whole prompt, as stepping through it would leave it.

        Args:
            prompt: What each call of the prompt gives.

        Yields:
            The share done, 0 to 1, after each chunk; at last the snapshot.
        """
        positions = max(prompt.calls - 1, 0)
        ring, forced = prompt.tail(self.device)
        if positions <= self.window:
            memory = self.room(positions)
            for start in range(0, positions, PREFILL_CHUNK):
                stop = min(start + PREFILL_CHUNK, positions)
                self.extend(memory, prompt.inputs(self, start, stop), start)
                yield stop / positions
            yield Snapshot(memory, ring, forced, prompt.calls)
            return
        window = self.window
        empty = torch.empty(self.heads, 0, self.width, dtype=self.dtype, device=self.device)
        kept = [(empty, empty)] * len(self.layers)
        for start in range(0, positions, PREFILL_CHUNK):
            stop = min(start + PREFILL_CHUNK, positions)
            self._prefill_chunk(prompt.inputs(self, start, stop), start, kept)
            yield stop / positions
        memory = self.room(window)
        for index, both in enumerate(kept):
            for which, values in enumerate(both):
                # Position p belongs into slot p % window.
                memory[index, which] = values.roll((positions - window) % window, 1)
        yield Snapshot(memory, ring, forced, prompt.calls)

    def room(self, positions: int) -> Tensor:
        """Return uninitialised memory of one row: [layers, 2, heads, positions, width]."""
        return torch.empty(
            len(self.layers),
            2,
            self.heads,
            positions,
            self.width,
            dtype=self.dtype,
            device=self.device,
        )

    def extend(self, memory: Tensor, x: Tensor, start: int) -> Tensor:
        """Think positions `start` and following through, none of which falls out of sight.

        Args:
            memory: As `room` returns it, filled up to `start`; the positions are added.
            x: Summed input embeddings, [count, dim].
            start: First position.

        Returns:
            What the last layer says of each, before the last norm: [count, dim].
        """
        count, stop = x.shape[0], start + x.shape[0]
        position = torch.arange(start, stop, device=x.device)
        turn = rotation(position, self._frequencies).view(count, 1, 1, -1)
        seen = torch.arange(stop, device=x.device) <= position.unsqueeze(1)
        for layer, (keys, values) in zip(self.layers, memory.unbind(), strict=True):
            joint = layer.attend_in(rms_norm(x, layer.norm1)).view(count, 3, self.heads, self.width)
            query, key = rotate_(joint[:, :2], turn).unbind(1)
            keys[:, start:stop] = key.transpose(0, 1)
            values[:, start:stop] = joint[:, 2].transpose(0, 1)
            mixed = F.scaled_dot_product_attention(
                query.transpose(0, 1).unsqueeze(0),
                keys[:, :stop].unsqueeze(0),
                values[:, :stop].unsqueeze(0),
                attn_mask=seen,
            )
            x = layer.attend_out.onto(x, mixed[0].transpose(0, 1).reshape(count, -1))
            x = layer.gate_out.onto(x, gated(layer.gate_in(rms_norm(x, layer.norm2))))
        return x

    def _prefill_chunk(self, x: Tensor, start: int, kept: list[tuple[Tensor, Tensor]]) -> None:
        count, window = x.shape[0], self.window
        position = torch.arange(start, start + count, device=x.device)
        turn = rotation(position, self._frequencies).view(count, 1, 1, -1)
        earlier = kept[0][0].shape[1]
        key_position = torch.arange(start - earlier, start + count, device=x.device)
        back = position.unsqueeze(1) - key_position
        seen = (back >= 0) & (back < window)
        for index, layer in enumerate(self.layers):
            joint = layer.attend_in(rms_norm(x, layer.norm1)).view(count, 3, self.heads, self.width)
            query, key = rotate_(joint[:, :2], turn).unbind(1)
            keys = torch.cat([kept[index][0], key.transpose(0, 1)], 1)
            values = torch.cat([kept[index][1], joint[:, 2].transpose(0, 1)], 1)
            # The next chunk's first position sees window - 1 earlier ones; the ring at the end holds window.
            kept[index] = (keys[:, -window:], values[:, -window:])
            mixed = F.scaled_dot_product_attention(
                query.transpose(0, 1).unsqueeze(0),
                keys.unsqueeze(0),
                values.unsqueeze(0),
                attn_mask=seen,
            )
            x = layer.attend_out.onto(x, mixed[0].transpose(0, 1).reshape(count, -1))
            x = layer.gate_out.onto(x, gated(layer.gate_in(rms_norm(x, layer.norm2))))

    def install(self, state: LmState, row: int, snapshot: Snapshot) -> None:
        """Start row `row` from a snapshot; whatever it held is gone."""
        count = snapshot.memory.shape[3]
        state.memory[:, :, row, :, :count] = snapshot.memory
        state.ring[row] = snapshot.ring
        state.forced[row] = snapshot.forced
        # Call 0 runs no model step, so a row without a prompt begins at call 1.
        state.call[row] = max(snapshot.calls, 1)


@lru_cache(maxsize=64)
def _nothing_kept(rows: int, count: int) -> Tensor:
    return torch.full((rows, count), -1)
