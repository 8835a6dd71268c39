"""Plays the sound of a voice test or of a kept call, both sides mixed, and tells where it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.devices import AudioBackend, Stream
    from personadesk.voice.jitter import JitterBuffer

__all__ = ["Player"]

FRAME_MS = 50
CALL_FILE = "call.wav"


class Player(QObject):
    """One sound at a time.

    Signals:
        moved: Where playback is, in seconds; None when nothing plays.
    """

    moved = Signal(object)

    def __init__(
        self, make_backend: Callable[[], AudioBackend] | None = None, parent: QObject | None = None
    ) -> None:
        """Make a silent player.

        Args:
            make_backend: Where loudspeakers come from; None takes the system's.
        """
        super().__init__(parent)
        self._make_backend = make_backend or _system
        self._stream: Stream | None = None
        self._buffer: JitterBuffer | None = None
        self._total = 0.0
        self._starting = False
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def is_on(self) -> bool:
        """Whether something plays or is about to."""
        return self._starting or self._stream is not None

    def toggle(self, folder: str) -> None:
        """Play the sound of a report's folder, or stop."""
        self._toggle(lambda: _report_sound(Path(folder)))

    def toggle_call(self, folder: Path) -> None:
        """Play a call that was kept, or stop."""
        self._toggle(lambda: _kept_sound(folder))

    def play(self, load: Callable[[], NDArray[np.float32]], at: float = 0.0) -> None:
        """Play a sound from `at` seconds on, in place of what plays.

        Args:
            load: Returns it, float32 [n] at 24 kHz; called in a worker thread.
            at: Where to begin.
        """
        self.stop()
        self._starting = True

        def failed(error: Exception) -> None:
            from personadesk.ui.messages import bus

            self._starting = False
            bus().error(error)

        spawn(self._start(load, at), "play a call", owner=self, failed=failed)

    def _toggle(self, load: Callable[[], NDArray[np.float32]]) -> None:
        if self.is_on:
            self.stop()
        else:
            self.play(load)

    def stop(self) -> None:
        """Stop playing; harmless when nothing plays."""
        self._timer.stop()
        self._starting = False
        stream, self._stream = self._stream, None
        if stream is not None:
            spawn(asyncio.to_thread(stream.close), "close the loudspeaker")
            self.moved.emit(None)

    async def _start(self, load: Callable[[], NDArray[np.float32]], at: float) -> None:
        opened = await asyncio.to_thread(_open, load, self._make_backend(), at)
        if not self._starting:
            await asyncio.to_thread(opened[0].close)
            return
        self._stream, self._buffer, self._total = opened
        self._starting = False
        self._timer.start()
        self.moved.emit(at)

    def _tick(self) -> None:
        left = self._buffer.seconds if self._buffer is not None else 0.0
        if left <= 0:
            self.stop()
        else:
            self.moved.emit(self._total - left)


def _system() -> AudioBackend:
    from personadesk.voice.devices import PortAudio

    return PortAudio()


def _report_sound(folder: Path) -> NDArray[np.float32]:
    from personadesk.voice import clips

    return clips.read_wav(folder / CALL_FILE)


def _kept_sound(folder: Path) -> NDArray[np.float32]:
    from personadesk.voice import sessions

    mixed: NDArray[np.float32] = sessions.sound(folder).sum(axis=1).clip(-1.0, 1.0)
    return mixed


def _open(
    load: Callable[[], NDArray[np.float32]], backend: AudioBackend, at: float
) -> tuple[Stream, JitterBuffer, float]:
    """Read the sound and begin to play it; for a worker thread.

    Raises:
        PersonaDeskError: The file or the loudspeaker cannot be opened.
    """
    import soxr

    from personadesk.voice import clips
    from personadesk.voice.jitter import JitterBuffer

    both = load()
    seconds = len(both) / clips.SAMPLE_RATE
    both = both[round(at * clips.SAMPLE_RATE) :]

    def make_buffer(rate: int) -> JitterBuffer:
        pcm: Any = (
            both if rate == clips.SAMPLE_RATE else soxr.resample(both, clips.SAMPLE_RATE, rate)
        )
        # All of it lies ready, so nothing needs to be gathered and nothing is ever too much.
        buffer = JitterBuffer(rate, start=0.0, most=seconds + 1.0, adapt=False)
        buffer.push(pcm)
        return buffer

    stream, buffer = backend.open_output(None, make_buffer)
    return stream, buffer, seconds
