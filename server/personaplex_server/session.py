"""One conversation, seen from both sides: the caller's socket on the event loop, the model in its thread.

What a caller says waits in a bounded queue, so that a late model or a hasty caller costs frames and never adds
up to a growing delay; what the model says waits in another, so that a caller who does not read holds up nobody.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from personaplex_server.opus import OpusReader
from personaplex_server.protocol import CLOSE_FAILED, FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

QUEUE_FRAMES: Final = 5
"""Frames that may wait beyond those kept from before the handshake: 400 ms, more than packets of 120 ms need."""
EARLY_FRAMES: Final = 125
"""Frames kept from before the handshake: 10 s."""
SPOKEN_FRAMES: Final = 64
"""Answers that may wait for a caller who does not read: 5 s, then the call is over."""
_CREDIT_S: Final = 15.0
"""Sound that may come at once; more than is ever kept."""
_HASTE: Final = 2.0
"""Sound that may come in a second in the long run, in seconds."""
_QUIET: Final = 0.003
"""Root mean square (-50 dBFS) under which a frame may be passed over to catch up."""
_WINDOW_FRAMES: Final = 64
"""Frames (5 s) that must all have waited longer than a frame lasts before one of them is dropped."""
_QUIET_WINDOW_FRAMES: Final = 12
"""The same when the one to drop is quiet: nobody misses it."""
_UNREAD: Final = "The caller stopped reading."
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the caller is to get for one frame.

    Attributes:
        pcm: float32 [1920] at 24 kHz, or None while there is nothing to hear.
        text: New words, "" when there are none.
        frame: Number of the caller's frame that this answers, from 0.
        tick_ms: What the tick took.
        lag_ms: From the arrival of the caller's frame to the end of its tick.
        queue: Frames still waiting behind it.
        at: When its tick ended, in seconds of the server's own monotonic clock.
    """

    pcm: NDArray[np.float32] | None
    text: str
    frame: int
    tick_ms: float
    lag_ms: float
    queue: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the server ends a conversation.

    Attributes:
        reason: A sentence for the caller.
        code: Close code that fits.
        unread: The caller stopped reading, so that nothing more can be told.
    """

    reason: str
    code: int = CLOSE_FAILED
    unread: bool = False


class Session:
    """The two queues of one caller.

    `hear`, `start` and `answer` belong to the event loop it is made on; `ready`, `take` and `say_all` to the model
    thread; `end` to both.

    Attributes:
        number: Counts sessions, for the logs.
        dropped: Frames of the caller passed over so far.
        taken: Frames given to the model so far.
    """

    def __init__(
        self,
        number: int,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a session.

        Args:
            number: Counts sessions, for the logs.
            wake: Called on the event loop when a frame has come in.
            clock: Seconds, monotonic.
        """
        self.number = number
        self.dropped = 0
        self.taken = 0
        self._wake = wake
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._reader = OpusReader(self._admit)
        self._credit, self._credited = _CREDIT_S, clock()
        self._skipped = 0
        self._pieces: list[NDArray[np.float32]] = []
        self._samples = 0
        self._lock = threading.Lock()
        self._heard: deque[tuple[NDArray[np.float32], float]] = deque()
        self._allowance = EARLY_FRAMES - QUEUE_FRAMES
        self._early = True
        self._sounded = clock()
        self._least_wait = float("inf")
        self._window = 0
        self._spoken: deque[Spoken] = deque()
        self._ended: Ended | None = None
        self._news = asyncio.Event()
        self._unread = asyncio.Event()

    # The caller's side, on the event loop.

    def hear(self, data: bytes) -> None:
        """Take bytes of the caller's Ogg Opus stream, cut anywhere.

        Raises:
            OpusError: The stream is not usable.
        """
        for pcm in self._reader.feed(data):
            self._pieces.append(pcm)
            self._samples += len(pcm)
            if self._samples >= FRAME_SAMPLES:
                self._cut()

    def _admit(self, samples: int) -> bool:
        """Tell whether sound may be decoded: who sends it far faster than it can be said keeps the loop busy."""
        now = self._clock()
        self._credit = min(_CREDIT_S, self._credit + _HASTE * (now - self._credited))
        self._credited = now
        seconds = samples / SAMPLE_RATE
        if seconds <= self._credit:
            self._credit -= seconds
            return True
        self._skipped += samples
        if self._skipped >= FRAME_SAMPLES:
            self.dropped += self._skipped // FRAME_SAMPLES
            self._skipped %= FRAME_SAMPLES
        return False

    def _cut(self) -> None:
        joined = np.concatenate(self._pieces)
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        self._pieces = [joined[whole:]]
        self._samples = len(joined) - whole
        now = self._clock()
        frames = [joined[begin : begin + FRAME_SAMPLES] for begin in range(0, whole, FRAME_SAMPLES)]
        if not all(_quiet(frame) for frame in frames):
            self._sounded = now
        with self._lock:
            self._heard.extend((frame, now) for frame in frames)
            while len(self._heard) > self._allowance + QUEUE_FRAMES:
                self._heard.popleft()
                self.dropped += 1
        self._wake()

    def start(self) -> None:
        """Note that the caller was told to talk: from now on the queue is short."""
        self._sounded = self._clock()
        with self._lock:
            self._early = False
            self._allowance = len(self._heard)

    def forget(self) -> None:
        """Put away what was heard so far, uncounted: said while waiting in line, it was for nobody."""
        with self._lock:
            self._heard.clear()

    def rejoin(self) -> None:
        """Go on with another connection, whose stream of sound begins anew.

        What still waits on either side is dropped and counted: said late, it would be a delay for good.
        """
        self._reader = OpusReader(self._admit)
        self._pieces, self._samples = [], 0
        self._sounded = self._clock()
        with self._lock:
            self.dropped += len(self._heard) + len(self._spoken)
            self._heard.clear()
            self._allowance = 0
        self._spoken.clear()

    def quiet_s(self) -> float:
        """Return the seconds since the caller was last heard, or was told to talk."""
        return self._clock() - self._sounded

    async def answer(self) -> Spoken | Ended:
        """Wait for the next thing to tell the caller; after `Ended` there is nothing more."""
        while True:
            if self._ended is not None and (self._ended.unread or not self._spoken):
                return self._ended
            if self._spoken:
                return self._spoken.popleft()
            self._news.clear()
            await self._news.wait()

    async def unread(self) -> Ended:
        """Wait until the caller has not read for so long that the conversation is over."""
        await self._unread.wait()
        return Ended(_UNREAD, unread=True)

    # The model's side, in its thread.

    def ready(self) -> bool:
        """Tell whether a frame waits."""
        return bool(self._heard)

    def take(self) -> tuple[NDArray[np.float32], float] | None:
        """Take the frame that is due (float32 [1920]) and the time it has waited, in seconds.

        A backlog shrinks here: quiet frames are passed over while more than the queue's length waits, and one
        frame is dropped when all frames of a while had to wait longer than a frame lasts.

        Returns:
            None where no frame waits: one that was `ready` is gone when the caller came back in that moment.
        """
        now = self._clock()
        with self._lock:
            if not self._heard:
                return None
            pcm, arrived = self._heard.popleft()
            if len(self._heard) > QUEUE_FRAMES and _quiet(pcm):
                pcm, arrived = self._pass_over()
            self._window += 1
            self._least_wait = min(self._least_wait, now - arrived)
            enough = _QUIET_WINDOW_FRAMES if _quiet(pcm) else _WINDOW_FRAMES
            if self._window >= enough:
                if self._least_wait > FRAME_SECONDS and self._heard:
                    pcm, arrived = self._pass_over()
                self._window, self._least_wait = 0, float("inf")
            if not self._early:
                self._allowance = min(self._allowance, len(self._heard))
            self.taken += 1
        return pcm, now - arrived

    def _pass_over(self) -> tuple[NDArray[np.float32], float]:
        self.dropped += 1
        return self._heard.popleft()

    @property
    def queue(self) -> int:
        """Frames that wait."""
        return len(self._heard)

    @staticmethod
    def say_all(said: Sequence[tuple[Session, Spoken]]) -> None:
        """Hand over what the model said to each caller of a tick; returns at once.

        One call wakes the event loop for all of them: each alone costs the model's thread a system call.
        """
        loops = {session._loop for session, _ in said}
        for loop in loops:
            here = [each for each in said if each[0]._loop is loop]
            _post(loop, _spoke_to_all, here)

    def end(self, reason: str, code: int = CLOSE_FAILED) -> None:
        """End the conversation after what was said so far; the caller is told `reason`."""
        _post(self._loop, self._end, Ended(reason, code))

    def _spoke(self, spoken: Spoken) -> None:
        if self._ended is not None:
            return
        if len(self._spoken) >= SPOKEN_FRAMES:
            self._end(Ended(_UNREAD, unread=True))
            self._unread.set()
            return
        self._spoken.append(spoken)
        self._news.set()

    def _end(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            self._news.set()


def _post(loop: asyncio.AbstractEventLoop, call: Callable[[_T], None], value: _T) -> None:
    try:
        loop.call_soon_threadsafe(call, value)
    except RuntimeError:
        # The loop is closed: the server is going down, and nobody is left to tell.
        if not loop.is_closed():
            raise


def _spoke_to_all(said: Sequence[tuple[Session, Spoken]]) -> None:
    for session, spoken in said:
        session._spoke(spoken)


def _quiet(pcm: NDArray[np.float32]) -> bool:
    return float(np.dot(pcm, pcm)) < _QUIET * _QUIET * FRAME_SAMPLES
