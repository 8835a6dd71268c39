"""A caller in the protocol of the released clients, who knows nothing of resuming."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from personaplex_server.ogg import page_checksum
from personaplex_server.opus import OpusReader, OpusWriter
from personaplex_server.protocol import FRAME_SAMPLES, SAMPLE_RATE, Kind

HZ = 440.0


class Stock:
    """A caller in the protocol of the released clients, strict about its one Ogg stream.

    Attributes:
        pcm: Everything heard, decoded.
        kinds: Kinds of all messages but sound.
        said: Errors and words.
        errors: Errors alone.
        facts: Metadata.
        heard_at: When something was last heard, monotonic.
    """

    def __init__(self, socket: ClientConnection, cut: int = 0) -> None:
        self.socket = socket
        self.pcm: list[np.ndarray] = []
        self.kinds: list[Kind] = []
        self.said: list[bytes] = []
        self.errors: list[str] = []
        self.facts: list[dict[str, Any]] = []
        self.heard_at = 0.0
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
                    self.heard_at = time.monotonic()
                    continue
                self.kinds.append(kind)
                if kind in {Kind.ERROR, Kind.TEXT}:
                    self.said.append(payload)
                if kind is Kind.ERROR:
                    self.errors.append(payload.decode())
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

    async def hears(self, seconds: float, limit_s: float = 30.0, *, own: bool = True) -> None:
        """Wait until so much more sound came, unless `own` is false only what is the caller's own tone."""
        before = len(self.pcm)
        async with asyncio.timeout(limit_s):
            while sum(not own or _is_tone(piece) for piece in self.pcm[before:]) < seconds * 25:
                self._fail_early()
                await asyncio.sleep(0.02)

    async def ended(self, limit_s: float = 30.0) -> tuple[int | None, str]:
        async with asyncio.timeout(limit_s):
            await self._tasks[1]
        return self.socket.close_code, self.socket.close_reason or ""

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._tasks[1].done()

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
