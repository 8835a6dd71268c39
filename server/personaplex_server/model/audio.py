"""Sound files in and out, and what is done to a clip before the codec hears it."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Final

import numpy as np

from .config import FRAME_SAMPLES, SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VOICE_LUFS: Final = -24.0
"""Loudness (ITU-R BS.1770) of every voice clip."""
SHORTEST_VOICE: Final = 0.4
"""Seconds; loudness cannot be measured on less."""
_FULL_SCALE: Final = 32_767.0
_MAX_BYTES: Final = 1 << 31


class AudioError(ValueError):
    """A sound file that cannot be used; the text is a sentence for the person who gave it."""


def read_audio(path: Path) -> NDArray[np.float32]:
    """Return the first channel of a sound file at 24 kHz: float32 [samples].

    Raises:
        AudioError: Missing, unreadable, empty, or with samples that are no numbers.
    """
    import sphn

    try:
        size = path.stat().st_size
    except OSError as error:
        raise AudioError(f"The sound file {path} cannot be opened ({error.strerror}).") from error
    if not path.is_file():
        raise AudioError(f"{path} is not a sound file.")
    if size > _MAX_BYTES:
        raise AudioError(f"The sound file {path.name} is larger than 2 GiB; use a shorter one.")
    try:
        channels, rate = sphn.read(str(path))
    except (ValueError, OSError, RuntimeError) as error:
        raise AudioError(
            f"{path.name} cannot be read as sound ({error}); give a WAV file."
        ) from error
    samples = (
        np.ascontiguousarray(channels[0], np.float32) if len(channels) else np.empty(0, np.float32)
    )
    if not len(samples):
        raise AudioError(f"The sound file {path.name} is empty; record it again.")
    if not np.isfinite(samples).all():
        raise AudioError(f"The sound file {path.name} holds samples that are not numbers.")
    if rate != SAMPLE_RATE:
        samples = sphn.resample(samples, src_sample_rate=rate, dst_sample_rate=SAMPLE_RATE)
    return np.ascontiguousarray(samples, np.float32)


def write_wav(path: Path, samples: NDArray[np.float32]) -> None:
    """Write `samples` [n] as 16-bit mono at 24 kHz; what exceeds full scale is clipped."""
    values = np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(values.tobytes())


def level(samples: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return a voice clip at the loudness that the model expects.

    Args:
        samples: float32 [n] at 24 kHz.
        name: How errors call the clip.

    Raises:
        AudioError: The clip is too short or silent.
    """
    import pyloudnorm

    if len(samples) < SHORTEST_VOICE * SAMPLE_RATE:
        raise AudioError(
            f"The voice {name} is shorter than {SHORTEST_VOICE} seconds; about 10 seconds are best."
        )
    loudness = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples)
    if not np.isfinite(loudness):
        raise AudioError(f"The voice {name} is silent; record it again, closer to the microphone.")
    # Not pyloudnorm's own normalising, which warns about clipping on its way; the product is the same.
    gain = np.float64(10.0) ** ((VOICE_LUFS - loudness) / 20.0)
    return np.asarray(samples * gain, np.float32)


def frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `samples` [n] cut into frames, the last one filled up with zeros: [frames, 1920]."""
    count = -(-len(samples) // FRAME_SAMPLES)
    padded = np.zeros(count * FRAME_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    return padded.reshape(count, FRAME_SAMPLES)
