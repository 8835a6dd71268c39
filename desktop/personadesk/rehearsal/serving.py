"""A simulator on a port of loopback."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from personadesk.rehearsal.http import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

LONGEST_BODY = 4_000_000


class Served:
    """Something with `answer` (see `Simulator.answer`), listening on a port of loopback until `close`."""

    def __init__(
        self, answer: Callable[..., tuple[int, dict[str, str], bytes]], port: int = 0
    ) -> None:
        """Listen.

        Args:
            answer: Takes method, path, query, headers and body; returns status, headers and body.
            port: 0 for one that is free.
        """
        self._server = _Server(("127.0.0.1", port), _handler(answer))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="rehearsal http", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it; connections that are open are cut."""
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[Any] = set()
        super().__init__(place, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if isinstance(error, (ConnectionError, TimeoutError)):
            log.debug("%s went away", client_address)
        else:
            log.error("a rehearsal's answer failed", exc_info=error)

    def cut(self) -> None:
        """Wake threads that wait for the next request of a connection that is kept."""
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _handler(
    answer: Callable[..., tuple[int, dict[str, str], bytes]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "personadesk-rehearsal"
        timeout = 75.0

        def work(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if not 0 <= length <= LONGEST_BODY:
                self.send_error(413)
                return
            body = self.rfile.read(length)
            parts = urlsplit(self.path)
            try:
                status, headers, content = answer(
                    self.command, parts.path, parts.query, dict(self.headers.items()), body
                )
            except Dropped:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if status != 204 and self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = work  # noqa: N815 - the library's names

        def log_message(self, text: str, *args: Any) -> None:
            log.debug("%s %s", self.address_string(), text % args)

    return Handler
