"""A real server with the echo engine is looked at, and so is everything that is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personadesk.domain.sample import UNITS, Absent, Metric, Sample, Source
from personadesk.domain.text import Text
from personadesk.hosts import local, server_metrics
from personadesk.hosts.proc_figures import FIRST
from personadesk.hosts.server_figures import NO_GPU, NO_TICK, USUAL
from personadesk.hosts.server_metrics import ServerMetrics, watch

TOKEN = "correct-horse"
Server = tuple[str, subprocess.Popen[bytes]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start real servers that want a token; all are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)

    def start() -> Server:
        ready, log = tmp_path / "ready.json", tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo",
                 "--port", "0", "--ready-file", str(ready), "--token-file", str(token)],
                stderr=file,
            )  # fmt: skip
        started.append(process)
        end = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        return str(json.loads(ready.read_text())["url"]), process

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@contextlib.asynccontextmanager
async def answering(answer: bytes, *, cut: bool = True):
    """Answer every request with these bytes; yields the address."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # Who was told enough hangs up.
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            await writer.drain()
            if not cut:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _reason(sample: Sample) -> Text:
    """The one reason that stands in the place of every figure."""
    (reason,) = {each.value.reason for each in sample.readings if isinstance(each.value, Absent)}
    assert not list(sample.numbers())
    return reason


async def test_a_real_server_is_read_until_it_is_gone(serve: Callable[[], Server]):
    url, process = serve()
    async with ServerMetrics(f"{url.replace('http', 'ws')}/api/chat?x=1", TOKEN) as server:
        first = await server.read()
        assert first.source is Source.SERVER
        assert abs(first.at - time.time()) < 60
        assert first.value(Metric.SERVER_SESSIONS) == first.value(Metric.SERVER_QUEUE) == 0
        assert first.value(Metric.SERVER_TICK) == FIRST
        assert (await server.read()).value(Metric.SERVER_TICK) == NO_TICK
        assert first.value(Metric.MEMORY_TOTAL) > first.value(Metric.MEMORY_USED) > 0
        assert all(each.metric in UNITS for each in first.readings)
        assert bool(first.gpus) != (first.gpu_reason == NO_GPU)

        process.terminate()
        process.wait(20)
        gone = await server.read()
        assert _reason(gone) == gone.gpu_reason == server_metrics.SILENT
        keys = [(each.metric, each.part) for each in first.readings]
        assert [(each.metric, each.part) for each in gone.readings] == keys


async def test_a_real_call_is_counted(serve: Callable[[], Server]):
    import websockets

    url, _ = serve()
    address = f"{url.replace('http', 'ws')}/api/chat?token={TOKEN}"
    async with ServerMetrics(url, TOKEN) as server:
        await server.read()
        async with websockets.connect(address) as call:
            assert await call.recv() == b"\x00"
            assert (await server.read()).value(Metric.SERVER_SESSIONS) == 1


async def test_a_wrong_token_is_told_apart(serve: Callable[[], Server]):
    url, _ = serve()
    for token in ("wrong-horse", None):
        async with ServerMetrics(url, token) as server:
            assert _reason(await server.read()) == server_metrics.WANTS_TOKEN


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", server_metrics.NO_PAGE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", server_metrics.NOT_READABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nup 1", server_metrics.NOT_READABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", server_metrics.NOT_READABLE),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"#" * (1 << 21), server_metrics.NOT_READABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nup 1", server_metrics.SILENT),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nup 1",
         server_metrics.SILENT),
        (b"SSH-2.0-OpenSSH_9.9\r\n", server_metrics.SILENT),
        (b"", server_metrics.SILENT),
    ],
)  # fmt: skip
async def test_what_is_no_voice_server_gives_a_reason(answer: bytes, reason: Text):
    async with answering(answer) as url, ServerMetrics(url) as server:
        sample = await server.read()
        assert _reason(sample) == reason
        assert [each.metric for each in sample.readings] == [*USUAL]


async def test_another_status_and_a_move_are_told_by_number():
    moved = b"HTTP/1.1 302 Off\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"
    async with answering(moved) as url, ServerMetrics(url, TOKEN) as server:
        assert str(_reason(await server.read())) == "The voice server answered with status 302."


async def test_silence_ends_with_the_limit():
    async with answering(b"", cut=False) as url, ServerMetrics(url, limit_s=0.2) as server:
        began = time.monotonic()
        assert _reason(await server.read()) == server_metrics.SILENT
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:80", "http://example.org", "ftp://127.0.0.1", "127.0.0.1:80", ""]
)
def test_only_loopback_is_asked(url: str):
    with pytest.raises(ValueError, match="loopback"):
        ServerMetrics(url)


async def test_the_sampler_goes_on_through_silence_and_stops_when_told():
    page = b"personaplex_cpu_load 0.5\n"
    good = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    samples: asyncio.Queue[Sample] = asyncio.Queue()
    url = f"http://127.0.0.1:{local.pick_port()}"
    port = int(url.rpartition(":")[2])
    task = asyncio.create_task(watch(url, samples.put_nowait, every_s=0.05))

    async def until(wanted: Callable[[Sample], bool]) -> None:
        async with asyncio.timeout(20):
            while not wanted(await samples.get()):
                pass

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(good)
        writer.close()
        await writer.wait_closed()

    await until(lambda sample: _reason(sample) == server_metrics.SILENT)
    async with await asyncio.start_server(take, "127.0.0.1", port):
        await until(lambda sample: sample.value(Metric.LOAD) == 0.5)
        await until(lambda sample: sample.value(Metric.LOAD) == 0.5)
    await until(lambda sample: isinstance(sample.value(Metric.LOAD), Absent))

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    seen = samples.qsize()
    await asyncio.sleep(0.15)
    assert samples.qsize() == seen
