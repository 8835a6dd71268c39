"""Callers for the benchmark, in a process of their own: `python -m personaplex_server.bench.callers URL CALLS SECONDS`.

They cost little, so that what is measured is the server: everybody says the same sound, encoded once, and what
is heard is timed, not decoded. One JSON object is printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final

import numpy as np
import websockets

from personaplex_server.opus import OpusWriter
from personaplex_server.protocol import FRAME_SAMPLES, FRAME_SECONDS, Kind

RAMP_S: Final = 2.0
"""Talk that is not counted: everybody has to be there first."""


def _messages(count: int) -> list[bytes]:
    writer = OpusWriter()
    noise = np.random.default_rng(1).standard_normal((count, FRAME_SAMPLES))
    sound = (0.1 * noise).astype(np.float32)
    return [bytes([Kind.AUDIO]) + writer.encode(frame) for frame in sound]


async def _call(
    url: str, messages: list[bytes], phase: float, began: asyncio.Barrier
) -> list[float]:
    """Hold a call; return for each answer after the ramp how long it took from its frame's sending, in seconds."""
    sent: list[float] = []
    heard: list[float] = []
    async with websockets.connect(url, proxy=None, max_size=None, compression=None) as ws:

        async def listen() -> None:
            while True:
                data = await ws.recv()
                if data[0] == Kind.AUDIO:
                    heard.append(time.monotonic())

        while (await ws.recv())[0] != Kind.HANDSHAKE:
            continue
        await began.wait()
        listening = asyncio.create_task(listen())
        due = time.monotonic() + phase
        for message in messages:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent.append(time.monotonic())
            await ws.send(message)
            due += FRAME_SECONDS
        # What is still on its way belongs to the frames that are left out.
        await asyncio.sleep(2 * FRAME_SECONDS)
        listening.cancel()
    ramp = round(RAMP_S / FRAME_SECONDS)
    return [there - here for here, there in zip(sent, heard, strict=False)][ramp:]


async def _main(url: str, calls: int, seconds: float) -> dict[str, float]:
    messages = _messages(round((RAMP_S + seconds) / FRAME_SECONDS))
    began = asyncio.Barrier(calls)
    taken = await asyncio.gather(
        *(_call(url, messages, FRAME_SECONDS * number / calls, began) for number in range(calls))
    )
    every = np.array([each for call in taken for each in call])
    wanted = calls * (len(messages) - round(RAMP_S / FRAME_SECONDS))
    return {
        "answered": len(every) / wanted,
        "delay_p50_ms": 1000 * float(np.quantile(every, 0.5)) if len(every) else -1.0,
        "delay_p99_ms": 1000 * float(np.quantile(every, 0.99)) if len(every) else -1.0,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
