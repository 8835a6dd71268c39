"""`/api/chat`: one caller's WebSocket from the accept to the close, in the protocol of the Moshi family.

Many clients show a person nothing of an error message or a close code, so that a refusal is told three times:
as an error message, as words in the transcript, and in the close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from personaplex_server import protocol
from personaplex_server.engines.base import EngineError, Persona, Sampling
from personaplex_server.logs import fields
from personaplex_server.opus import OpusError, OpusWriter
from personaplex_server.protocol import Kind, ProtocolError
from personaplex_server.scheduler import BrokenEngineError, Scheduler, UnavailableError
from personaplex_server.session import Ended, Session, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

LONGEST_ROLE: Final = 8_000
"""Characters of a role text; the existing page allows 1000, and the model's memory holds about 10 000."""
_SLICE: Final = 2_048
"""Bytes decoded before the event loop gets its turn: a message of a megabyte may hold hours of audio."""
_WORDS_AFTER_S: Final = 0.12
"""The existing page listens for words only some time after its socket is open."""
_SIGN_OF_LIFE_S: Final = 5.0
"""The existing page hangs up when it has heard nothing for 10 s, which a muted caller's silence would cause."""
_LAST_WORDS_S: Final = 2.0
_PAGE_WARM_UP_S: Final = 2.0
"""The existing page listens for sound only a second after it has connected, and never makes up for what it missed."""
_PAGE_PARAMETER: Final = "pad_mult"
"""A parameter that only the existing page sends."""


class BadQueryError(ValueError):
    """A parameter of the address cannot be used; the text is a sentence for the caller."""


def read_persona(query: Mapping[str, str]) -> Persona:
    """Return the persona that an address asks for; what is missing or empty takes its default.

    Raises:
        BadQueryError: A value makes no sense. Unknown parameters are no matter.
    """
    default = Sampling()
    voice = query.get("voice_prompt", "").strip() or None
    if voice is not None and (
        "/" in voice or "\\" in voice or voice.startswith(".") or not voice.isprintable()
    ):
        raise BadQueryError(
            "The parameter voice_prompt must be the plain name of a voice, without any folder. "
            "The route /api/voices lists the names."
        )
    text = query.get("text_prompt", "").strip()
    if len(text) > LONGEST_ROLE:
        raise BadQueryError(
            f"The role text is {len(text)} characters long. Shorten it to {LONGEST_ROLE} at most."
        )
    seed = _whole(query, "seed", -1, lowest=-1, highest=2**63 - 1)
    return Persona(
        voice=voice,
        text=text,
        sampling=Sampling(
            text_temperature=_number(query, "text_temperature", default.text_temperature),
            text_top_k=_whole(query, "text_topk", default.text_top_k),
            audio_temperature=_number(query, "audio_temperature", default.audio_temperature),
            audio_top_k=_whole(query, "audio_topk", default.audio_top_k),
            seed=None if seed == -1 else seed,
        ),
    )


def _number(query: Mapping[str, str], name: str, default: float, highest: float = 10.0) -> float:
    given = query.get(name, "").strip()
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= highest:
        raise BadQueryError(
            f"The parameter {name} must be a number from 0 to {highest:g}, not {given[:40]!r}."
        )
    return value


def _whole(
    query: Mapping[str, str], name: str, default: int, lowest: int = 0, highest: int = 100_000
) -> int:
    given = query.get(name, "").strip()
    if not given:
        return default
    try:
        value = int(given)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise BadQueryError(
            f"The parameter {name} must be a whole number from {lowest} to {highest}, "
            f"not {given[:40]!r}."
        )
    return value


async def refuse(ws: WebSocket, reason: str, code: int) -> None:
    """Tell an accepted caller why there will be no conversation, and close."""
    await ws.send_bytes(protocol.error(reason))
    await asyncio.sleep(_WORDS_AFTER_S)
    await ws.send_bytes(protocol.text(reason))
    await ws.close(code, _short(reason))


def _short(reason: str) -> str:
    """Cut a close reason to the 123 bytes that a close frame holds."""
    return reason.encode()[:123].decode("utf-8", "ignore")


async def converse(ws: WebSocket, scheduler: Scheduler) -> None:
    """Hold one conversation over an accepted socket; returns when it is over and the row is free again."""
    try:
        persona = read_persona(ws.query_params)
    except BadQueryError as error:
        log.info("caller refused %s", fields(reason=error))
        await refuse(ws, str(error), protocol.CLOSE_POLICY)
        return
    try:
        session = scheduler.session()
    except UnavailableError as error:
        log.info("caller refused %s", fields(engine=scheduler.name, reason=error))
        await refuse(ws, str(error), protocol.CLOSE_BUSY if error.later else protocol.CLOSE_FAILED)
        return
    began = time.monotonic()
    outcome = "error"
    try:
        outcome = await _Call(ws, scheduler, session, persona).hold()
    finally:
        scheduler.leave(session)
        log.info(
            "call over %s",
            fields(
                engine=scheduler.name,
                call=session.number,
                outcome=outcome,
                seconds=time.monotonic() - began,
                frames=session.taken,
                dropped=session.dropped,
            ),
        )


class _Call:
    """The tasks of one conversation: listening, answering, and watching that the caller reads."""

    def __init__(
        self, ws: WebSocket, scheduler: Scheduler, session: Session, persona: Persona
    ) -> None:
        self._ws = ws
        self._scheduler = scheduler
        self._session = session
        self._persona = persona
        self._strange: set[str] = set()

    async def hold(self) -> str:
        """Run until one side ends it; return how it ended, in a word for the log."""
        tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._answer()),
            asyncio.create_task(self._session.unread()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # The row is free before the farewell, which a slow caller may draw out.
        self._scheduler.leave(self._session)
        return await self._farewell(done.pop())

    async def _farewell(self, ended: asyncio.Task[Ended | None]) -> str:
        error = ended.exception()
        if isinstance(error, WebSocketDisconnect):
            return "hung up"
        if isinstance(error, OpusError):
            return await self._tell(str(error), protocol.CLOSE_POLICY, "bad audio")
        if isinstance(error, EngineError):
            broken = isinstance(error, BrokenEngineError)
            code = protocol.CLOSE_FAILED if broken else protocol.CLOSE_POLICY
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

    async def _tell(self, reason: str, code: int, outcome: str) -> str:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(_LAST_WORDS_S):
                await refuse(self._ws, reason, code)
        if self._ws.application_state is not WebSocketState.DISCONNECTED:
            abort(self._ws)
        return outcome

    async def _listen(self) -> Ended | None:
        while True:
            event = await self._ws.receive()
            if event["type"] == "websocket.disconnect":
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

    async def _answer(self) -> Ended:
        accepted = time.monotonic()
        await self._scheduler.open(self._session, self._persona)
        if _PAGE_PARAMETER in self._ws.query_params:
            await asyncio.sleep(accepted + _PAGE_WARM_UP_S - time.monotonic())
        self._session.start()
        await self._ws.send_bytes(protocol.handshake())
        writer = OpusWriter()
        wants_figures = self._ws.query_params.get("metadata") == "1"
        told = 0.0
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
            now = time.monotonic()
            if wants_figures and now - told >= 1.0:
                told = now
                await self._ws.send_bytes(protocol.metadata(self._figures(spoken)))

    def _figures(self, spoken: Spoken) -> dict[str, float | int]:
        return {
            "tick_ms": round(spoken.tick_ms, 2),
            "lag_ms": round(spoken.lag_ms, 2),
            "queue": spoken.queue,
            "dropped": self._session.dropped,
            "frame": spoken.frame,
        }


def abort(ws: WebSocket) -> None:
    """Cut the connection at once, leaving unsent what the caller does not read."""
    cut: Callable[[], None] | None = ws.scope.get("extensions", {}).get("personaplex.abort")
    if cut is not None:
        cut()
