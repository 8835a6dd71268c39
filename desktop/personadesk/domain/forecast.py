"""What a month will have cost at its end, and by which assumption. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.money import HOUR, Amount
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.money import Rate

DAY = 86_400.0
LEAST_DAYS = 3
"""Fewer whole days say nothing about how often lines sleep."""
MOST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Forecast:
    """What this month will have cost.

    Attributes:
        amount: By its end; always an estimate while something costs.
        how: The assumption, a sentence.
    """

    amount: Amount
    how: Text = NOTHING


def forecast(
    month: Amount,
    now: float,
    month_end: float,
    rate: Rate,
    days: Sequence[Amount],
    *,
    sleeps: bool,
    by_hours: bool = False,
) -> Forecast:
    """Return what the month will have cost.

    Where lines go to sleep by themselves, what runs at this moment says little: the average of the last whole days
    counts, as soon as there are some. Lines with hours cost in those. Else everything goes on as it is.

    Args:
        month: What it has cost so far.
        now: Unix time.
        month_end: Unix time at which it ends.
        rate: What costs now; of lines with hours the average over a week.
        days: What the last whole days cost, newest last; only days on which something of ours existed.
        sleeps: Whether a line goes to sleep by itself.
        by_hours: Whether a line that costs has hours by the calendar.
    """
    left = max(0.0, month_end - now)
    last = days[-MOST_DAYS:]
    if sleeps and not by_hours and len(last) >= LEAST_DAYS:
        average = sum(day.dollars for day in last) / len(last)
        guessed, untold = any(day.guessed for day in last), any(day.untold for day in last)
        rest = Amount(average * left / DAY, guessed or average > 0.0, left if untold else 0.0)
        how = T(
            "If the days to come are as the last {count}: lines that sleep do not cost all the time.",
            count=len(last),
        )
    else:
        rest = Amount(
            rate.dollars * left / HOUR, rate.guessed or rate.dollars > 0.0,
            left * rate.untold,
        )  # fmt: skip
        how = (
            T("If lines keep their hours, and everything else that costs now goes on as it is.")
            if by_hours
            else T("If everything that costs now goes on as it is, day and night.")
        )
        if not rate.dollars and not rate.untold:
            how = T("If nothing more is started; nothing costs now.")
    return Forecast(month + rest, how)
