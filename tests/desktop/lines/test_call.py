"""Calls whose way to the voice breaks: a real server, a real cut, and callers who know nothing of resuming."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from peers.tcp_proxy import TcpProxy
from personadesk.domain.line import Line, LineState, Target
from personadesk.hosts import health, local
from personadesk.lines import call as call_module
from personaplex_server.opus import OpusReader, OpusWriter, page_checksum
from personaplex_server.protocol import FRAME_SAMPLES, SAMPLE_RATE, Kind

HZ = 440.0


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


class Stock:
    """A caller in the protocol of the released clients, strict about its one Ogg stream.

    Attributes:
        pcm: Everything heard, decoded.
        kinds: Kinds of all messages but sound.
    """

    def __init__(self, socket: ClientConnection, cut: int = 0) -> None:
        self.socket = socket
        self.pcm: list[np.ndarray] = []
        self.kinds: list[Kind] = []
        self.said: list[bytes] = []
        self.facts: list[dict[str, Any]] = []
        self._cut = cut
        self._writer = OpusWriter()
        self._reader = OpusReader()
        self._rest = b""
        self._next = 0
        self._granule = -1
        self._serial: int | None = None
        self._tasks = [asyncio.create_task(self._talk()), asyncio.create_task(self._listen())]

    async def _talk(self) -> None:
        sample = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                times = np.arange(sample, sample + FRAME_SAMPLES) / SAMPLE_RATE
                sample += FRAME_SAMPLES
                await self._send(
                    self._writer.encode((0.4 * np.sin(2 * np.pi * HZ * times)).astype(np.float32))
                )
                await asyncio.sleep(FRAME_SAMPLES / SAMPLE_RATE)

    async def _send(self, sound: bytes) -> None:
        self._rest += sound
        size = self._cut or len(self._rest)
        while len(self._rest) >= size > 0:
            piece, self._rest = self._rest[:size], self._rest[size:]
            await self.socket.send(b"\x01" + piece)

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                assert isinstance(message, bytes)
                kind, payload = Kind(message[0]), message[1:]
                if kind is Kind.AUDIO:
                    self._judge(payload)
                    self.pcm.extend(self._reader.feed(payload))
                    continue
                self.kinds.append(kind)
                if kind in {Kind.ERROR, Kind.TEXT}:
                    self.said.append(payload)
                if kind is Kind.METADATA:
                    self.facts.append(json.loads(payload))

    def _judge(self, payload: bytes) -> None:
        """One stream, from its first page on: RFC 3533."""
        while payload:
            assert payload[:4] == b"OggS"
            body = 27 + payload[26]
            end = body + sum(payload[27:body])
            page, payload = payload[:end], payload[end:]
            bare = page[:22] + b"\0\0\0\0" + page[26:]
            assert page_checksum(bare) == int.from_bytes(page[22:26], "little")
            serial = int.from_bytes(page[14:18], "little")
            assert self._serial in {None, serial}
            self._serial = serial
            assert int.from_bytes(page[18:22], "little") == self._next
            assert bool(page[5] & 2) == (self._next == 0), "it begins once"
            granule = int.from_bytes(page[6:14], "little", signed=True)
            assert granule > self._granule or self._next < 2
            self._next, self._granule = self._next + 1, granule

    async def hears(self, seconds: float, limit_s: float = 30.0) -> None:
        """Wait until so much more sound that is the caller's own came back."""
        before = len(self.pcm)
        async with asyncio.timeout(limit_s):
            while sum(_is_tone(piece) for piece in self.pcm[before:]) < seconds * 25:
                self._fail_early()
                await asyncio.sleep(0.02)

    async def ended(self, limit_s: float = 30.0) -> tuple[int | None, str]:
        async with asyncio.timeout(limit_s):
            await self._tasks[1]
        return self.socket.close_code, self.socket.close_reason or ""

    def _fail_early(self) -> None:
        for task in self._tasks:
            if task.done() and task.exception() is not None:
                task.result()
        assert self.socket.close_code is None, (self.socket.close_code, self.socket.close_reason)

    async def close(self) -> None:
        await self.socket.close()
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, AssertionError):
                raise result


def _is_tone(piece: np.ndarray) -> bool:
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
    loudest = np.argmax(spectrum) * SAMPLE_RATE / len(piece)
    return bool(np.abs(piece).max() > 0.1 and abs(loudest - HZ) < 40)


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


async def test_who_leaves_within_the_break_is_let_go(proxy: TcpProxy, gateway: Any) -> None:
    async with gateway(target(proxy)) as line:
        caller = await stock(line)
        await caller.hears(0.3)
        await proxy.stop()
        await asyncio.sleep(0.3)
        await caller.close()
        async with asyncio.timeout(5):
            while line.calls:
                await asyncio.sleep(0.01)


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
