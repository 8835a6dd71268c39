"""Judges the turns of a script by what was heard: answers, interruptions, silences.

An engine is held only to what it can do. The echo answers nobody: it gives back what it hears, so it is asked for
silence alone. The rehearsal model is untrained and babbles all the time: nothing of this is asked of it, and its values
are told without a verdict. PersonaPlex, and a server that does not say what it is, are held to all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.domain.report import Figure, Limit, TurnCheck, Verdict, reason
from personadesk.domain.text import NOTHING, T
from personadesk.voice import levels
from personadesk.voice.measure import reply_after
from personadesk.voice.script import Interrupt, Say, Silence, Wait

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from personadesk.domain.text import Text
    from personadesk.voice.facts import ServerFacts
    from personadesk.voice.recording import Mark, Recording

_QUIET_SECONDS: Final = 0.24
"""A voice has stopped when it is silent for so long; the gaps inside words are shorter."""
_SETTLES_SECONDS: Final = 1.0
"""How long a sentence may end into a silence, before it counts as talking into it."""

_ECHO = T("Not judged: the echo gives back what it hears and answers nobody.")
_BABBLES = T("Not judged: the rehearsal model is untrained and babbles all the time.")
_SPOKE = T("Not judged: the voice was speaking already when the question ended.")
_WHY_REPLY = T("People expect an answer within about a second.")
_WHY_STOP = T("Somebody who is interrupted yields within a second.")
_WHY_QUIET = T("Nobody asked anything, so a voice should wait.")


def check_turns(recording: Recording, who: ServerFacts) -> tuple[TurnCheck, ...]:
    """Return what each turn of a script showed; nothing when a clip was spoken."""
    if not recording.marks:
        return ()
    said, voice = recording.axis()
    judge = _Judge(
        levels.window_levels(said) >= levels.SILENCE_DBFS,
        levels.window_levels(voice) >= levels.SILENCE_DBFS,
        who,
    )
    spoken = [m.start for m in recording.marks if isinstance(m.turn, Say | Interrupt) and m.met]
    checks = []
    for number, mark in enumerate(recording.marks, 1):
        next_words = next((at for at in spoken if at >= mark.end and at > mark.start), None)
        checks.append(judge.look(number, mark, next_words))
    return tuple(checks)


def told_turn(check: TurnCheck) -> Text:
    """Say in one sentence how a turn that was judged stands to its limit."""
    if check.figure is None or check.figure.value is None:
        return T("Turn {number}: {why}", number=check.number, why=check.note)
    return T("Turn {number}: {why}", number=check.number, why=reason(check.figure))


def told_turns(turns: tuple[TurnCheck, ...]) -> Text:
    """Say how many turns did not come out as they should."""
    judged = [each for each in turns if each.figure is not None]
    return T(
        "{failed} of {all} turns did not come out as they should.",
        failed=sum(each.failed for each in judged),
        all=len(judged),
    )


class _Judge:
    def __init__(
        self, spoken: NDArray[np.bool_], sounding: NDArray[np.bool_], who: ServerFacts
    ) -> None:
        self._spoken, self._sounding = spoken, sounding
        self._cannot = _ECHO if who.engine == "echo" else _BABBLES if who.rehearsal else NOTHING
        self._babbles = who.rehearsal

    def look(self, number: int, mark: Mark, next_words: float | None) -> TurnCheck:
        """Return what a turn showed; `next_words` is when the next thing was said."""
        match mark.turn:
            case Say() as turn:
                return self._say(number, mark, turn, next_words)
            case Wait():
                return self._wait(number, mark)
            case Interrupt() as turn:
                return self._interrupt(number, mark, turn)
            case Silence() as turn:
                return self._silence(number, mark, turn)

    def _say(self, number: int, mark: Mark, turn: Say, next_words: float | None) -> TurnCheck:
        title = T("“{clip}” is answered", clip=turn.clip.name)
        if self._cannot:
            return TurnCheck(number, title, note=self._cannot)
        until = None if next_words is None else _window(next_words)
        reply = reply_after(
            self._spoken, self._sounding, _window(mark.start), _window(mark.end), until
        )
        if not reply.asked:
            return TurnCheck(number, title, note=T("Not judged: the clip is silent."))
        if reply.spoke_already:
            return TurnCheck(number, title, note=_SPOKE)
        limit = Limit(
            "reply_s", T("The answer"), "s", _WHY_REPLY, most=turn.reply_within
        )  # fmt: skip
        return _judged(number, title, limit, reply.after, T("nobody answered."))

    def _wait(self, number: int, mark: Mark) -> TurnCheck:
        title = T("The answer is waited for")
        if mark.met:
            seconds = round(mark.end - mark.start, 1)
            return TurnCheck(number, title, note=T("It took {seconds} s.", seconds=seconds))
        seconds = round(mark.end - mark.start)
        return TurnCheck(
            number, title,
            note=T("It had not ended after {seconds} s; the script went on.", seconds=seconds),
        )  # fmt: skip

    def _interrupt(self, number: int, mark: Mark, turn: Interrupt) -> TurnCheck:
        title = T("“{clip}” stops the voice", clip=turn.clip.name)
        if self._cannot:
            return TurnCheck(number, title, note=self._cannot)
        limit = Limit("stop_s", T("Falling silent"), "s", _WHY_STOP, most=turn.stops_within)
        if not mark.met:
            why = T("the voice said too little to be interrupted.")
            return _judged(number, title, limit, None, why)
        first = _window(mark.start)
        words = np.flatnonzero(self._spoken[first:])
        begin = first + int(words[0]) if words.size else first
        quiet = round(_QUIET_SECONDS / levels.PEAK_SECONDS)
        after = np.concatenate([self._sounding[begin:], np.zeros(quiet, bool)])
        runs = np.convolve(after, np.ones(quiet), "valid")
        stopped = float(np.flatnonzero(runs == 0)[0]) * levels.PEAK_SECONDS
        return _judged(number, title, limit, round(stopped, 2), NOTHING)

    def _silence(self, number: int, mark: Mark, turn: Silence) -> TurnCheck:
        title = T("Nothing is said for {seconds} s", seconds=turn.seconds)
        if self._babbles:
            return TurnCheck(number, title, note=_BABBLES)
        begin = mark.start + min(_SETTLES_SECONDS, turn.seconds / 2)
        talk = self._sounding[_window(begin) : _window(mark.end)]
        limit = Limit(
            "talk_s", T("Talking into the silence"), "s", _WHY_QUIET, most=turn.talks_at_most
        )  # fmt: skip
        return _judged(
            number, title, limit, round(float(talk.sum()) * levels.PEAK_SECONDS, 2), NOTHING
        )


def _judged(
    number: int, title: Text, limit: Limit, value: float | None, missing: Text
) -> TurnCheck:
    over = value is None or (limit.most is not None and value > limit.most)
    # A script's limit is a person's own: there is no half of it in between.
    figure = Figure(limit, value, Verdict.FAIL if over else Verdict.PASS)
    return TurnCheck(number, title, figure, missing if value is None else NOTHING)


def _window(seconds: float) -> int:
    return round(seconds / levels.PEAK_SECONDS)
