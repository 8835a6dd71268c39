"""All that happened in a voice test, on one time axis whose zero is the first sound that we sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from personadesk.domain.text import NOTHING, Text
from personadesk.voice import playback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from personadesk.voice.playback import Playback
    from personadesk.voice.script import Turn

SAMPLE_RATE: Final = 24_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound of one message.

    Attributes:
        at: When it came, seconds.
        pcm: float32 [n] at 24 kHz.
    """

    at: float
    pcm: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.pcm) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Mark:
    """When a turn of a script was played, in seconds from the first packet.

    Attributes:
        turn: Which.
        start: Of its sound; of the waiting where it has none.
        end: Of the same.
        met: False for an interruption that found nobody speaking, and a reply that never came.
    """

    turn: Turn
    start: float
    end: float
    met: bool = True


@dataclass(slots=True)
class Recording:
    """What was said and heard.

    Attributes:
        url: What was called, without its query.
        started: Unix time of dialling.
        clip: Name of what was spoken.
        clip_seconds: How long clips are spoken; silence follows them.
        marks: When each turn of a script was played.
        packet_seconds: Sound in one packet we sent.
        sent: float32 [n] at 24 kHz: what was really sent, clip and silence.
        sent_at: When each packet went out, seconds; planned was packet number times `packet_seconds`.
        heard: What came back.
        texts: When and what the voice wrote.
        metadata: When and what the server told about itself.
        connect_s: From dialling to an open socket.
        handshake_s: From then to "start talking".
        round_trip_s: Of a ping, the shortest of a few; None when the server answers none.
        until: When we stopped to listen, seconds.
        close_code: How the call ended; 1006 when the server just went away.
        close_reason: In the server's words.
        hung_up_by_us: Whether the call lasted until we ended it.
        failure: Why it ended too early, as a sentence.
        failure_next: What to do about that.
        failure_details: Raw words for the fold.
        notes: Counted oddities by name: bad_pages, skipped_bytes, unknown_messages, text_frames.
    """

    url: str
    started: float
    clip: str
    clip_seconds: float
    packet_seconds: float
    sent: NDArray[np.float32]
    connect_s: float
    handshake_s: float
    sent_at: list[float] = field(default_factory=list)
    heard: list[Piece] = field(default_factory=list)
    texts: list[tuple[float, str]] = field(default_factory=list)
    metadata: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)
    round_trip_s: float | None = None
    until: float = 0.0
    close_code: int = 1006
    close_reason: str = ""
    hung_up_by_us: bool = False
    failure: Text = NOTHING
    failure_next: Text = NOTHING
    failure_details: str = ""
    notes: dict[str, int] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that the voice wrote."""
        return "".join(words for _, words in self.texts).strip()

    def heard_pcm(self) -> NDArray[np.float32]:
        """Return all sound that came, without the silence in between; float32 [n]."""
        return (
            np.concatenate([p.pcm for p in self.heard]) if self.heard else np.zeros(0, np.float32)
        )

    def playback(self) -> Playback:
        """Return how it would have sounded to a listener."""
        return playback.play([(piece.at, piece.seconds) for piece in self.heard], self.until)

    def axis(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what was said and what a listener heard, both float32 [n] on the same time axis."""
        starts = self.playback().starts
        ends = [start + piece.seconds for start, piece in zip(starts, self.heard, strict=True)]
        total = max([len(self.sent), *(round(end * SAMPLE_RATE) for end in ends)])
        said = np.zeros(total, np.float32)
        said[: len(self.sent)] = self.sent
        voice = np.zeros(total, np.float32)
        for start, piece in zip(starts, self.heard, strict=True):
            first = max(0, round(start * SAMPLE_RATE))
            part = piece.pcm[: total - first]
            voice[first : first + len(part)] = part
        return said, voice

    def stereo(self) -> NDArray[np.float32]:
        """Return both sides as float32 [n, 2]: what was said at the left, what was heard at the right."""
        return np.stack(self.axis(), axis=1)
