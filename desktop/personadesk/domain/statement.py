"""Everything about money at one moment, added up from what is billed and what was spent. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from personadesk.domain import money
from personadesk.domain.budget import ALL, Spent, standings
from personadesk.domain.forecast import MOST_DAYS, Forecast, forecast
from personadesk.domain.money import Amount, Item, Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date, tzinfo

    from personadesk.domain.budget import Budget, Standing
    from personadesk.domain.money import Span
    from personadesk.domain.proof import Proof

CHART_DAYS = 30


@dataclass(frozen=True, slots=True)
class Share:
    """What a line, an account or a kind costs.

    Attributes:
        name: Its name; "" for what stands behind no line.
        rate: What it costs now.
        today: What it cost today.
        month: What it cost this month.
    """

    name: str
    rate: Rate
    today: Amount
    month: Amount


@dataclass(frozen=True, slots=True)
class Money:
    """Everything about money at one moment.

    Attributes:
        at: Unix time.
        items: Everything of ours that is billed.
        all: The sum of it.
        kinds: Running, kept and forgotten.
        lines: By line; they sum up to `all`.
        accounts: By account; they sum up to `all`.
        days: What each of the last days cost, today the last.
        budgets: How each limit of each budget stands.
        forecast: What this month will have cost.
        proofs: What each account's provider says is left.
    """

    at: float
    items: tuple[Item, ...]
    all: Share
    kinds: tuple[Share, ...]
    lines: tuple[Share, ...]
    accounts: tuple[Share, ...]
    days: Mapping[date, Amount]
    budgets: tuple[Standing, ...]
    forecast: Forecast
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the forecast goes by.

    Attributes:
        items: What is billed; of lines with hours the average over a week.
        sleeps: Whether a line goes to sleep by itself.
        by_hours: Whether a line that costs has hours by the calendar.
    """

    items: Sequence[Item]
    sleeps: bool = False
    by_hours: bool = False


def since(now: float, zone: tzinfo | None = None) -> float:
    """Return the Unix time from which on spans are needed to add up."""
    return min(_chart_start(now, zone), money.month_bounds(now, zone)[0])


def add_up(
    now: float,
    zone: tzinfo | None,
    items: Sequence[Item],
    spans: Sequence[Span],
    budgets: Iterable[Budget],
    outlook: Outlook,
    proofs: Sequence[Proof],
) -> Money:
    """Return everything about money.

    Args:
        now: Unix time.
        zone: Whose days and months count; None for this computer's.
        items: What is billed now.
        spans: What was spent, from `since` on.
        budgets: What may be spent.
        outlook: What the forecast goes by.
        proofs: What each account's provider says is left.
    """
    today, month = money.day_bounds(now, zone)[0], money.month_bounds(now, zone)
    first = _chart_start(now, zone)

    def shares(of_span: Callable[[Span], str], of_item: Callable[[Item], str]) -> tuple[Share, ...]:
        days = money.totals(spans, today, now, of_span)
        months = money.totals(spans, month[0], now, of_span)
        rated = defaultdict(list)
        for item in items:
            rated[of_item(item)].append(item)
        names = sorted({*days, *months, *rated})
        return tuple(
            Share(
                name, money.rate(rated[name]), days.get(name, Amount()), months.get(name, Amount())
            )
            for name in names
        )  # fmt: skip

    whole = Share(
        "", money.rate(items), money.total(spans, today, now), money.total(spans, month[0], now)
    )
    days = money.per_day(spans, first, now, zone) if now > first else {}
    return Money(
        now,
        tuple(items),
        whole,
        shares(lambda span: span.kind, lambda item: item.kind),
        shares(lambda span: span.line, lambda item: item.line),
        shares(lambda span: span.account, lambda item: item.account),
        days,
        tuple(stand(budgets, spans, now, zone)),
        forecast(
            whole.month, now, month[1], money.rate(outlook.items), _whole_days(spans, now, zone),
            sleeps=outlook.sleeps, by_hours=outlook.by_hours,
        ),
        tuple(proofs),
    )  # fmt: skip


def stand(
    budgets: Iterable[Budget], spans: Sequence[Span], now: float, zone: tzinfo | None = None
) -> list[Standing]:
    """Return how each limit of each budget stands, by what was spent this month."""
    day, month = money.day_bounds(now, zone)[0], money.month_bounds(now, zone)[0]
    found = []
    for budget in budgets:
        mine = [span for span in spans if budget.line in {ALL, span.line}]
        spent = Spent(money.total(mine, day, now), money.total(mine, month, now))
        found += standings(budget, spent, now)
    return found


def _chart_start(now: float, zone: tzinfo | None) -> float:
    return money.day_start(money.day_of(now, zone) - timedelta(days=CHART_DAYS - 1), zone)


def _whole_days(spans: Sequence[Span], now: float, zone: tzinfo | None) -> list[Amount]:
    """Return what the last whole days cost, from the first on which there was anything."""
    today = money.day_start(money.day_of(now, zone), zone)
    first = money.day_start(money.day_of(now, zone) - timedelta(days=MOST_DAYS), zone)
    began = min((span.began for span in spans), default=today)
    days = money.per_day(spans, first, today, zone)
    return [amount for day, amount in days.items() if money.day_start(day, zone) >= began]
