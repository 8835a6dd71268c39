"""A loopback port here that leads to one there. It stays open while the connection breaks and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.text import T
from personadesk.hosts.ssh import errors

if TYPE_CHECKING:
    import asyncssh

    from personadesk.hosts.ssh.connection import Link

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""How long a client is held while the connection is made again; then its own connection is closed."""
_CHUNK = 65536


class Tunnel:
    """One forwarded port.

    Attributes:
        port: The port here; it does not change.
        trouble: Why the last client could not be led through, or None.
    """

    def __init__(self, link: Link, there: int, *, patience_s: float = PATIENCE_SECONDS) -> None:
        self.port = 0
        self.trouble: PersonaDeskError | None = None
        self._link = link
        self._there = there
        self._patience = patience_s
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self, local_port: int = 0) -> Tunnel:
        """Listen on loopback.

        Raises:
            OSError: The port is taken.
        """
        self._server = await asyncio.start_server(self._take, "127.0.0.1", local_port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def close(self) -> None:
        """Stop listening and end what runs through it."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def lead_to(self, there: int) -> None:
        """Lead new clients to another port there, as after a restart of the server."""
        self._there = there

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a stream's callback always runs in a task
            return
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        _at_once(writer)
        try:
            await self._lead(reader, writer)
        except asyncio.CancelledError:
            # The task is the stream's own; asyncio would report a cancel as a failure of the server.
            pass
        finally:
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncssh

        try:
            async with asyncio.timeout(self._patience):
                connection = await self._link.keep_trying()
                there, out = await connection.open_connection("127.0.0.1", self._there)
        except PersonaDeskError as error:
            self.trouble = error
            return
        except asyncssh.ChannelOpenError as error:
            self.trouble = self._refused(error)
            return
        except (TimeoutError, asyncssh.Error, OSError) as error:
            self.trouble = errors.lost(self._link.name, str(error))
            return
        self.trouble = None
        try:
            ways = (
                asyncio.ensure_future(_pump(reader, out)),
                asyncio.ensure_future(_pump(there, writer)),
            )
            try:
                # A half-closed way stays open for the other, as TCP does it; a broken one ends both.
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
                for each in done:
                    each.result()
            finally:
                for each in ways:
                    each.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (asyncssh.Error, OSError) as error:
            log.debug("A client of port %d was cut off: %s", self.port, error)
        finally:
            out.close()

    def _refused(self, error: asyncssh.ChannelOpenError) -> PersonaDeskError:
        import asyncssh

        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return errors.no_forwarding(self._link.name, str(error))
        return Unreachable(
            T("On {name} nothing answers on port {port}.", name=self._link.name, port=self._there),
            T("The voice server may be starting; look at its state."),
            cause="nothing_there",
            details=str(error),
        )


async def _pump(source: object, target: object) -> None:
    """Pass bytes on; both are streams, asyncio's or asyncssh's, which have the same methods."""
    read, write, drain = source.read, target.write, target.drain  # type: ignore[attr-defined] # see above
    while data := await read(_CHUNK):
        write(data)
        await drain()
    with contextlib.suppress(OSError):
        target.write_eof()  # type: ignore[attr-defined] # see above


def _at_once(writer: asyncio.StreamWriter) -> None:
    """Voice comes in small packets that must not wait for each other."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
