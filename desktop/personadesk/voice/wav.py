"""Reads and writes WAV files, every sane kind: 8 to 32 bit, float, any number of channels.

The standard library's reader knows no float files and gives up on lengths that a recorder never filled in; both
are common among clips that people have at hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HEADER_BYTES: Final = 44
"""Before the samples of the files that are written here."""
_PCM: Final = 1
_FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
_KINDS: Final = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}


class WavError(ValueError):
    """Not a WAV file that can be read; the text says why, in a few words for the details."""


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a file says about itself.

    Attributes:
        rate: Samples per second.
        channels: How many.
        bits: Of one sample.
        is_float: Whether samples are floating point.
        start: Offset of the first sample in the file.
        frames: Samples in each channel that are really there.
    """

    rate: int
    channels: int
    bits: int
    is_float: bool
    start: int
    frames: int

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames / self.rate


def read_header(file: BinaryIO) -> WavHeader:
    """Read what a WAV file is, without its samples.

    Raises:
        WavError: It is no WAV file, or of a kind that nobody uses for speech.
    """
    size = file.seek(0, 2)
    file.seek(0)
    riff = file.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise WavError("it does not begin with RIFF and WAVE")
    form: tuple[int, int, int, int] | None = None
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise WavError("it has no data" if form else "it does not say its format")
        name, length = head[:4], int.from_bytes(head[4:], "little")
        start = file.tell()
        if name == b"fmt ":
            form = _format(file.read(min(length, 64)))
        elif name == b"data":
            break
        file.seek(start + length + length % 2)
    if form is None:
        raise WavError("its data come before its format")
    kind, channels, rate, bits = form
    there = size - start
    length = there if length in _UNKNOWN_SIZES else min(length, there)
    return WavHeader(rate, channels, bits, kind == _FLOAT, start, length // (channels * bits // 8))


def read_samples(file: BinaryIO, header: WavHeader) -> NDArray[np.float32]:
    """Return the samples, float32 [frames, channels] within -1..1; not-a-number becomes silence."""
    file.seek(header.start)
    raw = file.read(header.frames * header.channels * header.bits // 8)
    if header.is_float:
        flat = np.frombuffer(raw, dtype=f"<f{header.bits // 8}").astype(np.float32)
        flat = np.clip(np.nan_to_num(flat, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    elif header.bits == 8:
        flat = (np.frombuffer(raw, np.uint8).astype(np.float32) - 128.0) / 128.0
    elif header.bits == 24:
        octets = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(octets), 4), np.uint8)
        wide[:, 1:] = octets
        flat = wide.reshape(-1).view("<i4").astype(np.float32) / 2147483648.0
    else:
        whole = np.frombuffer(raw, dtype=f"<i{header.bits // 8}")
        flat = whole.astype(np.float32) / float(1 << (header.bits - 1))
    return flat.reshape(-1, header.channels)


def write_wav(path: Path, samples: NDArray[np.float32], rate: int = 24_000) -> None:
    """Write 16-bit PCM.

    Args:
        path: The file; overwritten.
        samples: float32 [frames] or [frames, channels] in -1..1; louder is cut off.
        rate: Samples per second.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = to_pcm16(samples)
    path.write_bytes(header(len(data), rate, channels) + data)


def header(size: int, rate: int, channels: int) -> bytes:
    """Return the `HEADER_BYTES` before `size` bytes of 16-bit PCM."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, channels,
        rate, rate * channels * 2, channels * 2, 16, b"data", size,
    )  # fmt: skip


def to_pcm16(samples: NDArray[np.float32]) -> bytes:
    """Return float32 samples of any shape as 16-bit PCM, the last axis fastest; louder than 1 is cut off."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def _format(chunk: bytes) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise WavError("its format is cut short")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = int.from_bytes(chunk[24:26], "little")
    if (kind, bits) not in _KINDS:
        raise WavError(
            f"its samples are packed in a way that is not read here ({kind}, {bits} bit)"
        )
    if not 1 <= channels <= 8 or not rate:
        raise WavError(f"it has {channels} channels at {rate} samples per second")
    return kind, channels, rate, bits
