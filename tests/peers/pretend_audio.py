"""Sound cards that are only pretended: threads that give a tone and take what is played, 10 ms at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.voice.devices import Device, Devices

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from personadesk.voice.jitter import JitterBuffer
    from personadesk.voice.ring import Ring


@dataclass
class PretendStream:
    """A device in a thread: gives or takes 10 ms at a time."""

    rate: int
    step: Callable[[int], None]
    name: str = "Headset"
    is_input: bool = True
    latency: float = 0.01
    closed: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> PretendStream:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self) -> None:
        samples = self.rate // 100
        due = time.perf_counter()
        while not self.closed.is_set():
            if not self.gone.is_set():
                self.step(samples)
            due += 0.01
            time.sleep(max(0.0, due - time.perf_counter()))

    @property
    def alive(self) -> bool:
        return not self.closed.is_set() and not self.gone.is_set()

    def unplug(self) -> None:
        self.gone.set()

    def close(self) -> None:
        self.closed.set()
        if self.thread:
            self.thread.join()


class PretendDevices:
    """Sound cards as a test wants them.

    Attributes:
        played: What the loudspeaker was given.
        streams: Every stream that was opened.
    """

    def __init__(
        self,
        *,
        inputs: bool = True,
        outputs: bool = True,
        rate: int = 24_000,
        level: float = 0.3,
        dead: bool = False,
        broken_output: bool = False,
        latency: float = 0.01,
    ) -> None:
        self.played: list[NDArray[np.float32]] = []
        self.streams: list[PretendStream] = []
        self.refreshed = 0
        self._found = Devices(
            (Device("Headset", True),) if inputs else (),
            (Device("Headset", True),) if outputs else (),
        )
        self._rate, self._level, self._dead, self._broken_output = rate, level, dead, broken_output
        self._at = 0
        self._latency = latency

    def devices(self) -> Devices:
        return self._found

    def plug(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        """Change what there is; what was opened and is not there any more falls silent."""
        self._found = Devices(
            tuple(Device(name, n == 0) for n, name in enumerate(inputs)),
            tuple(Device(name, n == 0) for n, name in enumerate(outputs)),
        )
        for stream in self.streams:
            there = inputs if stream.is_input else outputs
            if stream.name not in there:
                stream.unplug()

    def refresh(self) -> None:
        assert all(stream.closed.is_set() for stream in self.streams), "only with nothing open"
        self.refreshed += 1

    def open_input(
        self, name: str | None, make_ring: Callable[[int], Ring]
    ) -> tuple[PretendStream, Ring]:
        found = self._chosen(name, self._found.inputs)
        ring = make_ring(self._rate)

        def hear(samples: int) -> None:
            if not self._dead:
                at = (self._at + np.arange(samples)) / self._rate
                self._at += samples
                ring.write((self._level * np.sin(2 * np.pi * 440 * at)).astype(np.float32))

        return self._opened(hear, found, is_input=True), ring

    def open_output(
        self, name: str | None, make_buffer: Callable[[int], JitterBuffer]
    ) -> tuple[PretendStream, JitterBuffer]:
        if self._broken_output:
            raise BadRequest(T("The loudspeaker cannot be opened."), cause="sound")
        found = self._chosen(name, self._found.outputs)
        buffer = make_buffer(self._rate)
        step = lambda samples: self.played.append(buffer.pull(samples))  # noqa: E731 - it fits here
        return self._opened(step, found, is_input=False), buffer

    def _chosen(self, name: str | None, there: tuple[Device, ...]) -> str:
        names = [device.name for device in there]
        if not names or name not in (None, *names):
            raise BadRequest(
                T("The microphone {name} cannot be opened.", name=name or "—"), cause="sound"
            )
        return name or names[0]

    def _opened(self, step: Callable[[int], None], name: str, *, is_input: bool) -> PretendStream:
        stream = PretendStream(self._rate, step, name, is_input, self._latency).start()
        self.streams.append(stream)
        return stream
