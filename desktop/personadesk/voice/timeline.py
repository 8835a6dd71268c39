"""The moments of a test call in order, as its report tells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from personadesk.domain.report import VoiceReport
    from personadesk.voice.recording import Recording

_WORDS_TOGETHER: Final = 1.0
_MOST_STALLS: Final = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """Something happened.

    Attributes:
        at: Seconds since our first sound; earlier is negative.
        what: `call`, `speak`, `hear`, `words`, `stall` or `end`.
        text: As a sentence or a few words.
        mark: Whether it is drawn into the waveforms.
    """

    at: float
    what: str
    text: Text
    mark: bool = False


def moments(report: VoiceReport, recording: Recording) -> tuple[Moment, ...]:
    """Return what happened, earliest first."""
    ready = -recording.handshake_s
    found = [
        Moment(ready - recording.connect_s, "call", T("Dialled")),
        Moment(ready, "call", T("Connected, waiting until the voice is ready")),
        Moment(0.0, "speak", T("Began to ask")),
    ]
    if recording.until >= recording.clip_seconds:
        found.append(
            Moment(recording.clip_seconds, "speak", T("Question asked, listening"), mark=True)
        )
    if recording.heard:
        found.append(Moment(recording.heard[0].at, "hear", T("First audio came")))
    sound = report.values.get("first_sound_s")
    if isinstance(sound, float):
        found.append(Moment(sound, "hear", T("First audible sound came"), mark=True))
    stalls = recording.playback().stalls
    found += [
        Moment(
            stall.at,
            "stall",
            T("Nothing to hear for {ms} ms", ms=max(1, round(1000 * stall.seconds))),
        )
        for stall in stalls[:_MOST_STALLS]
    ]
    found += [
        Moment(at, "words", T("Wrote “{words}”", words=words)) for at, words in _words(recording)
    ]
    if recording.failure:
        found.append(Moment(recording.until, "end", recording.failure))
    else:
        found.append(Moment(recording.until, "end", T("Hung up")))
    return tuple(sorted(found, key=lambda moment: round(moment.at, 3)))


def _words(recording: Recording) -> list[tuple[float, str]]:
    """Join what was written within a second: single pieces of words tell nobody anything."""
    joined: list[tuple[float, str]] = []
    last = float("-inf")
    for at, words in recording.texts:
        if joined and at - joined[-1][0] < _WORDS_TOGETHER and at - last < _WORDS_TOGETHER:
            joined[-1] = (joined[-1][0], joined[-1][1] + words)
        else:
            joined.append((at, words))
        last = at
    return [(at, words.strip()) for at, words in joined if words.strip()]
