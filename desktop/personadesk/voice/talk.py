"""A conversation: microphone or clip to the voice, voice to the loudspeaker, in a thread that nothing delays.

The window starts it, reads a snapshot twenty times a second, and hangs up. Without a microphone the built-in
clip is spoken, without a loudspeaker the call still shows what comes back. A connection that breaks is taken up again
where the server keeps its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.text import NOTHING, T
from personadesk.voice.client import AudioIn, Closed, MetadataIn, TextIn, VoiceClient
from personadesk.voice.devices import AudioBackend, PortAudio
from personadesk.voice.figures import Break, Link, Place, Talk
from personadesk.voice.realtime import RealtimeThread
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from personadesk.voice.client import Event
    from personadesk.voice.sessions import Sessions
    from personadesk.voice.talk_figures import TalkFigures

__all__ = ["CLIP", "NO_SPEAKER", "TalkSession", "TalkSnapshot", "TalkState"]

log = logging.getLogger(__name__)

CLIP: Final = "clip"
"""As source: speak the built-in clip, then be silent."""
NO_SPEAKER: Final = "none"
"""As sink: show the voice, play nothing."""

HANDSHAKE_SECONDS: Final = 60.0
_DEAD_SECONDS: Final = 10.0
"""A voice in a call sends something every 80 ms; after this time without anything nobody is there."""
_BROKEN_SECONDS: Final = 5.0
"""The same where the call can be taken up again, so that trying costs nothing."""
_GIVE_UP_SECONDS: Final = 30.0
"""As long as a server keeps a place by itself."""
_BACK_OFF: Final = (0.1, 0.3, 0.6, 1.0, 2.0)
_DIAL_SECONDS: Final = 5.0
_POLITE: Final = (protocol.CLOSE_NORMAL, protocol.CLOSE_NORMAL + 1)
_FOR_GOOD: Final = (protocol.CLOSE_POLICY, protocol.CLOSE_TOO_BIG, protocol.CLOSE_BUSY)
_LOOK_SECONDS: Final = 0.25


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
        mode: Talk = Talk.OPEN,
        volume: float = 1.0,
        place: str = "",
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
            mode: When the microphone is sent.
            volume: How loud the voice is played, 0..1.
            place: What the server is called in sentences of blame, "" for "the server".
        """
        from personadesk.voice.talk_audio import TalkAudio
        from personadesk.voice.talk_figures import TalkFigures
        from personadesk.voice.talk_keep import Keeper

        self._url = url
        self._query = {"metadata": "1", "resume": protocol.RESUME_ASKED} | dict(query or {})
        self._token = token
        self._clip = clip
        self._handshake_timeout = handshake_timeout
        self._thread = RealtimeThread(self._run, "talk")
        self._lock = threading.Lock()
        self._audio = TalkAudio(backend or PortAudio(), source, sink)
        self._audio.set_volume(volume)
        self._keeper = Keeper()
        self._figures: TalkFigures = TalkFigures(self._audio, self._keeper, self._lock, place)
        self._figures.mode = mode
        self._state = TalkState.CONNECTING
        self._fault: PersonaDeskError | None = None
        self._line: VoiceClient | None = None
        self._resume = ""
        self._link = Link()
        self._place: Place | None = None
        self._broke_at = 0.0
        self._attempts = 0
        self._heard_at = 0.0
        self._jobs: set[asyncio.Task[None]] = set()

    # -- for the window ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Dial."""
        self._thread.start()

    def hang_up(self) -> None:
        """End the call politely, in whatever state it is."""
        self._thread.cancel()

    def mute(self, muted: bool) -> None:
        """Send silence in place of the microphone; the call goes on."""
        with self._lock:
            self._figures.muted = muted
        self._event("mute", on=muted)

    def set_mode(self, mode: Talk) -> None:
        """Choose when the microphone is sent."""
        with self._lock:
            self._figures.mode = mode
        self._event("mode", mode=str(mode))

    def hold(self, held: bool) -> None:
        """Press or let go of the push-to-talk key."""
        with self._lock:
            self._figures.held = held

    def set_volume(self, volume: float) -> None:
        """Play the voice as loud as this, 0..1."""
        self._thread.call_soon(lambda: self._audio.set_volume(volume))

    def change_devices(self, source: str | None, sink: str | None) -> None:
        """Take other devices in the middle of the call; names, `CLIP`, `NO_SPEAKER`, or None for the default ones."""
        self._thread.call_soon(lambda: self._audio.change(source, sink))

    def say_clip(self, clip: Path | None = None) -> None:
        """Speak a clip now in place of the microphone; it is read in the background of the call."""
        self._thread.call_soon(lambda: self._do(self._load_clip(clip or self._clip)))

    def record(
        self,
        sessions: Sessions,
        line: str,
        *,
        opus: bool = False,
        persona: str = "",
        voice: str = "",
    ) -> None:
        """Keep the call from now on, as a folder of `sessions`; the snapshot tells how far it is.

        Args:
            sessions: The folder of kept calls.
            line: Whom the call is to.
            opus: Ogg Opus in place of a WAV file.
            persona: Name of the persona, "" for none.
            voice: Name of the voice, "" for the server's own.
        """
        from personadesk.voice.recorder import Form
        from personadesk.voice.talk_keep import Wish

        form = Form.OPUS if opus else Form.WAV
        wish = Wish(sessions, line, self._url, form, persona, voice)
        self._thread.call_soon(lambda: self._do(self._keeper.begin(wish, self._figures.seconds())))

    def stop_recording(self) -> None:
        """Keep no more; what there is stays."""
        self._thread.call_soon(lambda: self._do(self._keeper.end()))

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the call is over and its devices are closed; return whether they are."""
        return self._thread.join(timeout)

    def snapshot(self) -> TalkSnapshot:
        """Return how the call is now."""
        with self._lock:
            fault = self._fault
            shown = self._figures.snapshot(
                self._state,
                self._link_now(),
                reason=fault.what if fault else NOTHING,
                next_=fault.next if fault else NOTHING,
                cause=fault.cause if fault else "",
                details=fault.details if fault else "",
            )
            return replace(shown, place=self._place) if self._place is not None else shown

    # -- the call ---------------------------------------------------------------------------------------------

    def _enter(self, state: TalkState, fault: PersonaDeskError | None = None) -> None:
        with self._lock:
            if state is TalkState.IN_CALL:
                self._figures.begin()
            elif state in (TalkState.ENDED, TalkState.FAILED):
                self._figures.end()
                self._place = None
                self._link = Link(breaks=self._link_now().breaks)
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
        finally:
            await self._keep_rest()

    async def _keep_rest(self) -> None:
        """Write what is left of the recording, however often somebody hangs up meanwhile."""
        ending = asyncio.create_task(self._keeper.end(), name="talk: end the recording")
        while not ending.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ending)

    async def _call(self) -> None:
        await self._audio.choose()
        if self._audio.source == CLIP:
            await self._load_clip(self._clip)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._audio.close)
            stack.push_async_callback(self._end_jobs)
            while True:
                try:
                    await self._connected()
                except PersonaDeskError as fault:
                    await self._lost(fault)
                else:
                    return

    async def _connected(self) -> None:
        """Hold the call over one connection; returns at a polite end.

        Raises:
            PersonaDeskError: It ended otherwise.
        """
        again = self._state is TalkState.IN_CALL
        query = self._query
        if again:
            query = {"metadata": "1", "resume": self._resume}
        async with VoiceClient.connect(
            self._url, query=query, token=self._token, timeout=_DIAL_SECONDS if again else 10.0
        ) as call:
            if again:
                await call.handshake(self._gives_up_in())
                self._figures.rejoined()
            else:
                self._enter(TalkState.PREPARING)
                await call.handshake(self._handshake_timeout, self._wait_in_line)
                self._place = None
                await self._audio.open()
                self._enter(TalkState.IN_CALL)
                for job in (self._speak(), self._audio.play_to_nobody(), self._look()):
                    self._do(job)
            self._line, self._heard_at = call, time.perf_counter()
            try:
                await self._listen(call)
            finally:
                self._line = None

    def _wait_in_line(self, told: Mapping[str, Any]) -> None:
        try:
            left = (
                float(told["max_wait_s"]) - float(told["waited_s"])
                if "max_wait_s" in told
                else None
            )
            self._place = Place(int(told["position"]), int(told.get("waiting", 1)), left)
        except (KeyError, TypeError, ValueError):
            log.info("the server told a place in line that cannot be read: %s", dict(told))

    async def _lost(self, fault: PersonaDeskError) -> None:
        """Decide whether to try again after a connection was lost or did not come about, and wait a little.

        Raises:
            PersonaDeskError: There is no use, or it took too long.
        """
        if self._state is not TalkState.IN_CALL or not self._resume:
            raise fault
        first = not self._link.reconnecting
        if fault.cause in _HOPELESS:
            raise fault
        now = self._figures.seconds()
        if first:
            self._broke_at, self._attempts = time.perf_counter(), 0
            at = now - (self._broke_at - self._heard_at)
            broke = Break(at, self._broke_at - self._heard_at, resumed=False, reason=fault.what)
            self._set_link((*self._link.breaks, broke), reconnecting=True)
            self._figures.broke()
            self._event("broke", reason=str(fault.what))
        if self._gives_up_in() <= 0:
            raise Unreachable(
                T(
                    "The connection broke, and could not be taken up again within {seconds} seconds.",
                    seconds=round(_GIVE_UP_SECONDS),
                ),
                T("See whether this computer is online and the server runs, then call again."),
                cause="not_resumed",
                details=f"{fault.what} {fault.details}".strip(),
            ) from fault
        wait = _BACK_OFF[min(self._attempts, len(_BACK_OFF) - 1)]
        self._attempts += 1
        await asyncio.sleep(min(wait, max(0.0, self._gives_up_in())))

    async def _listen(self, call: VoiceClient) -> None:
        while True:
            limit = _BROKEN_SECONDS if self._resume else _DEAD_SECONDS
            try:
                async with asyncio.timeout(limit):
                    event = await anext(call)
            except TimeoutError:
                # Not closed politely: that would free the place that the server keeps.
                call.abandon()
                raise Unreachable(
                    T("The voice fell silent {seconds} seconds ago.", seconds=round(limit)),
                    T("Call again; if that fails too, look whether the server still runs."),
                    cause="stalled",
                ) from None
            if self._hear(event, call):
                return

    def _hear(self, event: Event, call: VoiceClient) -> bool:
        """Take what came; return whether the call is over."""
        match event:
            case AudioIn(pcm, at):
                if self._link.reconnecting:
                    self._back(at)
                self._figures.heard(at, pcm, call.bad_pages)
            case TextIn(words):
                self._figures.wrote(words)
            case MetadataIn(values, at):
                token = values.get("resume")
                if isinstance(token, str) and token:
                    self._resume = token
                self._figures.told(at, values)
            case Closed(code) if code in _POLITE:
                self._enter(TalkState.ENDED, call.explain(event))
                return True
            case Closed(code):
                fault = call.explain(event)
                if code in _FOR_GOOD:
                    fault.cause = _REFUSED
                raise fault
            case _:
                pass  # an error message; the client keeps it for the moment the server hangs up
        self._heard_at = time.perf_counter()
        return False

    def _back(self, at: float) -> None:
        """Note that sound comes again."""
        *before, last = self._link.breaks
        seconds = at - self._heard_before_break()
        self._set_link((*before, Break(last.at, seconds, resumed=True, reason=last.reason)))
        self._event("resumed", seconds=round(seconds, 2))

    async def _speak(self) -> None:
        async with contextlib.aclosing(self._audio.packets()) as packets:
            async for packet in packets:
                handed = time.perf_counter()
                pcm = self._figures.to_send(packet)
                line = self._line
                if line is None:
                    continue
                # The listener is the one who notices that a call is over, and says why.
                with contextlib.suppress(Unreachable):
                    await line.send_pcm(pcm)
                    self._figures.sent(handed, packet)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._figures.look()

    async def _load_clip(self, clip: Path | None) -> None:
        from personadesk.voice import sources

        try:
            packets = await asyncio.to_thread(sources.clip_packets, clip)
        except PersonaDeskError as fault:
            if self._state is not TalkState.IN_CALL:
                raise
            self._audio.notice = fault.what
            return
        with self._lock:
            self._figures.saying = packets

    # -- small things -----------------------------------------------------------------------------------------

    def _do(self, job: Coroutine[object, object, None]) -> None:
        """Let something go on beside the call; what it raises ends the call, as our own mistake."""
        task = asyncio.create_task(job, name="talk: part")
        self._jobs.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of the conversation broke", exc_info=error)
            self._thread.cancel()

    async def _end_jobs(self) -> None:
        jobs = tuple(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._audio.closed()

    def _event(self, what: str, **values: object) -> None:
        self._keeper.event(self._figures.seconds(), what, **values)

    def _gives_up_in(self) -> float:
        return _GIVE_UP_SECONDS - (time.perf_counter() - self._broke_at)

    def _heard_before_break(self) -> float:
        last = self._link.breaks[-1]
        return self._figures.began + last.at

    def _set_link(self, breaks: tuple[Break, ...], *, reconnecting: bool = False) -> None:
        with self._lock:
            self._link = Link(
                reconnecting=reconnecting, resumable=bool(self._resume), breaks=breaks
            )

    def _link_now(self) -> Link:
        link = self._link
        if not link.reconnecting:
            return Link(resumable=bool(self._resume), breaks=link.breaks)
        *before, last = link.breaks
        seconds = self._figures.seconds() - last.at
        now = Break(last.at, seconds, resumed=False, reason=last.reason)
        return Link(
            reconnecting=True,
            attempt=max(1, self._attempts),
            gives_up_in=max(0.0, self._gives_up_in()),
            resumable=True,
            breaks=(*before, now),
        )


_REFUSED: Final = "refused_call"
_HOPELESS: Final = (_REFUSED, "token")
