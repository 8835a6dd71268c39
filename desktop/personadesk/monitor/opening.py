"""Builds the monitor of a process: who keeps the history, what beats, and where alarms are told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.sample import Source
from personadesk.hosts import health
from personadesk.monitor.heartbeat import Heartbeat
from personadesk.monitor.history import History
from personadesk.monitor.marks import Marks
from personadesk.monitor.monitor import Monitor, Workers
from personadesk.monitor.sampler import SLOW_SECONDS
from personadesk.monitor.sharing import Following, Sharing
from personadesk.monitor.targets import MoneyLimits, Targets
from personadesk.monitor.webhook import SECRET, Webhook
from personadesk.store.history import HistoryStore
from personadesk.store.instance import history_lock
from personadesk.store.settings import WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from personadesk.domain.line import Line
    from personadesk.domain.sample import Sample
    from personadesk.hosts.servers import Servers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.monitor.targets import FleetView
    from personadesk.providers.accounts import Accounts
    from personadesk.store.history import GroupKey
    from personadesk.store.journal import Journal
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders
    from personadesk.store.secrets import Secrets
    from personadesk.store.settings import Settings
    from personadesk.store.wishes import WishStore
    from personadesk.voice.proof import Proofs


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the monitor needs of a process's services.

    Attributes:
        folders: Where files are.
        hosts: Machines that are reached by SSH.
        servers: The voice servers.
        accounts: The accounts at providers.
        journal: Knows what each deploy may cost.
        secrets: Has the webhook's address.
        settings: Tells whether there is one; asking the keyring may open a dialog.
        fleet: Returns what was last seen of rented machines.
        lines: Returns the lines.
        lasts: Whether this process is more than a command; a command would leave holes in a history.
        proofs: Calls voices.
        wishes: Has the guardian's log.
        budget: Returns the used share of a budget that is near, by a rented machine's tag.
    """

    folders: Folders
    hosts: Hosts
    servers: Servers
    accounts: Accounts
    journal: Journal
    secrets: Secrets
    settings: Settings
    fleet: Callable[[], FleetView]
    lines: Callable[[], tuple[Line, ...]]
    lasts: bool
    proofs: Proofs
    wishes: WishStore
    budget: Callable[[str], Awaitable[float | None]] | None = None


class SharedMonitor(Monitor):
    """One of several processes' monitors: one at a time keeps the history and samples, the others follow it."""

    def __init__(self, parts: Parts, history: History, lock: FileLock, every_s: float) -> None:
        super().__init__(_targets(parts), history, every_s=every_s)
        self._parts = parts
        self._lock = lock
        self._sharing: Sharing | None = None
        self._following: Following | None = None
        self._paces: dict[GroupKey, float] = {}

    @property
    def samples_itself(self) -> bool:
        """Whether this process samples, since it keeps the history or nobody does; see `Monitor`."""
        return self._following is None

    async def refresh(self) -> None:
        """Look again which machines there are, and who keeps the history; see `Monitor.refresh`."""
        if not self.history.writes and self._parts.lasts and await asyncio.to_thread(self._acquire):
            await self._keep()
        fresh = None
        if not self.history.writes and self._following is None:
            fresh = self._following = await Following.open(
                await asyncio.to_thread(self._lock.holder)
            )
        await super().refresh()
        if fresh is not None:
            self._begin("monitor following", self._follow_keeper(fresh))

    def take(self, key: GroupKey, sample: Sample) -> None:
        """Take a sample, and hand it to those who follow; see `Monitor.take`."""
        super().take(key, sample)
        if self._sharing is not None:
            self._sharing.tell(key, sample, self._seconds_between(key))

    async def close(self) -> None:
        """End everything; see `Monitor.close`."""
        if self._sharing is not None:
            await self._sharing.close()
        await super().close()
        if self._following is not None:
            await self._following.close()
        self._lock.release()

    def _acquire(self) -> bool:
        return self._lock.acquire()

    async def _keep(self) -> None:
        if self._following is not None:
            await self._following.close()
            self._following = None
        try:
            await self.history.store.end_gaps()
        except PersonaDeskError as error:
            log.warning("Gaps in the figures stay open: %s", error.what)
        self.take_over(await _workers(self._parts, self))
        sharing = Sharing(self._newest, self.look, self.leave)
        try:
            facts = await sharing.open()
        except OSError as error:
            log.warning("Figures are not shared with other processes: %s", error)
            return
        self._sharing = sharing
        self._lock.tell(**facts)

    async def _follow_keeper(self, keeper: Following) -> None:
        async for key, sample, pace in keeper.samples():
            self._paces[key] = pace
            self.take(key, sample)
        await keeper.close()
        if self._following is keeper:
            self._following = None
            for name in tuple(self.hosts):
                self._adjust(name)

    def _adjust(self, name: str) -> None:
        super()._adjust(name)
        if self._following is not None:
            self._following.look(each for each in self.hosts if self._looked_at(each))

    def _newest(self) -> Iterator[tuple[GroupKey, Sample, float]]:
        for state in self.hosts.values():
            for key, sample in state.samples.items():
                yield key, sample, self._seconds_between(key)

    def _seconds_between(self, key: GroupKey) -> float:
        pace_of = self._pace_of(key.host)
        if pace_of is None or key.source == Source.VOICE:
            return self.every_s
        return pace_of(key)

    def _pace_of(self, name: str) -> Callable[[GroupKey], float] | None:
        if self._following is None:
            return super()._pace_of(name)
        return lambda key: self._paces.get(key, self.every_s)


async def open_monitor(parts: Parts, every_s: float | None = None) -> Monitor:
    """Open the history and begin to sample.

    Args:
        parts: The process's services.
        every_s: Seconds between samples of what nobody looks at; None for the usual.

    Raises:
        PersonaDeskError: The history cannot be used.
    """
    store = HistoryStore(parts.folders.data / "history.db")
    await store.open()
    history = History(store, writes=False)
    lock = history_lock(parts.folders)
    monitor = SharedMonitor(parts, history, lock, every_s or SLOW_SECONDS)
    try:
        await monitor.start()
    except BaseException:
        await monitor.close()
        raise
    return monitor


def _targets(parts: Parts) -> Targets:
    async def limits(tag: str) -> MoneyLimits:
        record = await parts.journal.load(tag)
        rent = record.plan.rent if record is not None else None
        return MoneyLimits() if rent is None else MoneyLimits(rent.max_price, rent.spend_limit)

    return Targets(parts.hosts, parts.servers, parts.accounts, parts.fleet, limits, parts.budget)


async def _workers(parts: Parts, monitor: Monitor) -> Workers:
    """Return what only the process does that keeps the history, so that it is done once."""

    async def busy(server_id: str) -> bool:
        server = await parts.servers.store.get(server_id)
        found = await health.ask(server.url) if server is not None else None
        return found is None or health.is_busy(found.facts)

    marks = Marks(parts.journal, parts.wishes, parts.lines)
    heartbeat = Heartbeat(parts.lines, busy, parts.proofs, monitor.take_call)
    url = await parts.secrets.get(SECRET) if parts.settings.get(WEBHOOK) else None
    return Workers(heartbeat, Webhook(url) if url else None, marks)
