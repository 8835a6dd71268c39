"""Serves the addresses of all lines, and keeps what is known of them true.

One process does this at a time, told by a lock: the window, a command that is at it, or `personadesk line serve`
in the background. The others read and write the store; the keeper follows it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.text import NOTHING, T
from personadesk.hosts import local
from personadesk.lines import truth
from personadesk.lines.threads import LoopThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType

    from personadesk.domain.access import Access
    from personadesk.domain.line import Line
    from personadesk.hosts.servers import Servers
    from personadesk.lines.door import Door
    from personadesk.lines.gateway import Gateway
    from personadesk.store.lines import LineStore

log = logging.getLogger(__name__)

DOOR_SECONDS = 30.0
"""How often a port that could not be had, or a keyring that was locked, is tried again."""
MISSES = 2
"""A busy computer may be late with one answer; a server that misses two is not there."""


class LineKeeper:
    """The gateways of this process; holding the lock is the caller's business."""

    def __init__(
        self,
        store: LineStore,
        servers: Servers,
        door: Callable[[str, Access], Awaitable[Door]] | None = None,
    ) -> None:
        self._store = store
        self._servers = servers
        self._thread: LoopThread | None = None
        self._gateways: dict[str, Gateway] = {}
        self._misses: dict[str, int] = {}
        self._held: dict[str, str] = {}
        self._door = door
        self._opened: dict[str, tuple[Access | None, float]] = {}

    @property
    def ports(self) -> frozenset[int]:
        """Ports that are served now."""
        return frozenset(gateway.line.port for gateway in self._gateways.values())

    @property
    def calls(self) -> int:
        """Calls that go through now."""
        return sum(gateway.calls for gateway in self._gateways.values())

    def calls_of(self, name: str) -> int:
        """Return the calls of a line that go through now."""
        gateway = self._gateways.get(name)
        return gateway.calls if gateway is not None else 0

    def mute(self, name: str) -> bool:
        """Whether somebody talks to a line whose voice says nothing."""
        gateway = self._gateways.get(name)
        return gateway is not None and gateway.mute

    def waiting(self, name: str) -> int:
        """Return the callers of a line who are held."""
        gateway = self._gateways.get(name)
        return gateway.waiting if gateway is not None else 0

    def holds(self, name: str) -> bool:
        """Whether callers of a line wait while it is not up."""
        return name in self._held

    def hold(self, name: str, reason: str | None) -> None:
        """Let a line's callers wait while it is not up, and tell them why; None refuses them at once."""
        if reason is None:
            self._held.pop(name, None)
        else:
            self._held[name] = reason
        gateway = self._gateways.get(name)
        if gateway is not None:
            gateway.hold = reason

    def tell_progress(self, found: Mapping[str, Mapping[str, object] | None]) -> None:
        """Say how far the deploys are that bring voices, by line, for callers who wait."""
        for name, gateway in self._gateways.items():
            gateway.progress = found.get(name)

    async def follow(self, lines: tuple[Line, ...]) -> dict[str, PersonaDeskError]:
        """Make the gateways match the lines; return why some could not be opened, by name."""
        wanted = {line.name: line for line in lines}
        for name, gateway in tuple(self._gateways.items()):
            line = wanted.get(name)
            if line is None or line.port != gateway.line.port:
                await self._on_thread().run(gateway.stop())
                del self._gateways[name]
                self._opened.pop(name, None)
            else:
                gateway.line = line
        failures = {}
        for name, line in wanted.items():
            if name not in self._gateways:
                failure = await self._open(line)
                if failure is not None:
                    failures[name] = failure
        return failures

    def introduce(self, personas: Mapping[str, str]) -> None:
        """Say who the lines are, by line, for callers who name no persona."""
        for name, gateway in self._gateways.items():
            gateway.persona = personas.get(name, "")

    async def open_doors(self, accesses: Mapping[str, Access]) -> None:
        """Let other computers reach the lines that they shall reach, and no others."""
        for name, gateway in self._gateways.items():
            access = accesses.get(name)
            opened, at = self._opened.get(name, (None, 0.0))
            failed = bool(gateway.outside_fault)
            if access == opened and not (failed and time.monotonic() - at > DOOR_SECONDS):
                continue
            self._opened[name] = (access, time.monotonic())
            await self._open_door(gateway, access)

    async def _open_door(self, gateway: Gateway, access: Access | None) -> None:
        name = gateway.line.name
        gateway.outside_fault = NOTHING
        await self._on_thread().run(gateway.close_outside())
        if access is None or self._door is None:
            return
        try:
            door = await self._door(name, access)
            await self._on_thread().run(gateway.open_outside(door))
        except PersonaDeskError as error:
            gateway.outside_fault = error.what
        except OSError as error:
            await self._on_thread().run(gateway.close_outside())
            gateway.outside_fault = T(
                "Port {port} of {bind} cannot be had: {reason}",
                port=str(access.port), bind=access.bind, reason=error.strerror or str(error),
            )  # fmt: skip
        else:
            log.info("Other computers reach the line %s at port %d", name, access.port)
            return
        log.warning("Other computers do not reach the line %s: %s", name, gateway.outside_fault)

    async def check(self, lines: tuple[Line, ...]) -> bool:
        """Find out how every line stands and write down what changed; return whether anything did."""
        changed = await asyncio.gather(*(self._check(line) for line in lines))
        return any(changed)

    async def stop(self) -> None:
        """Close all addresses."""
        if self._thread is None:
            return
        for gateway in self._gateways.values():
            await self._thread.run(gateway.stop())
        self._gateways.clear()
        self._opened.clear()
        thread, self._thread = self._thread, None
        await thread.stop()

    def _on_thread(self) -> LoopThread:
        if self._thread is None:
            self._thread = LoopThread("lines")
        return self._thread

    async def _open(self, line: Line) -> PersonaDeskError | None:
        gateway = (await asyncio.to_thread(_load)).Gateway(line)
        try:
            await self._on_thread().run(gateway.start())
        except OSError as error:
            failure = await asyncio.to_thread(local.port_taken, line.port)
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                log.warning("The line %s cannot listen: %s", line.name, error)
            return failure
        gateway.hold = self._held.get(line.name)
        self._gateways[line.name] = gateway
        log.info("The line %s listens on port %d", line.name, line.port)
        return None

    async def _check(self, line: Line) -> bool:
        if line.name not in self._gateways:
            return False
        found = await truth.look(line, self._servers)
        if found is None or found.state is LineState.UP:
            self._misses.pop(line.name, None)
        if found is None or (found.state, found.reason) == (line.state, line.reason):
            return False
        doubtful = not found.sure or (
            line.state is LineState.UP and found.state is not LineState.STOPPED
        )
        if doubtful:
            misses = self._misses[line.name] = self._misses.get(line.name, 0) + 1
            if misses < MISSES:
                return False
        since = line.since if found.state is line.state else time.time()
        server_id = line.target.server_id if line.target else None
        changed = await self._store.tell(
            line.name, found.state, since, found.reason, server_id=server_id, seen=line
        )
        if changed:
            log.info("The line %s is %s now. %s", line.name, found.state, found.reason)
        return changed


def _load() -> ModuleType:
    """Load the WebSocket library in a thread: 30 ms that a window would feel."""
    from personadesk.lines import gateway

    return gateway
