"""One call to a PersonaPlex or Moshi voice server: what goes out is sound, what comes in are events.

Holds no opinion on pace: whoever calls decides when to send. It never sends anything before the server said that
it is ready, because the reference server throws such sound away and the call with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import BadRequest, Unreachable
from personadesk.domain.text import T
from personadesk.voice import address as addresses
from personadesk.voice import faults
from personaplex_server import protocol
from personaplex_server.protocol import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from websockets.asyncio.client import ClientConnection

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.voice.address import Address

LARGEST_MESSAGE: Final = 4 << 20
"""What the reference server itself allows."""
CLOSE_SECONDS: Final = 3.0
"""How long the server may take to say goodbye."""


@dataclass(frozen=True, slots=True)
class AudioIn:
    """Sound came.

    Attributes:
        pcm: float32 [n] at 24 kHz; may be empty when a message held only headers or half a page.
        at: When, on the clock of the client.
    """

    pcm: NDArray[np.float32]
    at: float


@dataclass(frozen=True, slots=True)
class TextIn:
    """The voice wrote some of its words down."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class MetadataIn:
    """The server told figures of its own."""

    values: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class ErrorIn:
    """The server says in words what is wrong; it usually hangs up next."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Closed:
    """The call is over; always the last event. Code 1006: the server just went away."""

    code: int
    reason: str
    at: float


Event = AudioIn | TextIn | MetadataIn | ErrorIn | Closed


@dataclass(slots=True)
class Strange:
    """What came that nobody should send, for the report's details."""

    unknown_messages: int = 0
    text_frames: int = 0
    kinds: set[int] = field(default_factory=set)


class VoiceClient:
    """An open call; made by `connect`, used from one loop.

    Attributes:
        address: What was called.
        connect_seconds: From dialling to an open socket.
        handshake_seconds: From the open socket to "start talking"; None before.
        strange: Messages that belong to no call.
    """

    def __init__(
        self,
        socket: ClientConnection,
        address: Address,
        connect_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        from personadesk.voice.opus import OpusDecoder, OpusEncoder

        self.address = address
        self.connect_seconds = connect_seconds
        self.handshake_seconds: float | None = None
        self.strange = Strange()
        self._socket = socket
        self._clock = clock
        self._opened = clock()
        self._encoder = OpusEncoder()
        self._decoder = OpusDecoder()
        self._early: list[Event] = []
        self._said = ""
        self._closed: Closed | None = None
        self._told_end = False

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 - also what the sentence tells
        clock: Callable[[], float] = time.perf_counter,
    ) -> AsyncIterator[VoiceClient]:
        """Open a call, and end it on leaving.

        Args:
            url: As people type it, see `address.parse`.
            query: More parameters, such as `{"engine": "echo"}`.
            token: Sent as a bearer token, never in the URL.
            timeout: Seconds until the socket must be open.
            clock: Where the times of events come from.

        Raises:
            BadRequest: The address is none, or no voice server answers there.
            AuthFailed: The token was not accepted.
            NoCapacity: The server takes no call now.
            Unreachable: Nothing answers, in time or at all.
            ProviderFault: The server has a fault of its own.
        """
        address = addresses.parse(url, query)
        started = clock()
        socket = await dial(address, token, timeout)
        try:
            call = cls(socket, address, clock() - started, clock)
            yield call
        finally:
            await socket.close()

    async def handshake(
        self,
        timeout: float = 60.0,  # noqa: ASYNC109 - also what the sentence tells
        in_line: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> float:
        """Wait until the server says that it is ready; return how long that took, in seconds.

        Args:
            timeout: Seconds of patience; they begin anew with each word about a place in the server's line.
            in_line: Called with such a word, see "In line" in docs/server.md.

        Raises:
            Unreachable: It did not in time; cause `no_handshake`.
            NoCapacity: It is busy.
            ProviderFault: It hung up.
        """
        try:
            async with asyncio.timeout(timeout) as patience:
                while self.handshake_seconds is None:
                    event = await self._next()
                    match event:
                        case Closed(code, reason):
                            raise faults.from_close(
                                code, reason, self._said, self.address, before_handshake=True
                            )
                        case MetadataIn(values) if "position" in values:
                            patience.reschedule(asyncio.get_running_loop().time() + timeout)
                            if in_line is not None:
                                in_line(values)
                        case AudioIn() | None:
                            # Nobody listens yet; only the decoder must not miss the headers.
                            continue
                        case _:
                            self._early.append(event)
        except TimeoutError:
            raise faults.not_ready(self.address, timeout) from None
        return self.handshake_seconds

    async def send_pcm(self, pcm: NDArray[np.float32]) -> None:
        """Say something: float32 [n] at 24 kHz in -1..1; whole 40 ms packets go out, a rest waits for more.

        Raises:
            RuntimeError: Before the handshake.
            Unreachable: The call is over.
        """
        from websockets.exceptions import ConnectionClosed

        if self.handshake_seconds is None:
            raise RuntimeError("nothing may be said before the handshake")
        pages = self._encoder.encode(pcm)
        if not pages:
            return
        try:
            await self._socket.send(protocol.audio(pages))
        except ConnectionClosed:
            raise Unreachable(T("The call is over."), cause="closed", retryable=False) from None

    async def round_trip(self, timeout: float = 2.0) -> float | None:  # noqa: ASYNC109 - a limit, not an error
        """Return how long a ping takes in seconds, or None when none comes back in time."""
        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(timeout):
                return float(await (await self._socket.ping()))
        except (TimeoutError, ConnectionClosed):
            return None

    def __aiter__(self) -> VoiceClient:
        """Yield what happens, `Closed` last; may be left and entered again."""
        return self

    async def __anext__(self) -> Event:
        if self._early:
            return self._early.pop(0)
        if self._told_end:
            raise StopAsyncIteration
        while (event := await self._next()) is None:
            pass
        self._told_end = isinstance(event, Closed)
        return event

    async def hang_up(self) -> Closed:
        """End the call politely and return how the server took it (1000 is polite, 1006 is none)."""
        await self._socket.close(protocol.CLOSE_NORMAL)
        return self._end()

    def abandon(self) -> None:
        """Cut the connection without a word, so that the server keeps the conversation for who comes back."""
        self._socket.transport.abort()

    @property
    def bad_pages(self) -> int:
        """Pages of sound that could not be decoded."""
        return self._decoder.bad_pages

    @property
    def skipped_bytes(self) -> int:
        """Bytes in audio messages that belonged to no page."""
        return self._decoder.skipped_bytes

    def explain(self, closed: Closed) -> PersonaDeskError:
        """Say why the server hung up in the middle of a call."""
        return faults.from_close(
            closed.code, closed.reason, self._said, self.address, before_handshake=False
        )

    async def _next(self) -> Event | None:
        from websockets.exceptions import ConnectionClosed

        try:
            data = await self._socket.recv()
        except ConnectionClosed:
            return self._end()
        at = self._clock()
        if isinstance(data, str):
            self.strange.text_frames += 1
            return None
        try:
            message = protocol.decode(data)
        except protocol.ProtocolError:
            self.strange.unknown_messages += 1
            self.strange.kinds.update(data[:1])
            return None
        return self._event(message, at)

    def _event(self, message: protocol.Message, at: float) -> Event | None:
        match message.kind:
            case Kind.HANDSHAKE:
                if self.handshake_seconds is None:
                    self.handshake_seconds = at - self._opened
            case Kind.AUDIO:
                return AudioIn(self._decoder.decode(message.payload), at)
            case Kind.TEXT:
                return TextIn(message.text, at)
            case Kind.METADATA:
                try:
                    values = json.loads(message.payload)
                except ValueError:
                    values = None
                if isinstance(values, dict):
                    return MetadataIn(values, at)
                self.strange.unknown_messages += 1
            case Kind.ERROR:
                self._said = message.text
                return ErrorIn(message.text, at)
            case Kind.CONTROL | Kind.PING:
                pass
        return None

    def _end(self) -> Closed:
        if self._closed is None:
            code = self._socket.close_code or faults.ABNORMAL
            self._closed = Closed(code, self._socket.close_reason or "", self._clock())
        return self._closed


async def dial(address: Address, token: str | None, seconds: float) -> ClientConnection:
    """Open the socket of a call; `VoiceClient.connect` does it for all who want more than its bytes.

    Raises:
        PersonaDeskError: It does not come about; see `VoiceClient.connect`.
    """
    from websockets.asyncio.client import connect

    headers = {}
    if token:
        if not token.isascii() or not token.isprintable():
            raise BadRequest(
                T("The token has signs in it that no token has."),
                T("Copy it again, without a line break."),
                cause="token",
            )
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with asyncio.timeout(seconds):
            return await connect(
                address.url,
                additional_headers=headers,
                compression=None,
                max_size=LARGEST_MESSAGE,
                open_timeout=None,
                close_timeout=CLOSE_SECONDS,
                # The reference server computes on its own loop and answers no ping while it prepares.
                ping_interval=None,
                proxy=None if address.loopback else True,
            )
    except Exception as error:
        raise faults.from_connect(error, address, seconds) from error
