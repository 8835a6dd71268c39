"""Step 5: the server as a supervised process that outlives us."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.domain.errors import ProviderFault
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import health, local, server_process
from personadesk.store.servers import ServerIntent, ServerRecord
from personaplex_server.protocol import CHAT_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.hosts.server_process import ServerStatus

LISTEN_SECONDS = 60.0
PORT_TRIES = 3
"""Between our look and the server's bind another program may take the port."""
_POLL_SECONDS = 0.05


def serve_command(context: Context, port: int) -> tuple[str, ...]:
    """Return the command line of a deploy's server."""
    rehearsal = context.plan.model.kind is ModelKind.REHEARSAL
    return (
        context.facts["python"], "-m", "personaplex_server", "serve",
        "--checkpoint", context.facts["model"],
        "--host", "127.0.0.1", "--port", str(port),
        # The state folder on the server's own command line is the tag by which a stray one is found.
        "--ready-file", str(context.state_dir / "ready.json"),
        # Beside the models, so that brought voices outlive this server.
        "--voices", str(context.folders.data / "voices"),
        "--voices-token-file", str(context.state_dir / server_process.VOICES_TOKEN_FILE),
        # So small a model runs slower on more threads: they wait for each other, and for a busy computer.
        *(("--threads", "1") if rehearsal else ()),
    )  # fmt: skip


class StartStep(Step):
    """Starts the server, or finds it running."""

    name = StepName.START
    title = T("Start")
    limit_s = 180.0
    expected_s = 1.0

    def __init__(self, command: Callable[[Context, int], tuple[str, ...]] = serve_command) -> None:
        self._command = command

    async def done(self, context: Context) -> Text | None:
        """The very server that this deploy started is alive and runs what we would run."""
        server = await context.servers.store.get(context.plan.id)
        if server is None:
            return None
        status = await asyncio.to_thread(server_process.status, server.state_dir)
        port = context.facts.get("server_port")
        if port is None or "server_url" not in context.facts:
            return None
        if not status.alive or server.command != self._command(context, port):
            return None
        if await health.ask(server.url) is None:
            return None
        await context.servers.store.put(replace(server, intent=ServerIntent.RUNNING))
        return T("it runs already")

    async def run(self, context: Context) -> Text:
        """Start it; when its port was snatched away, on another one."""
        # What a killed attempt left must not hold the folder or answer in our server's place.
        await context.servers.remove(context.plan.id)
        for attempt in range(1, PORT_TRIES + 1):
            port = await asyncio.to_thread(local.pick_port)
            server = ServerRecord(
                id=context.plan.id,
                state_dir=context.state_dir,
                command=self._command(context, port),
                url=f"ws://127.0.0.1:{port}{CHAT_PATH}",
                model=context.plan.model.folder or str(context.plan.model.kind),
            )
            # Before it starts: who resumes after a kill between the two must find the way to it.
            await context.remember(server_port=port, server_url=server.url)
            context.log(self.name, "$ " + " ".join(server.command), False)
            await context.servers.start(server)
            status = await self._listening(server)
            if status is None:
                return T("it listens on port {port}", port=port)
            context.log(self.name, status.reason, True)
            failure = crashed(status, server_process.tail(server.state_dir))
            await context.servers.remove(context.plan.id)
            if "port is taken" not in status.reason or attempt == PORT_TRIES:
                raise failure
        raise AssertionError  # the loop returns or raises

    async def undo(self, context: Context) -> bool:
        """Stop the server and forget it; its logs are kept."""
        return await context.servers.remove(context.plan.id)

    async def _listening(self, server: ServerRecord) -> ServerStatus | None:
        """Wait until the server answers; return how it stands when it will not."""
        until = time.monotonic() + LISTEN_SECONDS
        while time.monotonic() < until:
            if await health.ask(server.url) is not None:
                return None
            status = await asyncio.to_thread(server_process.status, server.state_dir)
            if not status.alive:
                return status
            await asyncio.sleep(_POLL_SECONDS)
        return await asyncio.to_thread(server_process.status, server.state_dir)


def crashed(status: ServerStatus, last_lines: tuple[str, ...]) -> ProviderFault:
    """Return the error for a server that does not stay up."""
    first = status.reason.splitlines()[0] if status.reason else status.state
    return ProviderFault(
        T("The voice server does not stay up: {reason}", reason=first),
        T("Look at its last words in the details; often memory or a library is missing."),
        cause="crash_loop",
        details="\n".join((status.reason, *last_lines)),
    )
