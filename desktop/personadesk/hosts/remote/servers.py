"""Voice servers wherever they are: one on a host has a tunnel here, which stands in for it among our servers.

So lines, the keeper and the guardian need not know where a voice is. Stopping or removing a server reaches through to
its host; starting it starts both ends.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.errors import PersonaDeskError
from personadesk.hosts import health, server_process
from personadesk.hosts.remote import service
from personadesk.hosts.remote.layout import Layout
from personadesk.hosts.servers import Servers
from personadesk.store.servers import ServerIntent, ServerRecord
from personaplex_server.protocol import CHAT_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.hosts.server_process import ServerStatus
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.store.hosts import Placement
    from personadesk.store.servers import ServerStore

log = logging.getLogger(__name__)

REACH_SECONDS = 20.0


def tunnel_record(server_id: str, state_dir: Path, port: int, model: str) -> ServerRecord:
    """Return the record of the tunnel that stands in for a server on a host."""
    command = (
        sys.executable, "-m", "personadesk.hosts.remote.carry",
        "--server", server_id, "--port", str(port), "--state", str(state_dir),
    )  # fmt: skip
    return ServerRecord(server_id, state_dir, command, f"ws://127.0.0.1:{port}{CHAT_PATH}", model)


class Rented(Protocol):
    """What servers need of rented machines; they live a floor above."""

    async def end(self, tag: str) -> None:
        """End the machine of a deploy and its bill; returns when the provider has taken it.

        Raises:
            PersonaDeskError: It did not take it.
        """

    async def going(self, tag: str) -> bool:
        """Return whether the machine of a deploy has ended, or is ending for good."""

    async def wake(self, tag: str) -> None:
        """Start the machine of a deploy where it sleeps, and wait until it lets us in.

        Raises:
            PersonaDeskError: It did not come up, or is gone.
        """


class PlacedServers(Servers):
    """This computer's servers, and through their tunnels those on hosts.

    Attributes:
        rented: Ends machines that were rented; set where providers are known.
    """

    def __init__(self, store: ServerStore, logs: Path, hosts: Hosts) -> None:
        super().__init__(store, logs)
        self._hosts = hosts
        self.rented: Rented | None = None

    async def start(self, server: ServerRecord) -> ServerStatus:
        """Start a server, on its host first; see `Servers.start`."""
        placement = await self._hosts.store.placement(server.id)
        if placement is not None:
            await self.store.put(replace(server, intent=ServerIntent.STARTING, at=time.time()))
            record = await self._hosts.store.get(placement.host_name)
            if record.account and self.rented is not None:
                await self.rented.wake(record.name)
            host = await self._hosts.host(placement.host_name)
            layout = layout_of(placement)
            standing = await service.status(host, layout, server.id)
            if not standing.alive:
                keeper = await service.keeper_of(host, layout, server.id)
                await service.restart(host, layout, server.id, keeper)
            if not standing.alive or await health.ask(server.url) is None:
                # A tunnel that outlived its machine knocks there every half minute only.
                await server_process.stop(server.state_dir)
        return await super().start(server)

    async def stop(self, server_id: str) -> None:
        """Stop a server, on its host first; see `Servers.stop`."""
        await self._stop_there(server_id, forget=False)
        await super().stop(server_id)

    async def restart(self, server_id: str) -> None:
        """Restart a server, on its host first; see `Servers.restart`."""
        placement = await self._hosts.store.placement(server_id)
        if placement is not None:
            host = await self._hosts.host(placement.host_name)
            layout = layout_of(placement)
            keeper = await service.keeper_of(host, layout, server_id)
            await service.restart(host, layout, server_id, keeper)
        await super().restart(server_id)

    async def reconnect(self, server_id: str) -> None:
        """Make the tunnel anew, to where the machine is now; see `Servers.reconnect`."""
        placement = await self._hosts.store.placement(server_id)
        if placement is None:
            await super().reconnect(server_id)
            return
        record = await self._hosts.store.get(placement.host_name)
        if record.account and self.rented is not None:
            # It finds out the machine's address, which may have changed.
            await self.rented.wake(record.name)
        host = await self._hosts.host(placement.host_name)
        await host.script("true", limit_s=REACH_SECONDS)
        await super().restart(server_id)

    async def reached(self, server_id: str) -> bool | None:
        """Return whether a server's machine lets us in; see `Servers.reached`."""
        placement = await self._hosts.store.placement(server_id)
        if placement is None:
            return None
        try:
            async with asyncio.timeout(REACH_SECONDS):
                host = await self._hosts.host(placement.host_name)
                # Not its home, which is known after the first time: what counts is whether it answers now.
                await host.script("true", limit_s=REACH_SECONDS)
        except (PersonaDeskError, TimeoutError) as error:
            log.info("%s is not reached: %s", placement.host_name, error)
            return False
        return True

    async def voices_token(self, server_id: str) -> str | None:
        """Return what opens the adding of voices; see `Servers.voices_token`."""
        placement = await self._hosts.store.placement(server_id)
        if placement is None:
            return await super().voices_token(server_id)
        host = await self._hosts.host(placement.host_name)
        path = f"{placement.folder}/{server_process.VOICES_TOKEN_FILE}"
        try:
            return (await host.read(path)).decode("utf-8").strip() or None
        except FileNotFoundError:
            return None

    async def remove(self, server_id: str) -> bool:
        """Stop and forget a server, on its host first; see `Servers.remove`."""
        if await self._goes_with_its_machine(server_id):
            return await self.let_go(server_id)
        there = await self._stop_there(server_id, forget=True)
        here = await super().remove(server_id)
        if there:
            await self._hosts.store.displace(server_id)
        return there or here

    async def let_go(self, server_id: str) -> bool:
        """Forget a server whose machine goes as a whole; see `Servers.let_go`."""
        here = await super().remove(server_id)
        await self._hosts.store.displace(server_id)
        return here

    async def dispose(self, server_id: str) -> bool:
        """Remove a server, and its machine where that was rented for it; see `Servers.dispose`."""
        placement = await self._hosts.store.placement(server_id)
        if placement is not None and self.rented is not None:
            record = await self._hosts.store.get(placement.host_name)
            if record.account:
                await self.rented.end(record.name)
                return await self.let_go(server_id)
        return await self.remove(server_id)

    async def _goes_with_its_machine(self, server_id: str) -> bool:
        placement = await self._hosts.store.placement(server_id)
        if placement is None or self.rented is None:
            return False
        record = await self._hosts.store.get(placement.host_name)
        return bool(record.account) and await self.rented.going(record.name)

    async def _stop_there(self, server_id: str, *, forget: bool) -> bool:
        placement = await self._hosts.store.placement(server_id)
        if placement is None:
            return False
        host = await self._hosts.host(placement.host_name)
        work = service.forget if forget else service.stop
        await work(host, layout_of(placement), server_id)
        return True


def layout_of(placement: Placement) -> Layout:
    """Return where things lie on a placement's host."""
    return Layout(placement.folder.rpartition("/servers/")[0])
