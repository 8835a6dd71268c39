"""Where figures come from: a machine over its shared SSH connection, this computer, a voice server, a provider."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.hosts import computer_metrics, metrics
from personadesk.hosts.server_metrics import ServerMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.hosts.base import Host

    Take = Callable[[Sample], None]
    Tell = Callable[[PersonaDeskError | None], None]

PROVIDER_SECONDS = 15.0
PROVIDER_CALM_SECONDS = 60.0
"""Providers refuse who asks more often."""
NOT_TOLD_NOW = Absent(T("The provider does not tell it now."))


class Feed(Protocol):
    """One source of figures of one machine.

    Attributes:
        source: Who measures.
        origin: Which of several of that source; "" where there is one only.
    """

    source: Source
    origin: str

    def pace(self, every_s: float) -> float:
        """Return how many seconds will lie between samples when so many are asked for."""

    async def run(self, take: Take, tell: Tell, every_s: float) -> None:
        """Hand on samples until cancelled; it is called again when the pace changes.

        Args:
            take: Called with each sample.
            tell: Called with why there are none now, and with None when there are again.
            every_s: Seconds between samples.

        Raises:
            PersonaDeskError: There can be none now.
        """


class ComputerFeed:
    """This computer itself."""

    source = Source.HOST
    origin = ""

    def __init__(self, folder: str = "/") -> None:
        self._folder = folder

    def pace(self, every_s: float) -> float:
        """Return the pace asked for."""
        return every_s

    async def run(self, take: Take, tell: Tell, every_s: float) -> None:
        """Hand on samples; see `Feed.run`."""
        await computer_metrics.watch(take, folder=self._folder, every_s=every_s)


class HostFeed:
    """A machine by SSH, over the connection that everything else to it uses too."""

    source = Source.HOST
    origin = ""

    def __init__(self, reach: Callable[[], Awaitable[Host]], folder: str = "/") -> None:
        self._reach = reach
        self._folder = folder

    def pace(self, every_s: float) -> float:
        """Return the pace asked for."""
        return every_s

    async def run(self, take: Take, tell: Tell, every_s: float) -> None:
        """Hand on samples; see `Feed.run`."""
        host = await self._reach()
        await metrics.watch(host, take, folder=self._folder, every_s=every_s, on_trouble=tell)


class ServerFeed:
    """A voice server's own figures, through its tunnel where it is elsewhere.

    Its figures have the server's id as their part, since a machine may have several.
    """

    source = Source.SERVER

    def __init__(self, server_id: str, url: str) -> None:
        """Take the server.

        Args:
            server_id: Its id.
            url: Its address on loopback.

        Raises:
            ValueError: The address is none on loopback.
        """
        self.origin = server_id
        self._metrics = ServerMetrics(url)

    def pace(self, every_s: float) -> float:
        """Return the pace asked for."""
        return every_s

    async def run(self, take: Take, tell: Tell, every_s: float) -> None:
        """Hand on samples; see `Feed.run`."""
        try:
            while True:
                began = time.monotonic()
                sample = await self._metrics.read()
                took = time.monotonic() - began
                take(self._ours(sample, took * 1000))
                await asyncio.sleep(max(0.0, every_s - took))
        finally:
            await self._metrics.close()

    def _ours(self, sample: Sample, took_ms: float) -> Sample:
        readings = [
            replace(each, part=f"{self.origin}/{each.part}" if each.part else self.origin)
            if each.metric.startswith("server.")
            else each
            for each in sample.readings
        ]
        sessions = sample.value(Metric.SERVER_SESSIONS)
        answer = sessions if isinstance(sessions, Absent) else took_ms
        readings.append(Reading(Metric.SERVER_ANSWER, self.origin, answer))
        return replace(sample, readings=tuple(readings))


class ProviderFeed:
    """What a provider's API tells of a machine, and what the machine costs."""

    source = Source.PROVIDER
    origin = ""

    def __init__(
        self,
        money: Callable[[], Sequence[Reading]],
        figures: Callable[[], Awaitable[Sequence[Reading]]] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the ways to ask.

        Args:
            money: Returns price and cost as they are known here.
            figures: Asks the provider's API; None where it has no figures.
            clock: Unix time.
        """
        self._money = money
        self._figures = figures
        self._clock = clock
        self._names: dict[tuple[Metric, str], None] = {(Metric.GPU_USE, "0"): None}

    def pace(self, every_s: float) -> float:
        """Return what the provider likes."""
        return PROVIDER_SECONDS if every_s < PROVIDER_SECONDS / 3 else PROVIDER_CALM_SECONDS

    async def run(self, take: Take, tell: Tell, every_s: float) -> None:
        """Hand on samples; see `Feed.run`."""
        while True:
            # What it costs is known here, whether the provider answers or not.
            readings = (*self._money(), *await self._asked())
            take(Sample(self._clock(), Source.PROVIDER, readings))
            await asyncio.sleep(self.pace(every_s))

    async def _asked(self) -> tuple[Reading, ...]:
        """Return the provider's figures; those that it told before, or should tell, with why they are missing."""
        if self._figures is None:
            return ()
        missing = NOT_TOLD_NOW
        told: tuple[Reading, ...] = ()
        try:
            told = tuple(await self._figures())
        except PersonaDeskError as error:
            missing = Absent(error.what)
        names = {(each.metric, each.part): None for each in told}
        self._names |= names
        absent = (Reading(*name, missing) for name in self._names if name not in names)
        return (*told, *absent)
