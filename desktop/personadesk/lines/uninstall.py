"""Takes PersonaDesk off a machine: its voices, everything of ours there, and what the lines knew of them.

The window and the terminal both ask for it here, so that a line never leads to a server that is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest
from personadesk.domain.plan import host_of
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from personadesk.domain.plan import Plan
    from personadesk.domain.text import Text
    from personadesk.hosts.remote.care import Care
    from personadesk.lines.service import LineService

__all__ = ["Uninstalled", "uninstall"]


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """What an uninstalling ended.

    Attributes:
        stopped: Ids of the servers that were stopped.
        lines: Names of the lines that have no voice now.
    """

    stopped: tuple[str, ...]
    lines: tuple[str, ...]


async def uninstall(
    host_name: str,
    care: Care,
    lines: LineService,
    *,
    running: Iterable[Plan],
    tell: Callable[[Text], None],
) -> Uninstalled:
    """Stop and remove everything of ours on a machine; lines that led there stay, without a voice.

    Args:
        host_name: What the user calls the machine.
        care: Reaches the machine.
        lines: The lines; each is let go as soon as its server has stopped.
        running: Plans of the deploys that are under way in this process.
        tell: Called with what is being done, a sentence each.

    Raises:
        BadRequest: A deploy to that machine is under way (cause `deploying`).
        PersonaDeskError: Something would not stop or go; what had stopped before is let go already.
    """
    if any(host_of(plan) == host_name for plan in running):
        raise BadRequest(
            T("A deploy to “{name}” is under way.", name=host_name),
            T("Stop it, or wait until it is done; then uninstall."),
            cause="deploying",
        )
    emptied: list[str] = []

    async def let_go(server_id: str) -> None:
        for line in await lines.all():
            if line.target is not None and line.target.server_id == server_id:
                await lines.detach(line.name)
                emptied.append(line.name)

    stopped = await care.uninstall(host_name, tell=tell, on_stopped=let_go)
    return Uninstalled(tuple(stopped), tuple(emptied))
