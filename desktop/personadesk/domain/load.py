"""How many calls a voice takes at once: what each step of a load test showed, and when it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LINE_MS: Final = 80.0
"""A frame that comes a whole frame (80 ms) after it was due is late: a player with a usual buffer has run dry."""
LATE_PERCENT: Final = 1.0
"""More than one late frame in a hundred is heard as crackle; the limit of the voice test."""
OWN_LATE_MS: Final = 40.0
"""Packets of 40 ms that leave a whole packet late: what is measured then is the callers' computer."""
OWN_CPU: Final = 0.9
"""Share of one core that the callers' process may use; above it, it has no time left to be punctual."""
MOST_CALLERS: Final = 32
"""A line's address takes no more at once."""


class Outcome(StrEnum):
    """Why a load test ended."""

    LATE = "late"
    FULL = "full"
    LIMIT = "limit"
    COMPUTER = "computer"
    STOPPED = "stopped"
    BROKE = "broke"


@dataclass(frozen=True, slots=True)
class LoadStep:
    """What so many callers at once found.

    Attributes:
        callers: How many there were.
        frames: That came in the step, of all callers.
        late_percent: Share of them that came more than `LINE_MS` after they were due.
        p50_ms: By how much frames came after they were due, the usual one.
        p95_ms: One in twenty.
        p99_ms: One in a hundred.
        own_late_ms: 99th percentile of how late our own packets left.
        own_cpu: Share of one core that the callers' process used.
        tick_ms: Mean step of the model, None where the server does not tell.
    """

    callers: int
    frames: int
    late_percent: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    own_late_ms: float
    own_cpu: float
    tick_ms: float | None = None

    @property
    def late(self) -> bool:
        """Whether too many frames came too late, or none came."""
        return not self.frames or self.late_percent > LATE_PERCENT

    @property
    def own_fault(self) -> bool:
        """Whether this computer was not punctual itself."""
        return self.own_late_ms > OWN_LATE_MS or self.own_cpu > OWN_CPU


@dataclass(frozen=True, slots=True)
class LoadReport:
    """A load test as far as it has come, or at its end.

    Attributes:
        line: Whom it was made against.
        most: How many callers were allowed.
        started: Unix time.
        steps: Each number of callers that was measured, in order.
        outcome: Why it ended; None while it goes on.
        why: The server's own words, where it said any.
        here: Whether the voice runs on the computer of the callers.
    """

    line: str
    most: int
    started: float
    steps: tuple[LoadStep, ...] = ()
    outcome: Outcome | None = None
    why: Text = NOTHING
    here: bool = False

    @property
    def capacity(self) -> int:
        """How many callers at once were all served in time."""
        good = 0
        for step in self.steps:
            if step.late or step.own_fault:
                break
            good = step.callers
        return good

    @property
    def proven(self) -> bool:
        """Whether one more would be too many; else it may be more than was found."""
        return self.outcome in {Outcome.LATE, Outcome.FULL}

    @property
    def sentence(self) -> Text:
        """What was found, for people."""
        calls = _calls(self.capacity)
        match self.outcome:
            case None:
                return T("In time so far: {calls}.", calls=calls)
            case Outcome.LATE:
                if not self.capacity:
                    return T("Not even one call is served in time.")
                return T("{calls} at once; with one more, frames come late.", calls=calls)
            case Outcome.FULL:
                if not self.capacity:
                    return T("All its places are taken already.")
                return T("{calls} at once; the voice takes no more.", calls=calls)
            case Outcome.LIMIT:
                return T("At least {calls} at once; no more were tried.", calls=calls)
            case Outcome.COMPUTER:
                return T(
                    "At least {calls} at once; then this computer, which made the calls, was the limit.",
                    calls=calls,
                )
            case Outcome.STOPPED:
                return T("Stopped; in time until then: {calls}.", calls=calls)
            case Outcome.BROKE:
                return T("The test broke off; in time until then: {calls}.", calls=calls)

    @property
    def advice(self) -> Text:
        """A second sentence, or nothing."""
        if self.why:
            return self.why
        if self.outcome is Outcome.COMPUTER and self.here:
            return T("The voice runs on this computer too, so the two share it.")
        if self.outcome is Outcome.COMPUTER:
            return T("Close other programs, or test from a faster computer.")
        if self.outcome is Outcome.LIMIT:
            return T("Try again with a higher limit.")
        return NOTHING


def outcome_of(steps: Sequence[LoadStep], most: int) -> Outcome | None:
    """Return how a load test ends after these steps, None when one more caller may be added."""
    if not steps:
        return None
    last = steps[-1]
    if last.own_fault:
        return Outcome.COMPUTER
    if last.late:
        return Outcome.LATE
    return Outcome.LIMIT if last.callers >= most else None


def as_dict(report: LoadReport) -> dict[str, Any]:
    """Return a load test as `--json` and `load.json` give it."""
    return {
        "schema": "personadesk.voice-load",
        "version": 1,
        "line": report.line,
        "sentence": str(report.sentence),
        "advice": str(report.advice),
        "outcome": None if report.outcome is None else str(report.outcome),
        "capacity": report.capacity,
        "proven": report.proven,
        "most": report.most,
        "line_ms": LINE_MS,
        "steps": [step_dict(step) for step in report.steps],
    }


def step_dict(step: LoadStep) -> dict[str, Any]:
    """Return a step as plain values."""
    return {name: getattr(step, name) for name in LoadStep.__slots__}


def step_from(told: Mapping[str, Any]) -> LoadStep:
    """Return the step that `step_dict` told."""
    return LoadStep(**{name: told[name] for name in LoadStep.__slots__})


def _calls(count: int) -> Text:
    return T("1 call") if count == 1 else T("{n} calls", n=count)
