"""How a line is reached from other computers: where it listens, with which certificate; never without a token."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

TOKEN_PREFIX = "token."  # noqa: S105 - what stands before one
"""Of the WebSocket sub-protocol in which a browser sends the token; as the voice server has it."""


class Tls(StrEnum):
    """Which certificate."""

    OWN = "own"
    """One that this computer makes; nothing vouches for it but its fingerprint."""
    GIVEN = "given"
    OFF = "off"
    """None: token and voices can be read on the way."""


@dataclass(frozen=True, slots=True)
class Access:
    """The second address of a line, beside its loopback one.

    Attributes:
        bind: IP address to listen on; `0.0.0.0` and `::` are all of this computer's.
        port: Its port; another one than the line's own, which stays on loopback.
        tls: Which certificate.
        certificate: File of a given one, with its chain, PEM.
        key: File of its key, PEM.
        origins: Web pages that may call, as `https://example.org`; pages of other sites are refused.
        token_number: Counts the tokens that were made; another number is another token.
    """

    bind: str
    port: int
    tls: Tls = Tls.OWN
    certificate: str = ""
    key: str = ""
    origins: tuple[str, ...] = ()
    token_number: int = 1

    @property
    def scheme(self) -> str:
        """`wss`, or `ws` without a certificate."""
        return "ws" if self.tls is Tls.OFF else "wss"

    def url(self, host: str) -> str:
        """Return the address for a program on another computer, which knows this one as `host`."""
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{shown}:{self.port}/api/chat"


def checked(access: Access, line_port: int) -> Access:
    """Return an access that makes sense.

    Args:
        access: What is wanted.
        line_port: The line's own port.

    Raises:
        BadRequest: It does not.
    """
    try:
        ipaddress.ip_address(access.bind)
    except ValueError:
        raise BadRequest(
            T("“{bind}” is no IP address.", bind=access.bind),
            T("Say 0.0.0.0 for all networks of this computer, or one of its addresses."),
            cause="bad_bind",
        ) from None
    if not 1024 <= access.port <= 65535 or access.port == line_port:
        raise BadRequest(
            T("A port is a number from 1024 to 65535, and not the line's own."),
            T("Choose another port."),
            cause="bad_port",
        )
    if access.tls is Tls.GIVEN and not (access.certificate and access.key):
        raise BadRequest(
            T("A certificate of your own needs its file and that of its key."),
            T("Name both, or let this computer make one."),
            cause="no_certificate",
        )
    for origin in access.origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}":
            raise BadRequest(
                T("“{origin}” is no web site.", origin=origin),
                T("Name it as https://example.org, without a path."),
                cause="bad_origin",
            )
    return access


def masked(token: str) -> str:
    """Return a token as it may be shown."""
    return f"{token[:3]}{'•' * 12}{token[-3:]}"
