"""Runs the application under uvicorn: the listening socket, the WebSocket's limits, and an end that is an end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from personaplex_server.protocol import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport
    from types import FrameType

    from starlette.applications import Starlette
    from websockets.http11 import Request

log = logging.getLogger(__name__)

_UNSENT_BYTES: Final = 16_384
"""What may wait for a caller in our memory, and about as much in the system's: some 4 s of audio each. The usual
sizes hold minutes, so that a caller who does not read would go unnoticed."""
_PING_S: Final = 20.0
_FAREWELL_S: Final = 2.0


class BindError(OSError):
    """The address cannot be listened on; the text is a sentence for the person who chose it.

    Attributes:
        taken: Another program listens there.
    """

    def __init__(self, reason: str, *, taken: bool) -> None:
        super().__init__(reason)
        self.taken = taken


def is_loopback(host: str) -> bool:
    """Tell whether only this computer can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0 picks one).

    Raises:
        BindError: The port is taken, not allowed, or the address is not of this computer.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise BindError(f"The address {host} is not known: {error}.", taken=False) from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_BYTES)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port) from error
    return sock


def _explained(error: OSError, host: str, port: int) -> BindError:
    if error.errno in {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}:
        return BindError(
            f"Port {port} on {host} is taken by another program. Stop it, or choose another with "
            "--port (0 picks a free one).",
            taken=True,
        )
    if error.errno == errno.EACCES:
        return BindError(
            f"This user may not listen on port {port}. Choose one above 1023.", taken=False
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return BindError(
            f"{host} is no address of this computer. Choose 127.0.0.1, or one that it has.",
            taken=False,
        )
    return BindError(f"Listening on {host} port {port} failed: {error}.", taken=False)


class ChatProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket with short buffers, and a way to cut a caller off who does not read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = _FAREWELL_S

    def connection_made(self, transport: BaseTransport) -> None:
        """Shorten the write buffer."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_UNSENT_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Offer the application the cutting of its connection."""
        super().handle_connect(event)
        scope: dict[str, Any] | None = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"]["personaplex.abort"] = self.transport.abort

    def keepalive_timeout(self) -> None:
        """Cut a connection whose other side answers no ping: closing would wait for it to read."""
        super().keepalive_timeout()
        self.transport.abort()


def server(app: Starlette) -> uvicorn.Server:
    """Return a server for `app` that logs no addresses, compresses nothing and answers pings' absence in 40 s."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws=ChatProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def run(app: Starlette, sock: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then return."""

    def already_ending(number: int, frame: FrameType | None) -> None:
        # uvicorn raises its signals once more when it is done, which would end the process by signal.
        log.debug("signal %d after the end", number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, already_ending)
    server(app).run(sockets=[sock])
