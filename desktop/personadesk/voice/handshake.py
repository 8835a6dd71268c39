"""The shortest proof that a voice takes calls: call, wait until it says that it is ready, hang up."""

from __future__ import annotations

import asyncio

CONNECT_SECONDS = 5.0
PROOF_SECONDS = 30.0
"""A persona may have to be read first."""


async def shake_hands(url: str) -> None:
    """Call an address and hang up once the voice says that it is ready.

    Raises:
        NoCapacity: It is busy: somebody talks to it.
        PersonaDeskError: Nobody answers, or not as a voice does.
    """
    # Loaded in a thread: the sound and WebSocket libraries take 0.1 s, which a window would feel.
    await asyncio.to_thread(_load)
    from personadesk.voice.client import VoiceClient

    async with VoiceClient.connect(url, timeout=CONNECT_SECONDS) as call:
        await call.handshake(PROOF_SECONDS)


def _load() -> None:
    import websockets.asyncio.client

    from personadesk.voice import client, opus

    del websockets, client, opus
