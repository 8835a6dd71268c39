"""Writes a call down while it goes on: both sides as sound, and everything that happened as lines of JSON.

The disk has a thread of its own behind a bounded queue, so that a slow one never delays the call. Nothing needs an
end to be readable: sound is in whole frames under a header that is mended every second (WAV) or in whole pages
(Ogg Opus), and each event is a line. See `sessions` for what becomes of it.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice import levels, wav
from personadesk.voice.figures import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

EVENTS: Final = "events.jsonl"
CALL_WAV: Final = "call.wav"
YOU_OPUS: Final = "you.opus"
VOICE_OPUS: Final = "voice.opus"

_QUEUE: Final = 2_000
"""Half a minute of both sides: a disk that sleeps takes ten seconds to wake."""
_JOIN_SECONDS: Final = 0.12
"""Sound that comes a little late follows on what was there; a longer silence is kept as such."""
_AHEAD_SECONDS: Final = 0.3
_LAG_SECONDS: Final = 1.0
"""How long one side waits for the other: then the other was silent."""
_MEND_SECONDS: Final = 1.0
_LARGEST_WAV: Final = 0xFFFFFFFF - 64
"""WAV counts its bytes with 32 bits: 12 hours and 25 minutes of two sides."""
_OPUS_SAMPLES: Final = 1_920


class Form(StrEnum):
    """How sound is kept."""

    WAV = "wav"
    """One file with you at the left and the voice at the right; 5.8 MB a minute."""
    OPUS = "opus"
    """A file a side; about 0.5 MB a minute and side."""


class Recorder:
    """One call on its way to the disk. Every method but `close` may be called from any thread and returns at once."""

    def __init__(self, folder: Path, form: Form = Form.WAV) -> None:
        """Begin to write into a folder that is there.

        Raises:
            OSError: Nothing can be written there.
        """
        self.folder = folder
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_QUEUE)
        self._fault: Text = NOTHING
        self._missed = 0
        self._sides = _Sides(_Wav(folder) if form is Form.WAV else _Opus(folder))
        self._events = (folder / EVENTS).open("ab", buffering=0)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def you(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Add what went out at `at` (seconds since the call began), float32 [n] at 24 kHz."""
        self._put(lambda: self._sides.add(0, at, pcm))

    def voice(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Add what sounds from `at` on, float32 [n] at 24 kHz."""
        self._put(lambda: self._sides.add(1, at, pcm))

    def event(self, at: float, what: str, **values: Any) -> None:
        """Add a line to the log of events; `values` as JSON knows them."""
        line = json.dumps({"at": round(at, 3), "what": what, **values}, ensure_ascii=False)
        self._put(lambda: self._write_event(line))

    def keeping(self) -> Keeping:
        """Return how far it is."""
        return Keeping(
            on=not self._closed and not self._fault,
            folder=self.folder,
            seconds=self._sides.seconds,
            size=self._sides.out.size,
            fault=self._fault,
        )

    def close(self, timeout: float = 5.0) -> bool:
        """Write what still waits and end; return whether it was all written in time. May be called twice."""
        self._closed = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout)
        return not self._thread.is_alive() and not self._missed and not self._fault

    def _put(self, deed: Callable[[], None]) -> None:
        if self._closed or self._fault:
            return
        try:
            self._queue.put_nowait(deed)
        except queue.Full:
            # What is missed stays silent in the sound, since every piece knows its time.
            self._missed += 1

    def _write_event(self, line: str) -> None:
        self._events.write(line.encode() + b"\n")

    def _run(self) -> None:
        try:
            while (deed := self._queue.get()) is not None:
                deed()
            self._sides.finish()
        except OSError as error:
            log.warning("the recording stopped: %s", error)
            self._fault = T(
                "The recording stopped: {error}. What was kept until then is readable.",
                error=error.strerror or str(error),
            )
        finally:
            for file in (self._sides.out, self._events):
                _close_quietly(file)


class _Sides:
    """Puts two streams of sound on one time axis."""

    def __init__(self, out: _Wav | _Opus) -> None:
        self.out = out
        self._pieces: tuple[list[NDArray[np.float32]], ...] = ([], [])
        self._ends = [0, 0]
        self._written = 0

    @property
    def seconds(self) -> float:
        return self._written / levels.SAMPLE_RATE

    def add(self, side: int, at: float, pcm: NDArray[np.float32]) -> None:
        rate = levels.SAMPLE_RATE
        missing = round(at * rate) - self._ends[side]
        if missing > _JOIN_SECONDS * rate:
            self._pad(side, missing)
        elif -missing > _AHEAD_SECONDS * rate:
            # The player left sound out to catch up; without that the sides would drift apart.
            pcm = pcm[-missing:]
        self._pieces[side].append(pcm)
        self._ends[side] += len(pcm)
        late = max(self._ends) - round(_LAG_SECONDS * rate)
        for each in (0, 1):
            if self._ends[each] < late:
                self._pad(each, late - self._ends[each])
        self._write(min(self._ends))

    def finish(self) -> None:
        end = max(self._ends)
        for side in (0, 1):
            self._pad(side, end - self._ends[side])
        self._write(end)

    def _pad(self, side: int, samples: int) -> None:
        self._pieces[side].append(np.zeros(samples, np.float32))
        self._ends[side] += samples

    def _write(self, until: int) -> None:
        count = until - self._written
        if count <= 0:
            return
        columns = []
        for pieces in self._pieces:
            joined = np.concatenate(pieces)
            columns.append(joined[:count])
            pieces[:] = [joined[count:]]
        self._written = until
        self.out.write(columns[0], columns[1])


class _Wav:
    """A stereo file whose header is true to within a second at any moment."""

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO = (folder / CALL_WAV).open("wb", buffering=0)
        self._bytes = 0
        self._mended = time.monotonic()
        self._file.write(wav.header(0, levels.SAMPLE_RATE, 2))

    @property
    def size(self) -> int:
        return self._bytes

    def write(self, you: NDArray[np.float32], voice: NDArray[np.float32]) -> None:
        data = wav.to_pcm16(np.stack([you, voice], axis=1))
        if self._bytes + len(data) > _LARGEST_WAV:
            raise OSError(0, "a WAV file holds no more than 12 hours")
        self._file.write(data)
        self._bytes += len(data)
        if time.monotonic() - self._mended >= _MEND_SECONDS:
            self._mend()

    def close(self) -> None:
        try:
            self._mend()
        finally:
            self._file.close()

    def _mend(self) -> None:
        self._mended = time.monotonic()
        self._file.seek(0)
        self._file.write(wav.header(self._bytes, levels.SAMPLE_RATE, 2))
        self._file.seek(0, 2)


class _Opus:
    """Two files of whole Ogg pages."""

    def __init__(self, folder: Path) -> None:
        from personadesk.voice.opus import OpusEncoder

        self.size = 0
        self._files = [(folder / name).open("wb", buffering=0) for name in (YOU_OPUS, VOICE_OPUS)]
        self._encoders = [OpusEncoder(), OpusEncoder()]
        self._rest = [np.zeros(0, np.float32), np.zeros(0, np.float32)]

    def write(self, you: NDArray[np.float32], voice: NDArray[np.float32]) -> None:
        for side, pcm in enumerate((you, voice)):
            joined = np.concatenate([self._rest[side], pcm])
            whole = len(joined) // _OPUS_SAMPLES * _OPUS_SAMPLES
            for begin in range(0, whole, _OPUS_SAMPLES):
                self._page(side, joined[begin : begin + _OPUS_SAMPLES])
            self._rest[side] = joined[whole:]

    def close(self) -> None:
        try:
            for side, rest in enumerate(self._rest):
                if rest.size:
                    self._page(side, np.pad(rest, (0, _OPUS_SAMPLES - len(rest))))
        finally:
            for file in self._files:
                file.close()

    def _page(self, side: int, pcm: NDArray[np.float32]) -> None:
        pages = self._encoders[side].encode(pcm)
        self._files[side].write(pages)
        self.size += len(pages)


def _close_quietly(file: Any) -> None:
    """Close; on the full disk that ended the recording the last header cannot be mended, and was a second ago."""
    try:
        file.close()
    except OSError as error:
        log.warning("a recording was not closed properly: %s", error)
