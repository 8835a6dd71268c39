"""Step 6: wait until the model is loaded, with the server's own words about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.start import crashed
from personadesk.domain.errors import BadRequest, ProviderFault
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import health, server_process

if TYPE_CHECKING:
    from pathlib import Path

CRASHES = 3
"""A server that died so often while loading will not come up by waiting."""
STAGES = (
    T("starting"), T("loading the libraries"), T("reading the weights"), T("warming up"),
)  # fmt: skip
"""What our server says while it loads; named here so that it can be translated."""
_POLL_SECONDS = 0.1


class ReadyStep(Step):
    """Waits for ready."""

    name = StepName.READY
    title = T("Wait until it is ready")
    limit_s = 900.0
    expected_s = 4.0

    async def run(self, context: Context) -> Text:
        """Ask until it says ready, failed, or keeps dying."""
        server = await context.servers.get(context.plan.id)
        follow = _Follower(server.state_dir / server_process.LOG_FILE)
        while True:
            for line in await asyncio.to_thread(follow.fresh):
                context.log("server", line, "warn" in line.lower() or "error" in line.lower())
            found = await health.ask(server.url)
            if found is not None:
                if found.takes_calls:
                    return _describe(found)
                if found.state == "failed":
                    raise _failed(context, found.reason, server_process.tail(server.state_dir))
                if found.stage:
                    context.tell(Text(found.stage), found.progress)
            status = await asyncio.to_thread(server_process.status, server.state_dir)
            if not status.alive or status.restarts >= CRASHES:
                raise crashed(status, server_process.tail(server.state_dir))
            await asyncio.sleep(_POLL_SECONDS)


def _describe(found: health.Health) -> Text:
    device, dtype = found.facts.get("device"), found.facts.get("dtype")
    if device and dtype:
        return T("ready on {device}, {dtype}", device=str(device), dtype=str(dtype))
    return T("ready")


def _failed(
    context: Context, reason: str, last_lines: tuple[str, ...]
) -> BadRequest | ProviderFault:
    words = T("The voice server could not load the model: {reason}", reason=reason)
    details = "\n".join(last_lines)
    if context.plan.model.kind is ModelKind.FOLDER:
        return BadRequest(
            words, T("Name another model folder, or get the model again."),
            cause="model_unusable", details=details,
        )  # fmt: skip
    return ProviderFault(
        words, T("Try again; the details say what went wrong."),
        cause="model_unusable", details=details,
    )  # fmt: skip


class _Follower:
    """Reads what a log file grew by; a file that was rotated is read from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""

    def fresh(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._at:
                    self._at = 0
                file.seek(self._at)
                grown = file.read(1 << 20)
        except OSError:
            return []
        self._at += len(grown)
        *lines, self._rest = (self._rest + grown).split(b"\n")
        return [line.decode("utf-8", "replace").rstrip() for line in lines if line.strip()]
