"""What a voice server tells about itself beside the call; other servers tell nothing, and that is fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from personaplex_server.protocol import HEALTH_PATH

if TYPE_CHECKING:
    from personadesk.voice.address import Address

_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Who answers.

    Attributes:
        engine: `personaplex`, `echo`, or "" when nobody says.
        rehearsal: True when the server says that its model is untrained.
    """

    engine: str = ""
    rehearsal: bool = False


async def ask(address: Address, token: str | None = None) -> ServerFacts:
    """Ask the server of a call who it is; silence and nonsense count as "does not tell"."""
    import httpx

    asked = parse_qs(urlsplit(address.url).query).get("engine", [""])[0]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # A proxy of the network has no business between this computer and itself.
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=not address.loopback) as http:
            answer = await http.get(address.http(HEALTH_PATH), headers=headers)
            told = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        told = None
    if not isinstance(told, dict):
        return ServerFacts(asked)
    engine = asked or str(told.get("engine") or "")
    return ServerFacts(engine, told.get("rehearsal") is True and engine != "echo")
