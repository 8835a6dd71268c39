"""Builds the monitor of a process: who keeps the history, what beats, and where alarms are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from personadesk.hosts import health
from personadesk.monitor.heartbeat import Heartbeat
from personadesk.monitor.history import History
from personadesk.monitor.monitor import Monitor, Workers
from personadesk.monitor.sampler import SLOW_SECONDS
from personadesk.monitor.targets import Targets
from personadesk.monitor.webhook import SECRET, Webhook
from personadesk.store.history import HistoryStore
from personadesk.store.instance import history_lock
from personadesk.store.settings import WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.line import Line
    from personadesk.hosts.servers import Servers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.monitor.targets import FleetView
    from personadesk.providers.accounts import Accounts
    from personadesk.store.journal import Journal
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders
    from personadesk.store.secrets import Secrets
    from personadesk.store.settings import Settings


class TellsCalls(Protocol):
    """Whoever counts idle minutes.

    Attributes:
        own_call: Tells whether the call that a server has now is ours.
    """

    own_call: Callable[[str], bool]


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
        limits: Is told which calls are ours.
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
    limits: TellsCalls
    budget: Callable[[str], Awaitable[float | None]] | None = None


class SharedMonitor(Monitor):
    """One of several processes' monitors, of which one at a time keeps the history."""

    def __init__(self, parts: Parts, history: History, lock: FileLock, every_s: float) -> None:
        super().__init__(_targets(parts), history, every_s=every_s)
        self._parts = parts
        self._lock = lock

    async def refresh(self) -> None:
        """Look again which machines there are, and keep the history when nobody else does; see `Monitor.refresh`."""
        if not self.history.writes and self._parts.lasts and await asyncio.to_thread(self._acquire):
            self.take_over(await _workers(self._parts, self))
        await super().refresh()

    async def close(self) -> None:
        """End everything; see `Monitor.close`."""
        await super().close()
        self._lock.release()

    def _acquire(self) -> bool:
        return self._lock.acquire()


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
        await monitor.start(Workers(lines=parts.lines))
    except BaseException:
        await monitor.close()
        raise
    return monitor


def _targets(parts: Parts) -> Targets:
    async def limit(tag: str) -> float | None:
        record = await parts.journal.load(tag)
        rent = record.plan.rent if record is not None else None
        return rent.spend_limit if rent is not None else None

    return Targets(parts.hosts, parts.servers, parts.accounts, parts.fleet, limit, parts.budget)


async def _workers(parts: Parts, monitor: Monitor) -> Workers:
    """Return what only the process does that keeps the history, so that it is done once."""

    async def busy(server_id: str) -> bool:
        server = await parts.servers.store.get(server_id)
        found = await health.ask(server.url) if server is not None else None
        return found is None or health.is_busy(found.facts)

    heartbeat = Heartbeat(parts.lines, busy, monitor.take_call)
    parts.limits.own_call = heartbeat.is_calling
    url = await parts.secrets.get(SECRET) if parts.settings.get(WEBHOOK) else None
    return Workers(heartbeat, Webhook(url) if url else None, parts.lines)
