"""Tells how long sound is under way, stage by stage, from times alone.

What is ours is measured with our own clock. The server's metadata names a frame, how long it was with the server
(`lag_ms`, of which the tick `tick_ms`), and when that ended on the server's clock (`at_ms`). So for one frame four
times are known, as in NTP: ours of sending, the server's of arrival and end, ours of hearing of it. Their sum gives
the network both ways exactly. To tell the ways apart the clocks' difference is needed; as in NTP it is taken from the
quickest passages so far, assuming that each way can be as quick as the other. What lies in one direction alone from
the first second to the last is therefore split evenly; what comes and goes is put where it belongs.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice import blame
from personadesk.voice.figures import Lag, Stage, StageLag
from personaplex_server.protocol import FRAME_SAMPLES, FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED_FRAMES: Final = 750
"""A minute of frames that may still be named."""
_BUCKET_SECONDS: Final = 10.0
_BUCKETS: Final = 180
"""Half an hour of quickest passages: clocks that the network sets differ by less than a millisecond in that time."""
_WINDOW_SECONDS: Final = 2.5
"""What is shown is the median of so long: a few words of the server."""
_TREND_SECONDS: Final = 10.0
_GROWS_MS: Final = 50.0
_STALE_SECONDS: Final = 4.0
"""The server tells once a second; after this it does not tell."""


class Own(NamedTuple):
    """This computer's stages, in milliseconds; None where there is no such device.

    Attributes:
        microphone: From the converter to the packet.
        encode: From the packet's last sample to the socket.
        jitter_buffer: Wait of the first sample of a frame.
        playback: From the callback to the converter.
    """

    microphone: float | None
    encode: float
    jitter_buffer: float
    playback: float | None


class _Told(NamedTuple):
    at: float
    tick: float
    queue: float
    network: float | None
    up: float | None


class LagClock:
    """One call's lag. Not thread-safe: its owner locks. Times are seconds of `time.perf_counter`."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=_REMEMBERED_FRAMES)
        self._frames = 0
        self._samples = 0
        self._base: int | None = 0
        self._rejoined_at = 0
        self._told: deque[_Told] = deque()
        self._quickest: deque[tuple[float, float, float]] = deque(maxlen=_BUCKETS)
        self._trend: deque[tuple[float, float, dict[Stage, float]]] = deque()
        self._heard_of = 0

    @property
    def frames_sent(self) -> int:
        """Whole frames that went out."""
        return self._frames

    @property
    def answered(self) -> int:
        """How many of our frames the server has dealt with, as far as it told."""
        return self._heard_of

    def sent(self, at: float, samples: int) -> None:
        """Note that `samples` at 24 kHz were handed to the socket at `at`."""
        self._samples += samples
        while self._samples >= FRAME_SAMPLES:
            self._samples -= FRAME_SAMPLES
            self._frames += 1
            self._sent.append(at)

    def rejoined(self) -> None:
        """Note that a fresh connection took the call up: which frame is which is not known until `told` says so."""
        self._samples = 0
        self._base, self._rejoined_at = None, self._frames
        self._told.clear()
        self._trend.clear()
        # Another way through the network may be a quicker one, and the clock may be another server's.
        self._quickest.clear()

    def told(self, at: float, values: Mapping[str, Any]) -> None:
        """Take metadata that came at `at`."""
        frame, dropped = _number(values, "frame"), _number(values, "dropped") or 0.0
        tick, lag = _number(values, "tick_ms"), _number(values, "lag_ms")
        if frame is None or tick is None or lag is None:
            if frame is not None and values.get("resume") and self._base is None:
                self._base = self._rejoined_at - int(frame + dropped)
            return
        network = up = None
        if self._base is not None:
            which = int(frame + dropped) + self._base
            self._heard_of = max(self._heard_of, min(which + 1, self._frames))
            sent_at = self._when_sent(which)
            if sent_at is not None:
                network = max(0.0, 1000.0 * (at - sent_at) - lag)
                up = self._split(at, sent_at, lag, _number(values, "at_ms"), network)
        self._told.append(_Told(at, tick, max(0.0, lag - tick), network, up))
        while self._told[0].at < at - _WINDOW_SECONDS and len(self._told) > 1:
            self._told.popleft()

    def lag(self, now: float, own: Own, place: str = "") -> Lag:
        """Return the lag at this moment.

        Args:
            now: The time.
            own: This computer's stages.
            place: What the server is called in a sentence, "" for "the server".
        """
        stages = {
            Stage.MICROPHONE: StageLag(Stage.MICROPHONE, own.microphone, _NO_MICROPHONE)
            if own.microphone is None
            else StageLag(Stage.MICROPHONE, own.microphone),
            Stage.ENCODE: StageLag(Stage.ENCODE, 1000.0 * FRAME_SECONDS + own.encode),
            Stage.JITTER_BUFFER: StageLag(Stage.JITTER_BUFFER, own.jitter_buffer),
            Stage.PLAYBACK: StageLag(Stage.PLAYBACK, own.playback, _NO_SPEAKER)
            if own.playback is None
            else StageLag(Stage.PLAYBACK, own.playback),
        }
        for each in self._of_server(now):
            stages[each.stage] = each
        ordered = tuple(stages[stage] for stage in Stage)
        known = {each.stage: each.ms for each in ordered if each.ms is not None}
        server = (Stage.UPLINK, Stage.QUEUE, Stage.TICK, Stage.DOWNLINK)
        if not all(stage in known for stage in server):
            return Lag(ordered)
        total = sum(known.values())
        growing, risen = self._grows(now, total, known)
        sentence, culprit = blame.lag(known, risen if growing else {}, total, place)
        return Lag(ordered, round(total, 1), growing, sentence, culprit)

    def _of_server(self, now: float) -> list[StageLag]:
        told = [each for each in self._told if each.at >= now - _STALE_SECONDS]
        if not told:
            return [
                StageLag(stage, None, _NOT_TOLD)
                for stage in (Stage.UPLINK, Stage.QUEUE, Stage.TICK, Stage.DOWNLINK)
            ]
        found = [
            StageLag(Stage.QUEUE, round(statistics.median(each.queue for each in told), 1)),
            StageLag(Stage.TICK, round(statistics.median(each.tick for each in told), 1)),
        ]
        ways = [each for each in told if each.network is not None]
        if not ways:
            return found + [StageLag(s, None, _NO_NUMBER) for s in (Stage.UPLINK, Stage.DOWNLINK)]
        network = statistics.median(each.network for each in ways if each.network is not None)
        ups = [each.up for each in ways if each.up is not None]
        up = min(network, statistics.median(ups)) if ups else network / 2
        why = NOTHING if ups else _HALVED
        return [
            *found,
            StageLag(Stage.UPLINK, round(up, 1), why),
            StageLag(Stage.DOWNLINK, round(network - up, 1), why),
        ]

    def _split(
        self, at: float, sent_at: float, lag: float, ended: float | None, network: float
    ) -> float | None:
        """Return the part of the way there in `network`, milliseconds; None where the server tells no time."""
        if ended is None:
            return None
        up, down = ended - lag - 1000.0 * sent_at, 1000.0 * at - ended
        if not self._quickest or at - self._quickest[-1][0] >= _BUCKET_SECONDS:
            self._quickest.append((at, up, down))
        else:
            began, least_up, least_down = self._quickest[-1]
            self._quickest[-1] = (began, min(least_up, up), min(least_down, down))
        least_up = min(each[1] for each in self._quickest)
        least_down = min(each[2] for each in self._quickest)
        offset = (least_up - least_down) / 2
        return min(network, max(0.0, up - offset))

    def _when_sent(self, which: int) -> float | None:
        place = which - (self._frames - len(self._sent))
        return self._sent[place] if 0 <= place < len(self._sent) else None

    def _grows(
        self, now: float, total: float, known: dict[Stage, float]
    ) -> tuple[bool, dict[Stage, float]]:
        if not self._trend or now - self._trend[-1][0] >= 0.5:
            self._trend.append((now, total, known))
            while self._trend[0][0] < now - _TREND_SECONDS:
                self._trend.popleft()
        first = self._trend[0]
        middle = self._trend[len(self._trend) // 2]
        long_enough = now - first[0] >= _TREND_SECONDS / 2
        growing = long_enough and total - first[1] > _GROWS_MS and total - middle[1] > _GROWS_MS / 4
        risen = {stage: ms - first[2].get(stage, ms) for stage, ms in known.items()}
        return growing, risen


_NO_MICROPHONE: Final = T("A clip is spoken; there is no microphone.")
_NO_SPEAKER: Final = T("Nothing is played; there is no loudspeaker.")
_NOT_TOLD: Final = T("The server doesn't tell.")
_NO_NUMBER: Final = T("The server doesn't tell which frame its figures are about.")
_HALVED: Final[Text] = T("Half of the way there and back, since the server doesn't tell its clock.")


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
