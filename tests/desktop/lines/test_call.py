"""Calls whose way to the voice breaks: a real server, a real cut, and callers who know nothing of resuming."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect

from peers.stock_caller import Stock
from peers.tcp_proxy import TcpProxy
from personadesk.domain.line import Line, LineState, Target
from personadesk.hosts import health, local
from personadesk.lines import call as call_module
from personadesk.lines import gateway as gateway_module
from personaplex_server.protocol import Kind


class Server:
    """A voice server in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = local.pick_port()
        self.url = f"ws://127.0.0.1:{self.port}/api/chat"
        self._words = [
            sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo",
            "--port", str(self.port), "--echo-delay", "0", *options,
        ]  # fmt: skip
        self._log = (folder / "server.log").open("ab")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._words, stderr=self._log, stdout=self._log)

    async def ready(self) -> None:
        async with asyncio.timeout(60):
            while (found := await health.ask(self.url)) is None or not found.takes_calls:
                await asyncio.sleep(0.05)

    async def rows(self) -> int:
        found = await health.ask(self.url)
        assert found is not None
        return int(found.facts["free"])

    async def free(self, rows: int) -> None:
        """Wait until at least so many rows are free; those of earlier breaks may still be kept."""
        async with asyncio.timeout(20):
            while await self.rows() < rows:
                await asyncio.sleep(0.05)

    async def restart(self) -> None:
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        self.process = self._start()
        await self.ready()

    def close(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self.process.pid).send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.close()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[TcpProxy]:
    await server.ready()
    async with TcpProxy(server.port) as made:
        yield made


def target(proxy: TcpProxy, server_id: str = "pd-1") -> Target:
    return Target(f"ws://127.0.0.1:{proxy.port}/api/chat", server_id)


async def stock(line: Any, query: str = "", cut: int = 0) -> Stock:
    return Stock(await connect(line.line.url + query, compression=None), cut)


@pytest.mark.parametrize("cut", [0, 113], ids=["whole pages", "cut anywhere"])
async def test_a_call_goes_on_over_cuts_and_its_caller_hears_one_stream(
    proxy: TcpProxy, server: Server, gateway: Any, cut: int
) -> None:
    before = await server.rows()
    async with gateway(target(proxy)) as line:
        caller = await stock(line, cut=cut)
        await caller.hears(0.6)
        for breaks in (1, 2):
            proxy.cut()
            await caller.hears(0.6)
            assert line.calls == 1
            assert proxy.connections == 1 + breaks
        await caller.close()
        async with asyncio.timeout(10):
            while line.calls:
                await asyncio.sleep(0.01)
        assert line.carried == 2
        await server.free(before)
    assert set(caller.kinds) <= {Kind.HANDSHAKE, Kind.PING}, "it is told nothing that it knows not"
    assert caller.kinds.count(Kind.HANDSHAKE) == 1


async def test_a_break_of_seconds_is_bridged_and_the_page_is_kept_from_hanging_up(
    proxy: TcpProxy, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_module, "PING_SECONDS", 0.2)
    async with gateway(target(proxy)) as line:
        caller = await stock(line, "?metadata=1")
        await caller.hears(0.3)
        await proxy.stop()
        await asyncio.sleep(1.0)
        assert caller.kinds.count(Kind.PING) >= 2
        await proxy.start()
        await caller.hears(0.3)
        await caller.close()
    assert caller.facts, "who asked for figures gets them"
    assert {fact["resume"] for fact in caller.facts} == {None}, "the token is the line's"
    assert caller.facts[-1]["dropped"] < 5, "what was said meanwhile is for nobody, and not late"


async def test_a_way_that_is_silent_and_never_breaks_is_given_up_for_a_new_one(
    proxy: TcpProxy, server: Server, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_module, "SILENT_SECONDS", 0.8)
    before = await server.rows()
    async with gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        proxy.weather.stalled = True
        async with asyncio.timeout(10):
            while proxy.connections < 2:
                await asyncio.sleep(0.02)
        proxy.weather.stalled = False
        await caller.hears(0.3)
        await caller.close()
        await server.free(before)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(*options: str) -> Server:
        made.append(Server(tmp_path, *options))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def test_a_server_that_was_started_anew_ends_the_call_in_words(
    own_server: Callable[..., Server], gateway: Any
) -> None:
    server = own_server()
    await server.ready()
    async with TcpProxy(server.port) as proxy, gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        await server.restart()
        assert await caller.ended() == (1011, call_module.NOT_KEPT)
        assert caller.said == [call_module.NOT_KEPT.encode()] * 2
        again = await stock(line)
        await again.hears(0.3)
        await again.close()
        await caller.close()


async def test_a_way_that_does_not_come_back_ends_the_call_in_words(
    proxy: TcpProxy, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_module, "CARRY_SECONDS", 0.6)
    async with gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        await proxy.stop()
        code, reason = await caller.ended()
        assert code == 1011
        assert "did not come back in time" in reason
        await caller.close()


async def test_a_voice_at_another_place_is_not_asked_for_a_talk_it_never_had(
    proxy: TcpProxy, gateway: Any
) -> None:
    async with gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        line.line = Line("My line", line.line.port, target(proxy, "pd-2"), LineState.UP)
        await caller.hears(0.3)
        proxy.cut()
        code, reason = await caller.ended()
        assert (code, proxy.connections) == (1011, 1)
        assert "is gone" in reason
        await caller.close()


async def test_who_leaves_within_the_break_is_let_go_and_their_row_is_free_as_soon_as_the_way_is_back(
    own_server: Callable[..., Server], gateway: Any
) -> None:
    server = own_server("--resume", "600")
    await server.ready()
    all_of_them = await server.rows()
    async with TcpProxy(server.port) as proxy, gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        await proxy.stop()
        await asyncio.sleep(0.3)
        await caller.close()
        async with asyncio.timeout(5):
            while line.calls:
                await asyncio.sleep(0.01)
        assert await server.rows() == all_of_them - 1, "it is kept for who may come back"
        await proxy.start()
        await server.free(all_of_them)


async def test_who_left_is_let_go_only_as_long_as_the_line_is_there(
    proxy: TcpProxy, gateway: Any
) -> None:
    async with gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        await proxy.stop()
        await asyncio.sleep(0.3)
        await caller.close()
        async with asyncio.timeout(5):
            while line.calls:
                await asyncio.sleep(0.01)
    await proxy.start()
    assert proxy.connections == 1


async def test_a_caller_who_vanishes_before_the_call_began_leaves_no_row_behind(
    own_server: Callable[..., Server], gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "CLAIM_SECONDS", 0.5)
    server = own_server("--resume", "600")
    await server.ready()
    all_of_them = await server.rows()
    async with TcpProxy(server.port) as proxy, gateway(target(proxy)) as line:
        _, writer = await asyncio.open_connection("127.0.0.1", line.line.port)
        writer.write(
            b"GET /api/chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await writer.drain()
        writer.transport.abort()
        async with asyncio.timeout(10):
            while proxy.connections < 1:
                await asyncio.sleep(0.01)
            while await server.rows() == all_of_them:
                await asyncio.sleep(0.01)
        await server.free(all_of_them)


async def test_who_asked_to_resume_does_it_themselves_also_when_it_was_their_socket_that_broke(
    proxy: TcpProxy, server: Server, gateway: Any
) -> None:
    before = await server.rows()
    async with gateway(target(proxy)) as line:
        caller = await stock(line, "?resume=1")
        await caller.hears(0.3)
        token = caller.facts[0]["resume"]
        caller.socket.transport.abort()
        await caller.ended()
        again = await stock(line, f"?resume={token}")
        await again.hears(0.3)
        assert again.facts[0]["resume"] == token
        proxy.cut()
        assert (await again.ended())[0] == 1011
        last = await stock(line, f"?resume={token}")
        await last.hears(0.3)
        await last.close()
        assert line.carried == 0
        await server.free(before)


async def test_without_a_token_nothing_is_carried_over(
    own_server: Callable[..., Server], gateway: Any
) -> None:
    server = own_server("--resume", "0")
    await server.ready()
    async with TcpProxy(server.port) as proxy, gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        proxy.cut()
        code, reason = await caller.ended()
        assert code == 1011
        assert "went away" in reason
        await caller.close()
