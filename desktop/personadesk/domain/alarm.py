"""When a figure is an alarm and when it is fine again: rules as data, and one pure step of hysteresis.

An alarm begins when a figure was over its limit for a while, and ends when it was under a lower one for a while, so
that a figure at its limit does not ring all day. Not knowing changes nothing: it is neither trouble nor recovery.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from personadesk.domain.text import Value


class Quantity(StrEnum):
    """What is watched; each is a number that is worse the higher it is."""

    GPU_GONE = "gpu_gone"
    """1 for a GPU that was there and is not, or does not answer any more."""
    SERVER_SILENT = "server_silent"
    """1 for a voice server that should run and does not answer."""
    TICK = "tick"
    """Milliseconds that 99 of 100 ticks stay under."""
    MEMORY = "memory"
    """Percent in use, of a GPU or of the machine."""
    TEMPERATURE = "temperature"
    """Degrees Celsius."""
    SILENCE = "silence"
    """Seconds by which a sample is late."""
    IDLE_COST = "idle_cost"
    """Seconds without a call while the machine costs money."""
    BUDGET = "budget"
    """Percent of the spending limit."""
    MONEY = "money"
    """Percent of a budget of the user's that is used, 0 as long as its warning is not due."""


class Severity(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        quantity: What is watched.
        title: How the rule is called in the window.
        above: More than this is trouble.
        below: At most this is fine again.
        for_s: Seconds that it must be trouble before it is told.
        fine_s: Seconds that it must be fine before that is told.
        severity: How bad it is.
        words: The alarm's sentence, with `{what}`, `{host}` and `{value}`.
        fine: The sentence of its end.
    """

    quantity: Quantity
    title: Text
    above: float
    below: float
    for_s: float
    fine_s: float
    severity: Severity
    words: Text
    fine: Text


RULES: tuple[Rule, ...] = (
    # A driver that is being restarted is away for some seconds.
    Rule(
        Quantity.GPU_GONE, T("GPU gone"), 0.5, 0.5, 5.0, 5.0, Severity.ERROR,
        T("{what} is gone or does not answer any more."),
        T("{what} is there again."),
    ),
    Rule(
        Quantity.SERVER_SILENT, T("Voice server silent"), 0.5, 0.5, 10.0, 3.0, Severity.ERROR,
        T("The voice server on {host} does not answer."),
        T("The voice server on {host} answers again."),
    ),
    # A frame lasts 80 ms; a tick that takes longer is heard as a stutter.
    Rule(
        Quantity.TICK, T("Voice too slow"), 80.0, 76.0, 30.0, 15.0, Severity.ERROR,
        T("The voice on {host} is too slow: a tick takes {value} ms, and 80 are allowed."),
        T("The voice on {host} keeps up again."),
    ),
    Rule(
        Quantity.MEMORY, T("Memory nearly full"), 95.0, 92.0, 15.0, 15.0, Severity.WARNING,
        T("The memory of {what} is {value} % full."),
        T("The memory of {what} has room again."),
    ),
    # Most cards hold their clock down from 83 to 90 °C on.
    Rule(
        Quantity.TEMPERATURE, T("GPU too hot"), 85.0, 80.0, 15.0, 30.0, Severity.WARNING,
        T("{what} is {value} °C hot."),
        T("{what} has cooled down."),
    ),
    Rule(
        Quantity.SILENCE, T("No figures"), 10.0, 1.0, 0.0, 2.0, Severity.WARNING,
        T("{host} has sent no figures for {value} s."),
        T("Figures of {host} come again."),
    ),
    Rule(
        Quantity.IDLE_COST, T("Idle and costing money"), 1200.0, 0.0, 0.0, 0.0, Severity.WARNING,
        T("{host} costs money and nobody has called for {minutes} min."),
        T("{host} is in use again, or costs nothing now."),
    ),
    Rule(
        Quantity.BUDGET, T("Spending limit near"), 80.0, 79.0, 0.0, 0.0, Severity.WARNING,
        T("{host} has used {value} % of its spending limit."),
        T("{host} is well within its spending limit again."),
    ),
    # From which share on is the budget's own choice; below it the figure is 0.
    Rule(
        Quantity.MONEY, T("Budget near"), 0.0, 0.0, 0.0, 0.0, Severity.WARNING,
        T("{host} counts for a budget of which {value} % is used."),
        T("The budget that {host} counts for has room again."),
    ),
)  # fmt: skip
"""What is watched where nobody chose otherwise."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rule stands for one thing.

    Attributes:
        on: Whether the alarm is on.
        since: Unix time at which it came to be so.
        turning: Unix time from which on the figure speaks for the other state, None while it does not.
        value: The last known figure.
    """

    on: bool = False
    since: float = 0.0
    turning: float | None = None
    value: float | None = None


def step(rule: Rule, standing: Standing, value: float | None, now: float) -> Standing:
    """Return how a rule stands after another look.

    Args:
        rule: The rule.
        standing: How it stood.
        value: The figure, None while it is not known.
        now: Unix time; the caller's clock.
    """
    if value is None:
        # Seconds of not knowing are no seconds of trouble, nor of its absence.
        return replace(standing, turning=None)
    turns = value <= rule.below if standing.on else value > rule.above
    if not turns:
        return replace(standing, turning=None, value=value)
    began = now if standing.turning is None or standing.turning > now else standing.turning
    if now - began >= (rule.fine_s if standing.on else rule.for_s):
        return Standing(not standing.on, now, None, value)
    return replace(standing, turning=began, value=value)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that began or ended.

    Attributes:
        rule: Which rule.
        host: The machine as the monitor calls it.
        part: Which of several: a GPU's index, a server's id; "" where there is one only.
        on: Whether it begins; False says that all is fine again.
        at: Unix time.
        value: The figure in the rule's unit.
        text: One sentence.
    """

    rule: Rule
    host: str
    part: str
    on: bool
    at: float
    value: float
    text: Text


def told(rule: Rule, host: str, part: str, standing: Standing, *, label: Text = NOTHING) -> Alarm:
    """Return an alarm in words, of how a rule has come to stand.

    Args:
        rule: The rule.
        host: The machine's name for the monitor.
        part: A GPU's index, a server's id or "".
        standing: How it stands now.
        label: The machine's name for people, when it has another.
    """
    value = standing.value or 0.0
    template = (rule.words if standing.on else rule.fine).template
    name = label or T("{name}", name=host)
    what = T("GPU {index} of {host}", index=part, host=name) if part else name
    values: dict[str, Value] = {
        "what": what, "host": name, "value": round(value), "minutes": round(value / 60)
    }  # fmt: skip
    return Alarm(rule, host, part, standing.on, standing.since, value, Text(template, values))
