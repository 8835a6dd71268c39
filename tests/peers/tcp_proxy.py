"""A bad network on loopback: passes bytes on, and delays, limits, stalls or cuts them on request.

The kernels that tests run on have no `netem`, so this sits between a client and its server instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Weather:
    """How the network is now; may be changed at any moment.

    Attributes:
        delay_s: Added to each direction.
        up_s: Added to the way to the server alone.
        down_s: Added to the way back alone.
        bytes_per_s: Limit for each direction of each connection, None for none.
        stalled: While True nothing passes, and nothing is closed.
        refusing: While True new connections are closed at once.
    """

    delay_s: float = 0.0
    up_s: float = 0.0
    down_s: float = 0.0
    bytes_per_s: float | None = None
    stalled: bool = False
    refusing: bool = False


class TcpProxy:
    """Listens on a loopback port and forwards to another.

    Attributes:
        port: Where it listens.
        weather: How the network is.
        connections: How many were taken so far.
    """

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.weather = Weather()
        self.connections = 0

    async def __aenter__(self) -> TcpProxy:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; the same port again after a `stop`."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every open connection with a reset, as a yanked cable or a dying router does in the end."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Let nothing pass for a while."""
        self.weather.stalled = True
        await asyncio.sleep(seconds)
        self.weather.stalled = False

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self.weather.refusing:
                return
            back, there = await asyncio.open_connection(*self._target)
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, there, lambda weather: weather.up_s))
                group.create_task(self._pass(back, writer, lambda weather: weather.down_s))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        more: Callable[[Weather], float],
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def read() -> None:
            while chunk := await reader.read(16384):
                await queue.put((time.monotonic(), chunk))
            await queue.put((time.monotonic(), b""))

        async def write() -> None:
            while True:
                came, chunk = await queue.get()
                while (
                    left := came + self.weather.delay_s + more(self.weather) - time.monotonic()
                ) > 0:
                    await asyncio.sleep(left)
                while self.weather.stalled:
                    await asyncio.sleep(0.02)
                if not chunk:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                if self.weather.bytes_per_s:
                    await asyncio.sleep(len(chunk) / self.weather.bytes_per_s)
                writer.write(chunk)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(write())
