"""What is known of a call while it goes on: lag by stage, turns, lost and late frames, the way back after a break.

Frozen values only, for whoever draws or keeps them; they are measured elsewhere. All times are of this computer's
`time.perf_counter`, in seconds since the call began unless another unit is named; the server's clock enters only
as differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Stage(StrEnum):
    """The way of a sound from a mouth to the voice and back to an ear, in order."""

    MICROPHONE = "microphone"
    """From the converter of the microphone to our hands: the sound card's own word, and the wait in the ring."""
    ENCODE = "encode"
    """Until a frame of 80 ms is full (what the model hears at once), resampled, coded and handed to the socket."""
    UPLINK = "uplink"
    """From the socket to the server: the frame's number in the metadata tells which of our packets arrived when."""
    QUEUE = "queue"
    """From the server's socket to the start of the tick: metadata `lag_ms` less `tick_ms`."""
    TICK = "tick"
    """The model's own time: metadata `tick_ms`."""
    DOWNLINK = "downlink"
    """From the end of the tick to our socket."""
    JITTER_BUFFER = "jitter-buffer"
    """The wait of the first sample of a frame until the loudspeaker's callback takes it: the buffer's depth then."""
    PLAYBACK = "playback"
    """From that callback to the converter of the loudspeaker: the sound card's own word."""


STAGE_TITLES: Final[Mapping[Stage, Text]] = {
    Stage.MICROPHONE: T("Microphone"),
    Stage.ENCODE: T("Gather and encode"),
    Stage.UPLINK: T("Uplink"),
    Stage.QUEUE: T("Queue"),
    Stage.TICK: T("GPU step"),
    Stage.DOWNLINK: T("Downlink"),
    Stage.JITTER_BUFFER: T("Jitter buffer"),
    Stage.PLAYBACK: T("Playback"),
}
"""How each is called where people read it."""


@dataclass(frozen=True, slots=True)
class StageLag:
    """One stage.

    Attributes:
        stage: Which.
        ms: How long it takes now (the median of the last seconds), None while that is not known.
        why: Why it is not known, as a sentence; or what the value rests on where it is not all measured.
    """

    stage: Stage
    ms: float | None = None
    why: Text = NOTHING


NO_LAG: Final = tuple(StageLag(stage, None, T("The call has not begun.")) for stage in Stage)


@dataclass(frozen=True, slots=True)
class Lag:
    """From mouth to ear.

    Attributes:
        stages: All eight in their order.
        total_ms: Their sum without the unknown ones, None while the server's part is not known.
        growing: Whether the total rose by more than 50 ms within the last 10 s and is still rising.
        blame: Who is to blame, one sentence, when it is above 300 ms or growing; else NOTHING.
        culprit: The stage that sentence is about.
    """

    stages: tuple[StageLag, ...] = NO_LAG
    total_ms: float | None = None
    growing: bool = False
    blame: Text = NOTHING
    culprit: Stage | None = None

    def of(self, stage: Stage) -> StageLag:
        """Return one of the stages."""
        return next(each for each in self.stages if each.stage == stage)


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody spoke.

    Times are those of mouth and ear: yours when the microphone heard it, the voice's when it sounded.

    Attributes:
        who: `you` or `voice`.
        start: When, in seconds.
        end: When it fell silent, None while it speaks.
        response_ms: From the end of the other's words to the start of these; None where the other had not spoken
            or still spoke.
        overlap_ms: How long both spoke during this turn.
        interrupts: Whether it began while the other spoke, and the other then stopped within two seconds.
    """

    who: Literal["you", "voice"]
    start: float
    end: float | None = None
    response_ms: float | None = None
    overlap_ms: float = 0.0
    interrupts: bool = False


@dataclass(frozen=True, slots=True)
class Responses:
    """How fast the voice answers, over the whole call.

    Attributes:
        count: Answers so far.
        last_ms: The last one.
        median_ms: The usual one.
        p95_ms: The slow ones.
        interruptions_by_you: How often you interrupted it.
        interruptions_by_voice: How often it interrupted you.
        overlap_ms: How long both spoke at once.
    """

    count: int = 0
    last_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    interruptions_by_you: int = 0
    interruptions_by_voice: int = 0
    overlap_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of 80 ms.

    Attributes:
        sent: That went out.
        received: That came.
        lost: That never came though ours had gone out, as far as the server's frame numbers tell.
        late: That came after they should have sounded (the loudspeaker had run dry).
        dropped_by_server: Of ours that the server passed over, metadata `dropped`.
        dropped_here: That we left out to catch up, of both directions.
        damaged: Pages that could not be decoded.
        jitter_ms: 95th percentile of how much later than the earliest of the last 10 s a frame came.
        sent_late_p99_ms: 99th percentile of how late our own packets went out.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    late: int = 0
    dropped_by_server: int = 0
    dropped_here: int = 0
    damaged: int = 0
    jitter_ms: float | None = None
    sent_late_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """The jitter buffer.

    Attributes:
        ms: What waits to be played now.
        target_ms: How much it wants in hand when a frame comes.
        underruns: How often it ran dry.
        skipped_ms: Silence left out, or speech tightened, to catch up.
        added_ms: Silence added, or speech widened, to gain time.
    """

    ms: float = 0.0
    target_ms: float = 0.0
    underruns: int = 0
    skipped_ms: float = 0.0
    added_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Break:
    """The connection broke in the middle of a call.

    Attributes:
        at: When the last sound had come, in seconds.
        seconds: How long nothing came.
        resumed: Whether the call went on after it; False while it is being tried, and when it was given up.
        reason: What broke it.
    """

    at: float
    seconds: float
    resumed: bool
    reason: Text = NOTHING


@dataclass(frozen=True, slots=True)
class Link:
    """The connection.

    Attributes:
        reconnecting: Whether it broke and is being taken up again.
        attempt: The how manyth try that is, 0 while it holds.
        gives_up_in: Seconds until that is given up, None while it holds.
        resumable: Whether the server gave a token to come back with.
        breaks: What happened so far, the one that goes on last.
    """

    reconnecting: bool = False
    attempt: int = 0
    gives_up_in: float | None = None
    resumable: bool = False
    breaks: tuple[Break, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the server's line, while all its rows are taken; see "In line" in docs/server.md.

    Attributes:
        position: 1 is next.
        waiting: How many wait, this caller among them.
        left_s: Seconds until the server gives up waiting, None when not told.
    """

    position: int
    waiting: int
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """The recording of a call.

    Attributes:
        on: Whether it is being written.
        folder: Where, None when nothing was asked to be kept.
        seconds: How much of it there is.
        size: Bytes so far.
        fault: Why it stopped by itself: a full disk, a folder that vanished.
    """

    on: bool = False
    folder: Path | None = None
    seconds: float = 0.0
    size: int = 0
    fault: Text = NOTHING


class Talk(StrEnum):
    """When the microphone is sent; silence goes out in its place, so that the voice's clock goes on."""

    OPEN = "open"
    """Always."""
    PUSH = "push-to-talk"
    """While the key is held."""
    HALF_DUPLEX = "half-duplex"
    """While the voice is silent: for loudspeakers without headphones."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Microphone and loudspeaker.

    Attributes:
        mode: When the microphone is sent.
        held: Whether the push-to-talk key is held.
        sending: Whether the microphone goes out at this moment.
        volume: Of the loudspeaker, 0..1.
        mic_hold: Largest sample of the microphone of the last two seconds, 0..1.
        speaker_hold: The same of the voice.
        clipping: Whether the microphone was too loud in the last two seconds.
        microphone: Name of the one in use, "" for the default one.
        loudspeaker: The same.
        echo: Whether the voice comes back through the microphone.
        advice: What to do about that, or NOTHING.
    """

    mode: Talk = Talk.OPEN
    held: bool = False
    sending: bool = True
    volume: float = 1.0
    mic_hold: float = 0.0
    speaker_hold: float = 0.0
    clipping: bool = False
    microphone: str = ""
    loudspeaker: str = ""
    echo: bool = False
    advice: Text = NOTHING
