"""The small buffer before the loudspeaker: it hides an uneven network without letting lag grow.

It starts with a little in hand and, once dry, fills up again before it goes on. Sound is never stretched; when a
late burst leaves too much waiting, the oldest goes, because in a conversation old sound is worth less than
being in time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_SECONDS: Final = 0.1
"""One frame and a quarter: with exactly one, each frame would have to come before the last is played out."""
MOST_SECONDS: Final = 0.34
"""Three frames more than the start: a burst up to this is played out, beyond it the lag would stay."""


class JitterBuffer:
    """Sound between the network (`push`) and the loudspeaker (`pull`).

    Attributes:
        underruns: How often it ran dry in the middle of a call.
        dropped: Samples left out to catch up.
    """

    def __init__(self, rate: int, start: float = START_SECONDS, most: float = MOST_SECONDS) -> None:
        self.underruns = 0
        self.dropped = 0
        self._rate = rate
        self._start = round(start * rate)
        self._most = round(most * rate)
        self._pieces: list[NDArray[np.float32]] = []
        self._waiting = 0
        self._filling = True
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How much waits to be played."""
        return self._waiting / self._rate

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Add sound, float32 [n] at the loudspeaker's rate."""
        if not pcm.size:
            return
        with self._lock:
            self._pieces.append(pcm)
            self._waiting += len(pcm)
            if self._waiting > self._most:
                over = self._waiting - self._start
                self._take(over)
                self.dropped += over

    def pull(self, samples: int) -> NDArray[np.float32]:
        """Take exactly `samples`, float32 [samples]; silence while there is nothing to play."""
        out = np.zeros(samples, np.float32)
        with self._lock:
            if self._filling and self._waiting < self._start:
                return out
            self._filling = False
            got = self._take(min(samples, self._waiting))
            out[: len(got)] = got
            if len(got) < samples:
                self._filling = True
                self.underruns += 1
        return out

    def _take(self, samples: int) -> NDArray[np.float32]:
        taken, missing = [], samples
        while missing > 0:
            piece = self._pieces.pop(0)
            if len(piece) > missing:
                self._pieces.insert(0, piece[missing:])
                piece = piece[:missing]
            taken.append(piece)
            missing -= len(piece)
        self._waiting -= samples
        return np.concatenate(taken) if taken else np.zeros(0, np.float32)
