"""Loudness in numbers: levels in dBFS, and peaks for drawing a waveform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE: Final = 24_000
PEAK_SECONDS: Final = 0.04
"""Time that one bar of a waveform stands for."""
PEAK_SAMPLES: Final = int(SAMPLE_RATE * PEAK_SECONDS)

SILENCE_DBFS: Final = -50.0
"""Below this a person hears nothing at a comfortable volume; room noise of a headset lies near -60."""
FLOOR_DBFS: Final = -96.0
"""What digital silence is called, so that no figure is infinite."""


def dbfs(pcm: NDArray[np.float32]) -> float:
    """Return the level (root mean square; a full-scale sine is -3) of samples in -1..1; at least `FLOOR_DBFS`."""
    if not pcm.size:
        return FLOOR_DBFS
    mean = float(np.mean(np.square(pcm, dtype=np.float64)))
    return max(FLOOR_DBFS, 10.0 * float(np.log10(mean))) if mean > 0 else FLOOR_DBFS


def window_levels(pcm: NDArray[np.float32], samples: int = PEAK_SAMPLES) -> NDArray[np.float64]:
    """Return the level of each window of `samples`, dBFS; a shorter rest at the end is left out."""
    count = len(pcm) // samples
    if not count:
        return np.zeros(0)
    power = np.mean(np.square(pcm[: count * samples].reshape(count, samples), dtype=np.float64), 1)
    with np.errstate(divide="ignore"):
        loudness: NDArray[np.float64] = np.maximum(FLOOR_DBFS, 10.0 * np.log10(power))
    return loudness


def peaks(pcm: NDArray[np.float32], samples: int = PEAK_SAMPLES) -> tuple[float, ...]:
    """Return the largest absolute value, 0..1, of each window of `samples`; the last may be shorter."""
    if not pcm.size:
        return ()
    count = -(-len(pcm) // samples)
    padded = np.zeros(count * samples, np.float32)
    padded[: len(pcm)] = np.abs(pcm)
    tops = np.minimum(padded.reshape(count, samples).max(axis=1), 1.0)
    return tuple(round(float(top), 4) for top in tops)
