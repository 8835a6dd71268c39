"""The callers of a load test: a process of its own, so that its work makes neither the window nor a line late.

    python -m personadesk.voice.callers < settings

The first line of stdin is JSON: `url`, `most`, `settle_s`, `measure_s`. Each line of stdout is JSON: `{"callers": n}`
when a caller was added, `{"step": …}` for each number of callers that was measured, and at last `{"outcome": …,
"why": …}`. When stdin ends, every caller hangs up: callers never outlive whoever wanted them.

Callers are cheap: the question is encoded once for all of them, and what comes back is not decoded, only its time and
how much sound it is are read from the heads of the Ogg pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import struct
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.load import LINE_MS, LoadStep, Outcome, outcome_of, step_dict
from personadesk.voice import address as addresses
from personadesk.voice import clips, faults
from personadesk.voice.client import dial
from personadesk.voice.opus import PACKET_SECONDS, OpusEncoder
from personadesk.voice.sources import packets
from personaplex_server import protocol
from personaplex_server.protocol import FRAME_SECONDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

CONNECT_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0
"""A persona is read first."""
PAUSE_SECONDS: Final = 3.0
"""Of silence between two questions."""
TRIES: Final = 3
"""How often a number of callers is measured before it counts as too many: a hiccup is no limit."""
_GRANULE: Final = struct.Struct("<4s2xq")
_GRANULE_RATE: Final = 48_000


class Refused(Exception):
    """The voice takes no further call: it said so, or put the caller in line."""


class Words:
    """The question again and again with pauses, as messages of 40 ms; each is encoded once, for all callers."""

    def __init__(self) -> None:
        speech = packets(clips.find(clips.QUESTION).pcm)
        pause = [np.zeros_like(speech[0])] * round(PAUSE_SECONDS / PACKET_SECONDS)
        self._round = [*speech, *pause]
        self._encoder = OpusEncoder()
        self._said: list[bytes] = []

    def message(self, number: int) -> bytes:
        """Return a message by its number from 0; the first brings the head of the stream."""
        while number >= len(self._said):
            packet = self._round[len(self._said) % len(self._round)]
            self._said.append(protocol.audio(self._encoder.encode(packet)))
        return self._said[number]


def sound_end(pages: bytes) -> float | None:
    """Return the end of the sound in some Ogg pages, in seconds since the stream began; None without any."""
    end, at = None, pages.find(b"OggS")
    while at >= 0 and at + _GRANULE.size <= len(pages):
        granule = _GRANULE.unpack_from(pages, at)[1]
        if granule > 0:
            end = granule / _GRANULE_RATE
        at = pages.find(b"OggS", at + 4)
    return end


@dataclass(slots=True)
class Caller:
    """One call.

    Attributes:
        late_ms: By how much each frame of the step came after it was due.
        sent_late_ms: By how much each packet of ours left late.
        ticks: What the server told of its steps, in milliseconds.
        gone: Why the call ended, when it did.
    """

    socket: ClientConnection
    late_ms: list[float] = field(default_factory=list)
    sent_late_ms: list[float] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    gone: str = ""
    _offset: float | None = None
    _end: float = 0.0

    def hear(self, message: bytes, at: float) -> None:
        """Take a message that came at `at` (seconds)."""
        if message[:1] == bytes((Kind.METADATA,)):
            told = json.loads(message[1:])
            if isinstance(told.get("tick_ms"), int | float):
                self.ticks.append(float(told["tick_ms"]))
        elif message[:1] == bytes((Kind.AUDIO,)):
            end = sound_end(message[1:])
            begin, self._end = self._end, self._end + FRAME_SECONDS if end is None else end
            if self._offset is None or at - begin < self._offset:
                self._offset = at - begin
            late = at - begin - self._offset
            self.late_ms.append(1000.0 * late)
            if 1000.0 * late > LINE_MS:
                # A player that has run dry goes on from there: one stall is one late frame, not all that follow.
                self._offset = at - begin

    def begin_step(self) -> None:
        """Forget what was measured; the next step begins."""
        self.late_ms, self.sent_late_ms, self.ticks = [], [], []


async def join(url: str) -> Caller:
    """Make a call and return when the voice is ready.

    Raises:
        Refused: There is no place for it.
        PersonaDeskError: No call came about.
    """
    place = addresses.parse(url, {"metadata": "1"})
    socket = await dial(place, None, CONNECT_SECONDS)
    try:
        async with asyncio.timeout(READY_SECONDS):
            ready = await _is_ready(socket)
    except Refused:
        await socket.close()
        raise
    except TimeoutError:
        await socket.close()
        raise faults.not_ready(place, READY_SECONDS) from None
    if ready:
        return Caller(socket)
    await socket.close()
    if socket.close_code == protocol.CLOSE_BUSY:
        raise Refused(socket.close_reason or "")
    raise faults.from_close(
        socket.close_code or faults.ABNORMAL, socket.close_reason or "", "", place,
        before_handshake=True,
    )  # fmt: skip


async def _is_ready(socket: ClientConnection) -> bool:
    """Wait until the voice is ready; return False when it hangs up, or puts the caller in line."""
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):  # why it hung up is in the socket's close code
        while True:
            data = await socket.recv()
            if isinstance(data, bytes) and data[:1] == bytes((Kind.HANDSHAKE,)):
                return True
            told = json.loads(data[1:]) if data[:1] == bytes((Kind.METADATA,)) else {}
            if "position" in told:
                raise Refused
    return False


class Crowd:
    """All callers of a test."""

    def __init__(self, settings: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
        self._url = str(settings["url"])
        self._most = int(settings["most"])
        self._settle = float(settings["settle_s"])
        self._measure = float(settings["measure_s"])
        self._tell = tell
        self._callers: list[Caller] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._words = Words()

    async def run(self) -> None:
        """Add callers one by one until frames are late, or there is no place, or enough are in."""
        steps: list[LoadStep] = []
        try:
            while (outcome := outcome_of(steps, self._most)) is None:
                try:
                    await self._add()
                except Refused as full:
                    self._tell({"outcome": Outcome.FULL, "why": str(full)})
                    return
                step = await self._step()
                for _ in range(TRIES - 1):
                    if not (step.late or step.own_fault):
                        break
                    step = await self._step()
                steps.append(step)
                self._tell({"step": step_dict(step)})
                gone = next((caller.gone for caller in self._callers if caller.gone), "")
                if gone:
                    self._tell({"outcome": Outcome.BROKE, "why": gone})
                    return
            self._tell({"outcome": outcome, "why": ""})
        except PersonaDeskError as error:
            if not steps:
                raise
            self._tell({"outcome": Outcome.BROKE, "why": str(error.what)})
        finally:
            await self._hang_up()

    async def _add(self) -> None:
        caller = await join(self._url)
        self._callers.append(caller)
        self._tasks += [
            asyncio.create_task(self._listen(caller), name="caller: listen"),
            asyncio.create_task(self._speak(caller), name="caller: speak"),
        ]
        self._tell({"callers": len(self._callers)})
        await asyncio.sleep(self._settle)

    async def _step(self) -> LoadStep:
        for caller in self._callers:
            caller.begin_step()
        began, busy = time.perf_counter(), time.process_time()
        await asyncio.sleep(self._measure)
        took, busy = time.perf_counter() - began, time.process_time() - busy
        late = [each for caller in self._callers for each in caller.late_ms]
        own = [each for caller in self._callers for each in caller.sent_late_ms]
        ticks = [each for caller in self._callers for each in caller.ticks]
        # A caller whose frames stay away altogether has no late ones: those that are missing count.
        wanted = 0.5 * len(self._callers) * self._measure / FRAME_SECONDS
        missing = max(0.0, wanted - len(late))
        over = sum(each > LINE_MS for each in late) + missing
        p50, p95, p99 = np.percentile(late, (50, 95, 99)) if late else (0.0, 0.0, 0.0)
        return LoadStep(
            callers=len(self._callers),
            frames=len(late),
            late_percent=round(100.0 * over / (len(late) + missing), 2) if late else 100.0,
            p50_ms=round(float(p50), 1),
            p95_ms=round(float(p95), 1),
            p99_ms=round(float(p99), 1),
            own_late_ms=round(float(np.percentile(own, 99)), 1) if own else 0.0,
            own_cpu=round(busy / took, 3),
            tick_ms=round(float(np.mean(ticks)), 2) if ticks else None,
        )

    async def _listen(self, caller: Caller) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):  # why is told below
            while True:
                data = await caller.socket.recv()
                if isinstance(data, bytes):
                    caller.hear(data, time.perf_counter())
        reason = caller.socket.close_reason or ""
        caller.gone = reason or f"close code {caller.socket.close_code}"

    async def _speak(self, caller: Caller) -> None:
        from websockets.exceptions import ConnectionClosed

        zero = time.perf_counter()
        for number in itertools.count():
            due = zero + number * PACKET_SECONDS
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            caller.sent_late_ms.append(1000.0 * (time.perf_counter() - due))
            try:
                await caller.socket.send(self._words.message(number))
            except ConnectionClosed:
                return

    async def _hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(caller.socket.close() for caller in self._callers))


async def _main(settings: dict[str, Any]) -> int:
    loop = asyncio.get_running_loop()
    crowd = asyncio.create_task(Crowd(settings, _print).run(), name="callers")

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(crowd.cancel)

    threading.Thread(target=wait_for_end, name="end of the test", daemon=True).start()
    try:
        await crowd
    except asyncio.CancelledError:
        _print({"outcome": Outcome.STOPPED, "why": ""})
    except PersonaDeskError as error:
        _print({"error": error.as_dict() | {"next": str(error.next), "cause": error.cause}})
        return 1
    return 0


def _print(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    status = 1
    try:
        status = asyncio.run(_main(json.loads(sys.stdin.buffer.readline())))
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    # At once: the thread that waits for the end of stdin holds it, and a usual end would wait for that.
    os._exit(status)
