"""A line: a name with an address that never changes, and where it leads at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from personadesk.domain.plan import DEFAULT_LINE_PORT
from personadesk.domain.text import NOTHING, Text

FIRST_PORT, LAST_PORT = 1024, 65535
"""Ports that a line may have: below them systems ask for an administrator."""


class LineState(StrEnum):
    """How a line stands; "up" means that a voice answered, not that a process runs."""

    UP = "up"
    STARTING = "starting"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a line leads.

    Attributes:
        url: WebSocket address of the server, path included, query excluded.
        server_id: Which server it is (a deploy's id).
    """

    url: str
    server_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        name: Unique, 1 to 40 characters.
        port: Its loopback port.
        target: Where it leads; None while there is no server.
        state: As last proven.
        since: Unix time of the last change of state.
        reason: Why it is not up; nothing when it is.
    """

    name: str
    port: int = DEFAULT_LINE_PORT
    target: Target | None = None
    state: LineState = LineState.STOPPED
    since: float = 0.0
    reason: Text = NOTHING

    @property
    def url(self) -> str:
        """The address that programs use; it depends on nothing but the port."""
        return f"ws://127.0.0.1:{self.port}/api/chat"
