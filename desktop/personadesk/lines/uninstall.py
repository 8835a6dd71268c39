"""Takes PersonaDesk off a machine: its voices, everything of ours there, and what the lines knew of them.

A machine that is gone for good is forgotten instead, with what this computer knew of its voices.

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
    from personadesk.hosts.remote.servers import PlacedServers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.lines.service import LineService

__all__ = ["Uninstalled", "forget", "uninstall"]


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
    _refuse_during_deploy(host_name, running)
    emptied: list[str] = []

    async def let_go(server_id: str) -> None:
        emptied.extend(await _empty(lines, server_id))

    stopped = await care.uninstall(host_name, tell=tell, on_stopped=let_go)
    return Uninstalled(tuple(stopped), tuple(emptied))


async def forget(
    host_name: str,
    hosts: Hosts,
    servers: PlacedServers,
    lines: LineService,
    *,
    running: Iterable[Plan],
) -> Uninstalled:
    """Forget a machine without asking it: tunnels to it end, lines that led there stay, without a voice.

    Args:
        host_name: What the user calls the machine.
        hosts: The machines.
        servers: The voice servers.
        lines: The lines.
        running: Plans of the deploys that are under way in this process.

    Returns:
        The servers that are not known here any more, and may still run there; the lines without a voice.

    Raises:
        NotFound: There is no machine of that name.
        BadRequest: A deploy to that machine is under way (cause `deploying`), or it is rented (`rented`).
    """
    if (await hosts.store.get(host_name)).account:
        raise BadRequest(
            T("“{name}” is a rented machine: forgotten, it would go on costing money.", name=host_name),
            T("End it; it is then forgotten by itself."),
            cause="rented",
        )  # fmt: skip
    _refuse_during_deploy(host_name, running)
    left: list[str] = []
    emptied: list[str] = []
    for placement in await hosts.store.placements_on(host_name):
        await servers.let_go(placement.server_id)
        left.append(placement.server_id)
        emptied.extend(await _empty(lines, placement.server_id))
    await hosts.remove(host_name)
    return Uninstalled(tuple(left), tuple(emptied))


def _refuse_during_deploy(host_name: str, running: Iterable[Plan]) -> None:
    if any(host_of(plan) == host_name for plan in running):
        raise BadRequest(
            T("A deploy to “{name}” is under way.", name=host_name),
            T("Stop it, or wait until it is done; then uninstall."),
            cause="deploying",
        )


async def _empty(lines: LineService, server_id: str) -> list[str]:
    """Let go the lines that lead to a server; returns their names."""
    emptied = []
    for line in await lines.all():
        if line.target is not None and line.target.server_id == server_id:
            await lines.detach(line.name)
            emptied.append(line.name)
    return emptied
