"""Say something, hear it back: whether microphone and loudspeaker are fine before anybody is called."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice.realtime import RealtimeThread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.devices import AudioBackend
    from personadesk.voice.jitter import JitterBuffer
    from personadesk.voice.ring import Ring

SHORT_SECONDS: Final = 3.0
"""Before a call with a new device."""
LONG_SECONDS: Final = 10.0
"""For somebody who wants to know how they sound."""

_STEP_SECONDS: Final = 0.02
_SILENT_PEAK: Final = 0.003
"""About -50 dBFS: nobody spoke, or it is switched off."""
_FAINT_PEAK: Final = 0.03
_CLIPPED: Final = 0.99
_CLIPPED_SHARE: Final = 0.0005


class Phase(StrEnum):
    """Where the check is."""

    OPENING = "opening"
    RECORDING = "recording"
    PLAYING = "playing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckView:
    """How the check is.

    Attributes:
        phase: Where it is.
        left: Seconds until the phase ends.
        level_dbfs: Of the sound of this moment; -96 is silence.
        hold: Largest sample so far, 0..1.
        verdict: What was found, one sentence, from `PLAYING` on; or why it failed.
        advice: What to do about that, or NOTHING.
        good: Whether the microphone is fine as it is.
    """

    phase: Phase = Phase.OPENING
    left: float = 0.0
    level_dbfs: float = -96.0
    hold: float = 0.0
    verdict: Text = NOTHING
    advice: Text = NOTHING
    good: bool = False


class SoundCheck:
    """One check, used once. Every method may be called from any thread and returns at once, except `join`.

    Attributes:
        pcm: What was recorded, float32 [n] at the microphone's rate; None before.
        rate: Its samples per second.
    """

    def __init__(
        self,
        backend: AudioBackend,
        source: str | None = None,
        sink: str | None = None,
        seconds: float = SHORT_SECONDS,
    ) -> None:
        """Prepare a check of a microphone and a loudspeaker (by name, None: the default one)."""
        self.pcm: NDArray[np.float32] | None = None
        self.rate = 0
        self._backend = backend
        self._source, self._sink, self._seconds = source, sink, seconds
        self._view = CheckView()
        self._lock = threading.Lock()
        self._thread = RealtimeThread(self._run, "sound check")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it where it is; the devices are closed."""
        self._thread.cancel()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is over; return whether it is."""
        return self._thread.join(timeout)

    def view(self) -> CheckView:
        """Return how it is."""
        with self._lock:
            return self._view

    def _show(self, view: CheckView) -> None:
        with self._lock:
            self._view = view

    async def _run(self) -> None:
        try:
            await self._play(await self._record())
        except PersonaDeskError as fault:
            self._show(CheckView(Phase.FAILED, verdict=fault.what, advice=fault.next))

    async def _record(self) -> NDArray[np.float32]:
        import numpy as np

        from personadesk.voice import levels
        from personadesk.voice.ring import Ring

        def make_ring(rate: int) -> Ring:
            return Ring(2 * rate)

        stream, ring = await asyncio.to_thread(self._backend.open_input, self._source, make_ring)
        pieces, hold = [], 0.0
        with contextlib.closing(stream):
            self.rate = stream.rate
            end = time.perf_counter() + self._seconds
            while (left := end - time.perf_counter()) > 0:
                await asyncio.sleep(min(left, _STEP_SECONDS))
                piece = ring.read()
                pieces.append(piece)
                hold = max(hold, float(np.abs(piece).max(initial=0.0)))
                self._show(CheckView(Phase.RECORDING, left, levels.dbfs(piece), hold))
        self.pcm = np.concatenate(pieces)
        return self.pcm

    async def _play(self, pcm: NDArray[np.float32]) -> None:
        from personadesk.voice import levels
        from personadesk.voice.jitter import JitterBuffer
        from personadesk.voice.resample import Resampler

        rate = self.rate
        verdict, advice, good = judge(pcm, rate)
        hold = float(abs(pcm).max()) if pcm.size else 0.0

        def make_buffer(out: int) -> JitterBuffer:
            buffer = JitterBuffer(out, start=0.0, most=self._seconds + 2.0, adapt=False)
            buffer.push(Resampler(rate, out).feed(pcm))
            return buffer

        stream, buffer = await asyncio.to_thread(self._backend.open_output, self._sink, make_buffer)
        with contextlib.closing(stream):
            while (left := buffer.seconds) > 0 and stream.alive:
                at = len(pcm) - round(left * rate)
                now = levels.dbfs(pcm[max(0, at) : at + round(0.1 * rate)])
                self._show(CheckView(Phase.PLAYING, left, now, hold, verdict, advice, good))
                await asyncio.sleep(_STEP_SECONDS)
            await asyncio.sleep(min(0.5, stream.latency))
        self._show(CheckView(Phase.DONE, 0.0, -96.0, hold, verdict, advice, good))


def judge(pcm: NDArray[np.float32], rate: int) -> tuple[Text, Text, bool]:
    """Say what a microphone gave: a sentence, what to do, and whether it is fine; float32 [n] at `rate`."""
    import numpy as np

    peak = float(np.abs(pcm).max(initial=0.0))
    if pcm.size < rate / 2:
        return (
            T("The microphone gave no sound."),
            T("See whether it was unplugged, and whether this program may use it."),
            False,
        )
    if peak < _SILENT_PEAK:
        return (
            T("Nothing was heard."),
            T("See whether the microphone is switched off or another one is chosen."),
            False,
        )
    if float(np.mean(np.abs(pcm) >= _CLIPPED)) > _CLIPPED_SHARE:
        return (
            T("You are too loud: the sound is cut off."),
            T("Turn the microphone down in the system's settings, or move away from it."),
            False,
        )
    if peak < _FAINT_PEAK:
        return (
            T("You are hard to hear."),
            T("Come closer to the microphone, or turn it up in the system's settings."),
            False,
        )
    return T("The microphone is fine."), NOTHING, True
