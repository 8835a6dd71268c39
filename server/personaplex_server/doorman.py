"""Stands before the application: whose pages may call, how many connections an address may have, which door is which.

It looks at addresses and headers only; who brings the token is the application's business.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from personaplex_server.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

_WINDOW_S: Final = 60.0
_MOST_ADDRESSES: Final = 10_000
"""Addresses remembered; those that have no connection and came longest ago are forgotten first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom the doorman lets in.

    Attributes:
        origins: Pages that may call, as `https://example.org`; the server's own page always may. Empty: all pages.
        per_address: Connections that an address may have at once; 0 is no limit. This computer has none, since
            tunnels and proxies bring everybody's calls from here.
        per_minute: Requests and calls that an address may begin in a minute; the same.
        health_port: The port at which nothing but `health_path` is answered; None where there is none.
        health_path: See above.
    """

    origins: frozenset[str] = frozenset()
    per_address: int = 0
    per_minute: int = 0
    health_port: int | None = None
    health_path: str = ""


@dataclass(slots=True)
class _Visitor:
    connections: int = 0
    begun: deque[float] = field(default_factory=deque)


class Doorman:
    """ASGI middleware; belongs to the event loop."""

    def __init__(
        self, app: ASGIApp, rules: Rules, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Stand before `app`; `clock` gives seconds."""
        self._app = app
        self._rules = rules
        self._clock = clock
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a call on, or refuse it before anything else sees it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refused = self._other_door(scope) or self._strange_page(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        address = _address(scope)
        if address is None or not (self._rules.per_address or self._rules.per_minute):
            await self._app(scope, receive, send)
            return
        visitor = self._visitor(address)
        if (refused := self._too_many(address, visitor)) is not None:
            await refused(scope, receive, send)
            return
        visitor.connections += 1
        try:
            await self._app(scope, receive, send)
        finally:
            visitor.connections -= 1

    def _other_door(self, scope: Scope) -> JSONResponse | None:
        rules, server = self._rules, scope.get("server")
        if rules.health_port is None or server is None or server[1] != rules.health_port:
            return None
        if scope["type"] == "http" and scope["path"] == rules.health_path:
            return None
        return JSONResponse({"error": f"This port answers {rules.health_path} only."}, 404)

    def _strange_page(self, scope: Scope) -> JSONResponse | None:
        if not self._rules.origins:
            return None
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin in self._rules.origins:
            return None
        if urlsplit(origin).netloc == headers.get("host", ""):
            return None
        log.warning("page refused %s", fields(origin=origin[:200]))
        return JSONResponse(
            {"error": "Pages of this origin may not call here; see --allow-origin."}, 403
        )

    def _visitor(self, address: str) -> _Visitor:
        visitor = self._visitors.setdefault(address, _Visitor())
        self._visitors.move_to_end(address)
        if len(self._visitors) > _MOST_ADDRESSES:
            for other, known in list(self._visitors.items())[: _MOST_ADDRESSES // 10]:
                if not known.connections:
                    del self._visitors[other]
        return visitor

    def _too_many(self, address: str, visitor: _Visitor) -> JSONResponse | None:
        rules, now = self._rules, self._clock()
        while visitor.begun and visitor.begun[0] <= now - _WINDOW_S:
            visitor.begun.popleft()
        if rules.per_minute and len(visitor.begun) >= rules.per_minute:
            wait = max(1, round(visitor.begun[0] + _WINDOW_S - now))
            log.warning("address refused %s", fields(address=address, begun=len(visitor.begun)))
            return JSONResponse(
                {"error": f"Too many requests from your address. Try again in {wait} seconds."},
                429,
                {"Retry-After": str(wait)},
            )
        if rules.per_address and visitor.connections >= rules.per_address:
            log.warning("address refused %s", fields(address=address, open=visitor.connections))
            return JSONResponse(
                {"error": "Too many connections from your address. End one and try again."}, 429
            )
        if rules.per_minute:
            visitor.begun.append(now)
        return None


def _address(scope: Scope) -> str | None:
    """Return the caller's address, for IPv6 its network; None for this computer."""
    client = scope.get("client")
    if client is None:
        return None
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            # One subscriber has a whole /64 to call from.
            return str(ipaddress.ip_network((address, 64), strict=False))
    return None if address.is_loopback else str(address)
