"""A voice server in a few lines that speaks the real frames and can misbehave in every way servers do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sphn
from websockets.asyncio.server import Server, ServerConnection, serve

from personadesk.voice.clips import Clip
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from http import HTTPStatus
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 24_000


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests with a sound card, unless asked for with `-m sound`: they want PulseAudio."""
    if "sound" in (config.getoption("-m") or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("sound")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def tone(seconds: float, level: float = 0.3, hertz: float = 440.0) -> NDArray[np.float32]:
    """A sine of `seconds` at 24 kHz."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


@dataclass
class Script:
    """How the server behaves; times count frames of 80 ms."""

    status: HTTPStatus | None = None
    handshake_after: float = 0.0
    handshake: bool = True
    handshake_payload: bytes = b""
    before_handshake: list[bytes | str] = field(default_factory=list)
    level: float = 0.3
    slow_by: float = 0.0
    stall: tuple[int, float] | None = None
    mute_from: int | None = None
    close_at: tuple[int, int, str, str] | None = None
    cut_at: int | None = None
    extra: dict[int, list[bytes | str]] = field(default_factory=dict)
    split_pages: bool = False
    no_goodbye: bool = False
    speaks: Callable[[list[NDArray[np.float32]]], bool] | None = None


@dataclass
class FakeVoice:
    """What the server saw.

    Attributes:
        url: Where it listens.
        requests: Path and query of each call.
        tokens: Authorization headers.
        early: Messages that came before the handshake was sent.
        samples: Sound that came, decoded.
        close_codes: How callers hung up.
    """

    script: Script
    url: str = ""
    requests: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    early: int = 0
    heard: list[NDArray[np.float32]] = field(default_factory=list)
    close_codes: list[int | None] = field(default_factory=list)

    @property
    def samples(self) -> NDArray[np.float32]:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.float32)

    async def answer(self, socket: ServerConnection) -> None:
        request = socket.request
        assert request is not None
        self.requests.append(request.path)
        self.tokens.append(request.headers.get("Authorization"))
        with contextlib.suppress(Exception):
            await self._talk(socket)
        if not self.script.no_goodbye:
            await socket.close()
        self.close_codes.append(socket.close_code)

    async def _talk(self, socket: ServerConnection) -> None:
        script = self.script
        for message in script.before_handshake:
            await socket.send(message)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(script.handshake_after):
                await socket.recv()
                self.early += 1
        if script.close_at and script.close_at[0] < 0:
            await self._close(socket)
            return
        if not script.handshake:
            await socket.wait_closed()
            return
        await socket.send(protocol.handshake() + script.handshake_payload)
        await self._frames(socket)

    async def _frames(self, socket: ServerConnection) -> None:
        script = self.script
        reader, writer = sphn.OpusStreamReader(RATE), sphn.OpusStreamWriter(RATE)
        waiting, frame, rest = 0, 0, b""
        async for data in socket:
            assert isinstance(data, bytes)
            message = protocol.decode(data)
            assert message.kind is protocol.Kind.AUDIO
            pcm = reader.append_bytes(message.payload)
            self.heard.append(np.asarray(pcm, np.float32))
            waiting += len(pcm)
            while waiting >= 1920:
                waiting -= 1920
                for extra in script.extra.get(frame, []):
                    await socket.send(extra)
                if script.close_at and frame >= script.close_at[0]:
                    await self._close(socket)
                    return
                if script.cut_at is not None and frame >= script.cut_at:
                    socket.transport.abort()
                    return
                if script.stall and frame == script.stall[0]:
                    await asyncio.sleep(script.stall[1])
                await asyncio.sleep(script.slow_by)
                frame += 1
                if script.mute_from is not None and frame > script.mute_from:
                    continue
                loud = script.speaks is None or script.speaks(self.heard)
                pages = writer.append_pcm(tone(0.08, script.level if loud else 0.0))
                if script.split_pages:
                    pages, rest = rest + pages[:-20], pages[-20:]
                await socket.send(protocol.audio(pages))

    async def _close(self, socket: ServerConnection) -> None:
        assert self.script.close_at is not None
        _, code, reason, said = self.script.close_at
        if said:
            await socket.send(protocol.error(said))
        await socket.close(code, reason)


StartVoice = "Callable[..., Awaitable[FakeVoice]]"


@pytest.fixture
def fake_voice() -> Iterator[Callable[..., Awaitable[FakeVoice]]]:
    """Start fake voice servers: `await fake_voice(level=0.0)`; gone after the test.

    They have a thread and loop of their own, so that neither a busy test nor a caller makes them late.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-voice")
    thread.start()
    servers: list[Server] = []

    async def listen(voice: FakeVoice) -> FakeVoice:
        def refuse(connection: ServerConnection, _request: object) -> Any:
            status = voice.script.status
            return connection.respond(status, "no\n") if status else None

        server = await serve(
            voice.answer, "127.0.0.1", 0, process_request=refuse, compression=None, close_timeout=1
        )
        servers.append(server)
        voice.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return voice

    async def end() -> None:
        for server in servers:
            server.close(close_connections=True)
            await server.wait_closed()
        await loop.shutdown_default_executor()

    def start(**script: Any) -> Awaitable[FakeVoice]:
        voice = FakeVoice(Script(**script))
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(listen(voice), loop))

    yield start
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def short_clip() -> Clip:
    """Half a second of tone to say, so that a test is short."""
    return Clip(tone(0.5), "tone.wav")


@pytest.fixture
def make_wav(tmp_path: Path) -> Callable[..., Path]:
    """Write a WAV file of any kind: `make_wav(data, kind=1, bits=16, rate=24000, channels=1)`."""

    def write(
        data: bytes,
        *,
        kind: int = 1,
        bits: int = 16,
        rate: int = RATE,
        channels: int = 1,
        extensible: bool = False,
        size: int | None = None,
        name: str = "clip.wav",
        before_data: bytes = b"",
    ) -> Path:
        block = channels * bits // 8
        tag = 0xFFFE if extensible else kind
        fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
        if extensible:
            fmt += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", kind) + b"\0" * 14
        body = b"fmt " + struct.pack("<I", len(fmt)) + fmt + before_data
        body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
        path = tmp_path / name
        path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
        return path

    return write


@pytest.fixture
def metadata_message() -> Callable[..., bytes]:
    """Return a metadata message as a server sends it."""
    return lambda **values: bytes((4,)) + json.dumps(values).encode()
