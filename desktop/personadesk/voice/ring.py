"""A ring of samples between a sound card's callback and our loop: one writes, one reads, neither ever waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Ring:
    """Samples on their way from one thread to another.

    The two counters only ever grow, and each is changed by one side alone; that is what makes a lock needless.

    Attributes:
        dropped: Samples that did not fit because the reader was too slow.
        wrote_at: When something was last written, by `time.perf_counter`.
        on_write: Called after each write, in the writer's thread; must return at once.
    """

    def __init__(self, samples: int) -> None:
        self.dropped = 0
        self.wrote_at = time.perf_counter()
        self.on_write: Callable[[], object] | None = None
        self._data = np.zeros(samples, np.float32)
        self._written = 0
        self._read = 0

    def __len__(self) -> int:
        """How many samples wait to be read."""
        return self._written - self._read

    def write(self, pcm: NDArray[np.float32]) -> None:
        """Add samples (float32 [n]); what does not fit is dropped and counted."""
        room = len(self._data) - len(self)
        taken = pcm[:room]
        self.dropped += len(pcm) - len(taken)
        at = self._written % len(self._data)
        first = min(len(taken), len(self._data) - at)
        self._data[at : at + first] = taken[:first]
        self._data[: len(taken) - first] = taken[first:]
        self._written += len(taken)
        self.wrote_at = time.perf_counter()
        if self.on_write is not None:
            self.on_write()

    def read(self, most: int | None = None) -> NDArray[np.float32]:
        """Take up to `most` samples (all there are by default), float32 [n]."""
        count = len(self) if most is None else min(most, len(self))
        at = self._read % len(self._data)
        first = min(count, len(self._data) - at)
        out = np.empty(count, np.float32)
        out[:first] = self._data[at : at + first]
        out[first:] = self._data[: count - first]
        self._read += count
        return out
