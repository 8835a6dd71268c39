"""What a window shows of a conversation: its state and everything that moves, copied at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text
from personadesk.voice.figures import (
    Depth,
    Frames,
    Keeping,
    Lag,
    Link,
    Place,
    Responses,
    Sound,
)

if TYPE_CHECKING:
    from personadesk.voice.figures import Turn
    from personadesk.voice.transcript import Line


class TalkState(StrEnum):
    """Where a conversation is."""

    CONNECTING = "connecting"
    PREPARING = "preparing"
    IN_CALL = "in-call"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TalkSnapshot:
    """All that a window shows of a conversation, at one moment.

    Attributes:
        state: Where it is.
        reason: Why it failed, or NOTHING.
        next: What to do about that.
        cause: The finer cause in a word, as of an error; `token` where the server wants another one.
        details: Raw words for the fold.
        notice: What is not as asked though the call goes on: no microphone, no loudspeaker.
        seconds: Since somebody could talk; stands still after the end.
        muted: Whether silence is sent.
        source: `clip`, or the microphone's name; "" is the default one.
        speaker: Whether the voice is played.
        mic_level_dbfs: Of what was sent last; -96 is silence.
        mic_peak: The same as the largest sample, 0..1.
        speaker_level_dbfs: Of what came last.
        speaker_peak: The same as the largest sample, 0..1.
        you_wave: Peaks 0..1 of the last 12 s, one for each 40 ms, the newest last.
        voice_wave: The same of the voice.
        transcript: Lines (seconds, who, text).
        lag_ms: From mouth to ear through everything that is known; None while the server doesn't tell its part.
        frames: Frames of 80 ms that came.
        late: How often the loudspeaker ran dry.
        lag: From mouth to ear, stage by stage, with the one to blame.
        turns: Who spoke from when to when, the last 200.
        responses: How fast the voice answered so far.
        counts: Frames lost, late and dropped.
        buffer: The jitter buffer.
        link: The connection, and what happened to it.
        keeping: The recording.
        sound: Microphone and loudspeaker.
        place: In the server's line, None outside of one.
    """

    state: TalkState
    reason: Text = NOTHING
    next: Text = NOTHING
    cause: str = ""
    details: str = ""
    notice: Text = NOTHING
    seconds: float = 0.0
    muted: bool = False
    source: str = ""
    speaker: bool = False
    mic_level_dbfs: float = -96.0
    mic_peak: float = 0.0
    speaker_level_dbfs: float = -96.0
    speaker_peak: float = 0.0
    you_wave: tuple[float, ...] = ()
    voice_wave: tuple[float, ...] = ()
    transcript: tuple[Line, ...] = ()
    lag_ms: float | None = None
    frames: int = 0
    late: int = 0
    lag: Lag = field(default_factory=Lag)
    turns: tuple[Turn, ...] = ()
    responses: Responses = field(default_factory=Responses)
    counts: Frames = field(default_factory=Frames)
    buffer: Depth = field(default_factory=Depth)
    link: Link = field(default_factory=Link)
    keeping: Keeping = field(default_factory=Keeping)
    sound: Sound = field(default_factory=Sound)
    place: Place | None = None
