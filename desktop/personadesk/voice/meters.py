"""What a call looks like while it runs: level, peak and the last seconds as a waveform, for one direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.voice import levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

WAVE_SECONDS: Final = 12.0
_BARS: Final = round(WAVE_SECONDS / levels.PEAK_SECONDS)
_FRESH_SECONDS: Final = 0.25
_HOLD_SECONDS: Final = 2.0
_JOIN_SAMPLES: Final = round(0.12 * levels.SAMPLE_RATE)
"""Messages that come a little late still follow on what was there; a longer silence shows as a gap."""


class Meter:
    """One direction of a call. Not thread-safe: its owner locks.

    Times are seconds since the call began, never going back.
    """

    def __init__(self) -> None:
        self._peaks = np.zeros(_BARS, np.float32)
        self._newest = -1
        self._position = 0
        self._level = levels.FLOOR_DBFS
        self._peak = 0.0
        self._fresh = float("-inf")

    def add(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Add sound (float32 [n], 24 kHz) that belongs to the time `at` or follows on what came before."""
        if not pcm.size:
            return
        now = round(at * levels.SAMPLE_RATE)
        if now > self._position + _JOIN_SAMPLES:
            self._position = now
        done = 0
        while done < len(pcm):
            bar, inside = divmod(self._position, levels.PEAK_SAMPLES)
            part = pcm[done : done + levels.PEAK_SAMPLES - inside]
            self._grow(bar)
            top = min(1.0, float(np.abs(part).max()))
            self._peaks[bar % _BARS] = max(self._peaks[bar % _BARS], top)
            self._position += len(part)
            done += len(part)
        self._level = levels.dbfs(pcm)
        self._peak = min(1.0, float(np.abs(pcm).max()))
        self._fresh = at

    def level(self, now: float) -> float:
        """Return the level of the last sound, dBFS; the floor when none came lately."""
        return self._level if now - self._fresh < _FRESH_SECONDS else levels.FLOOR_DBFS

    def peak(self, now: float) -> float:
        """Return the largest sample of the last sound, 0..1; 0 when none came lately."""
        return self._peak if now - self._fresh < _FRESH_SECONDS else 0.0

    def hold(self, now: float) -> float:
        """Return the largest sample of the last two seconds, 0..1."""
        count = round(_HOLD_SECONDS / levels.PEAK_SECONDS)
        last = int(now / levels.PEAK_SECONDS)
        bars = np.arange(max(0, last - count), self._newest + 1)
        return float(self._peaks[bars % _BARS].max(initial=0.0)) if len(bars) <= _BARS else 0.0

    def wave(self, now: float) -> tuple[float, ...]:
        """Return the peaks of the last 12 s, one for each 40 ms, the newest last."""
        last = int(now / levels.PEAK_SECONDS)
        bars = np.arange(last - _BARS + 1, last + 1)
        known = (bars >= 0) & (bars <= self._newest) & (bars > self._newest - _BARS)
        shown = np.where(known, self._peaks[bars % _BARS], 0.0)
        return tuple(shown.tolist())

    def _grow(self, bar: int) -> None:
        for fresh in range(max(self._newest + 1, bar - _BARS + 1), bar + 1):
            self._peaks[fresh % _BARS] = 0.0
        self._newest = max(self._newest, bar)
