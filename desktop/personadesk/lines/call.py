"""One call through a line: messages pass both ways, and a way to the voice that breaks is made anew under it.

The voice server keeps the conversation of a broken connection for who brings its token (docs/server.md). Callers who
ask for one by `resume` come back by themselves. For all others the line asks, keeps the token to itself, and goes on
with it: their socket stays open, they hear nothing for a moment, and what they say meanwhile is for nobody, since said
late it would be a delay for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from personadesk.lines.ogg import FromNextPage, GoingOn, Headers
from personaplex_server import protocol
from personaplex_server.protocol import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.connection import Connection

log = logging.getLogger(__name__)

NO_VOICE: Final = (OSError, InvalidHandshake, TimeoutError, EOFError, ConnectionClosed)
"""Ways in which a voice cannot be reached."""
CARRY_SECONDS: Final = 40.0
"""A voice server keeps a conversation for 30 s from when it notices the break, which may be later than we do."""
TRY_SECONDS: Final = 5.0
TRY_AGAIN_SECONDS: Final = 0.25
PING_SECONDS: Final = 2.0
"""The existing page hangs up when it has heard nothing for 10 s."""
SILENT_SECONDS: Final = 13.0
"""A server that offers tokens gives a sign of life every 5 s; one that missed two is not reached any more."""
TEXT_AFTER_SECONDS: Final = 0.1
"""The web page shows only text messages, and only once it has drawn itself."""
LONGEST_REASON: Final = 120
"""Bytes; a close frame holds no more."""

WENT_AWAY: Final = (
    "The voice server went away in the middle of the call. It is started again by itself; call again "
    "in a few seconds."
)
NOT_KEPT: Final = (
    "The voice server was started anew or did not keep this conversation, so it is over. Call again "
    "to begin a new one."
)
STOPPED: Final = (
    "The voice server was stopped in the middle of the call, so this conversation is over. Call again "
    "in a few seconds."
)
NOT_BACK: Final = (
    "The way to the voice broke and did not come back in time, so this conversation is over. Call "
    "again in a while."
)

_VANISHED = 1006
_UNSAID = {1005, _VANISHED, 1015}
"""Codes that tell how a connection ended and may not be sent."""
_HANDSHAKE = bytes((Kind.HANDSHAKE,))
_AUDIO = bytes((Kind.AUDIO,))
_METADATA = bytes((Kind.METADATA,))
_ERROR = bytes((Kind.ERROR,))
_LEFT = "The caller has left."
_UNASKED = {protocol.CLOSE_FAILED, protocol.CLOSE_RESTART}
"""Codes with which a server ends a call that nobody asked it to end."""


class Call:
    """A caller and the voice they talk with."""

    def __init__(
        self,
        client: Connection,
        upstream: ClientConnection,
        again: Callable[[str], Awaitable[ClientConnection | str]],
        on_carried: Callable[[], None],
        *,
        resumes_itself: bool,
    ) -> None:
        """Take both connections.

        Args:
            client: The caller's.
            upstream: The voice's.
            again: Connects to the voice with a token, now; returns why waiting is no use, or raises one of `NO_VOICE`.
            on_carried: Called each time the call goes on over a new connection.
            resumes_itself: Whether the caller asked for a token, and so comes back by itself.
        """
        self._client = client
        self._upstream = upstream
        self._again = again
        self._on_carried = on_carried
        self._resumes_itself = resumes_itself
        self._token = ""
        self._talking = self._told = self._left = False
        self._unanswered: float | None = None
        self._between = False
        self._heard: float | None = None
        self._last = b""
        self._going_on: GoingOn | None = None
        self._headers = Headers()
        self._from_page: FromNextPage | None = None

    @property
    def unanswered_s(self) -> float:
        """For how long the caller's sound has gone to a voice that says nothing: it answers each frame with one."""
        since = self._unanswered
        return 0.0 if since is None else time.monotonic() - since

    async def run(self) -> None:
        """Pass messages until one side ends it, and end it on the other side the same way."""
        there = asyncio.create_task(self._to_voice(), name="line: to the voice")
        back: asyncio.Task[None] | None = None
        reason, code = "", protocol.CLOSE_FAILED
        try:
            while not reason:
                back = asyncio.create_task(self._from_voice(), name="line: from the voice")
                await self._until_one_ends(there, back)
                if there.done():
                    self._left = True
                    break
                if not _vanished(self._upstream):
                    if self._upstream.close_code in _UNASKED and not self._told:
                        # A server that is stopped while it hangs may say goodbye without a word of why.
                        reason, code = STOPPED, self._upstream.close_code or code
                    break
                reason = WENT_AWAY if not self._token else await self._carry_over(there)
            if reason:
                await refuse(self._client, reason, code=code, wait_s=0.0)
        finally:
            tasks = [task for task in (there, back) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._resumes_itself and _vanished(self._client):
                # A goodbye would end the conversation that they will come back to.
                self._upstream.transport.abort()
            await asyncio.gather(
                close_like(self._client, self._upstream), close_like(self._upstream, self._client)
            )

    @property
    def is_kept(self) -> bool:
        """Whether the caller left and the voice may not know it: it keeps their row for who brings the token."""
        return self._left and bool(self._token) and self._upstream.protocol.close_rcvd is None

    async def let_go(self) -> None:
        """Hang up for a caller who left while the way to the voice was broken; the row is the next caller's."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CARRY_SECONDS
        while loop.time() < until:
            found = await self._rejoin()
            if isinstance(found, str):
                return
            if found is not None:
                await hang_up(found, protocol.CLOSE_NORMAL, _LEFT)
                return
            await asyncio.sleep(TRY_AGAIN_SECONDS)

    async def _until_one_ends(self, there: asyncio.Task[None], back: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while True:
            done, _ = await asyncio.wait(
                (there, back), timeout=SILENT_SECONDS / 4, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            if self._token and self._heard is not None:
                silent = loop.time() - self._heard
                if silent > SILENT_SECONDS:
                    log.info("Nothing came from the voice for %.0f s", silent)
                    self._upstream.transport.abort()

    async def _to_voice(self) -> None:
        """Pass on one message at a time: a voice that does not read stops the caller, not our memory."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await self._client.recv()
                if self._between:
                    continue
                if message[:1] == _AUDIO and isinstance(message, bytes):
                    if self._talking and self._unanswered is None:
                        self._unanswered = time.monotonic()
                    if not self._headers.whole:
                        self._headers.feed(message[1:])
                    if self._from_page is not None:
                        sound = self._from_page.feed(message[1:])
                        if sound is None:
                            continue
                        self._from_page, message = None, _AUDIO + sound
                # Where the voice is gone, who listens to it notices.
                with contextlib.suppress(ConnectionClosed):
                    await self._upstream.send(message)

    async def _from_voice(self) -> None:
        """Pass on one message at a time, as above."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionClosed):
            while True:
                message: str | bytes | None = await self._upstream.recv()
                if isinstance(message, bytes):
                    message = self._heard_of(message)
                if message is not None:
                    # A caller who does not read says nothing of the voice.
                    self._heard = None
                    await self._client.send(message)
                self._heard = loop.time()

    def _heard_of(self, message: bytes) -> bytes | None:
        kind = message[:1]
        if kind == _HANDSHAKE:
            self._talking = True
        elif kind == _AUDIO:
            self._unanswered = None
            if self._going_on is not None:
                message = kind + self._going_on.feed(message[1:])
                if message == _AUDIO:
                    return None
            self._last = message
        elif kind == _ERROR:
            self._told = True
        elif kind == _METADATA and not self._resumes_itself:
            return self._without_token(message)
        return message

    def _without_token(self, message: bytes) -> bytes | None:
        """Keep the token that a message brings; it was ours to ask for."""
        try:
            facts = json.loads(message[1:])
        except ValueError:
            return message
        if not isinstance(facts, dict) or not isinstance(facts.get("resume"), str):
            return message
        self._token = facts["resume"]
        if "tick_ms" not in facts:
            # Not figures that the caller asked for, but the offer of the token alone.
            return None
        return protocol.metadata(facts | {"resume": None})

    # -- the break --------------------------------------------------------------------------------------------

    async def _carry_over(self, there: asyncio.Task[None]) -> str:
        """Go on with the conversation over a new connection; returns why that is no use, "" when it goes on.

        Returns "" as well where the caller left meanwhile.
        """
        loop = asyncio.get_running_loop()
        began = told = loop.time()
        self._between, self._unanswered = True, None
        reason = NOT_BACK
        try:
            while loop.time() - began < CARRY_SECONDS:
                found = await self._rejoin()
                if isinstance(found, str):
                    reason = found
                    break
                if found is not None:
                    self._upstream = found
                    self._begin_again()
                    log.info("A call was carried over a break of %.1f s", loop.time() - began)
                    return ""
                if loop.time() - told >= PING_SECONDS:
                    told = loop.time()
                    with contextlib.suppress(ConnectionClosed):
                        await self._client.send(protocol.Message(Kind.PING).encode())
                await asyncio.wait((there,), timeout=TRY_AGAIN_SECONDS)
                if there.done():
                    return ""
        finally:
            self._between = False
        log.info("A call was not carried over: %s", reason)
        return reason

    async def _rejoin(self) -> ClientConnection | str | None:
        """Try once; returns None where it may be tried again."""
        with contextlib.suppress(*NO_VOICE):
            async with asyncio.timeout(TRY_SECONDS):
                found = await self._again(self._token)
                if isinstance(found, str):
                    return found
                try:
                    first = await found.recv()
                except BaseException:
                    found.transport.abort()
                    raise
            if first[:1] == _HANDSHAKE:
                return found
            found.transport.abort()
            if first[:1] == _ERROR:
                return NOT_KEPT
        return None

    def _begin_again(self) -> None:
        self._on_carried()
        self._from_page = FromNextPage(bytes(self._headers))
        # Where nothing was said yet, the new stream is the first.
        self._going_on = GoingOn(self._last[1:]) if self._last else None


# -- ends of calls ------------------------------------------------------------------------------------------------


def _vanished(connection: Connection) -> bool:
    """Whether a connection broke, without a goodbye from either side."""
    return connection.close_code == _VANISHED and not connection.protocol.close_sent


async def close_like(other: Connection, ended: Connection) -> None:
    """Close `other` the way `ended` was closed."""
    said = ended.protocol.close_rcvd or ended.protocol.close_sent
    if said is None and ended.close_code is None:
        return
    if said is None:
        code, reason = 1001, "The other side went away."
    elif said.code in _UNSAID:  # a close without a code
        code, reason = protocol.CLOSE_NORMAL, ""
    else:
        code, reason = said.code, said.reason
    await hang_up(other, code, reason)


async def hang_up(other: Connection, code: int, reason: str) -> None:
    """Close a connection and wait until the other side has closed it too."""
    # What still comes is read and thrown away: the goodbye waits behind it.
    reading = asyncio.create_task(drain(other), name="line: drain")
    try:
        await other.close(code, reason)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def drain(connection: Connection) -> None:
    """Read and throw away until it ends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.recv()


async def refuse(
    client: Connection,
    reason: str,
    code: int = protocol.CLOSE_BUSY,
    wait_s: float = TEXT_AFTER_SECONDS,
) -> None:
    """Say why as an error, in the transcript, and in the close."""
    with contextlib.suppress(ConnectionClosed):
        await client.send(protocol.error(reason))
        await asyncio.sleep(wait_s)
        await client.send(protocol.text(reason))
    await client.close(code, _cut(reason))


def _cut(reason: str) -> str:
    if len(reason.encode()) <= LONGEST_REASON:
        return reason
    return reason.encode()[: LONGEST_REASON - 3].decode("utf-8", "ignore") + "…"
