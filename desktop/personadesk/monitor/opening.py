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

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.line import Line
    from personadesk.hosts.servers import Servers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.monitor.targets import FleetView
    from personadesk.providers.accounts import Accounts
    from personadesk.store.journal import Journal
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders
    from personadesk.store.secrets import Secrets


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
        fleet: Returns what was last seen of rented machines.
        lines: Returns the lines.
        serving: Whether this process serves the lines, and so is one that lasts.
        limits: Is told which calls are ours.
    """

    folders: Folders
    hosts: Hosts
    servers: Servers
    accounts: Accounts
    journal: Journal
    secrets: Secrets
    fleet: Callable[[], FleetView]
    lines: Callable[[], tuple[Line, ...]]
    serving: bool
    limits: TellsCalls


class KeptMonitor(Monitor):
    """A monitor that gives the history's lock back when it is closed."""

    lock: FileLock

    async def close(self) -> None:
        """End everything; see `Monitor.close`."""
        await super().close()
        self.lock.release()


async def open_monitor(parts: Parts, every_s: float | None = None) -> Monitor:
    """Open the history and begin to sample.

    Args:
        parts: The process's services.
        every_s: Seconds between samples of what nobody looks at; None for the usual.

    Raises:
        PersonaDeskError: The history cannot be used.
    """
    lock = history_lock(parts.folders)
    # Who serves the lines is the one that lasts; a command is gone in a moment, and shall not leave holes.
    keeps = parts.serving and await asyncio.to_thread(lock.acquire)
    store = HistoryStore(parts.folders.data / "history.db")
    try:
        await store.open()
        monitor = KeptMonitor(
            _targets(parts), History(store, writes=keeps), every_s=every_s or SLOW_SECONDS
        )
        monitor.lock = lock
        await monitor.start(await _workers(parts, monitor, keeps=keeps))
    except BaseException:
        await store.close()
        lock.release()
        raise
    return monitor


def _targets(parts: Parts) -> Targets:
    async def limit(tag: str) -> float | None:
        record = await parts.journal.load(tag)
        rent = record.plan.rent if record is not None else None
        return rent.spend_limit if rent is not None else None

    return Targets(parts.hosts, parts.servers, parts.accounts, parts.fleet, limit)


async def _workers(parts: Parts, monitor: Monitor, *, keeps: bool) -> Workers:
    """Return what only the process does that keeps the history, so that it is done once."""
    if not keeps:
        return Workers(lines=parts.lines)

    async def busy(server_id: str) -> bool:
        server = await parts.servers.store.get(server_id)
        found = await health.ask(server.url) if server is not None else None
        return found is None or health.is_busy(found.facts)

    heartbeat = Heartbeat(parts.lines, busy, monitor.take_call)
    parts.limits.own_call = heartbeat.is_calling
    url = await parts.secrets.get(SECRET)
    return Workers(heartbeat, Webhook(url) if url else None, parts.lines)
