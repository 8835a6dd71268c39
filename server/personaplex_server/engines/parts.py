"""The callers of an engine in parts, each of which is ticked by a thread of its own.

On a CPU two threads that share every product of one large batch wait for each other a thousand times a tick, and keep
their processors busy waiting. Two that each tick half of the callers meet once. So callers are parted where
there are enough of them; a GPU has one part.

Inside a part the rows in use lie packed at the front of its state, so that a tick costs what its callers cost.

A row's numbers are the same in any part and any company, to the last bit, where this computer's own functions make
them (`kernels`); elsewhere how a sum is made depends on how many rows share it.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from personaplex_server.engines.base import FrameOut
from personaplex_server.model.config import FRAME_SAMPLES
from personaplex_server.model.renewal import Renewal, due
from personaplex_server.model.sampling import draws
from personaplex_server.model.tick import Asked, Sight, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from personaplex_server.model.codec import Codec
    from personaplex_server.model.graph import Replays
    from personaplex_server.model.lm import Lm, Snapshot
    from personaplex_server.model.sampling import RowSampler
    from personaplex_server.model.text import TextStream

log = logging.getLogger(__name__)

FEW: Final = 4
"""Callers up to which a part is filled before the next is begun: so few are quicker together, by all threads."""
_LATER: Final = 300
"""Positions beyond the memory at which an aged row is."""


@dataclass(slots=True)
class Row:
    """What the host knows about a row in use.

    Attributes:
        sampler: How it draws, and its randomness.
        words: Joins its text tokens.
        call: Its next call; 0 only before the first frame of a conversation without a prompt.
        forced_until: The first call that has no forced tokens any more.
        prompt: What its memory began with.
        renewal: A fresh memory on its way, before the old one is full.
    """

    sampler: RowSampler
    words: TextStream
    call: int
    forced_until: int
    prompt: Snapshot
    renewal: Renewal | None = None


class Part:
    """Rows that are ticked in one batch.

    Args:
        lm: The language model.
        codec: The codec.
        rows: Callers at once.

    Attributes:
        model: The model with these rows' memory.
        order: Rows in use, in the order in which their state lies.
        open: What is known of each.
        replays: Recorded ticks, where there are some.
        renewals: How often a row's memory was renewed in a long call.
        stage_s: How long the parts of the last tick took; empty where ticks are replayed in one piece.
    """

    def __init__(self, lm: Lm, codec: Codec, rows: int) -> None:
        self.model, self.rows = Tick(lm, codec, rows), rows
        self.order: list[int] = []
        self.open: dict[int, Row] = {}
        self.replays: Replays | None = None
        self.renewals = 0
        self.stage_s: dict[str, float] = {}
        self._lm = lm

    @property
    def free(self) -> bool:
        """Whether another row fits in."""
        return len(self.order) < self.rows

    def begin(self, number: int, row: Row) -> None:
        """Take a row in, whose prompt is known."""
        self.model.begin(len(self.order), row.prompt)
        self.order.append(number)
        self.open[number] = row

    def close(self, number: int) -> None:
        """Free a row; the last one moves to its place."""
        del self.open[number]
        place, last = self.order.index(number), len(self.order) - 1
        if place != last:
            self.model.move(last, place)
            self.order[place] = self.order[last]
        self.order.pop()

    def age(self, number: int) -> None:
        """Put a row so far into its call that its memory is full."""
        place, far = self.order.index(number), self._lm.config.context + _LATER
        self.open[number].call = far
        self.model.state.call[place] = far
        for side in (self.model.hearing, self.model.speaking):
            side.frames[place] = side.attention.window
            side.attention.position[place] = 2 * side.attention.window
            side.stream.first[place] = False

    def tick(
        self, frames: Mapping[int, NDArray[np.float32]], *, renew: bool
    ) -> dict[int, FrameOut]:
        """Give rows of this part one frame each; those that have none here sit out.

        Args:
            frames: float32 [1920] by row; those of other parts are passed over.
            renew: Keep the persona of a call that outlasts the model's memory.
        """
        heard = [row in frames for row in self.order]
        if not any(heard):
            return {}
        pcm = np.zeros((len(heard), FRAME_SAMPLES), np.float32)
        for place, row in enumerate(self.order):
            if heard[place]:
                # One bad sample would stay in the row's attention for good.
                pcm[place] = np.nan_to_num(frames[row], posinf=1.0, neginf=-1.0)
        with torch.inference_mode():
            answers = self._tick(torch.from_numpy(pcm), heard)
            if renew:
                self._go_on_renewing()
        return answers

    def _tick(self, pcm: torch.Tensor, heard: list[bool]) -> dict[int, FrameOut]:
        rows = [self.open[row] for row in self.order]
        delay = self._lm.config.max_delay
        # Call 0 only takes its place in the count: the model begins with call 1.
        thinks = [here and row.call > 0 for here, row in zip(heard, rows, strict=True)]
        speaks = [here and row.call > delay for here, row in zip(heard, rows, strict=True)]
        samplers = [row.sampler for row in rows]
        if self.replays is not None and self.replays.cover(samplers):
            masks = (heard, thinks, speaks)
            found = self.replays(pcm, masks, samplers, max(row.call for row in rows))
            self.stage_s = {}
        else:
            found = self._eager(pcm, heard, thinks, speaks)
            self.stage_s = self.model.stage_s if self._lm.device.type == "cpu" else {}
        self.model.hearing.advance(len(rows), heard)
        self.model.speaking.advance(len(rows), speaks)
        tokens, samples = found[0].tolist(), found[1].cpu().numpy()
        answers: dict[int, FrameOut] = {}
        for place, row in enumerate(rows):
            if not heard[place]:
                continue
            row.call += 1
            if not speaks[place]:
                answers[self.order[place]] = FrameOut(None)
                continue
            spoken = tuple(tokens[place])
            # A copy: the next replay writes to the same place.
            answers[self.order[place]] = FrameOut(
                samples[place].copy(), row.words.push(spoken[0]), spoken
            )
        return answers

    def _eager(
        self, pcm: torch.Tensor, heard: list[bool], thinks: list[bool], speaks: list[bool]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [self.open[row] for row in self.order]
        model, window, count = self.model, self._lm.window, len(rows)
        # A row that sits out is looked at with what it holds.
        calls = [row.call for row, active in zip(rows, thinks, strict=True) if active] or [1]
        furthest = max(calls)
        # Rows that are equally far need no mask, and then not a slot more than there is.
        full = min(calls) == furthest or min(calls) >= window
        text, audio = draws([row.sampler for row in rows], thinks, self._lm.device)
        asked = Asked(
            pcm.to(self._lm.device),
            self._mask(heard),
            self._mask(thinks),
            self._mask(speaks),
            text,
            audio,
        )
        sight = Sight(
            hearing=model.hearing.prefix(count),
            thinking=min(furthest, window) if full else self._lm.prefix(furthest),
            speaking=model.speaking.prefix(count),
            full=full,
            forcing=any(row.call < row.forced_until for row in rows),
        )
        return model(asked, sight)

    def _go_on_renewing(self) -> None:
        """Do a piece of the renewal under way, or begin one; one row at a time keeps the tick short."""
        rows = [self.open[row] for row in self.order]
        working = next((row for row in rows if row.renewal is not None), None)
        if working is None:
            working = next((row for row in rows if self._is_due(row)), None)
            if working is None:
                return
            working.renewal = Renewal(self._lm, working.prompt, working.call)
        place = rows.index(working)
        if working.renewal is not None and working.renewal.advance(
            self._lm, self.model.state, place, working.call
        ):
            back = working.renewal.switch(self.model.state, place)
            working.call -= back
            working.forced_until -= back
            working.renewal = None
            self.renewals += 1
            log.info("memory renewed in row %d, %d positions dropped", self.order[place], back)

    def _is_due(self, row: Row) -> bool:
        return due(self._lm.window, row.prompt.memory.shape[3], row.call)

    def _mask(self, active: list[bool]) -> torch.Tensor | None:
        return None if all(active) else torch.tensor(active, device=self._lm.device)


class Parts:
    """All rows of an engine.

    Args:
        lm: The language model.
        codec: The codec.
        rows: Callers at once.
        threads: Threads of the model on a CPU; there is a part for each if there are rows enough.
    """

    def __init__(self, lm: Lm, codec: Codec, rows: int, threads: int) -> None:
        on_cpu = lm.device.type == "cpu"
        count = max(1, min(threads, rows // FEW)) if on_cpu else 1
        each = -(-rows // count)
        self.all = [Part(lm, codec, each) for _ in range(count)]
        self._workers = min(threads, count) if on_cpu else 1
        self._pool = _workers(self._workers) if self._workers > 1 else None
        self._busy: list[Part] = []

    def __getitem__(self, number: int) -> Part:
        """Return the part of a row in use."""
        return next(part for part in self.all if number in part.open)

    def __contains__(self, number: object) -> bool:
        """Tell whether a row is in use."""
        return any(number in part.open for part in self.all)

    def begin(self, number: int, row: Row) -> None:
        """Take a row in, where it costs least."""
        small = next((part for part in self.all if part.free and len(part.order) < FEW), None)
        part = small or min(self.all, key=lambda each: len(each.order))
        part.begin(number, row)

    def tick(
        self, frames: Mapping[int, NDArray[np.float32]], *, renew: bool
    ) -> dict[int, FrameOut]:
        """Tick all parts that have frames, at the same time."""
        busy = [part for part in self.all if any(row in frames for row in part.order)]

        def work(part: Part) -> dict[int, FrameOut]:
            return part.tick(frames, renew=renew)

        # One part alone is ticked here, by all threads.
        pool = self._pool if len(busy) > 1 else None
        told = map(work, busy) if pool is None else pool.map(work, busy)
        answers: dict[int, FrameOut] = {}
        for each in told:
            answers |= each
        self._busy = busy
        return answers

    def stage_s(self) -> dict[str, float]:
        """Return how long the stages of the last tick took, on average of the threads that shared its parts."""
        found: dict[str, float] = {}
        for part in self._busy:
            for stage, took in part.stage_s.items():
                found[stage] = found.get(stage, 0.0) + took / min(self._workers, len(self._busy))
        return found


def _workers(count: int) -> ThreadPoolExecutor:
    """Return threads, all running, that compute alone."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, "model-part", initializer=torch.set_num_threads, initargs=(1,))
    everybody = threading.Barrier(count)
    for _ in pool.map(lambda _: everybody.wait(), range(count)):
        pass
    # Theirs became the number of this thread's, too.
    torch.set_num_threads(threads)
    return pool
