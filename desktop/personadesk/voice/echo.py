"""Notices when the voice comes back through the microphone, as it does with a loudspeaker on the table.

Loudness over time is compared, not the waves themselves: a room changes these, but not when it is loud.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.voice import levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIN_SECONDS: Final = 0.02
_BINS: Final = 300
"""Six seconds."""
_LATEST_BINS: Final = 30
"""The way through the air, two sound cards and their buffers takes at most 0.6 s."""
_LIKE: Final = 0.75
_LEAST_LOUD: Final = 75
"""The voice must have spoken for a second and a half, else likeness is chance."""
_LOUD: Final = 10 ** (-42 / 20)
_HEARD: Final = 10 ** (-62 / 20)
"""Below this the microphone hears nothing that a model would."""
_LOOKS_EVERY_SECONDS: Final = 1.0
_HOLDS_SECONDS: Final = 15.0


class EchoDetector:
    """Compares what was played with what the microphone hears. Times are seconds since the call began."""

    def __init__(self) -> None:
        self._sides = (np.zeros(_BINS, np.float64), np.zeros(_BINS, np.float64))
        self._newest = [-1, -1]
        self._looked = 0.0
        self._hits = 0
        self._until = float("-inf")

    def played(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Add what sounds from `at` on, float32 [n] at 24 kHz."""
        self._add(0, at, pcm)

    def heard(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Add what the microphone heard at `at`, muted or not; float32 [n] at 24 kHz."""
        self._add(1, at, pcm)
        if at - self._looked >= _LOOKS_EVERY_SECONDS:
            self._looked = at
            # Twice in a row: somebody may by chance speak in the rhythm of the voice.
            self._hits = self._hits + 1 if self._is_alike() else 0
            if self._hits >= 2:
                self._until = at + _HOLDS_SECONDS

    def echoes(self, now: float) -> bool:
        """Return whether the voice came back lately."""
        return now < self._until

    def _add(self, side: int, at: float, pcm: NDArray[np.float32]) -> None:
        size = round(_BIN_SECONDS * levels.SAMPLE_RATE)
        count = len(pcm) // size
        if not count:
            return
        loud = np.sqrt(np.mean(np.square(pcm[: count * size].reshape(count, size)), axis=1))
        first = round(at / _BIN_SECONDS)
        bins, newest = self._sides[side], self._newest[side]
        for skipped in range(max(newest + 1, first - _BINS), first):
            bins[skipped % _BINS] = 0.0
        for number, value in enumerate(loud.tolist(), first):
            bins[number % _BINS] = value
        self._newest[side] = max(newest, first + count - 1)

    def _is_alike(self) -> bool:
        last = min(self._newest)
        if last < _BINS:
            return False
        order = np.arange(last - _BINS + 1 + _LATEST_BINS, last + 1)
        mic = self._sides[1][order % _BINS]
        if float(np.percentile(mic, 90)) < _HEARD:
            return False
        mic = mic - mic.mean()
        for lag in range(_LATEST_BINS):
            voice = self._sides[0][(order - lag) % _BINS]
            if np.count_nonzero(voice > _LOUD) < _LEAST_LOUD:
                continue
            voice = voice - voice.mean()
            scale = float(np.sqrt(np.dot(mic, mic) * np.dot(voice, voice)))
            if scale > 0 and float(np.dot(mic, voice)) / scale > _LIKE:
                return True
        return False
