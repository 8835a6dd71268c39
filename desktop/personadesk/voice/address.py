"""What people type or paste as the address of a voice, turned into the URL that is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personaplex_server.protocol import CHAT_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}

PERSONA: Final = {
    "voice_prompt": "NATF0.pt",
    "text_prompt": "You are a wise and friendly teacher. "
    "Answer questions or provide advice in a clear and engaging way.",
}
"""What the model's own web page asks for. The reference server breaks off calls that name no voice and no role;
others ignore it, or take what they have."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a voice is.

    Attributes:
        url: What is called, with its query.
        shown: The same without query and password, for reports and sentences.
        host: Name or number of the computer.
        port: Its port.
        secure: Whether the call is encrypted.
    """

    url: str
    shown: str
    host: str
    port: int
    secure: bool

    @property
    def loopback(self) -> bool:
        """Whether it is this computer."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    @property
    def place(self) -> str:
        """`host:port`, as people read it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def http(self, path: str) -> str:
        """Return the URL of another route of the same server."""
        return urlunsplit(("https" if self.secure else "http", self.place, path, "", ""))


def parse(text: str, query: Mapping[str, str] | None = None) -> Address:
    """Read an address.

    Takes ws, wss, http and https; without a scheme ws is meant, without a path the usual one. The query of the
    address is kept; `query` comes over it, and a voice and a role are added where neither names one.

    Args:
        text: As typed.
        query: More parameters, such as `{"engine": "echo"}`.

    Raises:
        BadRequest: It is no address.
    """
    cleaned = text.strip()
    if "://" not in cleaned:
        cleaned = f"ws://{cleaned}"
    try:
        parts = urlsplit(cleaned)
        port = parts.port
    except ValueError as error:
        raise _no_address(text, str(error)) from None
    host = parts.hostname or ""
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None:
        raise _no_address(text, f"scheme {parts.scheme}")
    if not host or any(letter.isspace() for letter in cleaned) or port == 0:
        raise _no_address(text, "no host" if not host else "")
    secure = scheme == "wss"
    path = CHAT_PATH if parts.path in ("", "/") else parts.path
    parameters = PERSONA | dict(parse_qsl(parts.query, keep_blank_values=True)) | dict(query or {})
    place = parts.netloc.rpartition("@")[2]
    return Address(
        url=urlunsplit((scheme, parts.netloc, path, urlencode(parameters), "")),
        shown=urlunsplit((scheme, place, path, "", "")),
        host=host,
        port=port or (443 if secure else 80),
        secure=secure,
    )


def _no_address(text: str, details: str) -> BadRequest:
    # A query may hold a token, so it is not repeated.
    shown = text.strip().partition("?")[0].rpartition("@")[2][:200]
    return BadRequest(
        T("“{text}” is not the address of a voice.", text=shown),
        T("An address looks like ws://127.0.0.1:8998/api/chat."),
        cause="address",
        details=details,
    )
