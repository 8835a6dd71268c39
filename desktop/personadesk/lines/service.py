"""The lines as the window, the terminal and deploys use them; whoever holds the lock also serves their addresses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from personadesk.domain.errors import NotFound, PersonaDeskError, Unreachable
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.text import NOTHING, T, Text
from personadesk.domain.wish import Rest
from personadesk.hosts import health, local
from personadesk.lines import truth
from personadesk.lines.keeper import LineKeeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from personadesk.domain.access import Access
    from personadesk.hosts.servers import Servers
    from personadesk.lines.door import Door
    from personadesk.store.access import AccessStore
    from personadesk.store.database import Database
    from personadesk.store.lines import LineStore
    from personadesk.store.locks import FileLock
    from personadesk.store.wishes import WishStore

log = logging.getLogger(__name__)

BACKGROUND = "background"
"""The kind of a process that is there for nothing but the lines."""
COMMAND = "command"
"""The kind of a process that will soon have done its work."""

PULSE_SECONDS = 0.5
TAKE_OVER_SECONDS = 0.1
"""How often a background process that was started to take over looks whether it may."""
CHECK_SECONDS = 1.5
NOT_UP = T("The line is stopped.")
OWNER_SECONDS = 8.0
"""How long another process that serves the lines gets to open or move an address."""


class LineService:
    """All lines of this computer.

    Attributes:
        progress_of: Returns how far the deploy is that brings a line's voice, for callers who wait; None for none.
        kind: What this process is: `window`, `terminal` (serves until told to end), `background` or `command`.
        end_spares: Ends the voices that stand by for a line, and says why in its log.
    """

    def __init__(
        self,
        database: Database,
        store: LineStore,
        servers: Servers,
        lock: FileLock,
        *,
        kind: str = COMMAND,
        wishes: WishStore | None = None,
        accesses: AccessStore | None = None,
        door: Callable[[str, Access], Awaitable[Door]] | None = None,
    ) -> None:
        self.kind = kind
        self.end_spares: Callable[[str, Text], Awaitable[None]] = _has_none
        self._wishes = wishes
        self._accesses = accesses
        self._open_to: dict[str, Access] = {}
        self._personas: dict[str, str] = {}
        self._database = database
        self._store = store
        self._servers = servers
        self._lock = lock
        self._keeper = LineKeeper(store, servers, door)
        self._lines: tuple[Line, ...] = ()
        self._version = -1
        self._watchers: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._following = asyncio.Lock()
        self._stopping: set[str] = set()
        self.progress_of: Callable[[str], Mapping[str, object] | None] = lambda _: None

    # -- life -------------------------------------------------------------------------------------------------

    async def open(self, *, serve: bool = True) -> None:
        """Read the lines; with `serve`, also serve their addresses as soon as nobody else does."""
        await self._reload()
        if serve:
            self._become_owner()
        if self.serving:
            await self._follow()
        self._task = asyncio.create_task(self._pulse(serve), name="lines")

    async def close(self) -> None:
        """Close the addresses that this process serves and let another one take over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._keeper.stop()
        self._lock.release()

    @property
    def serving(self) -> bool:
        """Whether this process serves the addresses."""
        return self._lock.held

    @property
    def calls(self) -> int:
        """Calls that go through this process now."""
        return self._keeper.calls

    def calls_of(self, name: str) -> int:
        """Return the calls that go through a line of this process now."""
        return self._keeper.calls_of(name)

    def mute(self, name: str) -> bool:
        """Whether somebody talks to a line of this process whose voice says nothing."""
        return self._keeper.mute(name)

    def waiting(self, name: str) -> int:
        """Return the callers who are held until a line of this process is up."""
        return self._keeper.waiting(name)

    def holds(self, name: str) -> bool:
        """Whether callers of a line of this process wait while it is not up."""
        return self._keeper.holds(name)

    def hold(self, name: str, reason: str | None) -> None:
        """Let callers of a line wait while it is not up, and tell them why; None refuses them at once."""
        self._keeper.hold(name, reason)

    def owner(self) -> dict[str, object] | None:
        """Return who serves the addresses (pid, kind), or None when nobody does."""
        return self._lock.holder()

    # -- what there is ----------------------------------------------------------------------------------------

    def lines(self) -> tuple[Line, ...]:
        """Return the lines by name, at most half a second old."""
        return self._lines

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` after each change; returns a function that ends it."""
        self._watchers.append(callback)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._watchers.remove(callback)

        return end

    async def all(self) -> tuple[Line, ...]:
        """Return the lines as they stand in the store."""
        await self._reload()
        return self._lines

    async def refresh(self) -> None:
        """Follow what was changed in the store at once, not at the next pulse."""
        await self._reload()
        if self.serving:
            await self._follow()

    async def get(self, name: str) -> Line | None:
        """Return a line, or None."""
        return next((line for line in await self.all() if line.name == name), None)

    async def serves(self, port: int) -> bool:
        """Whether it is a PersonaDesk of this user that listens on a port."""
        if self.serving:
            return port in self._keeper.ports
        return await self._owner_has(port) is not None

    # -- what can be done -------------------------------------------------------------------------------------

    async def put(self, line: Line) -> None:
        """Make or lead a line; returns when its address answers.

        Raises:
            BadRequest: Its port is taken.
            Unreachable: The process that serves the lines does not follow.
        """
        await self._store.put(line)
        await self._reload()
        if not self.serving:
            self._become_owner()
        if self.serving:
            failure = (await self._follow()).get(line.name)
            if failure is not None:
                raise failure
            return
        await self._wait_for_owner(line)

    async def tell(self, name: str, state: LineState, reason: Text = NOTHING) -> None:
        """Say how a line stands."""
        line = await self.need(name)
        server_id = line.target.server_id if line.target else None
        await self._store.tell(name, state, time.time(), reason, server_id=server_id)
        await self._reload()

    async def forget(self, name: str) -> None:
        """Remove a line and close its address, whatever is behind it."""
        await self._store.remove(name)
        if self._wishes is not None:
            await self._wishes.forget(name)
        if self._accesses is not None:
            await self._accesses.put(name, None)
        await self._reload()
        if self.serving:
            await self._follow()

    async def detach(self, name: str, *, rest: Rest = Rest.STOPPED) -> None:
        """Keep a line and its address, with no voice behind it any more.

        Args:
            name: The line's.
            rest: Whether one shall come behind it again without a person.

        Raises:
            NotFound: There is no such line.
        """
        line = await self.need(name)
        await self.rest(name, rest)
        await self._store.put(Line(line.name, line.port, since=time.time()))
        await self._reload()
        if self.serving:
            await self._follow()

    async def rest(self, name: str, rest: Rest) -> None:
        """Say whether a line shall be up; the guardian holds to it."""
        if self._wishes is not None:
            await self._wishes.rest(name, rest)

    async def stop(self, name: str) -> None:
        """Stop the voice behind a line; its address stays and says so. Only a person starts it again.

        Raises:
            NotFound: There is no such line.
            PersonaDeskError: The server would not stop.
        """
        line = await self.need(name)
        # First what should be so: the guardian must not take the end of the server for a fault.
        await self.rest(name, Rest.STOPPED)
        self._stopping.add(name)
        try:
            if line.target is not None and await self._servers.store.get(line.target.server_id):
                await self._servers.stop(line.target.server_id)
            await self.tell(name, LineState.STOPPED)
        finally:
            self._stopping.discard(name)
            # Also where the voice would not stop: it costs as much.
            await self.end_spares(name, NOT_UP)

    async def start(self, name: str) -> None:
        """Start the voice behind a line again; its state tells when it is up.

        Raises:
            NotFound: There is no such line, or nothing is behind it any more.
            PersonaDeskError: The server did not start.
        """
        line = await self.need(name)
        if line.target is None:
            raise NotFound(
                T("There is no voice behind the line “{name}”.", name=name),
                T("Deploy one."),
                cause="no_server",
            )
        server = await self._servers.get(line.target.server_id)
        await self.rest(name, Rest.UP)
        status = await self._servers.status(server.id)
        port = urlsplit(server.url).port or 0
        if not (status and status.alive) and not await asyncio.to_thread(local.port_is_free, port):
            # Its port went to another program meanwhile; only the line's own port is a promise.
            fresh = await asyncio.to_thread(local.pick_port)
            url = urlunsplit(urlsplit(server.url)._replace(netloc=f"127.0.0.1:{fresh}"))
            command = tuple(str(fresh) if word == str(port) else word for word in server.command)
            server = replace(server, url=url, command=command)
        starting = Line(
            name, line.port, Target(server.url, server.id), LineState.STARTING, time.time(),
            truth.STARTING,
        )  # fmt: skip
        await self._store.put(starting)
        await self._reload()
        try:
            await self._servers.start(server)
        except PersonaDeskError as error:
            await self.tell(name, LineState.FAILED, error.what)
            raise
        line = await self.need(name)
        if line.target == starting.target and line.state is not LineState.UP:
            # A machine may have been woken first; the time that a server gets to come up begins now.
            await self._store.put(
                replace(line, state=LineState.STARTING, since=time.time(), reason=truth.STARTING)
            )
            await self._reload()
        self._wake.set()

    async def remove(self, name: str) -> None:
        """Stop and forget the voice behind a line, close its address and forget the line.

        A machine that was rented for it is ended.

        Raises:
            NotFound: There is no such line.
            PersonaDeskError: The server would not stop; nothing is forgotten then.
        """
        line = await self.need(name)
        if line.target is not None:
            await self._servers.dispose(line.target.server_id)
        await self.end_spares(name, NOT_UP)
        await self.forget(name)

    async def wait_until(self, name: str, *states: LineState, limit_s: float) -> Line:
        """Wait until a line is in one of these states; return it as it is then, or when the time is over."""
        until = time.monotonic() + limit_s
        while True:
            line = await self.need(name)
            if line.state in states or time.monotonic() >= until:
                return line
            await asyncio.sleep(0.1)

    # -- how it is done ---------------------------------------------------------------------------------------

    def _become_owner(self) -> None:
        if self._lock.acquire(kind=self.kind):
            log.info("This process serves the lines now")

    async def need(self, name: str) -> Line:
        """Return a line.

        Raises:
            NotFound: There is no such line.
        """
        line = await self.get(name)
        if line is None:
            raise NotFound(
                T("There is no line called “{name}”.", name=name),
                T("Look at the names with: personadesk line list"),
                cause="no_line",
            )
        return line

    async def _reload(self) -> None:
        lines = await self._store.all()
        if self._accesses is not None:
            self._open_to = await self._accesses.all()
        if self._wishes is not None:
            self._personas = await self._wishes.personas()
        if lines == self._lines:
            return
        self._lines = lines
        for watcher in tuple(self._watchers):
            watcher()

    async def _follow(self) -> dict[str, PersonaDeskError]:
        async with self._following:
            failures = await self._keeper.follow(self._lines)
            self._keeper.introduce(self._personas)
            await self._keeper.open_doors(self._open_to)
        for name, failure in failures.items():
            line = next((line for line in self._lines if line.name == name), None)
            if line is not None and line.reason != failure.what:
                await self.tell(name, LineState.FAILED, failure.what)
        return failures

    async def _pulse(self, serve: bool) -> None:
        checked = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                eager = self.kind == BACKGROUND and not self.serving
                async with asyncio.timeout(TAKE_OVER_SECONDS if eager else PULSE_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if serve and not self.serving:
                    self._become_owner()
                version = await self._database.data_version()
                if version != self._version:
                    self._version = version
                    await self._reload()
                if not self.serving:
                    continue
                self._keeper.tell_progress({x.name: self.progress_of(x.name) for x in self._lines})
                await self._follow()
                if time.monotonic() - checked >= CHECK_SECONDS:
                    # One that is being stopped would look like one that starts.
                    looked = tuple(x for x in self._lines if x.name not in self._stopping)
                    if await self._keeper.check(looked):
                        await self._reload()
                        await self._follow()
                    checked = time.monotonic()
            except PersonaDeskError as error:
                # A full disk or a locked file passes; the addresses must go on answering meanwhile.
                log.warning("The lines could not be looked after: %s %s", error.what, error.details)

    async def _owner_has(self, port: int) -> dict[str, object] | None:
        if self._lock.holder() is None:
            return None
        status = await health.get_json(f"http://127.0.0.1:{port}", "/status")
        return status if status is not None and status.get("personadesk") is True else None

    async def _wait_for_owner(self, line: Line) -> None:
        until = time.monotonic() + OWNER_SECONDS
        wanted = line.target.url if line.target else None
        while time.monotonic() < until:
            status = await self._owner_has(line.port)
            if status and status.get("line") == line.name and status.get("server") == wanted:
                return
            now = await self.get(line.name)
            # What it said before it was put is no word about its new port.
            said = now.reason if now is not None and now.state is LineState.FAILED else NOTHING
            if said and said != line.reason:
                raise await asyncio.to_thread(local.port_taken, line.port)
            self._become_owner()
            if self.serving:
                failure = (await self._follow()).get(line.name)
                if failure is not None:
                    raise failure
                return
            await asyncio.sleep(0.1)
        raise Unreachable(
            T("The PersonaDesk that serves the lines does not open port {port}.", port=line.port),
            T("Close the other PersonaDesk, then try again."),
            cause="keeper",
            details=str(self._lock.holder()),
        )


async def _has_none(name: str, why: Text) -> None:
    del name, why
