"""What is done to a host's installation as a whole: upgrade, go back, read the log, remove everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import NotFound, PersonaDeskError, ProviderFault
from personadesk.domain.text import T, Text
from personadesk.hosts import check, health
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import install, lock, service
from personadesk.hosts.remote.layout import Layout, key_of
from personadesk.hosts.remote.servers import layout_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.hosts.bundle import Bundle
    from personadesk.hosts.remote.servers import PlacedServers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.hosts.ssh.host import SshHost
    from personadesk.store.hosts import Placement

FOLDER = ".personadesk"
READY_SECONDS = 300.0
FOLLOW_SECONDS = 24 * 3600.0

_FOLLOW = """
cd "$1" 2>/dev/null || exit 4
[ -e server.log ] || exit 4
tail -n "$2" server.log
[ "$3" = follow ] || exit 0
at=$(wc -c < server.log)
while printf '\\036\\n'; do
    sleep 0.5 2>/dev/null || sleep 1
    size=$(wc -c < server.log 2>/dev/null || echo 0)
    [ "$size" -ge "$at" ] || at=0
    [ "$size" -eq "$at" ] || { tail -c +"$((at + 1))" server.log | head -c "$((size - at))"; at=$size; }
done
"""


class Care:
    """Looks after the installations on hosts."""

    def __init__(self, hosts: Hosts, servers: PlacedServers) -> None:
        self._hosts = hosts
        self._servers = servers

    async def layout(self, host_name: str) -> tuple[SshHost, Layout]:
        """Return a host and where things lie there.

        Raises:
            PersonaDeskError: It is not known or cannot be reached.
        """
        record = await self._hosts.store.get(host_name)
        host = await self._hosts.host(host_name)
        placements = await self._hosts.store.placements_on(host_name)
        if placements:
            return host, layout_of(placements[-1])
        folder = record.home or FOLDER
        if not folder.startswith("/"):
            folder = f"{await host.home()}/{folder.removeprefix('~/')}"
        return host, Layout(folder)

    async def upgrade(
        self, host_name: str, package: Bundle, tell: Callable[[Text | str], None]
    ) -> tuple[str, str]:
        """Install this package there and restart what runs; a version that does not become ready is taken back.

        Returns:
            The version before and the version now.

        Raises:
            NotFound: Nothing of ours is there.
            ProviderFault: The new version did not become ready; the one before runs again.
        """
        host, layout = await self.layout(host_name)
        before = (await install.look(host, layout)).current
        if not before:
            raise _nothing_there(host_name)
        if before == key_of(package):
            return before, before
        facts = await check.look(host, folder=layout.folder)
        async with lock.held(host, layout.folder):
            await install.push(host, layout, package)

            def step(words: Text, fraction: float) -> None:
                tell(words)

            key = await install.install(host, layout, package, facts, on_line=tell, on_step=step)
        await self._restart_or_go_back(host, layout, before, tell)
        return before, key

    async def rollback(self, host_name: str, tell: Callable[[Text | str], None]) -> tuple[str, str]:
        """Go back to the version before and restart what runs.

        Returns:
            The version before and the version now.

        Raises:
            NotFound: There is no version to go back to.
        """
        host, layout = await self.layout(host_name)
        there = await install.look(host, layout)
        if not there.current:
            raise _nothing_there(host_name)
        if not there.previous:
            raise NotFound(
                T("There is no version before this one on {name}.", name=host_name),
                T("Only an upgrade leaves one."),
                cause="no_previous",
            )
        async with lock.held(host, layout.folder):
            await install.switch(host, layout, there.previous)
        await self._restart_or_go_back(host, layout, there.current, tell)
        return there.current, there.previous

    async def uninstall(
        self,
        host_name: str,
        *,
        tell: Callable[[Text], None],
        on_stopped: Callable[[str], Awaitable[None]],
    ) -> list[str]:
        """Stop and remove everything of ours there, and the tunnels here.

        Args:
            host_name: What the user calls the machine.
            tell: Called with what is being done, a sentence each.
            on_stopped: Called with the id of each server of this PersonaDesk, once it is gone.

        Returns:
            Ids of the servers that were stopped.

        Raises:
            PersonaDeskError: Something would not stop or go; nothing is forgotten that may still be there.
        """
        tell(T("Connecting to “{name}”.", name=host_name))
        host, layout = await self.layout(host_name)
        stopped: list[str] = []

        def waiting(who: str) -> None:
            tell(T("Waiting for another PersonaDesk there ({who}).", who=who))

        async with contextlib.AsyncExitStack() as stack:
            if await install.is_there(host, layout):
                await stack.enter_async_context(lock.held(host, layout.folder, on_wait=waiting))
            await self._stop_all(host, layout, stopped, tell, on_stopped)
            tell(
                T(
                    "Removing the voice server, its environments and models from “{name}”.",
                    name=host_name,
                )
            )
            await install.remove_everything(host, layout)
        await self._hosts.store.prove(host_name, None)
        return stopped

    async def _stop_all(
        self,
        host: SshHost,
        layout: Layout,
        stopped: list[str],
        tell: Callable[[Text], None],
        on_stopped: Callable[[str], Awaitable[None]],
    ) -> None:
        tell(T("Stopping the voices on “{name}”.", name=host.name))
        for placement in await self._hosts.store.placements_on(host.name):
            await self._servers.remove(placement.server_id)
            await on_stopped(placement.server_id)
            stopped.append(placement.server_id)
        for server_id in await _servers_in(host, layout):
            # Made by another PersonaDesk, or by one that has forgotten.
            await service.forget(host, layout, server_id)
            stopped.append(server_id)

    async def logs(
        self, host_name: str, on_line: Callable[[str], None], *, lines: int, follow: bool
    ) -> None:
        """Read the log of the newest server there; with `follow`, go on until cancelled.

        Raises:
            NotFound: No server of ours is there.
        """
        host, layout = await self.layout(host_name)
        placements = await self._hosts.store.placements_on(host_name)
        names = [each.server_id for each in placements] or await _servers_in(host, layout)
        if not names:
            raise _nothing_there(host_name)
        count = lines
        while True:
            try:
                done = await host.script(
                    _FOLLOW, layout.server(names[-1]), str(count), "follow" if follow else "",
                    limit_s=FOLLOW_SECONDS,
                    on_line=lambda line: on_line(line) if line != "\x1e" else None,
                )  # fmt: skip
            except CommandTimeout:
                continue
            except PersonaDeskError as error:
                if not follow or not error.retryable:
                    raise
                await host.link.keep_trying()
                count = 0
                continue
            if done.code == 4:
                raise _nothing_there(host_name)
            return

    async def _restart_or_go_back(
        self, host: SshHost, layout: Layout, before: str, tell: Callable[[Text | str], None]
    ) -> None:
        placements = await self._hosts.store.placements_on(host.name)
        try:
            for placement in placements:
                await self._restart(host, placement, tell)
        except PersonaDeskError:
            tell(T("Going back to {version}.", version=before))
            async with lock.held(host, layout.folder):
                await install.switch(host, layout, before)
            for placement in placements:
                await self._restart(host, placement, tell)
            raise

    async def _restart(
        self, host: SshHost, placement: Placement, tell: Callable[[Text | str], None]
    ) -> None:
        layout = layout_of(placement)
        tell(T("Restarting {id}.", id=placement.server_id))
        keeper = await service.keeper_of(host, layout, placement.server_id)
        await service.restart(host, layout, placement.server_id, keeper)
        tunnel = await host.forward(placement.port)
        url = f"http://127.0.0.1:{tunnel.port}"
        until = time.monotonic() + READY_SECONDS
        try:
            while time.monotonic() < until:
                found = await health.ask(url)
                if found is not None and found.takes_calls:
                    return
                standing = await service.status(host, layout, placement.server_id)
                if standing.state == "given-up" or standing.restarts >= 3:
                    break
                await asyncio.sleep(0.5)
        finally:
            await tunnel.close()
        last = await service.tail(host, layout, placement.server_id)
        raise ProviderFault(
            T("The voice server on {name} did not become ready again.", name=host.name),
            T("Look at its last words in the details."),
            cause="not_ready",
            details="\n".join(last),
            retryable=False,
        )


async def _servers_in(host: SshHost, layout: Layout) -> list[str]:
    done = await host.script(
        'for each in "$1"/servers/*/; do [ -d "$each" ] && basename "$each"; done; exit 0',
        layout.folder, limit_s=30.0,
    )  # fmt: skip
    return list(done.lines)


def _nothing_there(name: str) -> NotFound:
    return NotFound(
        T("There is no voice server of PersonaDesk on {name}.", name=name),
        T("Deploy one: personadesk deploy --host {name}", name=name),
        cause="not_installed",
    )
