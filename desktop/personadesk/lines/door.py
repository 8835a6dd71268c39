"""The door that a gateway opens to other computers, and who is let in through it."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from personadesk.domain.access import TOKEN_PREFIX, Access

if TYPE_CHECKING:
    import ssl

    from websockets.http11 import Request


@dataclass(frozen=True, slots=True)
class Door:
    """What a gateway needs to listen to other computers.

    Attributes:
        access: Where and how.
        token: What every request must bring; never empty.
        context: The certificate; None without one.
    """

    access: Access
    token: str
    context: ssl.SSLContext | None


def allows(door: Door, request: Request) -> bool:
    """Whether a request brings the token: as a bearer header, a sub-protocol, or in the address."""
    offers = [
        value.partition(" ")[2].strip()
        for value in request.headers.get_all("Authorization")
        if value.lower().startswith("bearer ")
    ]
    offers += [
        each.removeprefix(TOKEN_PREFIX)
        for each in offered(request)
        if each.startswith(TOKEN_PREFIX)
    ]
    offers += [value for key, value in parse_qsl(urlsplit(request.path).query) if key == "token"]
    # Every offer is compared, each in constant time: how long it takes tells nothing.
    matches = [hmac.compare_digest(each.encode(), door.token.encode()) for each in offers]
    return any(matches)


def origin_allowed(door: Door, request: Request) -> bool:
    """Whether the page that calls may; programs name no page."""
    origin = request.headers.get("Origin")
    if origin is None or origin in door.access.origins:
        return True
    return urlsplit(origin).netloc == request.headers.get("Host", "")


def offered(request: Request) -> list[str]:
    """Return the sub-protocols that a request offers."""
    return [
        name.strip()
        for value in request.headers.get_all("Sec-WebSocket-Protocol")
        for name in value.split(",")
    ]


def without_token(query: str, token: str) -> str:
    """Return a query without the line's token, which is nobody's business behind the line."""
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(key, value) for key, value in pairs if (key, value) != ("token", token)]
    return query if len(kept) == len(pairs) else urlencode(kept)
