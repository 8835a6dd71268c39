"""Removes voice servers that must go and whose machine was not reached when another took their place."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.store.servers import ServerIntent

if TYPE_CHECKING:
    from personadesk.hosts.servers import Servers
    from personadesk.lines.service import LineService

log = logging.getLogger(__name__)

TRY_SECONDS = 60.0


class Leaving:
    """Tries again and again, in the process that serves the lines; what is not gone stays on record."""

    def __init__(self, lines: LineService, servers: Servers) -> None:
        """Take what is needed.

        Args:
            lines: The lines; a server that one of them leads to stays.
            servers: The voice servers.
        """
        self._lines = lines
        self._servers = servers
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look on and on until `stop`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="leaving servers")

    async def stop(self) -> None:
        """End looking; one that is being removed stays on record until it is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TRY_SECONDS)
            if self._lines.serving:
                try:
                    await self.remove()
                except PersonaDeskError as error:
                    # A locked file passes; the record stays.
                    log.warning("Servers that must go: %s %s", error.what, error.details)

    async def remove(self) -> tuple[str, ...]:
        """Remove what can be removed now; returns the ids of those that are gone.

        Raises:
            PersonaDeskError: The record cannot be read.
        """
        leads = {line.target.server_id for line in await self._lines.all() if line.target}
        gone = []
        for server in await self._servers.store.all():
            if server.intent is not ServerIntent.LEAVING or server.id in leads:
                continue
            try:
                await self._servers.remove(server.id)
            except PersonaDeskError as error:
                log.info("%s must go and is not gone yet: %s", server.id, error.what)
            else:
                log.info("%s is gone; another one took its place", server.id)
                gone.append(server.id)
        return tuple(gone)
