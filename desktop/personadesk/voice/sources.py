"""Cuts a clip into the packets of a call: 40 ms of sound at 24 kHz each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personadesk.voice import clips
from personadesk.voice.opus import PACKET_SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def clip_packets(path: Path | None) -> list[NDArray[np.float32]]:
    """Return a clip as packets of 40 ms, the last filled with silence."""
    return packets(clips.read_wav(clips.bundled() if path is None else path))


def packets(pcm: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Cut sound, float32 [n] at 24 kHz, into packets of 40 ms, the last filled with silence."""
    count = -(-len(pcm) // PACKET_SAMPLES)
    padded = np.zeros(count * PACKET_SAMPLES, np.float32)
    padded[: len(pcm)] = pcm
    return list(padded.reshape(count, PACKET_SAMPLES))
