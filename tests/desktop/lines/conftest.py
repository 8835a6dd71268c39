"""Voices that a line can lead to: real WebSocket servers that do what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from personadesk.domain.line import Line, LineState, Target
from personadesk.hosts import local
from personadesk.lines.gateway import Gateway


class Voice:
    """A server behind a line; `calls` holds what it saw of each call."""

    def __init__(
        self, handler: Callable[[ServerConnection], Awaitable[None]], **choices: Any
    ) -> None:
        self.calls: list[ServerConnection] = []
        self.closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()
        self._handler = handler
        self.port = 0

    async def handle(self, connection: ServerConnection) -> None:
        self.calls.append(connection)
        with contextlib.suppress(ConnectionClosed):
            await self._handler(connection)
        await connection.wait_closed()
        self.closed.put_nowait((connection.close_code, connection.close_reason))

    @property
    def target(self) -> Target:
        return Target(f"ws://127.0.0.1:{self.port}/api/chat", "pd-1")


@asynccontextmanager
async def voice(
    handler: Callable[[ServerConnection], Awaitable[None]], **choices: Any
) -> AsyncIterator[Voice]:
    made = Voice(handler)
    async with serve(made.handle, "127.0.0.1", 0, compression=None, **choices) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@asynccontextmanager
async def gateway(target: Target | None, **changes: Any) -> AsyncIterator[Gateway]:
    line = Line("My line", local.pick_port(), target, changes.pop("state", LineState.UP), **changes)
    opened = Gateway(line)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop()


@pytest.fixture(name="voice")
def voice_fixture() -> Any:
    """Makes a voice: `async with voice(handler) as there`."""
    return voice


@pytest.fixture(name="gateway")
def gateway_fixture() -> Any:
    """Makes a gateway: `async with gateway(target) as line`."""
    return gateway
