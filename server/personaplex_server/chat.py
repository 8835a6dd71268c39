"""`/api/chat`: one caller's WebSocket from the accept to the close, in the protocol of the Moshi family.

Many clients show a person nothing of an error message or a close code, so that a refusal is told three times:
as an error message, as words in the transcript, and in the close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from personaplex_server import protocol
from personaplex_server.engines.base import EngineError, Persona
from personaplex_server.line import Line, Place
from personaplex_server.logs import fields
from personaplex_server.opus import OpusError, OpusWriter
from personaplex_server.protocol import Kind, ProtocolError
from personaplex_server.query import BadQueryError, read_persona
from personaplex_server.resume import Conversation, Conversations
from personaplex_server.session import Ended, Spoken
from personaplex_server.status import BrokenEngineError, State, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from personaplex_server.scheduler import Scheduler

log = logging.getLogger(__name__)

_SLICE: Final = 2_048
"""Bytes decoded before the event loop gets its turn: a message of a megabyte may hold hours of audio."""
_WORDS_AFTER_S: Final = 0.12
"""The existing page listens for words only some time after its socket is open."""
_WORDS_EVERY_S: Final = 10.0
"""How often a caller in line may be told a new place in words; they stay on the screen of the existing page."""
_SIGN_OF_LIFE_S: Final = 5.0
"""The existing page hangs up when it has heard nothing for 10 s, which a muted caller's silence would cause."""
_LAST_WORDS_S: Final = 2.0
_PAGE_WARM_UP_S: Final = 2.0
"""The existing page listens for sound only a second after it has connected, and never makes up for what it missed."""
_PAGE_PARAMETER: Final = "pad_mult"
"""A parameter that only the existing page sends."""
_FIGURES_EVERY_S: Final = 1.0
_NEWS_EVERY_S: Final = 0.25
_MUCH_MS: Final = 80.0
"""A change of the delay that is told before its time: a frame."""
_LOOK_S: Final = 0.5
POLITE: Final = frozenset({1000, 1001, 1005})
"""Close codes of a caller who hangs up: done, away, or without a word of why."""
_UNREAD: Final = Ended("The caller stopped reading.", unread=True)
_GONE: Final = (
    "The conversation to go on with is over: its time to come back has passed, or it was ended. "
    "Begin a new one."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may last, in seconds; 0 is no limit, but for `max_wait_s` and `resume_s` not at all.

    Attributes:
        max_wait_s: Waiting in line for a seat.
        max_call_s: A conversation.
        max_idle_s: Nothing audible from the caller.
        resume_s: How long the row of a broken connection is kept for its caller.
    """

    max_wait_s: float = 0.0
    max_call_s: float = 0.0
    max_idle_s: float = 0.0
    resume_s: float = 30.0


class Reception:
    """What calls share.

    Attributes:
        limits: How long things may last.
        conversations: Those that callers may go on with.
        polite: Close codes of a caller who hangs up; any other way to go is a broken connection.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.polite = POLITE
        self.conversations = Conversations(self.limits.resume_s)
        self._lines: dict[Scheduler, Line] = {}

    def line(self, scheduler: Scheduler) -> Line:
        """Return the line in front of an engine."""
        if scheduler not in self._lines:
            self._lines[scheduler] = Line(scheduler, max_wait_s=self.limits.max_wait_s)
        return self._lines[scheduler]


async def refuse(ws: WebSocket, reason: str, code: int) -> None:
    """Tell an accepted caller why there will be no conversation, and close."""
    await ws.send_bytes(protocol.error(reason))
    await asyncio.sleep(_WORDS_AFTER_S)
    await ws.send_bytes(protocol.text(reason))
    await ws.close(code, _short(reason))


def _short(reason: str) -> str:
    """Cut a close reason to the 123 bytes that a close frame holds."""
    return reason.encode()[:123].decode("utf-8", "ignore")


async def converse(ws: WebSocket, scheduler: Scheduler, reception: Reception) -> None:
    """Hold one conversation over an accepted socket, or go on with one.

    Returns when it is over and the row free again, or kept for a caller whose connection broke.
    """
    wanted = ws.query_params.get("resume", "").strip()
    persona: Persona | None = None
    if wanted and wanted != protocol.RESUME_ASKED:
        known = await reception.conversations.take(wanted)
        if known is None:
            log.info("caller refused %s", fields(reason=_GONE))
            await refuse(ws, _GONE, protocol.CLOSE_POLICY)
            return
        conversation = known
    else:
        try:
            persona = read_persona(ws.query_params)
        except BadQueryError as error:
            log.info("caller refused %s", fields(reason=error))
            await refuse(ws, str(error), protocol.CLOSE_POLICY)
            return
        conversation = Conversation(scheduler, scheduler.newcomer())
        conversation.hold()
    session, began, outcome = conversation.session, time.monotonic(), "error"
    try:
        outcome = await _Call(ws, conversation, reception, persona).run()
    finally:
        log.info(
            "call over %s",
            fields(
                engine=conversation.scheduler.name,
                call=session.number,
                outcome=outcome,
                seconds=time.monotonic() - began,
                frames=session.taken,
                dropped=session.dropped,
            ),
        )


@dataclass(slots=True)
class _Told:
    """What a caller was told last, and when (monotonic)."""

    at: float = 0.0
    lag_ms: float = 0.0
    dropped: int = 0
    position: int = 0
    words_at: float = field(default=float("-inf"))


class _Call:
    """The tasks of one connection: listening, answering, and watching over both."""

    def __init__(
        self,
        ws: WebSocket,
        conversation: Conversation,
        reception: Reception,
        persona: Persona | None,
    ) -> None:
        """Serve `conversation` over `ws`; without a persona it is one to go on with."""
        self._ws = ws
        self._conversation = conversation
        self._scheduler = conversation.scheduler
        self._session = conversation.session
        self._reception = reception
        self._persona = persona
        self._strange: set[str] = set()
        self._wants_figures = ws.query_params.get("metadata") == "1"
        self._told = _Told()
        self._talking = False
        self._broken = False

    async def run(self) -> str:
        """Run until one side ends it; return how it ended, in a word for the log."""
        displaced = asyncio.create_task(self._conversation.displaced())
        tasks: list[asyncio.Task[Ended | None]] = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._answer()),
            asyncio.create_task(self._session.unread()),
            asyncio.create_task(self._watch()),
        ]
        done: set[asyncio.Task[Any]] = set()
        try:
            done, _ = await asyncio.wait([displaced, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (displaced, *tasks):
                task.cancel()
            await asyncio.gather(displaced, *tasks, return_exceptions=True)
            # The row is free before the farewell, which a slow caller may draw out.
            kept = self._settle(displaced=displaced in done)
        if kept:
            abort(self._ws)
            return kept
        return await self._farewell(next(task for task in tasks if task in done))

    def _settle(self, *, displaced: bool) -> str:
        """Free the row, unless it goes to or waits for the caller's next connection; then say how."""
        if displaced:
            kept = "taken over"
        elif self._broken and self._conversation.token is not None:
            self._reception.conversations.park(self._conversation)
            kept = "broke off"
        else:
            self._reception.conversations.end(self._conversation)
            kept = ""
        self._conversation.let_go()
        return kept

    async def _farewell(self, ended: asyncio.Task[Ended | None]) -> str:
        error = ended.exception()
        if isinstance(error, WebSocketDisconnect):
            return "hung up"
        if isinstance(error, OpusError):
            return await self._tell(str(error), protocol.CLOSE_POLICY, "bad audio")
        if isinstance(error, UnavailableError):
            log.info("caller refused %s", fields(engine=self._scheduler.name, reason=error))
            code = protocol.CLOSE_BUSY if error.later else self._out_of_service()
            return await self._tell(str(error), code, "refused")
        if isinstance(error, EngineError):
            broken = isinstance(error, BrokenEngineError)
            code = self._out_of_service() if broken else protocol.CLOSE_POLICY
            return await self._tell(str(error), code, "failed" if broken else "refused")
        if error is not None:
            raise error
        result = ended.result()
        if result is None:
            return "hung up"
        if result.unread:
            log.warning("caller does not read, dropped %s", fields(call=self._session.number))
            abort(self._ws)
            return "unread"
        return await self._tell(result.reason, result.code, "ended")

    def _out_of_service(self) -> int:
        stopping = self._scheduler.status().state is State.STOPPED
        return protocol.CLOSE_RESTART if stopping else protocol.CLOSE_FAILED

    async def _tell(self, reason: str, code: int, outcome: str) -> str:
        if self._is_over():
            # A message to them has failed already: they are gone, and what they sent before is being read still.
            return outcome
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(_LAST_WORDS_S):
                await refuse(self._ws, reason, code)
        if not self._is_over():
            abort(self._ws)
        return outcome

    def _is_over(self) -> bool:
        return self._ws.application_state is WebSocketState.DISCONNECTED

    async def _listen(self) -> Ended | None:
        while True:
            event = await self._ws.receive()
            if event["type"] == "websocket.disconnect":
                self._broken = event.get("code", 1006) not in self._reception.polite
                return None
            data = event.get("bytes")
            if data is None:
                self._wonder("a text frame")
                continue
            try:
                message = protocol.decode(data)
            except ProtocolError as error:
                self._wonder(str(error))
                continue
            if message.kind is not Kind.AUDIO:
                self._wonder(f"a message of kind {message.kind.name.lower()}")
                continue
            for begin in range(0, len(message.payload), _SLICE):
                self._session.hear(message.payload[begin : begin + _SLICE])
                if begin:
                    await asyncio.sleep(0)

    def _wonder(self, what: str) -> None:
        """Log what a caller should not send, each thing once a call, and go on."""
        if what not in self._strange and len(self._strange) < 8:
            self._strange.add(what)
            log.info("ignored %s", fields(call=self._session.number, what=what))

    async def _watch(self) -> Ended | None:
        """Wait until a limit is reached."""
        limits = self._reception.limits
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._talking:
                continue
            if 0 < limits.max_call_s <= time.monotonic() - self._conversation.began:
                return Ended(
                    f"The call has lasted {_spell(limits.max_call_s)}, which is the limit of this server. "
                    "Call again to go on talking.",
                    protocol.CLOSE_NORMAL,
                )
            if 0 < limits.max_idle_s <= self._session.quiet_s():
                return Ended(
                    f"Nothing was heard from you for {_spell(limits.max_idle_s)}, so the call is over. "
                    "Check your microphone and call again.",
                    protocol.CLOSE_NORMAL,
                )

    async def _answer(self) -> Ended:
        try:
            if self._persona is None:
                self._session.rejoin()
            else:
                await self._take_seat(self._persona)
            return await self._talk()
        except TimeoutError:
            # Only sending has a limit here, and it takes long only where nobody reads.
            return _UNREAD
        except WebSocketDisconnect:
            # The listener is told in a moment, and knows whether this was a polite close.
            await asyncio.sleep(_LAST_WORDS_S)
            raise

    async def _take_seat(self, persona: Persona) -> None:
        accepted = time.monotonic()
        line = self._reception.line(self._scheduler)
        self._conversation.row = await line.seat(self._session, self._tell_place)
        if self._told.position:
            self._session.forget()
        await self._scheduler.open(self._session, persona)
        if _PAGE_PARAMETER in self._ws.query_params:
            await asyncio.sleep(accepted + _PAGE_WARM_UP_S - time.monotonic())
        self._session.start()
        self._conversation.began = time.monotonic()
        if self._ws.query_params.get("resume", "").strip():
            self._reception.conversations.offer(self._conversation)

    async def _tell_place(self, place: Place) -> None:
        """Tell somebody in line how far they are: in figures to who asked for them, sparingly in words to others."""
        async with asyncio.timeout(_LAST_WORDS_S):
            if self._wants_figures:
                values = {
                    "position": place.position,
                    "waiting": place.waiting,
                    "waited_s": round(place.waited_s, 1),
                    "max_wait_s": place.max_wait_s,
                }
                await self._ws.send_bytes(protocol.metadata(values))
            else:
                await self._ws.send_bytes(protocol.Message(Kind.PING).encode())
                if not self._told.position:
                    await asyncio.sleep(_WORDS_AFTER_S)
                now = time.monotonic()
                if (
                    place.position != self._told.position
                    and now - self._told.words_at >= _WORDS_EVERY_S
                ):
                    self._told.words_at = now
                    await self._ws.send_bytes(protocol.text(place.words))
                elif self._told.position:
                    return
        self._told.position = place.position

    async def _talk(self) -> Ended:
        await self._ws.send_bytes(protocol.handshake())
        self._talking = True
        if self._conversation.token is not None:
            # With the number that its next frame has, a caller can tell later which frame the figures are about.
            offer = {
                "resume": self._conversation.token,
                "slot": self._conversation.row,
                "frame": self._session.taken,
                "dropped": self._session.dropped,
            }
            await self._ws.send_bytes(protocol.metadata(offer))
        writer = OpusWriter()
        while True:
            try:
                async with asyncio.timeout(_SIGN_OF_LIFE_S):
                    spoken = await self._session.answer()
            except TimeoutError:
                await self._ws.send_bytes(protocol.Message(Kind.PING).encode())
                continue
            if isinstance(spoken, Ended):
                return spoken
            if spoken.pcm is not None:
                await self._ws.send_bytes(protocol.audio(writer.encode(spoken.pcm)))
            if spoken.text:
                await self._ws.send_bytes(protocol.text(spoken.text))
            if self._wants_figures and self._is_news(spoken):
                await self._ws.send_bytes(protocol.metadata(self._figures(spoken)))

    def _is_news(self, spoken: Spoken) -> bool:
        """Tell whether figures are due: once a second, and sooner when they changed much."""
        told, now = self._told, time.monotonic()
        changed = (
            abs(spoken.lag_ms - told.lag_ms) >= _MUCH_MS or self._session.dropped != told.dropped
        )
        if now - told.at < (_NEWS_EVERY_S if changed else _FIGURES_EVERY_S):
            return False
        told.at, told.lag_ms, told.dropped = now, spoken.lag_ms, self._session.dropped
        return True

    def _figures(self, spoken: Spoken) -> dict[str, float | int | str | None]:
        return {
            "tick_ms": round(spoken.tick_ms, 2),
            "lag_ms": round(spoken.lag_ms, 2),
            "queue": spoken.queue,
            "dropped": self._session.dropped,
            "frame": spoken.frame,
            "at_ms": round(spoken.at * 1000, 2),
            "slot": self._conversation.row,
            "resume": self._conversation.token,
        }


def _spell(seconds: float) -> str:
    """Return a length of time in words."""
    if seconds >= 120 and seconds % 60 == 0:
        return f"{seconds / 60:g} minutes"
    return f"{seconds:g} seconds"


def abort(ws: WebSocket) -> None:
    """Cut the connection at once, leaving unsent what the caller does not read."""
    cut: Callable[[], None] | None = ws.scope.get("extensions", {}).get("personaplex.abort")
    if cut is not None:
        cut()
