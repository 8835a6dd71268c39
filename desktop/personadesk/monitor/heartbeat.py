"""A real, short call every few minutes while nobody talks: whether the voice answers, and how soon, as a series."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from personadesk.domain.errors import NoCapacity, PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source, Value
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from personadesk.domain.line import Line
    from personadesk.voice.proof import Proof, Proofs

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300.0
TALKING = Absent(T("Somebody was talking, so no test call was made."))
NOT_TOLD = Absent(T("The voice did not tell it."))
_FIGURES: Final = (
    Metric.VOICE_CONNECT,
    Metric.VOICE_READY,
    Metric.VOICE_FIRST_SOUND,
    Metric.VOICE_ROUND_TRIP,
)


class Heartbeat:
    """Has every line's voice called in turn, and keeps what each call showed, whoever asked for it.

    Args:
        lines: Returns the lines.
        busy: Returns whether somebody talks to a server now, by its id.
        proofs: Makes the calls.
        take: Called with a server's id and the sample.
        clock: Unix time.
    """

    def __init__(
        self,
        lines: Callable[[], Sequence[Line]],
        busy: Callable[[str], Awaitable[bool]],
        proofs: Proofs,
        take: Callable[[str, Sample], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lines = lines
        self._busy = busy
        self._proofs = proofs
        self._take = take
        self._clock = clock
        proofs.subscribe(self._hear)

    async def run(self, every_s: float = EVERY_SECONDS) -> None:
        """Call on and on until cancelled; the first time after one pause."""
        while True:
            await asyncio.sleep(every_s)
            await self.beat()

    async def beat(self) -> None:
        """Have every line that is up called, unless it was heard lately."""
        for line in self._lines():
            if line.state is not LineState.UP or line.target is None:
                continue
            server = line.target.server_id
            if await self._busy(server):
                absent = (
                    Reading(each, server, TALKING) for each in (Metric.VOICE_ANSWERS, *_FIGURES)
                )
                self._tell(server, absent)
                continue
            try:
                await self._proofs.prove(line.target.url)
            except PersonaDeskError as error:
                log.info("The test call of %s showed no voice: %s", server, error.what)

    def _hear(self, url: str, proof: Proof) -> None:
        for line in self._lines():
            if line.target is not None and line.target.url == url:
                self._tell(line.target.server_id, _readings(line.target.server_id, proof))
                return

    def _tell(self, server: str, readings: Iterable[Reading]) -> None:
        self._take(server, Sample(self._clock(), Source.VOICE, tuple(readings)))


def _readings(server: str, proof: Proof) -> tuple[Reading, ...]:
    missing = NOT_TOLD if proof.error is None else Absent(proof.error.what)
    times = (proof.connect_s, proof.ready_s, proof.first_sound_s, proof.round_trip_s)

    def value(seconds: float | None) -> Value:
        return missing if seconds is None else seconds

    # A voice that is busy was not heard, and says nothing against it.
    answers = TALKING if isinstance(proof.error, NoCapacity) else float(proof.error is None)
    return (
        Reading(Metric.VOICE_ANSWERS, server, answers),
        *(Reading(metric, server, value(s)) for metric, s in zip(_FIGURES, times, strict=True)),
    )
