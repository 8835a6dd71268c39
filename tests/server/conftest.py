"""A voice server and callers who speak the wire protocol, all on one loop in a thread of its own.

So tests are plain functions that say what is done and look at what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
import sphn
import websockets
from numpy.typing import NDArray

from personaplex_server import chat, serving, web
from personaplex_server.doorman import Rules
from personaplex_server.engines.base import EngineError, FrameOut, Persona
from personaplex_server.engines.echo import EchoEngine
from personaplex_server.protocol import Kind
from personaplex_server.scheduler import Scheduler

T = TypeVar("T")


OPT_IN = ("browser", "transformers", "schemathesis", "soak", "fleet", "moshi")
"""Marks of tests that want something large, or long; docs/server.md says how to run them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what wants more than the usual, unless asked for as in `-m browser`."""
    unasked = [mark for mark in OPT_IN if mark not in (config.getoption("-m") or "")]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in unasked)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class ScriptedEngine:
    """An engine that answers each frame with its own sound, and misbehaves when a test says so."""

    name = "scripted"

    def __init__(self, rows: int = 1) -> None:
        self.rows = rows
        self.heard: dict[int, list[NDArray[np.float32]]] = {}
        self.personas: list[Persona] = []
        self.closed: list[int] = []
        self.text = ""
        self.tick_error: Exception | None = None
        self.open_error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def voices(self) -> list[str]:
        return ["anna.wav", "bert.pt"]

    def describe(self) -> dict[str, object]:
        return {
            "model": "scripted",
            "device": "cpu",
            "dtype": "float32",
            "rehearsal": True,
            "voice": "anna.wav",
        }

    def opening(self, row: int, persona: Persona) -> Iterator[float]:
        self.open(row, persona)
        yield 1.0

    def open(self, row: int, persona: Persona) -> None:
        if not self.gate.wait(20):
            raise TimeoutError("the test never opened the gate")
        if self.open_error is not None:
            raise self.open_error
        if persona.voice is not None and persona.voice not in self.voices():
            raise EngineError(f"There is no voice named {persona.voice}.")
        self.personas.append(persona)
        self.heard[row] = []

    def tick(self, frames: Mapping[int, NDArray[np.float32]]) -> dict[int, FrameOut]:
        if self.tick_error is not None:
            raise self.tick_error
        for row, pcm in frames.items():
            self.heard[row].append(pcm)
        return {row: FrameOut(pcm, self.text) for row, pcm in frames.items()}

    def close(self, row: int) -> None:
        self.closed.append(row)


class Elsewhere:
    """An event loop in a thread, on which tests have things done."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="elsewhere")
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, T], seconds: float = 30.0) -> T:
        return self.start(work).result(seconds)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """The loop on which servers and callers of this test live."""
    loop = Elsewhere()
    yield loop
    loop.close()


@dataclass
class Running:
    """A server under test."""

    url: str
    service: web.Service

    @property
    def chat(self) -> str:
        return f"{self.url.replace('http', 'ws')}/api/chat"

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        with httpx.Client(trust_env=False) as client:
            return client.get(self.url + path, **kwargs)

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> Any:
        """Look at the health until it is as wanted, and return it."""
        end = time.monotonic() + seconds
        while not wanted(health := self.service.health()):
            assert time.monotonic() < end, f"still {health}"
            time.sleep(0.005)
        return health


@pytest.fixture
def serve(elsewhere: Elsewhere) -> Iterator[Callable[..., Running]]:
    """Start servers, the echo beside each.

    `serve(engine or what builds one, token=, rules=, certificate=, also={"voices": ...}, LIMIT=)`.
    """
    running: list[tuple[serving.ChatServer, Future[None], list[Scheduler]]] = []

    def start(
        engine: Any = None,
        token: str | None = None,
        rules: Rules | None = None,
        certificate: tuple[Path, Path] | None = None,
        also: dict[str, Any] | None = None,
        **limits: float,
    ) -> Running:
        engines = {"echo": Scheduler("echo", lambda report: EchoEngine(delay_s=0.08))}
        default = "echo"
        if engine is not None:
            default = "scripted"
            engines[default] = Scheduler(
                default, engine if callable(engine) else lambda report: engine
            )
        reception = chat.Reception(chat.Limits(**limits))
        service = web.Service(
            engines=engines, default=default, token=token, reception=reception, **(also or {})
        )
        for scheduler in engines.values():
            scheduler.start()

        def ending() -> None:
            for scheduler in engines.values():
                scheduler.stop()

        sock = serving.bind("127.0.0.1", 0)
        app = web.create_app(service, rules or Rules())
        server = serving.server(app, ending, certificate)
        task = elsewhere.start(server.serve(sockets=[sock]))
        running.append((server, task, list(engines.values())))
        scheme = "http" if certificate is None else "https"
        here = Running(f"{scheme}://127.0.0.1:{sock.getsockname()[1]}", service)
        while not server.started or engines["echo"].status().state == "loading":
            time.sleep(0.002)
        if not callable(engine):
            here.until(lambda health: health["state"] != "loading")
        return here

    yield start
    for server, task, schedulers in running:
        server.should_exit = True
        task.result(10)
        for scheduler in schedulers:
            scheduler.stop()
            scheduler.join()


@dataclass
class Caller:
    """A client with Opus both ways, which notes all that it is told."""

    elsewhere: Elsewhere
    ws: websockets.ClientConnection
    messages: list[tuple[Kind, bytes]] = field(default_factory=list)
    pcm: list[NDArray[np.float32]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    writer: Any = field(default_factory=lambda: sphn.OpusStreamWriter(24_000))
    reader: Any = field(default_factory=lambda: sphn.OpusStreamReader(24_000))

    async def listen(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for data in self.ws:
                kind, payload = Kind(data[0]), bytes(data[1:])
                if kind is Kind.AUDIO:
                    assert payload.startswith(b"OggS")
                    self.pcm.append(self.reader.append_bytes(payload))
                    self.times.append(time.monotonic())
                    self.worked.append(time.thread_time())
                self.messages.append((kind, payload))

    def of(self, kind: Kind) -> list[bytes]:
        """Return the payloads of one kind that came so far."""
        return [payload for known, payload in list(self.messages) if known is kind]

    def until(self, wanted: Callable[[Caller], bool], seconds: float = 20.0) -> None:
        """Wait until what came is as wanted."""
        end = time.monotonic() + seconds
        while not wanted(self):
            told = [(kind.name, payload[:80]) for kind, payload in self.messages[-3:]]
            assert time.monotonic() < end, f"{len(self.pcm)} frames so far, last {told}"
            time.sleep(0.002)

    def figures(self) -> list[dict[str, Any]]:
        """Return the metadata that came so far."""
        return [json.loads(payload) for payload in self.of(Kind.METADATA)]

    def handshake(self) -> None:
        self.until(lambda caller: bool(caller.of(Kind.HANDSHAKE)))

    def closed(self) -> tuple[int | None, str]:
        """Wait for the server's close; return its code and reason."""
        self.elsewhere.do(self.ws.wait_closed())
        return self.ws.close_code, self.ws.close_reason or ""

    def send(self, data: bytes | str) -> None:
        self.elsewhere.do(self.ws.send(data))

    def say(self, pcm: NDArray[np.float32], pace: float = 0.08) -> None:
        """Send sound frame by frame; pace 0 sends it at once."""
        self.elsewhere.do(self.saying(pcm, pace), 60)

    async def saying(self, pcm: NDArray[np.float32], pace: float = 0.08) -> None:
        due = time.monotonic()
        for begin in range(0, len(pcm) - 1919, 1920):
            await self.ws.send(b"\x01" + self.writer.append_pcm(pcm[begin : begin + 1920]))
            due += pace
            if pace:
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def is_undisturbed(self) -> bool:
        """Tell whether answers came steadily, whatever else this computer had to do.

        Server and callers share a loop: what it worked between two answers, others made this caller wait. In real
        time there is a bound as well, for a loop that waited instead.
        """
        worked, waited = np.diff(self.worked), np.diff(self.times)
        return bool(np.quantile(worked, 0.95) < 0.1 and np.quantile(waited, 0.9) < 2.0)

    def hang_up(self) -> None:
        self.elsewhere.do(self.ws.close())

    def drop(self) -> None:
        """Break the connection without a word."""
        self.elsewhere.loop.call_soon_threadsafe(self.ws.transport.abort)


@pytest.fixture
def dial(elsewhere: Elsewhere) -> Iterator[Callable[..., Caller]]:
    """Call a server: `dial(url, **websocket_options)`; all calls are hung up at the end."""
    calls: list[tuple[Caller, Future[None]]] = []

    async def connect(url: str, options: dict[str, Any]) -> websockets.ClientConnection:
        return await websockets.connect(url, proxy=None, max_size=None, **options)

    def call(url: str, **options: Any) -> Caller:
        caller = Caller(elsewhere, elsewhere.do(connect(url, options)))
        calls.append((caller, elsewhere.start(caller.listen())))
        return caller

    yield call
    for caller, listening in calls:
        caller.hang_up()
        listening.result(10)


@pytest.fixture
def tone() -> Callable[..., NDArray[np.float32]]:
    """Sound to say: `tone(seconds)`, float32 at 24 kHz in whole frames."""

    def make(seconds: float, hertz: float = 440.0, level: float = 0.3) -> NDArray[np.float32]:
        samples = round(seconds / 0.08) * 1920
        return (level * np.sin(2 * np.pi * hertz * np.arange(samples) / 24_000)).astype(np.float32)

    return make


@pytest.fixture
def scripted() -> type[ScriptedEngine]:
    """The engine class whose answers a test can foresee."""
    return ScriptedEngine


@pytest.fixture
def raw_socket() -> Iterator[Callable[[str], socket.socket]]:
    """Plain TCP connections to a server, with a receive buffer as small as can be."""
    sockets: list[socket.socket] = []

    def connect(url: str) -> socket.socket:
        host, port = url.removeprefix("http://").split(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect((host, int(port)))
        sockets.append(sock)
        return sock

    yield connect
    for sock in sockets:
        sock.close()
