"""One line's address: a loopback WebSocket server that passes calls on to wherever the voice is.

It changes nothing: query, authorization, subprotocol, both directions, close codes and reasons; all that it adds is the
line's persona for a caller who names none, and `resume` for one who does not ask for it, so that a call can be carried
over a break (`call.py`); all that it takes away are its own tokens.
While there is no voice it still answers, and says why. It runs in the loop it is started in; the keeper gives all
gateways a thread of their own, so that a busy window never delays a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import websockets.http11
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from personadesk.domain.access import TOKEN_PREFIX
from personadesk.domain.line import LineState
from personadesk.domain.text import NOTHING, Text
from personadesk.lines import door as doors
from personadesk.lines.call import NO_VOICE, Call, drain, hang_up, refuse
from personadesk.lines.why_down import BY_HAND, cause_of
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import Server
    from websockets.http11 import Request
    from websockets.server import ServerProtocol
    from websockets.typing import Subprotocol

    from personadesk.domain.line import Line
    from personadesk.lines.door import Door

log = logging.getLogger(__name__)

HOLD_SECONDS: Final = 600.0
"""A rented machine that is made anew, model and all, takes minutes; who waits longer has given up."""
HOLD_TELL_SECONDS: Final = 1.0
HOST: Final = "127.0.0.1"
MOST_CALLS: Final = 32
"""A voice server takes a handful; more than this is a program gone wild."""
DIAL_SECONDS: Final = 5.0
CLAIM_SECONDS: Final = 15.0
"""A caller who vanished within the opening leaves a connection behind that nobody claims."""
QUEUE_MESSAGES: Final = 16
PING_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 3.0
MUTE_SECONDS: Final = 15.0
"""A voice answers each frame that it hears; one that is behind by so much says nothing any more."""

TOO_MANY: Final = "Too many calls at once go through this line."

_ELSEWHERE: Final = (
    "The voice that you talked with is gone, and this conversation with it. Call again to begin a new "
    "one with the next."
)

# A role of 8000 characters stands in the address, each in up to 12 bytes; the library takes 8 kB in all.
websockets.http11.MAX_LINE_LENGTH = 131_072

# Each stranger that connects and leaves would be an error with a traceback in the library's log.
_quiet = logging.getLogger(f"{__name__}.ws")
_quiet.setLevel(logging.CRITICAL + 1)


class _Caller(ServerConnection):
    """A caller who is told in words why a message that is too big ends the call."""

    def __init__(self, connection: ServerProtocol, server: Server, **limits: Any) -> None:
        super().__init__(connection, server, **limits)
        protocol.explain_too_big(connection)


class Gateway:
    """Serves one line.

    Attributes:
        line: The line as it is now; set it from any thread, calls that run are not touched.
        served: Calls since the start.
        carried: How often a call went on over a new connection to its voice.
        hold: Why callers wait while the line is not up, as they are told; None refuses them at once. Set it from any
            thread.
        progress: How far the deploy is that brings its voice, as callers who wait are told; None where there is none.
            Set it from any thread.
        persona: Who it is for callers who name no persona; "" adds nothing. Set it from any thread.
        outside_fault: Why other computers do not reach it although they should; nothing when they do.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.served = 0
        self.carried = 0
        self.hold: str | None = None
        self.progress: Mapping[str, object] | None = None
        self._waiting = 0
        self._server: Server | None = None
        self._outer: Server | None = None
        self._door: Door | None = None
        self.outside_fault: Text = NOTHING
        self.persona = ""
        self._dialled: dict[object, ClientConnection | str] = {}
        self._calls = 0
        self._running: set[Call] = set()
        self._farewells: set[asyncio.Task[None]] = set()

    @property
    def mute(self) -> bool:
        """Whether somebody talks to a voice that says nothing; may be asked from any thread."""
        return any(call.unanswered_s > MUTE_SECONDS for call in tuple(self._running))

    @property
    def calls(self) -> int:
        """Calls that run now."""
        return self._calls

    @property
    def waiting(self) -> int:
        """Callers who are held now."""
        return self._waiting

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._server = await self._listen(HOST, self.line.port, self._request)

    async def open_outside(self, door: Door) -> None:
        """Listen to other computers too; every request must bring the door's token.

        Raises:
            OSError: The address or port cannot be had.
            ValueError: The door has no token.
        """
        if not door.token:
            raise ValueError("a door to other computers needs a token")
        await self.close_outside()
        self._door = door
        access = door.access
        self._outer = await self._listen(
            access.bind, access.port, self._outer_request, ssl=door.context
        )

    async def close_outside(self) -> None:
        """End listening to other computers; their calls end."""
        if self._outer is not None:
            self._outer.close(code=1001, reason="The line is closed to other computers.")
            await self._outer.wait_closed()
            self._outer = None
        self._door = None

    @property
    def door(self) -> Door | None:
        """What other computers come in by."""
        return self._door

    async def _listen(
        self,
        host: str,
        port: int,
        request: Callable[[ServerConnection, Request], Awaitable[Response | None]],
        **choices: Any,
    ) -> Server:
        return await serve(
            self._call,
            host,
            port,
            process_request=request,
            **choices,
            select_subprotocol=self._subprotocol,
            compression=None,
            max_size=protocol.MAX_MESSAGE_BYTES,
            max_queue=QUEUE_MESSAGES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            server_header=None,
            logger=_quiet,
            create_connection=_Caller,
        )

    async def stop(self) -> None:
        """Close the address and end its calls."""
        await self.close_outside()
        if self._server is not None:
            self._server.close(code=1001, reason="The line is closed.")
            await self._server.wait_closed()
            self._server = None
        for upstream in self._dialled.values():
            if not isinstance(upstream, str):
                await upstream.close()
        self._dialled.clear()
        for task in self._farewells:
            task.cancel()
        await asyncio.gather(*self._farewells, return_exceptions=True)

    # -- before the call --------------------------------------------------------------------------------------

    async def _outer_request(self, client: ServerConnection, request: Request) -> Response | None:
        door = self._door
        if door is None or not doors.allows(door, request):
            log.info("A caller of the line %s brought no token, or a wrong one", self.line.name)
            return _answer(
                HTTPStatus.UNAUTHORIZED,
                "This line asks for its token: as “Authorization: Bearer …”, as the sub-protocol "
                "“token.…”, or as ?token=… in the address.\n",
            )
        if not doors.origin_allowed(door, request):
            log.info("A page of another site was refused at the line %s", self.line.name)
            return _answer(HTTPStatus.FORBIDDEN, "Pages of this site may not call this line.\n")
        return await self._request(client, request)

    async def _request(self, client: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return self._page(path)
        if path != protocol.CHAT_PATH:
            return _answer(
                HTTPStatus.NOT_FOUND,
                f"Calls go to {protocol.CHAT_PATH}; there is nothing at {path}.\n",
            )
        if self._calls >= MOST_CALLS:
            self._dialled[client.id] = TOO_MANY
            return None
        try:
            self._dialled[client.id] = await self._dial(request)
        except InvalidStatus as refused:
            # Whoever asks for a token should hear it the way the server says it.
            if refused.response.status_code in {401, 403}:
                return Response(
                    refused.response.status_code,
                    refused.response.reason_phrase,
                    refused.response.headers,
                    refused.response.body or b"",
                )
            self._dialled[client.id] = self._why_not()
        except NO_VOICE:
            self._dialled[client.id] = self._why_not()
        asyncio.get_running_loop().call_later(CLAIM_SECONDS, self._unclaimed, client.id)
        return None

    async def _dial(
        self, request: Request, resume: str = protocol.RESUME_ASKED
    ) -> ClientConnection | str:
        line = self.line
        if line.target is None or line.state is LineState.STOPPED:
            return self._why_not()
        query = urlsplit(request.path).query
        headers = Headers()
        offered = doors.offered(request)
        ours = self._door.token if self._door is not None else None
        if ours is not None:
            query = doors.without_token(query, ours)
            offered = [each for each in offered if each != TOKEN_PREFIX + ours]
        if self.persona and "text_prompt" not in parse_qs(query, keep_blank_values=True):
            said = urlencode({"text_prompt": self.persona}, quote_via=quote)
            query = f"{query}&{said}" if query else said
        if not _asks_to_resume(request):
            # For callers who know nothing of it, the line itself goes on after a break.
            query = f"{query}&{urlencode({'resume': resume})}" if query else f"resume={resume}"
        for value in request.headers.get_all("Authorization"):
            if ours is None or value.partition(" ")[2].strip() != ours:
                headers["Authorization"] = value
        async with asyncio.timeout(DIAL_SECONDS):
            return await connect(
                line.target.url + (f"?{query}" if query else ""),
                additional_headers=headers,
                subprotocols=offered or None,  # type: ignore[arg-type] # a NewType of str
                compression=None,
                max_size=protocol.MAX_MESSAGE_BYTES,
                max_queue=QUEUE_MESSAGES,
                # The reference server answers no ping while it prepares a call.
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                open_timeout=None,
                user_agent_header=request.headers.get("User-Agent"),
                proxy=None,
                logger=_quiet,
            )

    def _subprotocol(
        self, client: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        upstream = self._dialled.get(client.id)
        if upstream is not None and not isinstance(upstream, str) and upstream.subprotocol:
            return upstream.subprotocol
        # Browsers insist on having one chosen of those that they offer.
        ours = f"{TOKEN_PREFIX}{self._door.token}" if self._door is not None else None
        return next((each for each in offered if each == ours), None)

    def _unclaimed(self, key: object) -> None:
        upstream = self._dialled.pop(key, None)
        if upstream is not None and not isinstance(upstream, str):
            # One that breaks off would be kept for who comes back.
            self._later(hang_up(upstream, 1001, "The caller has left."), "line: unclaimed")

    def _later(self, farewell: Coroutine[None, None, None], name: str) -> None:
        """Say goodbye to a voice for a caller who is not there any more."""
        task = asyncio.create_task(farewell, name=name)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    def _why_not(self) -> str:
        line = self.line
        if line.state is LineState.STOPPED and cause_of(line.reason) not in {None, BY_HAND}:
            return f"The line “{line.name}” is stopped: {line.reason}"
        if line.target is None:
            return (
                f"There is no voice behind the line “{line.name}” yet. Deploy one in PersonaDesk."
            )
        if line.state is LineState.STOPPED:
            return f"The line “{line.name}” is stopped. Start it in PersonaDesk."
        if line.reason:
            return f"The line “{line.name}” has no voice now: {line.reason}"
        return (
            f"The voice behind the line “{line.name}” does not answer. Try again in a few seconds."
        )

    def _page(self, path: str) -> Response:
        line = self.line
        if path in {"/health", "/status"}:
            facts: dict[str, object] = {"personadesk": True, "line": line.name, "state": line.state}
            if line.reason:
                facts |= {"reason": str(line.reason), "cause": cause_of(line.reason)}
            if path == "/status":
                facts |= {
                    "url": line.url,
                    "since": line.since,
                    "server": line.target.url if line.target else None,
                    "server_id": line.target.server_id if line.target else None,
                    "calls": self._calls,
                    "served": self.served,
                    "carried": self.carried,
                    "waiting": self._waiting,
                    "outside": self._outside_facts(),
                    "mending": self.hold if line.state is not LineState.UP else None,
                }
            return _answer(HTTPStatus.OK, json.dumps(facts), "application/json")
        return _answer(
            HTTPStatus.UPGRADE_REQUIRED if path == protocol.CHAT_PATH else HTTPStatus.NOT_FOUND,
            f"This is the PersonaDesk line “{line.name}”. Voice programs reach it at {line.url}; "
            "how it is stands at /status.\n",
        )

    def _outside_facts(self) -> dict[str, object] | None:
        if self._door is None:
            return {"error": str(self.outside_fault)} if self.outside_fault else None
        access = self._door.access
        return {"bind": access.bind, "port": access.port, "tls": str(access.tls)}

    # -- the call ---------------------------------------------------------------------------------------------

    async def _call(self, client: ServerConnection) -> None:
        upstream = self._dialled.pop(client.id, None)
        if isinstance(upstream, str) and upstream != TOO_MANY:
            upstream = await self._held(client, upstream)
            if upstream is None:
                return
        if upstream is None or isinstance(upstream, str) or client.request is None:
            await refuse(client, upstream if isinstance(upstream, str) else self._why_not())
            return
        self._calls += 1
        self.served += 1
        try:
            await self._pass_on(client, client.request, upstream)
        finally:
            self._calls -= 1

    async def _held(self, client: ServerConnection, refusal: str) -> ClientConnection | str | None:
        """Hold a caller until there is a voice; return it, or why there will be none, or None when they left."""
        if not self.hold or client.request is None:
            return refusal
        if self._waiting >= MOST_CALLS:
            return TOO_MANY
        self._waiting += 1
        # What is said meanwhile is not kept: a voice that comes up late must not answer an old question.
        leaving = asyncio.create_task(drain(client), name="line: held")
        loop = asyncio.get_running_loop()
        since, place = loop.time(), self._waiting
        try:
            while self._holds():
                waited = loop.time() - since
                if waited >= HOLD_SECONDS:
                    return f"The line “{self.line.name}” did not come up in time: {self.hold}"
                with contextlib.suppress(ConnectionClosed):
                    await client.send(protocol.metadata(self._wait_facts(place, waited)))
                await asyncio.wait((leaving,), timeout=HOLD_TELL_SECONDS)
                if leaving.done():
                    return None
                if self.line.state is LineState.UP:
                    with contextlib.suppress(*NO_VOICE):
                        upstream = await self._dial(client.request)
                        if not isinstance(upstream, str):
                            return upstream
                place = min(place, self._waiting)
            return self._why_not()
        finally:
            self._waiting -= 1
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    def _holds(self) -> bool:
        return self.hold is not None

    def _wait_facts(self, place: int, waited: float) -> dict[str, object]:
        facts: dict[str, object] = {
            "line": self.line.name, "state": self.line.state, "reason": self.hold,
            "position": place, "waiting": self._waiting,
            "waited_s": round(waited, 1), "max_wait_s": HOLD_SECONDS,
        }  # fmt: skip
        progress = self.progress
        return facts if progress is None else facts | {"progress": progress}

    async def _pass_on(
        self, client: ServerConnection, request: Request, upstream: ClientConnection
    ) -> None:
        line = self.line

        async def again(token: str) -> ClientConnection | str:
            there = self.line.target
            if there is None or line.target is None or there.server_id != line.target.server_id:
                return _ELSEWHERE
            return await self._dial(request, resume=token)

        asks = _asks_to_resume(request)
        call = Call(client, upstream, again, self._count_carried, resumes_itself=asks)
        self._running.add(call)
        try:
            await call.run()
        finally:
            self._running.discard(call)
        if call.is_kept:
            self._later(call.let_go(), "line: let go")

    def _count_carried(self) -> None:
        self.carried += 1


def _asks_to_resume(request: Request) -> bool:
    return "resume" in parse_qs(urlsplit(request.path).query, keep_blank_values=True)


def _answer(status: HTTPStatus, text: str, kind: str = "text/plain") -> Response:
    body = text.encode()
    headers = Headers(
        {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)
