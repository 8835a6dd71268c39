"""All that is known of a conversation, kept together: what goes out and comes in passes here and is measured.

Belongs to the loop of the call, but for the snapshot, which a window takes under the lock.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice.echo import EchoDetector
from personadesk.voice.figures import Depth, Frames, Lag, Link, Responses, Sound, Talk, Turn
from personadesk.voice.lag import LagClock, Own
from personadesk.voice.meters import Meter
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personadesk.voice.transcript import Transcript
from personadesk.voice.turns import Speech, Turns, responses
from personaplex_server.protocol import FRAME_SAMPLES, FRAME_SECONDS

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.talk_audio import Packet, TalkAudio
    from personadesk.voice.talk_keep import Keeper

_HANG_SECONDS: Final = 0.3
"""After its last loud sound the room still rings: so long the microphone stays shut in half-duplex."""
_SHOWN_TURNS: Final = 200
_JITTER_FRAMES: Final = 125
_SENT_PACKETS: Final = 1_500
_LAG_EVENT_SECONDS: Final = 1.0
_CLIPPED: Final = 0.99


class TalkFigures:
    """Measures one conversation.

    Attributes:
        muted: Whether silence is sent.
        mode: When the microphone is sent.
        held: Whether the push-to-talk key is held.
        saying: Packets of a clip that are sent in place of the microphone.
        began: When somebody could talk, by `time.perf_counter`; 0 before.
    """

    def __init__(self, audio: TalkAudio, keeper: Keeper, lock: threading.Lock, place: str) -> None:
        self.muted = False
        self.mode = Talk.OPEN
        self.held = False
        self.saying: list[NDArray[np.float32]] = []
        self.began = 0.0
        self._ended: float | None = None
        self._audio, self._keeper, self._lock, self._place = audio, keeper, lock, place
        self._you, self._voice = Meter(), Meter()
        self._transcript = Transcript()
        self._its_speech = Speech()
        self._turns = Turns(self._transcript.you, self._its_speech)
        self._echo = EchoDetector()
        self._clock = LagClock()
        self._shown_turns: tuple[Turn, ...] = ()
        self._responses = Responses()
        self._lag = Lag()
        self._sending = True
        self._samples = 0
        self._answers_owed = 0
        self._lost = 0
        self._dropped = 0
        self._damaged = 0
        self._late_frames = 0
        self._late: deque[float] = deque(maxlen=_SENT_PACKETS)
        self._delays: deque[float] = deque(maxlen=_JITTER_FRAMES)
        self._encode_ms = 0.0
        self._wait_ms = 0.0
        self._voice_until = float("-inf")
        self._noted_lag = 0.0
        self._underruns = 0

    def begin(self) -> None:
        """Note that somebody can talk now."""
        self.began = time.perf_counter()

    def end(self) -> None:
        """Note that the call is over."""
        self._ended = time.perf_counter()

    def seconds(self) -> float:
        """Return how long the call lasts, or lasted."""
        if not self.began:
            return 0.0
        return (self._ended or time.perf_counter()) - self.began

    # -- what goes out ----------------------------------------------------------------------------------------

    def to_send(self, packet: Packet) -> NDArray[np.float32]:
        """Return the packet that goes out for one of the microphone, and show it."""
        at = self.seconds()
        if packet.heard:
            self._echo.heard(at - packet.late, packet.pcm)
        with self._lock:
            clip = self.saying.pop(0) if self.saying else None
            self._sending = clip is not None or self._open(at)
            pcm = packet.pcm if clip is None else clip
            if not self._sending:
                pcm = pcm * 0.0
            self._you.add(at, pcm)
            spoke = self._transcript.you_sent(at, pcm)
        self._keeper.you(at, pcm)
        if spoke is not None:
            self._event("spoke", at=spoke[0], seconds=round(spoke[1] - spoke[0], 2))
        return pcm

    def sent(self, handed: float, packet: Packet) -> None:
        """Note that a packet which was ours at `handed` has gone out."""
        now = time.perf_counter()
        self._clock.sent(handed, len(packet.pcm))
        self._late.append(1000.0 * (packet.late + now - handed))
        self._encode_ms += 0.05 * (1000.0 * (now - handed) - self._encode_ms)
        self._wait_ms += 0.05 * (1000.0 * packet.late - self._wait_ms)

    def _open(self, at: float) -> bool:
        """Return whether the microphone is to be sent."""
        if self.muted:
            return False
        if self.mode is Talk.PUSH:
            return self.held
        return self.mode is Talk.OPEN or at > self._voice_until

    # -- what comes in ----------------------------------------------------------------------------------------

    def heard(self, arrived: float, pcm: NDArray[np.float32], damaged: int) -> None:
        """Take sound of the voice, float32 [n] at 24 kHz."""
        self._damaged = damaged
        if not pcm.size:
            return
        # The frame's delay against the server's even pace; only differences of these mean anything.
        self._delays.append(arrived - self._samples / (FRAME_SAMPLES / FRAME_SECONDS))
        dry = self._audio.buffer.underruns
        if dry != self._underruns:
            self._late_frames += max(0, dry - self._underruns)
            self._underruns = dry
            self._event("ran-dry")
        sounds = self.seconds() + self._audio.play(pcm)
        seconds = len(pcm) / (FRAME_SAMPLES / FRAME_SECONDS)
        with self._lock:
            self._samples += len(pcm)
            self._voice.add(self.seconds(), pcm)
            self._its_speech.add(sounds, pcm)
            if self._its_speech.speaks(sounds):
                self._voice_until = sounds + seconds + _HANG_SECONDS
        if self._audio.playing:
            self._echo.played(sounds, pcm * self._audio.volume)
        self._keeper.voice(sounds, pcm)

    def wrote(self, words: str) -> None:
        """Take words of the voice."""
        at = self.seconds()
        with self._lock:
            self._transcript.voice_wrote(at, words)
        self._event("words", text=words)

    def told(self, at: float, values: Mapping[str, Any]) -> None:
        """Take the server's figures."""
        dropped = values.get("dropped")
        with self._lock:
            self._clock.told(at, values)
            if isinstance(dropped, int) and not isinstance(dropped, bool):
                self._dropped = dropped

    def broke(self) -> None:
        """Note that the connection broke: what was under way is lost."""
        self._lost += max(0, self._clock.frames_sent - self._answers_owed - self._frames())
        self._delays.clear()

    def rejoined(self) -> None:
        """Note that another connection took the call up."""
        with self._lock:
            self._answers_owed = self._clock.frames_sent - self._frames()
            self._clock.rejoined()

    def look(self) -> None:
        """Work out what takes longer than a snapshot may; done a few times a second."""
        now = time.perf_counter()
        own = Own(
            None
            if self._audio.microphone_ms is None
            else self._audio.microphone_ms + self._wait_ms,
            self._encode_ms,
            1000.0 * self._audio.buffer.wait_seconds,
            self._audio.playback_ms,
        )
        with self._lock:
            self._lag = self._clock.lag(now, own, self._place)
            found = self._turns.update(self.seconds())
            self._responses = responses(found)
            self._shown_turns = found[-_SHOWN_TURNS:]
        if now - self._noted_lag >= _LAG_EVENT_SECONDS and self._lag.total_ms is not None:
            self._noted_lag = now
            stages = {str(each.stage): each.ms for each in self._lag.stages}
            self._event("lag", total_ms=self._lag.total_ms, stages=stages)

    # -- what is shown ----------------------------------------------------------------------------------------

    def snapshot(
        self, state: TalkState, link: Link, *, reason: Text, next_: Text, cause: str, details: str
    ) -> TalkSnapshot:
        """Return everything at this moment; the caller holds the lock."""
        now = self.seconds()
        lag = self._lag
        return TalkSnapshot(
            state=state,
            reason=reason,
            next=next_,
            cause=cause,
            details=details,
            notice=self._audio.notice,
            seconds=now,
            muted=self.muted,
            source=self._audio.source or "",
            speaker=self._audio.playing,
            mic_level_dbfs=self._you.level(now),
            mic_peak=self._you.peak(now),
            speaker_level_dbfs=self._voice.level(now),
            speaker_peak=self._voice.peak(now),
            you_wave=self._you.wave(now),
            voice_wave=self._voice.wave(now),
            transcript=self._transcript.lines(),
            lag_ms=lag.total_ms,
            frames=self._frames(),
            late=self._depth().underruns,
            lag=lag,
            turns=self._shown_turns,
            responses=self._responses,
            counts=self._counts(),
            buffer=self._depth(),
            link=link,
            keeping=self._keeper.keeping(),
            sound=self._sound(now),
        )

    def _sound(self, now: float) -> Sound:
        echoes = self._echo.echoes(now)
        headphones = T(
            "The voice comes back through your microphone: put on headphones, or let it be muted "
            "while the voice speaks."
        )
        return Sound(
            mode=self.mode,
            held=self.held,
            sending=self._sending,
            volume=self._audio.volume,
            mic_hold=self._you.hold(now),
            speaker_hold=self._voice.hold(now),
            clipping=self._you.hold(now) >= _CLIPPED,
            microphone=self._audio.source or "",
            loudspeaker=self._audio.sink or "",
            echo=echoes,
            advice=headphones if echoes and self.mode is not Talk.HALF_DUPLEX else NOTHING,
        )

    def _counts(self) -> Frames:
        delays, late = self._delays, self._late
        jitter = None
        if len(delays) > 1:
            ordered = sorted(delays)
            jitter = round(1000.0 * (ordered[_place(len(ordered), 0.95)] - ordered[0]), 1)
        return Frames(
            sent=self._clock.frames_sent,
            received=self._frames(),
            lost=self._lost,
            late=self._late_frames,
            dropped_by_server=self._dropped,
            dropped_here=round((self._audio.dropped + self._audio.buffer.dropped) / FRAME_SAMPLES),
            damaged=self._damaged,
            jitter_ms=jitter,
            sent_late_p99_ms=round(sorted(late)[_place(len(late), 0.99)], 1) if late else None,
        )

    def _depth(self) -> Depth:
        depth = self._audio.buffer.depth()
        underruns, skipped, added = self._audio.depth_before()
        return Depth(
            depth.ms,
            depth.target_ms,
            depth.underruns + round(underruns),
            depth.skipped_ms + skipped,
            depth.added_ms + added,
        )

    def _frames(self) -> int:
        return self._samples // FRAME_SAMPLES

    def _event(self, what: str, *, at: float | None = None, **values: Any) -> None:
        self._keeper.event(self.seconds() if at is None else at, what, **values)


def _place(count: int, share: float) -> int:
    return min(count - 1, math.ceil(share * count))
