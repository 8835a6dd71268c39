"""What a voice test says, packet by packet: a clip and then silence, or a script that listens before it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from personadesk.domain.text import T, Text
from personadesk.voice import levels
from personadesk.voice.opus import PACKET_SAMPLES, PACKET_SECONDS
from personadesk.voice.recording import Mark
from personadesk.voice.script import Interrupt, Say, Silence, Wait
from personadesk.voice.sources import packets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from personadesk.voice.clips import Clip
    from personadesk.voice.recording import Piece
    from personadesk.voice.script import Script

PAUSE_SECONDS: Final = 0.8
"""Silence after which an answer counts as finished; pauses between sentences are shorter."""
BREATH_SECONDS: Final = 0.4
"""Silence that does not end a stretch of speech: between words."""

_ASKING = T("Asking the question")
_LISTENING = T("Listening to the answer")
_SILENT = T("Saying nothing")
_BREAKING_IN = T("Breaking in")


class Mouth(Protocol):
    """Gives one packet after another until all is said."""

    marks: list[Mark]

    @property
    def most_seconds(self) -> float:
        """How long it may go on."""

    @property
    def clip_seconds(self) -> float:
        """How long clips are spoken, silence behind them not counted."""

    @property
    def name(self) -> str:
        """Of what is said, for reports."""

    def next(self, now: float, heard: list[Piece]) -> tuple[NDArray[np.float32], Text] | None:
        """Return the next packet (float32 [PACKET_SAMPLES]) and what it is a part of, None at the end.

        Args:
            now: Seconds since the first packet.
            heard: All that came back so far.
        """

    def said(self) -> NDArray[np.float32]:
        """Return all that is said, float32 [n]."""


class ClipMouth:
    """Says a clip, and then nothing for a while."""

    def __init__(self, clip: Clip, after: float) -> None:
        self.marks: list[Mark] = []
        self.name = clip.name
        self.clip_seconds = clip.seconds
        speech = packets(clip.pcm)
        self._whole = [*speech, *_nothing(after)]
        self._speech = len(speech)
        self._given = 0

    @property
    def most_seconds(self) -> float:
        """How long it goes on."""
        return len(self._whole) * PACKET_SECONDS

    def next(self, now: float, heard: list[Piece]) -> tuple[NDArray[np.float32], Text] | None:
        """Return the next packet; what is heard changes nothing."""
        number = self._given
        if number >= len(self._whole):
            return None
        self._given += 1
        return self._whole[number], _ASKING if number < self._speech else _LISTENING

    def said(self) -> NDArray[np.float32]:
        """Return the clip and the silence behind it."""
        return np.concatenate(self._whole)


class ScriptMouth:
    """Plays a script: what it says and when follows from what it hears."""

    def __init__(self, script: Script, after: float) -> None:
        self.marks: list[Mark] = []
        self.name = script.name
        self.most_seconds = script.most_seconds + after
        self._script = script
        self._after = after
        self._said: list[NDArray[np.float32]] = []
        self._ear = _Ear()
        self._steps = self._play()

    @property
    def clip_seconds(self) -> float:
        """How long clips were spoken so far."""
        return sum(
            mark.end - mark.start for mark in self.marks if isinstance(mark.turn, Say | Interrupt)
        )

    def next(self, now: float, heard: list[Piece]) -> tuple[NDArray[np.float32], Text] | None:
        """Return the next packet of the turn that follows from what was heard."""
        self._ear.listen(heard)
        step = next(self._steps, None)
        if step is not None:
            self._said.append(step[0])
        return step

    def said(self) -> NDArray[np.float32]:
        """Return what was said so far."""
        return np.concatenate(self._said) if self._said else np.zeros(0, np.float32)

    @property
    def _at(self) -> float:
        return len(self._said) * PACKET_SECONDS

    def _play(self) -> Iterator[tuple[NDArray[np.float32], Text]]:
        for turn in self._script.turns:
            start = self._at
            met = True
            match turn:
                case Say(clip):
                    yield from ((packet, _ASKING) for packet in packets(clip.pcm))
                case Silence(seconds):
                    yield from ((packet, _SILENT) for packet in _nothing(seconds))
                case Wait(at_most):
                    until, silence = start + at_most, _nothing(PACKET_SECONDS)[0]
                    while not (met := self._ear.has_answered(start, self._at)):
                        if self._at >= until:
                            break
                        yield silence, _LISTENING
                case Interrupt(clip, after, _, at_most):
                    until, silence = start + at_most, _nothing(PACKET_SECONDS)[0]
                    while not (met := self._ear.speaks_for(self._at) >= after):
                        if self._at >= until:
                            break
                        yield silence, _LISTENING
                    start = self._at
                    if met:
                        yield from ((packet, _BREAKING_IN) for packet in packets(clip.pcm))
            self.marks.append(Mark(turn, start, self._at, met))
        yield from ((packet, _LISTENING) for packet in _nothing(self._after))


class _Ear:
    """Knows when the voice spoke, by the level of what came."""

    def __init__(self) -> None:
        self._taken = 0
        self._began = 0.0
        self._last: float | None = None

    def listen(self, heard: list[Piece]) -> None:
        """Take the pieces that are new."""
        for piece in heard[self._taken :]:
            loud = levels.window_levels(piece.pcm).max(initial=levels.dbfs(piece.pcm))
            if piece.seconds and loud >= levels.SILENCE_DBFS:
                if self._last is None or piece.at - self._last > BREATH_SECONDS:
                    self._began = piece.at
                self._last = piece.at + piece.seconds
        self._taken = len(heard)

    def has_answered(self, since: float, now: float) -> bool:
        """Whether it spoke after `since` and has paused."""
        return self._last is not None and self._last > since and now - self._last >= PAUSE_SECONDS

    def speaks_for(self, now: float) -> float:
        """Return how long it has been speaking, 0 when it is silent."""
        if self._last is None or now - self._last > BREATH_SECONDS:
            return 0.0
        return now - self._began


def _nothing(seconds: float) -> list[NDArray[np.float32]]:
    return [np.zeros(PACKET_SAMPLES, np.float32)] * max(1, round(seconds / PACKET_SECONDS))
