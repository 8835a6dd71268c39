from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from personadesk.hosts import health


@asynccontextmanager
async def server(answer: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if hang:
            await asyncio.sleep(1.0)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/api/chat"


def http(body: str, status: str = "200 OK", length: bool = True) -> bytes:
    head = f"HTTP/1.1 {status}\r\n"
    if length:
        head += f"Content-Length: {len(body.encode())}\r\n"
    return f"{head}\r\n{body}".encode()


async def test_a_server_tells_how_it_is() -> None:
    body = '{"state": "loading", "progress": 0.25, "stage": "weights", "reason": null, "slots": 1}'
    async with server(http(body)) as url:
        found = await health.ask(url)
    assert found is not None
    assert (found.state, found.progress, found.stage, found.reason) == (
        "loading",
        0.25,
        "weights",
        "",
    )
    assert found.facts["slots"] == 1
    assert not found.takes_calls


@pytest.mark.parametrize("state", ["ready", "busy"])
async def test_a_busy_server_is_as_good_as_a_ready_one(state: str) -> None:
    async with server(http(f'{{"state": "{state}"}}', length=False)) as url:
        found = await health.ask(url)
    assert found is not None
    assert found.takes_calls


@pytest.mark.parametrize(
    "answer",
    [
        http("not json"),
        http('["state"]'),
        http('{"state": 7}'),
        http('{"state": "ready"}', "503 Service Unavailable"),
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
        b"",
    ],
)
async def test_nonsense_is_no_answer(answer: bytes) -> None:
    async with server(answer) as url:
        assert await health.ask(url) is None


async def test_silence_is_no_answer_within_the_limit() -> None:
    async with server(b"", hang=True) as url:
        async with asyncio.timeout(1.8):
            assert await health.ask(url, limit_s=0.2) is None


async def test_nobody_there_is_no_answer(port: int) -> None:
    assert await health.ask(f"ws://127.0.0.1:{port}/api/chat") is None
