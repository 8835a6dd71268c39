"""The wire protocol of a PersonaPlex voice server: one WebSocket, binary messages, first byte = kind.

Shared with every client, so it imports neither torch nor numpy. Kinds 0 to 6 and their payloads are those of
the Moshi family of servers; unknown kinds make some clients stop, so a server must send no other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

CHAT_PATH: Final = "/api/chat"
HEALTH_PATH: Final = "/health"
VOICES_PATH: Final = "/api/voices"

SAMPLE_RATE: Final = 24_000
"""Samples per second of the model's audio, mono."""
FRAME_SAMPLES: Final = 1_920
"""Samples in one model frame."""
FRAME_SECONDS: Final = FRAME_SAMPLES / SAMPLE_RATE
"""80 ms: the model takes and returns one frame in this time."""

MAX_MESSAGE_BYTES: Final = 1 << 20
"""Largest message that either side accepts; a second of Opus is about 4 kB."""
TOO_BIG: Final = "A message was larger than 1 MB. Send audio in small pieces, as it is recorded."

RESUME_ASKED: Final = "1"
"""Value of the query parameter `resume` that asks for a token; any other is the token of a conversation."""

CLOSE_BUSY: Final = 1013
CLOSE_POLICY: Final = 1008
CLOSE_TOO_BIG: Final = 1009
CLOSE_FAILED: Final = 1011
CLOSE_NORMAL: Final = 1000
CLOSE_RESTART: Final = 1012


class Kind(IntEnum):
    """First byte of a message."""

    HANDSHAKE = 0
    AUDIO = 1
    TEXT = 2
    CONTROL = 3
    METADATA = 4
    ERROR = 5
    PING = 6


@dataclass(frozen=True, slots=True)
class Message:
    """One decoded message.

    Attributes:
        kind: What the payload is.
        payload: Bytes after the kind: Ogg pages for audio, UTF-8 for text, metadata (JSON) and errors.
    """

    kind: Kind
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes that go over the socket."""
        return bytes((self.kind,)) + self.payload

    @property
    def text(self) -> str:
        """The payload as text; undecodable bytes become U+FFFD."""
        return self.payload.decode("utf-8", "replace")


class ProtocolError(ValueError):
    """A message that this protocol does not know; the text says what is wrong with it."""


def decode(data: bytes) -> Message:
    """Split a binary WebSocket message into kind and payload.

    Raises:
        ProtocolError: The message is empty or of an unknown kind.
    """
    if not data:
        raise ProtocolError("The message is empty; its first byte should say its kind.")
    try:
        kind = Kind(data[0])
    except ValueError:
        raise ProtocolError(f"Messages of kind {data[0]} are not known here.") from None
    return Message(kind, bytes(data[1:]))


def handshake() -> bytes:
    """Return the message that means "start talking"."""
    return Message(Kind.HANDSHAKE).encode()


def audio(pages: bytes) -> bytes:
    """Return an audio message; `pages` must begin and end on an Ogg page boundary."""
    return Message(Kind.AUDIO, pages).encode()


def text(words: str) -> bytes:
    """Return a text message."""
    return Message(Kind.TEXT, words.encode()).encode()


def metadata(values: dict[str, Any]) -> bytes:
    """Return a metadata message: a JSON object."""
    return Message(Kind.METADATA, json.dumps(values, separators=(",", ":")).encode()).encode()


def error(reason: str) -> bytes:
    """Return an error message: one plain sentence, sent before the close."""
    return Message(Kind.ERROR, reason.encode()).encode()


def explain_too_big(connection: Any) -> None:
    """Make a connection say in words that a message was too big, before it closes with `CLOSE_TOO_BIG`.

    The library fails such a connection by itself, before anybody who could explain it is asked.

    Args:
        connection: The `websockets.server.ServerProtocol` of one caller.
    """
    fail = connection.fail

    def explain(code: int, reason: str = "") -> None:
        if code == CLOSE_TOO_BIG:
            connection.send_binary(error(TOO_BIG))
            reason = TOO_BIG
        fail(code, reason)

    connection.fail = explain
