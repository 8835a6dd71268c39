"""A real, short call every few minutes while nobody talks: whether the voice answers, and how soon, as a series."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Final

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source, Value
from personadesk.domain.text import T
from personadesk.voice.test import run_voice_test

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.domain.line import Line
    from personadesk.voice.clips import Clip

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300.0
CLIP_SECONDS: Final = 1.2
"""Of the bundled question: a few words are enough to be answered with sound."""
AFTER_SECONDS: Final = 0.8
CONNECT_SECONDS: Final = 5.0
READY_SECONDS: Final = 30.0
HANGS_UP_SECONDS: Final = 3.0
"""A server may still count the call for so long."""
TALKING = Absent(T("Somebody was talking, so no test call was made."))
NO_SOUND = Absent(T("The voice sent no sound."))
_FIGURES: Final = {
    Metric.VOICE_CONNECT: "connect_s",
    Metric.VOICE_READY: "handshake_s",
    Metric.VOICE_FIRST_SOUND: "first_audio_s",
}


class Heartbeat:
    """Calls every line's voice in turn.

    A call of ours is no use of the voice: who counts idle minutes asks `is_calling`.

    Args:
        lines: Returns the lines.
        busy: Returns whether somebody talks to a server now, by its id.
        take: Called with a server's id and the sample.
        clock: Unix time.
    """

    def __init__(
        self,
        lines: Callable[[], Sequence[Line]],
        busy: Callable[[str], Awaitable[bool]],
        take: Callable[[str, Sample], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lines = lines
        self._busy = busy
        self._take = take
        self._clock = clock
        self._calling = ""
        self._until = 0.0
        self._clip: Clip | None = None

    def is_calling(self, server_id: str) -> bool:
        """Whether the call that a server has now is ours."""
        return server_id == self._calling and time.monotonic() < self._until

    async def run(self, every_s: float = EVERY_SECONDS) -> None:
        """Call on and on until cancelled; the first time after one pause."""
        while True:
            await asyncio.sleep(every_s)
            await self.beat()

    async def beat(self) -> None:
        """Call every line that is up once."""
        for line in self._lines():
            if line.state is not LineState.UP or line.target is None:
                continue
            server = line.target.server_id
            if await self._busy(server):
                readings = tuple(Reading(metric, server, TALKING) for metric in _ALL)
            else:
                readings = await self._call(line.url, server)
            self._take(server, Sample(self._clock(), Source.VOICE, readings))

    async def _call(self, url: str, server: str) -> tuple[Reading, ...]:
        self._calling, self._until = server, math.inf
        try:
            report, _ = await run_voice_test(
                url,
                clip=await self._short_clip(),
                seconds_after=AFTER_SECONDS,
                connect_timeout=CONNECT_SECONDS,
                handshake_timeout=READY_SECONDS,
            )
        except PersonaDeskError as error:
            log.info("The test call of %s did not come about: %s", server, error.what)
            absent = Absent(error.what)
            return (
                Reading(Metric.VOICE_ANSWERS, server, 0.0),
                *(Reading(metric, server, absent) for metric in _FIGURES),
            )
        finally:
            self._until = time.monotonic() + HANGS_UP_SECONDS
        heard = report.values.get("first_audio_s") is not None
        return (
            Reading(Metric.VOICE_ANSWERS, server, float(heard)),
            *(
                Reading(metric, server, _number(report.values.get(key)))
                for metric, key in _FIGURES.items()
            ),
        )

    async def _short_clip(self) -> Clip:
        if self._clip is None:
            self._clip = await asyncio.to_thread(_cut)
        return self._clip


_ALL: Final = (Metric.VOICE_ANSWERS, *_FIGURES)


def _cut() -> Clip:
    from personadesk.voice import clips

    whole = clips.load()
    return clips.Clip(whole.pcm[: round(CLIP_SECONDS * clips.SAMPLE_RATE)], "heartbeat")


def _number(value: object) -> Value:
    return float(value) if isinstance(value, int | float) else NO_SOUND
