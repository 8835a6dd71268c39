"""A conversation: microphone or clip to the voice, voice to the loudspeaker, in a thread that nothing delays.

The window starts it, reads a snapshot twenty times a second, and hangs up. Without a microphone the built-in
clip is spoken, without a loudspeaker the call still shows what comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from personadesk.domain.errors import BadRequest, PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.text import NOTHING, T
from personadesk.voice import clips
from personadesk.voice.client import AudioIn, Closed, MetadataIn, TextIn, VoiceClient
from personadesk.voice.devices import AudioBackend, PortAudio
from personadesk.voice.realtime import RealtimeThread
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.devices import Stream
    from personadesk.voice.jitter import JitterBuffer
    from personadesk.voice.ring import Ring

__all__ = ["CLIP", "NO_SPEAKER", "TalkSession", "TalkSnapshot", "TalkState"]

log = logging.getLogger(__name__)

CLIP: Final = "clip"
"""As source: speak the built-in clip, then be silent."""
NO_SPEAKER: Final = "none"
"""As sink: show the voice, play nothing."""

HANDSHAKE_SECONDS: Final = 60.0
_DEAD_SECONDS: Final = 10.0
"""A voice in a call sends something every 80 ms; after this time without anything nobody is there."""
_POLITE: Final = (protocol.CLOSE_NORMAL, protocol.CLOSE_NORMAL + 1)
_RING_SECONDS: Final = 2.0
_PING_SECONDS: Final = 2.0
_PLAY_SECONDS: Final = 0.02


class TalkSession:
    """One conversation, used once.

    Every method may be called from any thread and returns at once, except `join`.
    """

    def __init__(
        self,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        source: str | None = None,
        sink: str | None = None,
        clip: Path | None = None,
        backend: AudioBackend | None = None,
        handshake_timeout: float = HANDSHAKE_SECONDS,
    ) -> None:
        """Prepare a conversation; nothing happens before `start`.

        Args:
            url: Address as people type it.
            query: More parameters, such as `{"engine": "echo"}`.
            token: Access token of the server.
            source: `CLIP`, the name of a microphone, or None for the default one.
            sink: `NO_SPEAKER`, the name of a loudspeaker, or None for the default one.
            clip: What the clip is; None takes the bundled question.
            backend: Where devices come from.
            handshake_timeout: Seconds until the server must be ready.
        """
        from personadesk.voice.meters import Meter
        from personadesk.voice.transcript import Transcript

        self._url = url
        self._query = {"metadata": "1"} | dict(query or {})
        self._token = token
        self._source = source
        self._sink = sink
        self._clip = clip
        self._backend = backend or PortAudio()
        self._handshake_timeout = handshake_timeout
        self._thread = RealtimeThread(self._run, "talk")
        self._lock = threading.Lock()
        self._state = TalkState.CONNECTING
        self._fault: PersonaDeskError | None = None
        self._notice = NOTHING
        self._muted = False
        self._began: float | None = None
        self._ended: float | None = None
        self._you, self._voice = Meter(), Meter()
        self._transcript = Transcript()
        self._samples = 0
        self._buffer: JitterBuffer | None = None
        self._playing = False
        self._round_trip: float | None = None
        self._server_lag: float | None = None
        self._saying: list[NDArray[np.float32]] = []
        self._loading: asyncio.Future[None] | None = None
        self._heard_at = 0.0

    def start(self) -> None:
        """Dial."""
        self._thread.start()

    def hang_up(self) -> None:
        """End the call politely, in whatever state it is."""
        self._thread.cancel()

    def mute(self, muted: bool) -> None:
        """Send silence in place of the microphone; the call goes on."""
        with self._lock:
            self._muted = muted

    def say_clip(self, clip: Path | None = None) -> None:
        """Speak a clip now in place of the microphone; it is read in the background of the call."""
        self._thread.call_soon(lambda: self._start_saying(clip or self._clip))

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the call is over and its devices are closed; return whether they are."""
        return self._thread.join(timeout)

    def snapshot(self) -> TalkSnapshot:
        """Return how the call is now."""
        with self._lock:
            now = self._seconds()
            fault = self._fault
            return TalkSnapshot(
                state=self._state,
                reason=fault.what if fault else NOTHING,
                next=fault.next if fault else NOTHING,
                details=fault.details if fault else "",
                notice=self._notice,
                seconds=now,
                muted=self._muted,
                source=self._source or "",
                speaker=self._playing,
                mic_level_dbfs=self._you.level(now),
                mic_peak=self._you.peak(now),
                speaker_level_dbfs=self._voice.level(now),
                speaker_peak=self._voice.peak(now),
                you_wave=self._you.wave(now),
                voice_wave=self._voice.wave(now),
                transcript=self._transcript.lines(),
                lag_ms=self._lag_ms(),
                frames=self._samples // 1920,
                late=self._buffer.underruns if self._buffer else 0,
            )

    def _seconds(self) -> float:
        if self._began is None:
            return 0.0
        return (self._ended or time.perf_counter()) - self._began

    def _lag_ms(self) -> float | None:
        from personadesk.voice.opus import PACKET_SECONDS

        if self._round_trip is None or self._server_lag is None or self._buffer is None:
            return None
        parts = PACKET_SECONDS + self._round_trip + self._buffer.seconds
        return round(1000.0 * parts + self._server_lag, 1)

    def _enter(self, state: TalkState, fault: PersonaDeskError | None = None) -> None:
        with self._lock:
            if state is TalkState.IN_CALL:
                self._began = time.perf_counter()
            elif state in (TalkState.ENDED, TalkState.FAILED):
                self._ended = time.perf_counter()
            self._state, self._fault = state, fault

    async def _run(self) -> None:
        try:
            await self._call()
        except asyncio.CancelledError:
            self._enter(TalkState.ENDED)
        except PersonaDeskError as fault:
            self._enter(TalkState.FAILED, fault)
        except Exception as error:
            log.exception("the conversation broke")
            self._enter(
                TalkState.FAILED,
                ProviderFault(
                    T("PersonaDesk itself failed in the middle of the call."),
                    T("Call again; the log says what happened."),
                    details=repr(error),
                ),
            )

    async def _call(self) -> None:
        await self._choose()
        async with (
            VoiceClient.connect(self._url, query=self._query, token=self._token) as call,
            contextlib.AsyncExitStack() as devices,
        ):
            self._enter(TalkState.PREPARING)
            await call.handshake(self._handshake_timeout)
            ring, mic = await self._open_source(devices)
            buffer, out = await self._open_sink(devices)
            self._enter(TalkState.IN_CALL)
            self._heard_at = time.perf_counter()
            await self._converse(call, ring, mic, buffer, out)

    async def _converse(
        self,
        call: VoiceClient,
        ring: Ring | None,
        mic_rate: int,
        buffer: JitterBuffer,
        speaker_rate: int,
    ) -> None:
        jobs = [
            asyncio.create_task(self._listen(call, buffer, speaker_rate), name="talk: listen"),
            asyncio.create_task(self._speak(call, ring, mic_rate), name="talk: speak"),
            asyncio.create_task(self._ping(call), name="talk: ping"),
            asyncio.create_task(self._watch(), name="talk: watch"),
        ]
        if not self._playing:
            jobs.append(asyncio.create_task(_play_to_nobody(buffer), name="talk: play"))
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            if jobs[1].done():
                # The call is over, and what the server said last still waits to be read.
                await asyncio.wait(jobs[:1], timeout=1.0)
            # The listener knows best why a call ended; its word comes first.
            for job in jobs:
                if job.done():
                    job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _listen(self, call: VoiceClient, buffer: JitterBuffer, rate: int) -> None:
        from personadesk.voice.resample import Resampler

        resampler = Resampler(clips.SAMPLE_RATE, rate)
        async for event in call:
            self._heard_at = time.perf_counter()
            match event:
                case AudioIn(pcm):
                    buffer.push(resampler.feed(pcm))
                    with self._lock:
                        self._samples += len(pcm)
                        self._voice.add(self._seconds(), pcm)
                case TextIn(words):
                    with self._lock:
                        self._transcript.voice_wrote(self._seconds(), words)
                case MetadataIn(values):
                    lag = values.get("lag_ms")
                    if isinstance(lag, (int, float)) and not isinstance(lag, bool):
                        with self._lock:
                            self._server_lag = float(lag)
                case Closed(code) if code in _POLITE:
                    self._enter(TalkState.ENDED, call.explain(event))
                    return
                case Closed():
                    raise call.explain(event)
                case _:
                    pass  # an error message; the client keeps it for the moment the server hangs up

    async def _speak(self, call: VoiceClient, ring: Ring | None, rate: int) -> None:
        from personadesk.voice import sources

        packets = (
            sources.clock_packets() if ring is None else sources.microphone_packets(ring, rate)
        )
        async with contextlib.aclosing(packets):
            async for microphone in packets:
                await call.send_pcm(self._noted(microphone))

    def _noted(self, microphone: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the packet that goes out for one of the microphone, and show it."""
        with self._lock:
            packet = self._saying.pop(0) if self._saying else microphone
            if self._muted:
                packet = packet * 0.0
            at = self._seconds()
            self._you.add(at, packet)
            self._transcript.you_sent(at, packet)
        return packet

    async def _ping(self, call: VoiceClient) -> None:
        while True:
            took = await call.round_trip()
            with self._lock:
                self._round_trip = took
            await asyncio.sleep(_PING_SECONDS)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            if time.perf_counter() - self._heard_at > _DEAD_SECONDS:
                raise Unreachable(
                    T("The voice fell silent {seconds} seconds ago.", seconds=round(_DEAD_SECONDS)),
                    T("Call again; if that fails too, look whether the server still runs."),
                    cause="stalled",
                )

    async def _choose(self) -> None:
        """Settle where sound comes from and goes to; a computer without devices still makes a call."""
        if self._source == CLIP and self._sink == NO_SPEAKER:
            found = None
        else:
            found = await asyncio.to_thread(self._backend.devices)
        if found is not None and self._source is None and not found.inputs:
            self._source = CLIP
            self._notice = T("No microphone found, so the built-in clip is spoken.")
        if found is not None and self._sink is None and not found.outputs:
            self._sink = NO_SPEAKER
            self._notice = self._notice or T(
                "No loudspeaker found. You see the voice, but don't hear it."
            )
        if self._source == CLIP:
            await self._load_clip(self._clip)

    async def _open_source(self, devices: contextlib.AsyncExitStack) -> tuple[Ring | None, int]:
        from personadesk.voice.ring import Ring

        if self._source == CLIP:
            return None, clips.SAMPLE_RATE
        stream, ring = await _opened(
            lambda: self._backend.open_input(
                self._source, lambda rate: Ring(round(rate * _RING_SECONDS))
            )
        )
        devices.push_async_callback(_close, stream)
        return ring, stream.rate

    async def _open_sink(self, devices: contextlib.AsyncExitStack) -> tuple[JitterBuffer, int]:
        from personadesk.voice.jitter import JitterBuffer

        if self._sink == NO_SPEAKER:
            self._buffer = JitterBuffer(clips.SAMPLE_RATE)
            return self._buffer, clips.SAMPLE_RATE
        try:
            stream, buffer = await _opened(
                lambda: self._backend.open_output(self._sink, JitterBuffer)
            )
        except BadRequest as fault:
            # A call that can be seen is better than none; the sentence says what is missing.
            self._notice = fault.what
            self._buffer = JitterBuffer(clips.SAMPLE_RATE)
            return self._buffer, clips.SAMPLE_RATE
        devices.push_async_callback(_close, stream)
        self._playing = True
        self._buffer = buffer
        return buffer, stream.rate

    def _start_saying(self, clip: Path | None) -> None:
        self._loading = asyncio.ensure_future(self._load_clip(clip))
        self._loading.add_done_callback(self._said_or_not)

    def _said_or_not(self, task: asyncio.Future[None]) -> None:
        if not task.cancelled() and isinstance(fault := task.exception(), PersonaDeskError):
            with self._lock:
                self._notice = fault.what

    async def _load_clip(self, clip: Path | None) -> None:
        from personadesk.voice import sources

        packets = await asyncio.to_thread(sources.clip_packets, clip)
        with self._lock:
            self._saying = packets


async def _play_to_nobody(buffer: JitterBuffer) -> None:
    """Empty the buffer at the speed of sound, so that lateness is counted as with a loudspeaker."""
    played = time.perf_counter()
    while True:
        await asyncio.sleep(_PLAY_SECONDS)
        now = time.perf_counter()
        buffer.pull(round((now - played) * clips.SAMPLE_RATE))
        played = now


_B = TypeVar("_B")


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


async def _close(stream: Stream) -> None:
    # Not in a worker thread: hanging up at this moment would cancel the closing before it has begun.
    stream.close()
