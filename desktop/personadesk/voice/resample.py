"""Turns sound of one rate into another while it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Resampler:
    """One direction of one call; keeps the filter's state between pieces."""

    def __init__(self, source: int, target: int) -> None:
        self._stream = None
        if source != target:
            import soxr

            # Measured: this quality holds back 20 ms of sound, the higher ones 38. It is 16 bit with a softer end of
            # the band, where speech has nothing to lose.
            self._stream = soxr.ResampleStream(source, target, 1, dtype="float32", quality="LQ")

    def feed(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sound that `pcm` (float32 [n]) completes; it may be a little less, then a little more."""
        if self._stream is None or not pcm.size:
            return pcm
        return np.asarray(self._stream.resample_chunk(pcm), np.float32)
