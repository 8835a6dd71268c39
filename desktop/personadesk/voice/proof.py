"""A real, short call that proves a voice: a few words are said, and sound must come back.

Whoever wants to know asks the same `Proofs`, so that a voice is not called twice for two who ask.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.voice.clips import Clip

log = logging.getLogger(__name__)

CLIP_SECONDS: Final = 1.2
"""Of the bundled question: a few words are enough to be answered with sound."""
AFTER_SECONDS: Final = 0.8
CONNECT_SECONDS: Final = 5.0
READY_SECONDS: Final = 30.0
"""A persona may have to be read first."""
HANGS_UP_SECONDS: Final = 3.0
"""A server may still count the call for so long."""
FRESH_SECONDS: Final = 240.0
"""A voice that was heard so lately need not be called again; one that was not is."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a call showed.

    Attributes:
        at: Unix time at which it ended.
        error: Why it did not come about or stayed silent; None when sound came back.
        connect_s: Seconds until the socket was open, None when it never was.
        ready_s: Seconds from there until the voice said that it is ready.
        first_sound_s: Seconds from the first word until the first frame of sound, be it a quiet one.
        round_trip_s: Of a ping on the call's own connection, None when the server answers none.
    """

    at: float
    error: PersonaDeskError | None = None
    connect_s: float | None = None
    ready_s: float | None = None
    first_sound_s: float | None = None
    round_trip_s: float | None = None


class Proofs:
    """Makes the calls, one at a time for each voice, and remembers the newest of each.

    A call of ours is no use of the voice: who counts idle minutes asks `is_calling`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Take what is needed.

        Args:
            clock: Unix time.
        """
        self._clock = clock
        self._newest: dict[str, Proof] = {}
        self._calls: dict[str, asyncio.Task[Proof]] = {}
        self._until: dict[str, float] = {}
        self._watchers: list[Callable[[str, Proof], None]] = []
        self._clip: Clip | None = None

    def subscribe(self, callback: Callable[[str, Proof], None]) -> None:
        """Call `callback(url, proof)` with what each call shows."""
        self._watchers.append(callback)

    def is_calling(self, url: str) -> bool:
        """Whether the call that an address has now is ours."""
        return time.monotonic() < self._until.get(url, 0.0)

    async def prove(self, url: str) -> None:
        """Call an address and hear whether the voice answers; one that was heard lately is not called again.

        Who asks while a call is on gets what that one shows.

        Raises:
            NoCapacity: It is busy: somebody talks to it.
            PersonaDeskError: Nobody answers, or no frame of sound came back.
        """
        if self._heard_lately(url):
            return
        task = self._calls.get(url)
        if task is None:
            task = self._calls[url] = asyncio.create_task(self._call(url), name="prove a voice")
            task.add_done_callback(lambda _: self._calls.pop(url, None))
        # One who gives up does not end the call of another.
        error = (await asyncio.shield(task)).error
        if error is not None:
            raise error

    async def close(self) -> None:
        """Hang up."""
        tasks = tuple(self._calls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _heard_lately(self, url: str) -> bool:
        newest = self._newest.get(url)
        if newest is None or newest.error is not None:
            return False
        return 0 <= self._clock() - newest.at < FRESH_SECONDS

    async def _call(self, url: str) -> Proof:
        # Loaded in a thread: the sound and WebSocket libraries take 0.1 s, which a window would feel.
        await asyncio.to_thread(_load)
        from personadesk.voice.test import run_voice_test

        if self._clip is None:
            self._clip = await asyncio.to_thread(_cut)
        self._until[url] = math.inf
        try:
            report, heard = await run_voice_test(
                url,
                clip=self._clip,
                seconds_after=AFTER_SECONDS,
                connect_timeout=CONNECT_SECONDS,
                handshake_timeout=READY_SECONDS,
            )
        except PersonaDeskError as error:
            proof = Proof(self._clock(), error)
        else:
            values = report.values
            sound = _seconds(values.get("first_audio_s"))
            proof = Proof(
                self._clock(), _silent() if sound is None else None,
                _seconds(values.get("connect_s")), _seconds(values.get("handshake_s")), sound,
                heard.round_trip_s,
            )  # fmt: skip
        finally:
            self._until[url] = time.monotonic() + HANGS_UP_SECONDS
        self._newest[url] = proof
        for watcher in tuple(self._watchers):
            watcher(url, proof)
        return proof


def _silent() -> Unreachable:
    return Unreachable(
        T("The voice sent no sound."), T("Restart the voice server."), cause="no_sound"
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _cut() -> Clip:
    from personadesk.voice import clips

    whole = clips.load()
    return clips.Clip(whole.pcm[: round(CLIP_SECONDS * clips.SAMPLE_RATE)], "heartbeat")


def _load() -> None:
    import websockets.asyncio.client

    from personadesk.voice import client, opus, test

    del websockets, client, opus, test
