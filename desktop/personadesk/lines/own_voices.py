"""Brings an own voice to the server behind a line: one that PersonaDesk deployed says itself what opens that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.voice import voices

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.hosts.servers import Servers
    from personadesk.voice.voices import Voice


async def add(servers: Servers, url: str, name: str, wav: Path, token: str | None = None) -> Voice:
    """Bring a voice to a server, ours or another's.

    Args:
        servers: Those that we deployed.
        url: The server's own address; a server on a host is reached through its tunnel.
        name: As for `voices.add`.
        wav: As for `voices.add`.
        token: What opens it; None takes what a server of ours wrote down for this.

    Raises:
        PersonaDeskError: As for `voices.add`, or the server's machine is not reached.
    """
    if token is None:
        ours = next((each.id for each in await servers.store.all() if each.url == url), None)
        token = None if ours is None else await servers.voices_token(ours)
    return await voices.add(url, name, wav, token)
