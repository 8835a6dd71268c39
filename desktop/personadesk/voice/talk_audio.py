"""Where a conversation's sound comes from and goes to, for as long as it lasts, whatever is plugged in or out.

Devices may vanish, come back and be changed in mid-call; the call never notices: without a microphone silence is sent
by our own clock, without a loudspeaker what comes is played to nobody at the speed of sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice import clips
from personadesk.voice.jitter import JitterBuffer
from personadesk.voice.opus import PACKET_SAMPLES, PACKET_SECONDS
from personadesk.voice.resample import Resampler
from personadesk.voice.ring import Ring

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from numpy.typing import NDArray

    from personadesk.voice.devices import AudioBackend, Devices, Stream

CLIP: Final = "clip"
"""As source: speak the built-in clip, then be silent."""
NO_SPEAKER: Final = "none"
"""As sink: show the voice, play nothing."""

NO_SOUND_SECONDS: Final = 1.5
"""A microphone gives something every few milliseconds; a Bluetooth one that changes its mode takes a second."""
_RING_SECONDS: Final = 2.0
_BACKLOG_PACKETS: Final = 10
_PLAY_SECONDS: Final = 0.02
_LOOK_AGAIN_SECONDS: Final = 3.0
"""How long a lost device is let alone before it is looked for again."""
_TRUSTED_SECONDS: Final = 10.0

_B = TypeVar("_B")


class Packet(NamedTuple):
    """40 ms of sound to send.

    Attributes:
        pcm: float32 [960] at 24 kHz.
        late: Seconds between the moment its last sample was ours and now.
        heard: Whether a microphone heard it; else it is silence by our own clock.
    """

    pcm: NDArray[np.float32]
    late: float
    heard: bool


class TalkAudio:
    """The sound of one call; used from one loop.

    Attributes:
        source: `CLIP`, the name of a microphone, or None for the default one.
        sink: `NO_SPEAKER`, the name of a loudspeaker, or None for the default one.
        buffer: What waits to be played.
        playing: Whether a loudspeaker is open.
        notice: What is not as asked.
        dropped: Samples of the microphone that were left out because sending lagged behind.
    """

    def __init__(self, backend: AudioBackend, source: str | None, sink: str | None) -> None:
        self.source = source
        self.sink = sink
        self.buffer = JitterBuffer(clips.SAMPLE_RATE)
        self.playing = False
        self.notice: Text = NOTHING
        self.dropped = 0
        self._backend = backend
        self._wanted = (source, sink)
        self._ring: Ring | None = None
        self._microphone: Stream | None = None
        self._loudspeaker: Stream | None = None
        self._up = Resampler(clips.SAMPLE_RATE, clips.SAMPLE_RATE)
        self._down = Resampler(clips.SAMPLE_RATE, clips.SAMPLE_RATE)
        self._volume = 1.0
        self._underruns = self._skipped = self._added = 0.0
        self._changing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._retry_at = 0.0
        self._reopened_at = float("-inf")

    async def choose(self) -> None:
        """Settle where sound comes from and goes to; a computer without devices still makes a call."""
        if self.source == CLIP and self.sink == NO_SPEAKER:
            return
        found = await asyncio.to_thread(self._backend.devices)
        if self.source is None and not found.inputs:
            self.source = CLIP
            self.notice = T("No microphone found, so the built-in clip is spoken.")
        if self.sink is None and not found.outputs:
            self.sink = NO_SPEAKER
            self.notice = self.notice or T(
                "No loudspeaker found. You see the voice, but don't hear it."
            )

    async def open(self) -> None:
        """Open both.

        Raises:
            BadRequest: The microphone cannot be opened. Without a loudspeaker the call can still be seen.
        """
        if self.source != CLIP:
            await self._open_microphone(self.source)
        if self.sink != NO_SPEAKER:
            try:
                await self._open_loudspeaker(self.sink)
            except BadRequest as fault:
                self.notice = fault.what

    def close(self) -> None:
        """Let go of both; for the loop's own thread, so that hanging up cannot come in between."""
        if self._changing is not None:
            self._changing.cancel()
        for stream in (self._microphone, self._loudspeaker):
            if stream is not None:
                stream.close()
        self._microphone = self._loudspeaker = self._ring = None
        self.playing = False

    async def closed(self) -> None:
        """Wait until a change of devices that was going on has ended, and close what it opened."""
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.gather(self._changing, return_exceptions=True)
        self.close()

    def change(self, source: str | None, sink: str | None) -> None:
        """Take other devices from now on; the call goes on meanwhile."""
        self._wanted = (source, sink)
        self._change(NOTHING)

    def set_volume(self, volume: float) -> None:
        """Play as loud as this, 0..1."""
        self._volume = min(1.0, max(0.0, volume))
        self.buffer.volume = self._volume

    @property
    def volume(self) -> float:
        """How loud it plays."""
        return self._volume

    @property
    def microphone_ms(self) -> float | None:
        """From the converter to our callback; None without a microphone."""
        return None if self._microphone is None else 1000.0 * self._microphone.latency

    @property
    def playback_ms(self) -> float | None:
        """From our callback to the converter; None without a loudspeaker."""
        return None if self._loudspeaker is None else 1000.0 * self._loudspeaker.latency

    def play(self, pcm: NDArray[np.float32]) -> float:
        """Take sound of the voice, float32 [n] at 24 kHz; return in how many seconds its first sample sounds."""
        ahead = self.buffer.seconds + (self.playback_ms or 0.0) / 1000.0
        self.buffer.push(self._down.feed(pcm))
        return ahead

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield what is to be sent, 40 ms at a time, for ever."""
        pending = np.zeros(0, np.float32)
        silence = np.zeros(PACKET_SAMPLES, np.float32)
        due, ring, up = time.perf_counter(), self._ring, self._up
        while True:
            now = time.perf_counter()
            if self._ring is not ring:
                ring, up, pending = self._ring, self._up, np.zeros(0, np.float32)
                due = now
            if ring is None:
                if now < due:
                    await asyncio.sleep(due - now)
                    continue
                yield Packet(silence, now - due, heard=False)
                due += PACKET_SECONDS
                if self._retry_at and now > self._retry_at:
                    self._change(NOTHING)
                continue
            if now - ring.wrote_at > NO_SOUND_SECONDS:
                self._lost_microphone()
                continue
            fresh = ring.read()
            if fresh.size:
                pending = np.concatenate([pending, up.feed(fresh)])
                over = len(pending) - _BACKLOG_PACKETS * PACKET_SAMPLES
                if over > 0:
                    self.dropped += over
                    pending = pending[over:]
            while len(pending) >= PACKET_SAMPLES:
                packet, pending = pending[:PACKET_SAMPLES], pending[PACKET_SAMPLES:]
                behind = len(pending) / clips.SAMPLE_RATE
                late = time.perf_counter() - ring.wrote_at + behind
                yield Packet(packet, late, heard=True)
            due = time.perf_counter()
            self._news.clear()
            if not len(ring):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(NO_SOUND_SECONDS):
                        await self._news.wait()

    async def play_to_nobody(self) -> None:
        """Empty the buffer at the speed of sound while no loudspeaker does, and notice one that vanished."""
        played = time.perf_counter()
        while True:
            await asyncio.sleep(_PLAY_SECONDS)
            now = time.perf_counter()
            if not self.playing:
                self.buffer.pull(round((now - played) * clips.SAMPLE_RATE))
            elif self._loudspeaker is not None and not self._loudspeaker.alive:
                self._change(T("The loudspeaker {name} is gone.", name=self.sink or "—"))
            played = now

    def depth_before(self) -> tuple[float, float, float]:
        """Return underruns, skipped and added milliseconds of the buffers of earlier loudspeakers."""
        return self._underruns, self._skipped, self._added

    # -- devices ----------------------------------------------------------------------------------------------

    def _lost_microphone(self) -> None:
        self._ring = None
        why, now = T("The microphone gives no sound any more."), time.perf_counter()
        if now - self._reopened_at < _TRUSTED_SECONDS:
            # It was opened anew for the same reason: doing so for ever would cut the voice each time.
            self.notice = why
            self._say(T("Silence is sent until there is a microphone again."))
        else:
            self._change(why)

    def _change(self, why: Text) -> None:
        if self._changing is None or self._changing.done():
            self._retry_at = 0.0
            self._changing = asyncio.create_task(self._reopen(why), name="talk: change devices")

    async def _reopen(self, why: Text) -> None:
        """Close both, look what there is now, and open what is wanted, the default one, or nothing, in that order."""
        while True:
            wanted = self._wanted
            streams = [s for s in (self._microphone, self._loudspeaker) if s is not None]
            self._ring = self._microphone = self._loudspeaker = None
            self._keep_figures()
            self.buffer, self._down = _fresh(clips.SAMPLE_RATE, self._volume)
            self.playing = False
            await _wholly(partial(_close_all, streams))
            await _wholly(self._backend.refresh)
            found = await asyncio.to_thread(self._backend.devices)
            self.source, self.sink = wanted
            self.notice = why
            self._reopened_at = time.perf_counter()
            await self._open_input_of(found)
            await self._open_output_of(found)
            if wanted == self._wanted:
                break
            why = NOTHING
        if not self._is_open() and wanted != (CLIP, NO_SPEAKER):
            # With one of them open, looking again would cut its sound: then it is done when a person asks.
            self._retry_at = time.perf_counter() + _LOOK_AGAIN_SECONDS

    async def _open_input_of(self, found: Devices) -> None:
        if self.source == CLIP:
            return
        names = {device.name for device in found.inputs}
        if self.source not in names:
            self.source = None
        try:
            await self._open_microphone(self.source)
        except BadRequest:
            self._say(T("Silence is sent until there is a microphone again."))
            return
        if self.source != self._wanted[0]:
            self._say(T("The default microphone is used now."))

    async def _open_output_of(self, found: Devices) -> None:
        if self.sink == NO_SPEAKER:
            return
        names = {device.name for device in found.outputs}
        if self.sink not in names:
            self.sink = None
        try:
            await self._open_loudspeaker(self.sink)
        except BadRequest:
            self._say(T("Nothing is played until there is a loudspeaker again."))
            return
        if self.sink != self._wanted[1]:
            self._say(T("The default loudspeaker is used now."))

    def _say(self, more: Text) -> None:
        self.notice = T("{first} {second}", first=self.notice, second=more) if self.notice else more

    async def _open_microphone(self, name: str | None) -> None:
        stream, ring = await _opened(
            lambda: self._backend.open_input(name, lambda rate: Ring(round(rate * _RING_SECONDS)))
        )
        loop = asyncio.get_running_loop()
        ring.on_write = partial(_wake, loop, self._news)
        self._microphone, self._up = stream, Resampler(stream.rate, clips.SAMPLE_RATE)
        ring.wrote_at = time.perf_counter()
        self._ring = ring

    async def _open_loudspeaker(self, name: str | None) -> None:
        stream, buffer = await _opened(
            lambda: self._backend.open_output(name, lambda rate: _fresh(rate, self._volume)[0])
        )
        self._keep_figures()
        self._loudspeaker, self.buffer = stream, buffer
        self._down = Resampler(clips.SAMPLE_RATE, stream.rate)
        self.playing = True

    def _is_open(self) -> bool:
        return self._microphone is not None or self._loudspeaker is not None

    def _keep_figures(self) -> None:
        depth = self.buffer.depth()
        self._underruns += depth.underruns
        self._skipped += depth.skipped_ms
        self._added += depth.added_ms


def _fresh(rate: int, volume: float) -> tuple[JitterBuffer, Resampler]:
    buffer = JitterBuffer(rate)
    buffer.volume = volume
    return buffer, Resampler(clips.SAMPLE_RATE, rate)


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    """Let the sender look, from the sound card's thread."""
    try:
        loop.call_soon_threadsafe(news.set)
    except RuntimeError:
        # The call is over, and its device about to be closed.
        if not loop.is_closed():
            raise


def _close_all(streams: list[Stream]) -> None:
    for stream in streams:
        stream.close()


async def _opened(open_: Callable[[], tuple[Stream, _B]]) -> tuple[Stream, _B]:
    """Open a device in a worker thread; one that opens after a hang-up is closed again at once."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait({opening})
        if not opening.cancelled() and opening.exception() is None:
            opening.result()[0].close()
        raise


async def _wholly(work: Callable[[], object]) -> None:
    """Do something with devices in a worker thread; hanging up waits for its end, so that none stays open."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise
