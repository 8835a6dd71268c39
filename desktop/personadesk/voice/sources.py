"""Where the packets of a call come from: a clip, a clock, or a microphone; each is 40 ms of sound at 24 kHz."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.voice import clips
from personadesk.voice.opus import PACKET_SAMPLES, PACKET_SECONDS
from personadesk.voice.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from numpy.typing import NDArray

    from personadesk.voice.ring import Ring

_NO_SOUND_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.01
_BACKLOG_PACKETS: Final = 10


def clip_packets(path: Path | None) -> list[NDArray[np.float32]]:
    """Return a clip as packets of 40 ms, the last filled with silence."""
    return packets(clips.read_wav(clips.bundled() if path is None else path))


def packets(pcm: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Cut sound, float32 [n] at 24 kHz, into packets of 40 ms, the last filled with silence."""
    count = -(-len(pcm) // PACKET_SAMPLES)
    padded = np.zeros(count * PACKET_SAMPLES, np.float32)
    padded[: len(pcm)] = pcm
    return list(padded.reshape(count, PACKET_SAMPLES))


async def clock_packets() -> AsyncGenerator[NDArray[np.float32], None]:
    """Yield silence by our own clock: where there is no microphone, somebody has to keep time."""
    silence = np.zeros(PACKET_SAMPLES, np.float32)
    due = time.perf_counter()
    while True:
        yield silence
        due += PACKET_SECONDS
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)


async def microphone_packets(ring: Ring, rate: int) -> AsyncGenerator[NDArray[np.float32], None]:
    """Yield what the microphone hears; when sending lags behind, the oldest is left out."""
    resampler = Resampler(rate, clips.SAMPLE_RATE)
    pending = np.zeros(0, np.float32)
    heard = time.perf_counter()
    while True:
        fresh = ring.read()
        if fresh.size:
            heard = time.perf_counter()
            pending = np.concatenate([pending, resampler.feed(fresh)])
            pending = pending[-_BACKLOG_PACKETS * PACKET_SAMPLES :]
        elif time.perf_counter() - heard > _NO_SOUND_SECONDS:
            raise BadRequest(
                T("The microphone gives no sound."),
                T(
                    "See whether it was unplugged or switched off, and whether this program may use it."
                ),
                cause="sound",
            )
        while len(pending) >= PACKET_SAMPLES:
            yield pending[:PACKET_SAMPLES]
            pending = pending[PACKET_SAMPLES:]
        await asyncio.sleep(_POLL_SECONDS)
