"""Runs the application under uvicorn: the listening socket, the WebSocket's limits, and an end that is an end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvicorn
import websockets.http11
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from personaplex_server.protocol import MAX_MESSAGE_BYTES, explain_too_big

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from starlette.applications import Starlette
    from websockets.http11 import Request

log = logging.getLogger(__name__)

_UNSENT_BYTES: Final = 16_384
"""What may wait for a caller in our memory, and about as much in the system's: some 2 s of audio each. The usual
sizes hold minutes, so that a caller who does not read would go unnoticed."""
_PING_S: Final = 20.0
_FAREWELL_S: Final = 2.0
_LOOK_S: Final = 0.1
_ADDRESS_BYTES: Final = 131_072
"""A role of 8000 characters in the address, each of up to 12 bytes there. websockets allows 8 kB by default."""
websockets.http11.MAX_LINE_LENGTH = _ADDRESS_BYTES


class BindError(OSError):
    """The address cannot be listened on; the text is a sentence for the person who chose it.

    Attributes:
        taken: Another program listens there.
    """

    def __init__(self, reason: str, *, taken: bool) -> None:
        super().__init__(reason)
        self.taken = taken


class CertificateError(Exception):
    """A certificate cannot be used; the text is a sentence for the person who chose it."""


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
    # Named as TCP, because asyncio switches the waiting for full packets off only where it reads that; with it,
    # sound right after a pong or figures came 36 ms late.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
        explain_too_big(self.conn)

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

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application of a connection that broke: uvicorn calls it a close without a code (1005)."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """Cut a connection whose other side answers no ping: closing would wait for it to read."""
        super().keepalive_timeout()
        self.transport.abort()


@dataclass(frozen=True, slots=True)
class Drain:
    """How calls may go on once the server was told to stop.

    Attributes:
        seconds: For how long.
        going_on: Asked again and again from then on: seats nobody any more, and tells whether calls go on.
    """

    seconds: float = 0.0
    going_on: Callable[[], bool] = bool


class ChatServer(uvicorn.Server):
    """uvicorn's server, which says good-bye to callers before it hangs up on them."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None], drain: Drain) -> None:
        super().__init__(config)
        self._ending = ending
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls go on for a while if that is wished, end the others in words, then close what is left."""
        end = time.monotonic() + self._drain.seconds
        # A second signal is somebody who does not want to wait.
        while self._drain.going_on() and time.monotonic() < end and not self.force_exit:  # noqa: ASYNC110
            # Looked at, not told: calls end in the model's thread, and a server that stops has nothing else to do.
            await asyncio.sleep(_LOOK_S)
        self.force_exit = False
        self._ending()
        if calls := set(self.server_state.tasks):
            await asyncio.wait(calls, timeout=_FAREWELL_S)
        await super().shutdown(sockets)


def server(
    app: Starlette,
    ending: Callable[[], None],
    certificate: tuple[Path, Path] | None = None,
    drain: Drain | None = None,
) -> ChatServer:
    """Return a server that logs no addresses, compresses nothing, and notices a dead caller within 40 s.

    Args:
        app: The application.
        ending: Called once when the server is told to stop; it should end all calls, without waiting.
        certificate: Files of a TLS certificate and its key; None speaks plainly.
        drain: Lets calls go on before that; None ends them at once.

    Raises:
        CertificateError: The files cannot be used.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws=ChatProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=_ADDRESS_BYTES,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        ssl_certfile=None if certificate is None else certificate[0],
        ssl_keyfile=None if certificate is None else certificate[1],
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"The certificate or its key cannot be used: {error}.") from error
    return ChatServer(config, ending, drain or Drain())


class Stopper:
    """Ends the serving from any thread, also before it has begun.

    Attributes:
        asked: Whether the end was asked for here, and not by a signal.
    """

    def __init__(self) -> None:
        self.asked = False
        self._server: uvicorn.Server | None = None

    def stop(self) -> None:
        """Let the server say good-bye to its callers and end."""
        self.asked = True
        if self._server is not None:
            self._server.should_exit = True

    def hold(self, server: uvicorn.Server) -> None:
        """Stop `server` when asked, which may have been before."""
        self._server = server
        server.should_exit = self.asked


def run(serving: ChatServer, sockets: list[socket.socket], stopper: Stopper) -> None:
    """Serve until SIGINT or SIGTERM, or until `stopper` is used; then return."""

    def already_ending(number: int, frame: FrameType | None) -> None:
        # uvicorn raises its signals once more when it is done, which would end the process by signal.
        log.debug("signal %d after the end", number)

    for number in uvicorn.server.HANDLED_SIGNALS:
        signal.signal(number, already_ending)
    stopper.hold(serving)
    serving.run(sockets=sockets)
