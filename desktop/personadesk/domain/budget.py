"""Budgets: what a line, or everything together, may cost in a day and a month, and what is done when it is used up.

Pure. A budget warns at a share of it, and acts when it is reached; the user chooses what that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.money import NOTHING as NO_MONEY
from personadesk.domain.money import Amount
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = ""
"""The name of the budget for everything together; no line is called so."""
WARN_SHARE = 0.8
START_HOURS = 1.0
"""What is left must pay for so long before something is started: many providers bill an hour that was begun."""


class Act(StrEnum):
    """What is done when a budget is used up."""

    WARN = "warn"
    """It is only said."""
    STOP = "stop"
    """The line goes to sleep, and its machine is stopped where that saves money, else ended."""
    END = "end"
    """The machine is ended."""


class Period(StrEnum):
    """For what time a limit is."""

    DAY = "day"
    MONTH = "month"


class Level(StrEnum):
    """How a budget stands."""

    FINE = "fine"
    NEAR = "near"
    REACHED = "reached"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent.

    Attributes:
        line: For which line; `ALL` for everything together.
        per_day: Dollars a day, None for no limit.
        per_month: Dollars a month, None for no limit.
        warn: The share of a limit from which on is warned, 0 to 1.
        act: What is done when a limit is reached.
        day_more: Dollars that a person allowed beyond the day's limit.
        day_until: Unix time until which; the end of that day.
        month_more: The same for the month.
        month_until: The end of that month.
    """

    line: str = ALL
    per_day: float | None = None
    per_month: float | None = None
    warn: float = WARN_SHARE
    act: Act = Act.STOP
    day_more: float = 0.0
    day_until: float = 0.0
    month_more: float = 0.0
    month_until: float = 0.0

    def limits(self, now: float) -> dict[Period, float]:
        """Return the limits that hold now, with what was allowed beyond them."""
        found = {}
        if self.per_day is not None:
            more = self.day_more if now < self.day_until else 0.0
            found[Period.DAY] = self.per_day + more
        if self.per_month is not None:
            more = self.month_more if now < self.month_until else 0.0
            found[Period.MONTH] = self.per_month + more
        return found

    def lifted(self, dollars: float, now: float, day_end: float, month_end: float) -> Budget:
        """Return it with so many dollars more, until the day and the month are over."""
        day = self.day_more if now < self.day_until else 0.0
        month = self.month_more if now < self.month_until else 0.0
        return replace(
            self, day_more=day + dollars, day_until=day_end, month_more=month + dollars,
            month_until=month_end,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spent:
    """What the things of a budget have cost in its periods."""

    day: Amount = NO_MONEY
    month: Amount = NO_MONEY

    def of(self, period: Period) -> Amount:
        """Return that of one period."""
        return self.day if period is Period.DAY else self.month


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands, by that of its limits which is nearer.

    Attributes:
        budget: The budget.
        level: How it stands.
        period: Of which limit.
        spent: What was spent in that period.
        limit: Dollars.
    """

    budget: Budget
    level: Level
    period: Period
    spent: Amount
    limit: float

    @property
    def share(self) -> float:
        """The part that is used; 1 and more when it is reached."""
        return self.spent.dollars / self.limit if self.limit > 0 else 1.0

    @property
    def left(self) -> float:
        """Dollars that are left, 0 when it is reached."""
        return max(0.0, self.limit - self.spent.dollars)

    @property
    def why(self) -> Text:
        """That it is reached, in a sentence."""
        words = USED_UP[self.period, self.budget.line == ALL]
        return Text(words.template, {"line": self.budget.line, "limit": f"{self.limit:.2f}"})


USED_UP = {
    (Period.DAY, True): T("The budget of ${limit} a day for everything is used up."),
    (Period.MONTH, True): T("The budget of ${limit} a month for everything is used up."),
    (Period.DAY, False): T("The budget of ${limit} a day for “{line}” is used up."),
    (Period.MONTH, False): T("The budget of ${limit} a month for “{line}” is used up."),
}
"""That a budget is reached, by its period and whether it is for everything."""


def standings(budget: Budget, spent: Spent, now: float) -> list[Standing]:
    """Return how each limit of a budget stands."""
    found = []
    for period, limit in budget.limits(now).items():
        amount = spent.of(period)
        if amount.dollars >= limit:
            level = Level.REACHED
        else:
            level = Level.NEAR if amount.dollars >= limit * budget.warn else Level.FINE
        found.append(Standing(budget, level, period, amount, limit))
    return found


def worst(found: Iterable[Standing]) -> Standing | None:
    """Return the one that counts: reached before near before fine, then the fullest."""
    order = {Level.REACHED: 2, Level.NEAR: 1, Level.FINE: 0}
    return max(found, key=lambda each: (order[each.level], each.share), default=None)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the budgets let a line still spend.

    Attributes:
        left: Dollars until the first limit that acts; None where none does.
        why: The sentence to say when it is used up.
        price: Dollars per hour of the line's stopped machine once it runs; None for none, or when not told.
        near: Whether a limit that acts is nearly used up, by the share from which on is warned.
        beyond: Dollars that are left beyond what the lines themselves need until the day or month of a limit is over;
            None where no limit acts.
    """

    left: float | None = None
    why: Text = NOTHING
    price: float | None = None
    near: bool = False
    beyond: float | None = None

    def refuses(self, price: float | None) -> Text | None:
        """Return why a machine of this price may not be started, None when it may.

        Args:
            price: Dollars per hour; None when it is not known.
        """
        if self.left is None:
            return None
        if self.left <= 0.0:
            return self.why
        if price is not None and price * START_HOURS > self.left:
            return T(
                "${left} are left in the budget, and an hour may cost ${price}.",
                left=f"{self.left:.2f}", price=f"{price:.2f}",
            )  # fmt: skip
        return None


UNLIMITED = Allowance()


def allowance(found: Iterable[Standing]) -> Allowance:
    """Return what is left by the tightest of some limits; those that only warn hold nothing back."""
    acting = [each for each in found if each.budget.act is not Act.WARN]
    tightest = min(acting, key=lambda each: each.left, default=None)
    if tightest is None:
        return UNLIMITED
    near = any(each.level is not Level.FINE for each in acting)
    return Allowance(tightest.left, tightest.why, near=near)
