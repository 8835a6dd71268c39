"""One tick of the whole model: what the callers said to codes, codes to thought and answer, the answer to sound.

The same function runs eagerly and is recorded as a GPU graph. It decides nothing on the host: what depends on the host
comes with the call, as tensors (`Asked`) or as plain values (`Sight`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layers import attends

if TYPE_CHECKING:
    from torch import Tensor

    from .codec import Codec
    from .lm import Lm, Snapshot
    from .sampling import Draw


@dataclass(frozen=True, slots=True)
class Asked:
    """What one tick is given; a mask of None means every row.

    Attributes:
        pcm: Sound of each row, float32 [rows, 1920].
        heard: Rows whose frame is there, bool [rows].
        thinks: Rows that think: the first frame of a conversation without a prompt only takes its place.
        speaks: Rows that have something to say.
        text_draw: How text is drawn; None is greedy.
        audio_draw: How audio is drawn.
    """

    pcm: Tensor
    heard: Tensor | None
    thinks: Tensor | None
    speaks: Tensor | None
    text_draw: Draw | None
    audio_draw: Draw | None


@dataclass(frozen=True, slots=True)
class Sight:
    """How far back a tick looks, in slots of each ring.

    Attributes:
        hearing: Of the encoder's.
        thinking: Of the language model's.
        speaking: Of the decoder's.
        full: Every row has filled all of these slots of the language model's.
        forcing: Some row may hold forced tokens.
    """

    hearing: int
    thinking: int
    speaking: int
    full: bool
    forcing: bool


class Tick:
    """The model with the memory of all rows.

    Args:
        lm: The language model.
        codec: The codec.
        rows: Callers at once.

    Attributes:
        stage_s: How long the parts of the last tick took to be worked out on a CPU, or to be launched on a GPU.
    """

    def __init__(self, lm: Lm, codec: Codec, rows: int) -> None:
        self.lm, self.codec, self.rows = lm, codec, rows
        self.state = lm.state(rows)
        self.hearing, self.speaking = codec.encoding(rows), codec.decoding(rows)
        self.stage_s: dict[str, float] = {}

    @property
    def exact(self) -> bool:
        """Whether a row's answer is the same in any company, to the last bit: this computer's own functions make it."""
        depth = self.state.memory.new_empty(0, self.lm.depth.width)
        return all(map(attends, (self.state.memory, self.hearing.attention.memory, depth)))

    def __call__(self, asked: Asked, sight: Sight) -> tuple[Tensor, Tensor]:
        """Advance the first `len(asked.pcm)` rows by a frame.

        Returns:
            Tokens, int64 [rows, 1 + own], and sound, float32 [rows, 1920]; meaningless for rows that do not speak.
        """
        began = time.perf_counter()
        codes = self.codec.encode(asked.pcm, self.hearing, asked.heard, prefix=sight.hearing)
        heard = time.perf_counter()
        thinking = self.lm.step(
            self.state,
            codes,
            asked.thinks,
            prefix=sight.thinking,
            full=sight.full,
            forcing=sight.forcing,
            text_draw=asked.text_draw,
            audio_draw=asked.audio_draw,
        )
        tokens, depth = thinking.tokens, thinking.depth_s
        thought = time.perf_counter()
        # A row that does not speak may hold tokens that are no codes.
        said = tokens[:, 1:].clamp(max=self.codec.config.bins - 1)
        pcm = self.codec.decode(said, self.speaking, asked.speaks, prefix=sight.speaking)
        self.stage_s = {
            "encode": heard - began,
            "lm": thought - heard - depth,
            "depformer": depth,
            "decode": time.perf_counter() - thought,
        }
        return tokens, pcm

    def begin(self, row: int, snapshot: Snapshot) -> None:
        """Start row `row` from a prompt; whatever it held is gone."""
        self.lm.install(self.state, row, snapshot)
        self.hearing.reset(row)
        self.speaking.reset(row)

    def move(self, source: int, target: int) -> None:
        """Copy row `source` over row `target`."""
        for part in (self.state, self.hearing, self.speaking):
            part.move(source, target)

    def tensors(self) -> list[Tensor]:
        """Return all memory; it is written in place and never allocated anew."""
        state = self.state
        found = [state.memory, state.call, state.ring, state.forced, state.history]
        for side in (self.hearing, self.speaking):
            found += [*side.stream.past, side.stream.first]
            found += [side.attention.memory, side.attention.position]
        return found
