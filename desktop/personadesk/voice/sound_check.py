"""Hear yourself: records from a microphone and plays it back; nothing is kept and nobody is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.voice import levels
from personadesk.voice.devices import AudioBackend, PortAudio
from personadesk.voice.jitter import JitterBuffer
from personadesk.voice.ring import Ring

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from personadesk.voice.devices import Stream

MOST_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1


class _Tape(Ring):
    """Keeps the first seconds that come; written by the sound card's thread."""

    def __init__(self, rate: int) -> None:
        super().__init__(1)
        self._sound = np.zeros(round(MOST_SECONDS * rate), np.float32)
        self._filled = 0

    def write(self, pcm: NDArray[np.float32]) -> None:
        take = min(len(pcm), len(self._sound) - self._filled)
        self._sound[self._filled : self._filled + take] = pcm[:take]
        self._filled += take

    @property
    def sound(self) -> NDArray[np.float32]:
        return self._sound[: self._filled]


class SoundCheck:
    """One recording and its playing back; every method but the properties may take a moment."""

    def __init__(
        self,
        source: str | None = None,
        sink: str | None = None,
        *,
        volume: float = 1.0,
        backend: AudioBackend | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            source: Name of the microphone, None for the usual one.
            sink: Name of the loudspeaker, None for the usual one.
            volume: Of the playing back, 0..1.
            backend: Where devices come from.
        """
        self._source, self._sink, self._volume = source, sink, volume
        self._backend = backend or PortAudio()
        self._stream: Stream | None = None
        self._tape: _Tape | None = None
        self._rate = levels.SAMPLE_RATE
        self._buffer: JitterBuffer | None = None

    def record(self) -> None:
        """Open the microphone; ten seconds at most are kept.

        Raises:
            BadRequest: It cannot be opened.
        """
        tapes: list[_Tape] = []

        def make(rate: int) -> Ring:
            tapes[:] = [_Tape(rate)]
            return tapes[0]

        self._stream, _ring = self._backend.open_input(self._source, make)
        self._tape, self._rate = tapes[0], self._stream.rate

    def play(self) -> None:
        """Close the microphone and play what it heard.

        Raises:
            BadRequest: The loudspeaker cannot be opened.
        """
        import soxr

        self.close()
        sound = self._heard * np.float32(self._volume)

        def make(rate: int) -> JitterBuffer:
            pcm = sound if rate == self._rate else soxr.resample(sound, self._rate, rate)
            buffer = JitterBuffer(rate, start=0.0, most=MOST_SECONDS + 1.0)
            buffer.push(pcm)
            return buffer

        self._stream, self._buffer = self._backend.open_output(self._sink, make)

    def close(self) -> None:
        """Close what is open; harmless when nothing is."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    @property
    def _heard(self) -> NDArray[np.float32]:
        return self._tape.sound if self._tape is not None else np.zeros(0, np.float32)

    @property
    def seconds(self) -> float:
        """How much was recorded."""
        return len(self._heard) / self._rate

    @property
    def level_dbfs(self) -> float:
        """How loud the last tenth of a second was."""
        return levels.dbfs(self._heard[-round(_LOOK_SECONDS * self._rate) :])

    @property
    def silent(self) -> bool:
        """Whether nothing was heard that a person would."""
        loud = levels.window_levels(self._heard, round(_LOOK_SECONDS * self._rate))
        return bool(loud.max(initial=levels.FLOOR_DBFS) < levels.SILENCE_DBFS)

    @property
    def is_playing(self) -> bool:
        """Whether some of it is still to be heard."""
        return self._buffer is not None and self._buffer.seconds > 0
