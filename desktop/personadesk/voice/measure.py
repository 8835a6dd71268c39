"""Turns a recorded call into figures; pure arithmetic on times and samples, so that it can be tested to the digit.

*How fast is the server?* A voice server gives one frame of sound for each frame it gets, so its sound always takes
as long as it lasts, fast or slow: the plain quotient says 1.00 as long as the server keeps up. So three things
are looked at:

1. The pace: seconds that a second of sound took to come, over the whole call or as the median of stretches of one
   second, whichever is less: a single hiccup moves the first, jitter the second, a slow server both. More than
   1.03 means that the server falls behind, and that is the figure.
2. Otherwise the server's own word, where it gives one: milliseconds of a tick out of the 80 there are.
3. Otherwise what can be seen from outside: how long after a frame was complete the next sound came, less the round
   trip of a ping. A server that waits for its own clock looks busier so than it is, therefore this never counts
   for more than 0.9: keeping up is proven, the reserve is not.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.voice import levels
from personaplex_server.protocol import FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from personadesk.voice.recording import Recording

Value = float | int | str | bool | None

FALLS_BEHIND: Final = 1.03
_STRETCH_SECONDS: Final = 0.96 - 1e-6
_NO_WORSE_THAN: Final = 0.9
_PAUSE_SECONDS: Final = 0.2


def measure(recording: Recording) -> dict[str, Value]:
    """Return every figure of a call by key; None where it could not be measured."""
    pieces = [(piece.at, piece.seconds) for piece in recording.heard if piece.seconds]
    arrivals = [at for at, _ in pieces]
    gaps = gap_excess(pieces)
    heard = recording.heard_pcm()
    windows = levels.window_levels(heard)
    loud = windows >= levels.SILENCE_DBFS
    played = recording.playback()
    factor, source = real_time_factor(recording, pieces)
    lateness = sent_lateness(recording.sent_at, recording.packet_seconds)
    ticks = told(recording, "tick_ms")
    return {
        "connect_s": round(recording.connect_s, 4),
        "handshake_s": round(recording.handshake_s, 4),
        "first_audio_s": round(arrivals[0], 4) if arrivals else None,
        "first_sound_s": first_sound(recording),
        "answer_s": answer_after(recording),
        "real_time_factor": factor,
        "real_time_factor_from": source,
        "pace": pace(pieces),
        "late_percent": round(played.missed_percent, 3),
        "late_seconds": round(played.missed_seconds, 4),
        "stalls": len(played.stalls),
        "gap_p50_ms": percentile(gaps, 50),
        "gap_p95_ms": percentile(gaps, 95),
        "gap_p99_ms": percentile(gaps, 99),
        "gap_max_ms": percentile(gaps, 100),
        "level_dbfs": round(levels.dbfs(heard), 1) if not loud.any() else loudness(windows[loud]),
        "peak": round(float(np.abs(heard).max(initial=0.0)), 4),
        "silence_share": round(1.0 - float(loud.mean()), 4) if loud.size else None,
        "silence_percent": round(100.0 * (1.0 - float(loud.mean())), 2) if loud.size else None,
        "heard_anything": bool(loud.any()),
        "messages": len(pieces),
        "seconds_sent": round(len(recording.sent_at) * recording.packet_seconds, 3),
        "seconds_heard": round(sum(seconds for _, seconds in pieces), 3),
        "text_characters": len(recording.text),
        "clean_close": recording.hung_up_by_us and recording.close_code != 1006,
        "close_code": recording.close_code,
        "round_trip_ms": _ms(recording.round_trip_s),
        "response_ms": response_ms(recording),
        "tick_ms": round(statistics.fmean(ticks), 2) if ticks else None,
        "lag_ms": max(told(recording, "lag_ms"), default=None),
        "dropped": max(told(recording, "dropped"), default=None),
        "sent_late_p99_ms": percentile(lateness, 99),
        **recording.notes,
    }


def gap_excess(pieces: Sequence[tuple[float, float]]) -> list[float]:
    """Return by how many milliseconds each gap between two messages outlasted the sound of the first; 0 at least."""
    return [
        max(0.0, 1000.0 * (after - before - seconds))
        for (before, seconds), (after, _) in itertools.pairwise(pieces)
    ]


def pace(pieces: Sequence[tuple[float, float]]) -> float | None:
    """Return the seconds that a second of sound took to come; None with too little to tell."""
    if len(pieces) < 3:
        return None
    whole = sum(seconds for _, seconds in pieces[:-1])
    overall = (pieces[-1][0] - pieces[0][0]) / whole
    stretches, begin, sound = [], 0, 0.0
    for index, (at, seconds) in enumerate(pieces):
        if sound >= _STRETCH_SECONDS:
            stretches.append((at - pieces[begin][0]) / sound)
            begin, sound = index, 0.0
        sound += seconds
    return round(min(overall, statistics.median(stretches)) if stretches else overall, 4)


def real_time_factor(
    recording: Recording, pieces: Sequence[tuple[float, float]]
) -> tuple[float | None, str]:
    """Return how much of each second the server needs for a second of sound, and how that is known."""
    speed = pace(pieces)
    if speed is None:
        return None, "nothing"
    if speed > FALLS_BEHIND:
        return speed, "pace"
    ticks = told(recording, "tick_ms")
    if ticks:
        return round(statistics.fmean(ticks) / (1000.0 * FRAME_SECONDS), 4), "server"
    seen = response_ms(recording)
    if seen is None:
        return None, "nothing"
    busy = max(0.0, seen - 1000.0 * (recording.round_trip_s or 0.0)) / (1000.0 * FRAME_SECONDS)
    return round(min(busy, _NO_WORSE_THAN), 4), "outside"


def response_ms(recording: Recording) -> float | None:
    """Return the median time from the last frame we completed to the sound that came next, in milliseconds."""
    waits = response_waits(recording)
    return round(float(np.median(waits)), 2) if waits else None


def response_waits(recording: Recording) -> list[float]:
    """Return the time from the last frame we completed to each sound that came, in milliseconds."""
    packets = max(1, round(FRAME_SECONDS / recording.packet_seconds))
    complete = np.asarray(recording.sent_at[packets - 1 :: packets])
    if not complete.size:
        return []
    arrivals = [piece.at for piece in recording.heard if piece.seconds]
    places = np.searchsorted(complete, np.asarray(arrivals), side="right") - 1
    return [
        1000.0 * float(at - complete[place])
        for at, place in zip(arrivals, places, strict=True)
        if place >= 0
    ]


def first_sound(recording: Recording) -> float | None:
    """Return when the first sound came that can be heard, in seconds; None if none did."""
    for piece in recording.heard:
        windows = levels.window_levels(piece.pcm)
        level = windows.max(initial=levels.dbfs(piece.pcm))
        if piece.seconds and level >= levels.SILENCE_DBFS:
            return round(piece.at, 4)
    return None


def answer_after(recording: Recording) -> float | None:
    """Return how long after the question's last word an answer began, as a listener hears it.

    None when nobody answered, or when the voice was speaking already: an untrained model babbles all the time,
    and then there is no such moment.
    """
    said, voice = recording.axis()
    spoken = levels.window_levels(said) >= levels.SILENCE_DBFS
    sounding = levels.window_levels(voice) >= levels.SILENCE_DBFS
    return reply_after(spoken, sounding).after


@dataclass(frozen=True, slots=True)
class Reply:
    """How an answer began.

    Attributes:
        after: Seconds from the last word of the question; None where there is no such moment.
        spoke_already: Whether the voice was speaking when the question ended.
        asked: Whether there were words at all.
    """

    after: float | None = None
    spoke_already: bool = False
    asked: bool = True


def reply_after(
    spoken: NDArray[np.bool_], sounding: NDArray[np.bool_], first: int = 0, last: int | None = None,
    until: int | None = None,
) -> Reply:  # fmt: skip
    """Return how the answer to what was said in the windows `first` to `last` began, looked for before `until`.

    Args:
        spoken: For each window of `levels.PEAK_SECONDS` whether we spoke, bool [n].
        sounding: The same for the voice.
        first: Window in which the question began.
        last: Window after its end; None for the end of all.
        until: Window in which the next thing is said; None for the end of all.
    """
    words = np.flatnonzero(spoken[first:last])
    if not words.size:
        return Reply(asked=False)
    end = first + int(words[-1]) + 1
    pause = round(_PAUSE_SECONDS / levels.PEAK_SECONDS)
    if sounding[max(0, end - pause) : end].any():
        return Reply(spoke_already=True)
    answers = np.flatnonzero(sounding[end:until])
    return Reply(round(float(answers[0]) * levels.PEAK_SECONDS, 2) if answers.size else None)


def sent_lateness(sent_at: Sequence[float], packet_seconds: float) -> list[float]:
    """Return by how many milliseconds each of our own packets went out late."""
    return [max(0.0, 1000.0 * (at - n * packet_seconds)) for n, at in enumerate(sent_at)]


def told(recording: Recording, key: str) -> list[float]:
    """Return the numbers that the server gave under `key`."""
    values = (values.get(key) for _, values in recording.metadata)
    return [
        float(value)
        for value in values
        if isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    ]


def loudness(
    window_levels: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]],
) -> float:
    """Return the level of several windows together, dBFS."""
    power = np.power(10.0, np.asarray(window_levels) / 10.0)
    return round(10.0 * float(np.log10(power.mean())), 1)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return a percentile rounded to hundredths, None of nothing."""
    return round(float(np.percentile(values, share)), 2) if len(values) else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000.0 * seconds, 2)
