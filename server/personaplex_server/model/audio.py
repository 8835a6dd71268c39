"""Sound files in and out, and what is done to a clip before the codec hears it."""

from __future__ import annotations

import math
import struct
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
_RATES: Final = (1_000, 768_000)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class AudioError(ValueError):
    """A sound file that cannot be used; the text is a sentence for the person who gave it."""


def read_audio(path: Path) -> NDArray[np.float32]:
    """Return the first channel of a WAV file at 24 kHz: float32 [samples].

    PCM of 8 to 32 bits and floating point are read, of any rate and number of channels. A file that was cut short, or
    whose header does not know its length yet, is read as far as it goes.

    Raises:
        AudioError: Missing, no such file, empty, or with samples that are no numbers.
    """
    if not path.is_file():
        raise AudioError(f"The sound file {path} does not exist.")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise AudioError(f"The sound file {path.name} is larger than 2 GiB; use a shorter one.")
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"The sound file {path} cannot be read: {error.strerror}.") from error
    header, body = _chunks(data, path.name)
    samples, rate = _first_channel(header, body, path.name)
    if not len(samples):
        raise AudioError(f"The sound file {path.name} is empty; record it again.")
    if not np.isfinite(samples).all():
        raise AudioError(f"The sound file {path.name} holds samples that are not numbers.")
    return samples if rate == SAMPLE_RATE else _resample(samples, rate)


def _chunks(data: bytes, name: str) -> tuple[bytes, memoryview]:
    """Return the format chunk and the sound of a RIFF file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"{name} is not a WAV file; convert it first.")
    header: bytes | None = None
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = memoryview(data)[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            header = bytes(body)
        elif kind == b"data" and header is not None:
            return header, body
        at += 8 + size + size % 2
    raise AudioError(f"{name} is damaged: it holds no sound; record it again.")


def _first_channel(header: bytes, body: memoryview, name: str) -> tuple[NDArray[np.float32], int]:
    if len(header) < 16:
        raise AudioError(f"{name} is damaged: its header is too short.")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", header[:16])
    if kind == _EXTENSIBLE and len(header) >= 26:
        kind = int.from_bytes(header[24:26], "little")
    width = bits // 8
    if (
        not channels
        or not _RATES[0] <= rate <= _RATES[1]
        or block != channels * width
        or (kind, bits)
        not in ((_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64))
    ):
        raise AudioError(
            f"{name} is of an unknown kind ({kind}, {bits} bits, {rate} Hz); save it as 16-bit PCM."
        )
    raw = np.frombuffer(body, np.uint8)
    raw = raw[: len(raw) // block * block].reshape(-1, block)[:, :width]
    if kind == _FLOAT:
        return np.ascontiguousarray(raw).view(f"<f{width}")[:, 0].astype(np.float32), rate
    if width == 1:
        return (raw[:, 0].astype(np.float32) - 128.0) / 128.0, rate
    # Into the upper bytes of 32 bits, whatever the width.
    whole = np.zeros((len(raw), 4), np.uint8)
    whole[:, 4 - width :] = raw
    return (whole.view("<i4")[:, 0] / float(1 << 31)).astype(np.float32), rate


def _resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly  # type: ignore[import-untyped]  # ships no types

    common = math.gcd(rate, SAMPLE_RATE)
    wanted = max(round(len(samples) * SAMPLE_RATE / rate), 1)
    changed = resample_poly(samples.astype(np.float64), SAMPLE_RATE // common, rate // common)
    return np.asarray(changed[:wanted], np.float32)


def write_wav(path: Path, samples: NDArray[np.float32]) -> None:
    """Write `samples` [n] as 16-bit mono at 24 kHz; what exceeds full scale is clipped."""
    values = np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
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
