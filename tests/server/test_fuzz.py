"""Strangers who send anything in any order: nobody else notices, no row stays taken, and nothing grows."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from pathlib import Path

import numpy as np
import pytest
import sphn
import websockets
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from personaplex_server.opus import make_page
from personaplex_server.protocol import Kind
from personaplex_server.resume import Conversation
from personaplex_server.session import Session

_WRITER = sphn.OpusStreamWriter(24_000)
PAGES = [
    _WRITER.append_pcm((0.3 * np.sin(np.arange(1920) / 9)).astype(np.float32)) for _ in range(6)
]
"""The pages of half a second, the headers with the first."""

FEW = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=bool(os.environ.get("CI")),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@st.composite
def spoilt_pages(draw: st.DrawFn) -> bytes:
    page = bytearray(draw(st.sampled_from(PAGES)))
    for _ in range(draw(st.integers(1, 4))):
        page[draw(st.integers(0, len(page) - 1))] = draw(st.integers(0, 255))
    return bytes(page[: draw(st.integers(1, len(page)))])


sound = st.one_of(
    st.sampled_from(PAGES),
    spoilt_pages(),
    st.builds(make_page, st.binary(max_size=300), sequence=st.integers(0, 9), first=st.booleans()),
    st.binary(max_size=600),
)
messages = st.one_of(
    sound.map(lambda payload: b"\x01" + payload),
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=40).map(lambda payload: b"\x01" + payload),
    st.text(max_size=20),
    st.sampled_from(["(pause)", "(ping)"]),
)
queries = st.sampled_from(
    [
        *("", "?metadata=1", "?resume=1", "?resume=1&metadata=1", "?resume=none", "?engine=echo"),
        *("?seed=5&text_topk=0", "?voice_prompt=anna.wav", "?text_prompt=%ff%00", "?pad_mult="),
    ]
)
endings = st.sampled_from(["close", "drop", "shut half", "again"])


async def misbehave(url: str, said: list[bytes | str], ending: str) -> None:
    async with websockets.connect(url, proxy=None, max_size=None) as ws:
        try:
            for message in said:
                if message == "(pause)":
                    await asyncio.sleep(0.02)
                elif message == "(ping)":
                    await ws.ping()
                else:
                    await ws.send(message)
        except websockets.ConnectionClosed:
            return
        if ending == "drop":
            ws.transport.abort()
        elif ending == "shut half":
            ws.transport.write_eof()
            await asyncio.sleep(0.01)


@pytest.fixture
def steady(dial, tone):
    """A caller who talks all the while, and was heard and answered in the end."""

    def watch(server, work):
        caller = dial(server.chat)
        caller.handshake()
        talking = caller.elsewhere.start(caller.saying(tone(600)))
        work()
        caller.until(lambda c: len(c.pcm) > 10)
        talking.cancel()
        assert not caller.of(Kind.ERROR)
        assert caller.is_undisturbed()
        caller.hang_up()

    return watch


def errors(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_whatever_is_sent_costs_the_sender_only(serve, scripted, steady, elsewhere, caplog):
    server = serve(scripted(rows=3), resume_s=0.05, max_wait_s=5.0)

    @FEW
    @given(queries, st.lists(messages, max_size=12), endings)
    def anything(query, said, ending):
        elsewhere.do(misbehave(server.chat + query, said, ending))

    steady(server, anything)
    server.until(lambda health: health["free"] == 3 and health["queue"] == 0)
    assert server.get("/api/status").json()["engines"]["echo"]["free"] == 8
    assert server.service.reception.conversations.parked == 0
    assert errors(caplog) == []


def test_raw_bytes_behind_the_upgrade_cost_the_sender_only(
    serve, scripted, steady, caplog, raw_socket
):
    server = serve(scripted(rows=3))
    upgrade = (
        b"GET /api/chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    @settings(FEW, max_examples=100)
    @given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
    def anything(pieces, waits):
        sock = raw_socket(server.url)
        sock.sendall(upgrade)
        if waits:
            sock.recv(64)
        try:
            for piece in pieces:
                sock.sendall(piece)
        except ConnectionError:
            pass
        sock.close()

    steady(server, anything)
    server.until(lambda health: health["free"] == 3)
    assert errors(caplog) == []


PATHS = [
    "/",
    "/health",
    "/api/status",
    "/api/voices",
    "/api/chat",
    "/metrics",
    "/ping",
    "/page/page.js",
]
paths = st.one_of(
    st.sampled_from(PATHS),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(lambda p: "/" + p),
)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("Authorization", "Origin", "Content-Length", "Transfer-Encoding", "Upgrade"),
                *("Connection", "Sec-WebSocket-Protocol", "Host", "Expect", "X-Forwarded-For"),
            ]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    ),
    max_size=4,
)


def test_no_request_makes_the_server_fail(serve, scripted, raw_socket, caplog, tmp_path):
    from personaplex_server.voices import VoiceFolder

    token = "correct-horse"
    server = serve(scripted(), token=token, also={"voices": VoiceFolder(tmp_path / "voices")})

    @settings(FEW, max_examples=150)
    @given(
        st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "get", "\x00"]),
        paths,
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
        headers,
        st.binary(max_size=200),
        st.booleans(),
    )
    def anything(method, path, query, given_headers, body, knows_the_token):
        lines = [f"{method} {path}?{query} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in given_headers]
        if knows_the_token:
            lines.append(f"Authorization: Bearer {token}")
        sock = raw_socket(server.url)
        sock.settimeout(0.5)
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        try:
            answer = sock.recv(4096)
        except (TimeoutError, ConnectionError):
            answer = b""
        sock.close()
        if answer:
            assert answer.startswith(b"HTTP/1.1 ")
            assert int(answer[9:12]) < 500, answer

    anything()
    assert server.get("/health", params={"token": token}).json()["state"] == "ready"
    assert errors(caplog) == []
    assert not list(tmp_path.rglob("*.wav"))


def resident() -> int:
    # What was freed is counted only where it is given back: the process has seen other tests.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def alive(kind: type) -> int:
    gc.collect()
    # Not isinstance, which some libraries' stand-ins answer with a warning.
    return sum(type(each) is kind for each in gc.get_objects())


def test_two_hundred_calls_leave_nothing_behind(serve, elsewhere, scripted):
    engine = scripted(rows=4)
    server = serve(engine, resume_s=0.05)
    engine.personas = type("Nobody", (list,), {"append": lambda self, each: None})()

    async def call(number: int) -> None:
        async with websockets.connect(server.chat + "?resume=1", proxy=None) as ws:
            async for message in ws:
                if message[0] == Kind.METADATA:
                    await ws.send(b"\x01" + b"".join(PAGES[:2]))
                if message[0] == Kind.AUDIO:
                    break
            if number % 2:
                ws.transport.abort()

    async def calls(count: int) -> None:
        for begin in range(0, count, 4):
            # Those of the round before whose connection broke still hold their rows for a moment.
            while server.service.health()["free"] < 4:
                await asyncio.sleep(0.005)
            await asyncio.gather(*(call(begin + n) for n in range(4)))

    elsewhere.do(calls(80), 60)
    server.until(lambda health: health["free"] == 4)
    before = resident() if Path("/proc/self/statm").exists() else 0
    elsewhere.do(calls(200), 90)
    server.until(lambda health: health["free"] == 4)
    assert alive(Session) == 0
    assert alive(Conversation) == 0
    assert server.service.engines["scripted"].status().served == 280
    if before:
        assert resident() - before < 12 << 20
