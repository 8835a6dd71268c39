"""What things cost: spans of time with a price, summed by day, line, account and kind. Pure; times are Unix times, UTC.

A day and a month are those of a time zone, so a day has 23 or 25 hours where clocks are set. What has no price is
never counted as zero: an amount says for how long nothing was told.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

HOUR = 3600.0
MONTH_HOURS = 730.0
"""A twelfth of a year, as providers' price lists have it."""


class Kind(StrEnum):
    """Why something costs."""

    RUNNING = "running"
    KEPT = "kept"
    """Billed though nothing runs: a stopped machine's disk, a volume, a static address."""
    FORGOTTEN = "forgotten"
    """Carries our tag, and the record does not know it; or was left behind by a machine that is gone."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is billed now.

    Attributes:
        account: Who pays.
        thing: The provider's own id of a machine; `kind:id` for what is none.
        name: For people.
        tag: The deploy that made it; "" for none.
        line: The line it stands behind, or was made for; "" for none.
        kind: Why it costs.
        price: Dollars per hour now; None when not told.
        guessed: Whether the price is from a table of ours.
        running_price: Dollars per hour while it runs; None when not told, or no machine.
    """

    account: str
    thing: str
    name: str = ""
    tag: str = ""
    line: str = ""
    kind: Kind = Kind.RUNNING
    price: float | None = None
    guessed: bool = False
    running_price: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a thing had one price.

    Attributes:
        account: Who paid.
        thing: As in `Item`.
        tag: The deploy that made it; "" for none.
        line: The line it stood behind, or was made for; "" for none.
        kind: Why it cost.
        began: Unix time.
        ended: Unix time.
        price: Dollars per hour; None when not told.
        guessed: Whether nobody looked meanwhile, or the price is from a table of ours.
    """

    account: str
    thing: str
    tag: str
    line: str
    kind: Kind
    began: float
    ended: float
    price: float | None
    guessed: bool = False

    @property
    def amount(self) -> Amount:
        """What it cost."""
        seconds = max(0.0, self.ended - self.began)
        if self.price is None:
            return Amount(untold=seconds)
        # What costs nothing is not made uncertain by it.
        return Amount(seconds / HOUR * self.price, self.guessed and self.price > 0.0 < seconds)


@dataclass(frozen=True, slots=True)
class Amount:
    """Dollars, and how sure they are.

    Attributes:
        dollars: What is known.
        guessed: Whether a part of it is an estimate; shown with `≈`.
        untold: Seconds for which no price was told; they are not in `dollars`.
    """

    dollars: float = 0.0
    guessed: bool = False
    untold: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.dollars + other.dollars, self.guessed or other.guessed, self.untold + other.untold
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per hour of several things.

    Attributes:
        dollars: Of those with a price.
        guessed: Whether one of them is an estimate.
        untold: How many have a price that is not told.
    """

    dollars: float = 0.0
    guessed: bool = False
    untold: int = 0


NOTHING = Amount()


def rate(items: Iterable[Item]) -> Rate:
    """Return what things cost per hour together."""
    dollars, guessed, untold = 0.0, False, 0
    for item in items:
        if item.price is None:
            untold += 1
        else:
            dollars += item.price
            guessed = guessed or (item.guessed and item.price > 0.0)
    return Rate(dollars, guessed, untold)


def total(spans: Iterable[Span], since: float, until: float) -> Amount:
    """Return what was spent in a time; spans count for their part in it."""
    found = NOTHING
    for span in spans:
        found += clipped(span, since, until).amount
    return found


def totals(
    spans: Iterable[Span], since: float, until: float, key: Callable[[Span], str]
) -> dict[str, Amount]:
    """Return what was spent in a time by what `key` tells of a span; their sum is `total`."""
    found: dict[str, Amount] = {}
    for span in spans:
        part = clipped(span, since, until)
        if part.ended > part.began:
            found[key(span)] = found.get(key(span), NOTHING) + part.amount
    return dict(sorted(found.items()))


def clipped(span: Span, since: float, until: float) -> Span:
    """Return a span's part in a time; one without length when it has none."""
    began = min(max(span.began, since), until)
    ended = max(began, min(span.ended, until))
    return replace(span, began=began, ended=ended)


def by_day(began: float, ended: float, zone: tzinfo | None = None) -> list[tuple[date, float]]:
    """Split a time into the days of a time zone: each day and its seconds.

    Args:
        began: Unix time.
        ended: Unix time.
        zone: The time zone; None for this computer's.
    """
    parts = []
    while began < ended:
        day = day_of(began, zone)
        end = min(ended, day_start(day + timedelta(days=1), zone))
        parts.append((day, end - began))
        began = end
    return parts


def day_of(at: float, zone: tzinfo | None = None) -> date:
    """Return the day of a moment."""
    return datetime.fromtimestamp(at, zone).date()


def day_start(day: date, zone: tzinfo | None = None) -> float:
    """Return the Unix time at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def day_bounds(at: float, zone: tzinfo | None = None) -> tuple[float, float]:
    """Return when the day of a moment begins and ends."""
    day = day_of(at, zone)
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


def month_bounds(at: float, zone: tzinfo | None = None) -> tuple[float, float]:
    """Return when the month of a moment begins and ends."""
    first = day_of(at, zone).replace(day=1)
    days = calendar.monthrange(first.year, first.month)[1]
    return day_start(first, zone), day_start(first + timedelta(days=days), zone)


def days_between(since: float, until: float, zone: tzinfo | None = None) -> list[date]:
    """Return the days of a time, first one first."""
    return [day for day, _ in by_day(since, until, zone)]


def per_day(
    spans: Iterable[Span], since: float, until: float, zone: tzinfo | None = None
) -> dict[date, Amount]:
    """Return what each day of a time cost, days without any included."""
    found = dict.fromkeys(days_between(since, until, zone), NOTHING)
    for span in spans:
        part = clipped(span, since, until)
        for day, seconds in by_day(part.began, part.ended, zone):
            found[day] += replace(part, began=0.0, ended=seconds).amount
    return found
