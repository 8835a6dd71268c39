"""Step 5 on a host: the server there under its supervisor, and here the tunnel that stands in for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.start import crashed
from personadesk.domain.errors import ProviderFault
from personadesk.domain.plan import RENT, ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import health, local, server_process
from personadesk.hosts.remote import service
from personadesk.hosts.remote.servers import tunnel_record
from personadesk.store.hosts import Placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.deploy.steps.remote.site import Site, Sites

    Command = Callable[[Context, Site, int], tuple[str, ...]]

LISTEN_SECONDS = 60.0
_POLL_SECONDS = 0.2
_FREE_PORT = (
    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
)


class RemoteStartStep(Step):
    """Starts both ends, or finds them running."""

    name = StepName.START
    title = T("Start")
    limit_s = 240.0
    expected_s = 3.0

    def __init__(self, sites: Sites, command: Command | None = None) -> None:
        """Take what is needed.

        Args:
            sites: The hosts.
            command: Returns what is run there at a port; None for the voice server with the deploy's model.
        """
        self._sites = sites
        self._command = command or _command

    async def done(self, context: Context) -> Text | None:
        """The server that this deploy started runs, and its tunnel leads to it."""
        server = await context.servers.store.get(context.plan.id)
        placement = await self._sites.hosts.store.placement(context.plan.id)
        if server is None or placement is None or "server_url" not in context.facts:
            return None
        if await health.ask(server.url) is None:
            return None
        site = await self._sites.at(context)
        standing = await service.status(site.host, site.layout, context.plan.id)
        return T("it runs already") if standing.alive else None

    async def run(self, context: Context) -> Text:
        """Start them; each is written down before it exists."""
        site = await self._sites.at(context)
        plan = context.plan
        # What a killed attempt left must not answer in our server's place.
        await context.servers.remove(plan.id)
        async with site.locked(context):
            port = await self._free_port(site)
            await self._sites.hosts.store.place(
                Placement(plan.id, site.host.name, site.layout.server(plan.id), port)
            )
            command = self._command(context, site, port)
            context.log(self.name, f"{site.host.name} $ " + " ".join(command), False)
            keeper = service.keeper_for(site.facts)
            await service.start(
                site.host, site.layout, plan.id, command, keeper, lease_hours=plan.lease_hours
            )
            await context.remember(there_port=port, keeper=str(keeper))
        here = await asyncio.to_thread(local.pick_port)
        model = f"{plan.model.folder or plan.model.kind} ({site.host.name})"
        record = tunnel_record(plan.id, context.state_dir, here, model)
        await context.servers.start(record)
        await self._listening(context, site, record.url)
        await context.remember(server_url=record.url, server_port=here)
        return T("it listens on port {port} there, {here} here", port=port, here=here)

    async def undo(self, context: Context) -> bool:
        """Stop and forget both ends; the log of the server there is kept here."""
        if context.plan.place == RENT:
            # The machine is ended, or kept for a look; either way it may not answer any more.
            return await context.servers.let_go(context.plan.id)
        placement = await self._sites.hosts.store.placement(context.plan.id)
        if placement is None:
            return await context.servers.remove(context.plan.id)
        site = await self._sites.at(context)
        for line in await service.tail(site.host, site.layout, context.plan.id):
            context.log("server", line, False)
        return await context.servers.remove(context.plan.id)

    async def _free_port(self, site: Site) -> int:
        done = await site.host.run([site.layout.python, "-c", _FREE_PORT], limit_s=30.0)
        if done.code != 0 or not done.lines or not done.lines[-1].isdigit():
            raise ProviderFault(
                T("The voice server on {name} does not run.", name=site.host.name),
                T("Deploy again: it is then installed anew."),
                cause="no_python",
                details=done.text,
            )
        return int(done.lines[-1])

    async def _listening(self, context: Context, site: Site, url: str) -> None:
        until = time.monotonic() + LISTEN_SECONDS
        looked = time.monotonic()
        while time.monotonic() < until:
            if await health.ask(url) is not None:
                return
            here = await asyncio.to_thread(server_process.status, context.state_dir)
            if not here.alive:
                raise crashed(here, server_process.tail(context.state_dir))
            if time.monotonic() - looked > 2.0:
                looked = time.monotonic()
                await raise_if_dead(context, site)
            await asyncio.sleep(_POLL_SECONDS)
        last = await service.tail(site.host, site.layout, context.plan.id)
        raise ProviderFault(
            T("The voice server on {name} does not answer.", name=site.host.name),
            T("Look at its last words in the details, then try again."),
            cause="no_answer",
            details="\n".join(last),
        )


async def raise_if_dead(context: Context, site: Site) -> None:
    """Tell when the server there will not come up by waiting.

    Raises:
        ProviderFault: It keeps dying; its last words are in the details.
    """
    standing = await service.status(site.host, site.layout, context.plan.id)
    if standing.state in {"given-up", "dead"} or standing.restarts >= 3:
        last = await service.tail(site.host, site.layout, context.plan.id)
        status = server_process.ServerStatus(
            alive=standing.alive, state=standing.state, reason=standing.reason
        )
        raise crashed(status, last)


def _command(context: Context, site: Site, port: int) -> tuple[str, ...]:
    rehearsal = context.plan.model.kind is ModelKind.REHEARSAL
    folder = site.layout.server(context.plan.id)
    return (
        # By way of `current`, so that an upgrade or a way back changes what the next start runs.
        site.layout.python, "-m", "personaplex_server", "serve",
        "--checkpoint", context.facts["model"],
        "--host", "127.0.0.1", "--port", str(port),
        "--ready-file", f"{folder}/ready.json",
        "--voices", site.layout.voices,
        "--voices-token-file", f"{folder}/{server_process.VOICES_TOKEN_FILE}",
        *(("--threads", "1") if rehearsal else ()),
    )  # fmt: skip
