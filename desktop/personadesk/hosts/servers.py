"""The servers of this computer, each written down before it exists and forgotten only after it is gone."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.domain.errors import NotFound
from personadesk.domain.text import T
from personadesk.hosts import server_process
from personadesk.store.servers import ServerIntent, ServerRecord, ServerStore

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.hosts.server_process import ServerStatus


class Servers:
    """Starts and stops servers and keeps the record of it straight.

    Attributes:
        store: The record.
    """

    def __init__(self, store: ServerStore, logs: Path) -> None:
        self.store = store
        self._logs = logs

    async def start(self, server: ServerRecord) -> ServerStatus:
        """Write down that the server is about to run, start it, and write down that it runs.

        Raises:
            PersonaDeskError: It did not come up.
        """
        await self.store.put(replace(server, intent=ServerIntent.STARTING, at=time.time()))
        status = await server_process.start(server.state_dir, server.command)
        await self.store.put(replace(server, intent=ServerIntent.RUNNING, at=time.time()))
        return status

    async def stop(self, server_id: str) -> None:
        """Stop a server but keep what is needed to start it again.

        Raises:
            NotFound: No such server is known.
            PersonaDeskError: It would not stop.
        """
        server = await self.get(server_id)
        # First what should be so: whoever looks meanwhile must not take its end for a crash.
        await self.store.put(replace(server, intent=ServerIntent.STOPPED, at=time.time()))
        await server_process.stop(server.state_dir)

    async def restart(self, server_id: str) -> None:
        """Stop a server, however stuck it is, and start it again.

        Raises:
            NotFound: No such server is known.
            PersonaDeskError: It would not stop, or did not come up.
        """
        server = await self.get(server_id)
        await self.store.put(replace(server, intent=ServerIntent.STARTING, at=time.time()))
        await server_process.stop(server.state_dir)
        await self.start(server)

    async def reconnect(self, server_id: str) -> None:
        """Make the way to a server anew and leave the server alone; a server of this computer needs no way.

        Raises:
            NotFound: No such server is known.
            PersonaDeskError: It is not reached.
        """
        await self.get(server_id)

    async def reached(self, server_id: str) -> bool | None:
        """Return whether a server's machine lets us in now, None where it is this computer."""
        return None

    async def voices_token(self, server_id: str) -> str | None:
        """Return what opens the adding of voices at a server; None where it wrote none.

        The server makes a new one at each start, so it is read when it is needed and kept nowhere.

        Raises:
            NotFound: No such server is known.
            PersonaDeskError: Its machine is not reached.
        """
        server = await self.get(server_id)
        path = server.state_dir / server_process.VOICES_TOKEN_FILE
        try:
            return (await asyncio.to_thread(path.read_text, "utf-8")).strip() or None
        except FileNotFoundError:
            return None

    async def stop_leftovers(self) -> None:
        """Stop servers that should be stopped and are not, as when we were killed while stopping them."""
        for server in await self.store.all():
            if server.intent not in {ServerIntent.STOPPED, ServerIntent.LEAVING}:
                continue
            status = await asyncio.to_thread(server_process.status, server.state_dir)
            if status.alive:
                await server_process.stop(server.state_dir)

    async def remove(self, server_id: str) -> bool:
        """Stop a server and forget it; its logs are kept.

        Returns:
            Whether there was one.

        Raises:
            PersonaDeskError: It would not stop; it is then not forgotten.
        """
        server = await self.store.get(server_id)
        if server is None:
            return False
        await server_process.stop(server.state_dir)
        await server_process.remove(server.state_dir, self._logs / server.id)
        await self.store.forget(server.id)
        return True

    async def let_go(self, server_id: str) -> bool:
        """Forget a server whose machine goes as a whole: nothing is asked of that machine any more.

        Returns:
            Whether there was one.
        """
        return await self.remove(server_id)

    async def leave(self, server_id: str) -> None:
        """Note that a server must go whose machine is not reached now, and stop what of it is here.

        Raises:
            PersonaDeskError: What is here would not stop.
        """
        server = await self.store.get(server_id)
        if server is None:
            return
        await self.store.put(replace(server, intent=ServerIntent.LEAVING, at=time.time()))
        await server_process.stop(server.state_dir)

    async def dispose(self, server_id: str) -> bool:
        """Remove a server and what was rented for it alone.

        Returns:
            Whether there was one.

        Raises:
            PersonaDeskError: It would not go; it is then not forgotten.
        """
        return await self.remove(server_id)

    async def get(self, server_id: str) -> ServerRecord:
        """Return a server's record.

        Raises:
            NotFound: No such server is known.
        """
        server = await self.store.get(server_id)
        if server is None:
            raise NotFound(
                T("The voice server {name} no longer exists.", name=server_id),
                T("Deploy it again."),
                cause="no_server",
            )
        return server

    async def status(self, server_id: str) -> ServerStatus | None:
        """Return how a server stands, None when no such server is known."""
        server = await self.store.get(server_id)
        if server is None:
            return None
        return await asyncio.to_thread(server_process.status, server.state_dir)
