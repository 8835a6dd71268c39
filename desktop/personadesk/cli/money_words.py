"""Money as the terminal writes it, and as `--json` tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from personadesk.cli.words import word
from personadesk.domain.budget import ALL, Level
from personadesk.domain.quantity import duration
from personadesk.language import number, show, tr

if TYPE_CHECKING:
    from personadesk.domain.budget import Budget, Standing
    from personadesk.domain.elsewhere import Alternative
    from personadesk.domain.money import Amount, Item, Rate
    from personadesk.domain.proof import Proof
    from personadesk.domain.statement import Money, Share


def price_words(price: float | None) -> str:
    """Return a price for a person: `$0.75 /h`, or that it is not told."""
    if price is None:
        return tr("price not told")
    return tr("${price:.2f} /h", price=float(price))


def amount_words(amount: Amount) -> str:
    """Return an amount for a person: `≈ $1.20 + 2 h not told`."""
    known = f"{'≈ ' if amount.guessed else ''}${number(amount.dollars, '.2f')}"
    if not amount.untold:
        return known
    untold = tr("{time} whose price is not told", time=duration(amount.untold))
    return f"{known} + {untold}" if amount.dollars else untold


def rate_words(rate: Rate) -> str:
    """Return a rate for a person: `$0.75 /h + 1 not told`."""
    price = tr("${price:.3f} /h", price=float(rate.dollars))
    known = f"{'≈ ' if rate.guessed else ''}{price}"
    if not rate.untold:
        return known
    return tr("{price} + {count} whose price is not told", price=known, count=rate.untold)


def proof_words(proof: Proof) -> str:
    """Return what is left at an account, with the time of the provider's answer."""
    if proof.seen is None:
        return show(proof.text)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(proof.seen))
    return f"{show(proof.text)} ({at})"


def standing_words(standing: Standing) -> str:
    """Return how a limit stands."""
    name = f"“{standing.budget.line}”" if standing.budget.line != ALL else tr("everything")
    state = {
        Level.FINE: "", Level.NEAR: f" {tr('NEAR')}", Level.REACHED: f" {tr('USED UP')}",
    }[standing.level]  # fmt: skip
    told = tr(
        "{name}: {spent} of ${limit:.2f} a {period} ({share:.0%}){state}; then {deed}",
        name=name, spent=amount_words(standing.spent), limit=float(standing.limit),
        period=word(standing.period), share=standing.share, state=state,
        deed=word(standing.budget.act),
    )  # fmt: skip
    return f"  {told}"


def alternative_words(each: Alternative, now: float) -> str:
    """Return what the same would cost at one place."""
    price = f"{'≈ ' if each.estimated else ''}{price_words(each.price)}"
    age = (
        tr("table of {date}", date=each.date)
        if each.date
        else tr("asked {time} ago", time=duration(now - each.asked))
    )
    parts = [part for part in (each.account or tr("no account"), each.gpu, each.place) if part]
    text = f"  {each.provider} ({', '.join(parts)}): {price}, {age}"
    if each.per_hour is None or each.per_month is None:
        return text
    more = tr(
        "{hour:+.2f} an hour, {month:+.0f} a month",
        hour=float(each.per_hour), month=float(each.per_month),
    )  # fmt: skip
    return f"{text}; {more}"


def money_lines(found: Money) -> list[str]:
    """Return everything about money for a person."""
    whole = found.all
    lines = [
        tr(
            "Now {rate}, today {today}, this month {month}",
            rate=rate_words(whole.rate), today=amount_words(whole.today),
            month=amount_words(whole.month),
        ),
        tr(
            "At the end of the month {amount}. {how}",
            amount=amount_words(found.forecast.amount), how=found.forecast.how,
        ),
    ]  # fmt: skip
    for title, shares in (
        (tr("By kind:"), found.kinds),
        (tr("By line:"), found.lines),
        (tr("By account:"), found.accounts),
    ):
        if shares:
            lines += [title, *(_share(share) for share in shares)]
    if found.budgets:
        lines += [tr("Budgets:"), *(standing_words(each) for each in found.budgets)]
    return [*lines, *(proof_words(each) for each in found.proofs)]


def money_dict(found: Money) -> dict[str, Any]:
    """Return everything about money as `--json` prints it."""
    return {
        "currency": "USD",
        "at": found.at,
        "all": share_dict(found.all),
        "kinds": {each.name: share_dict(each) for each in found.kinds},
        "lines": {each.name: share_dict(each) for each in found.lines},
        "accounts": {each.name: share_dict(each) for each in found.accounts},
        "items": [item_dict(each) for each in found.items],
        "days": {day.isoformat(): amount_dict(each) for day, each in found.days.items()},
        "budgets": [standing_dict(each) for each in found.budgets],
        "forecast": {**amount_dict(found.forecast.amount), "assumes": str(found.forecast.how)},
        "left": [proof_dict(each) for each in found.proofs],
    }


def share_dict(share: Share) -> dict[str, Any]:
    """Return a share as `--json` prints it."""
    rate = share.rate
    return {
        "per_hour": round(rate.dollars, 4), "estimated": rate.guessed, "untold": rate.untold,
        "today": amount_dict(share.today), "month": amount_dict(share.month),
    }  # fmt: skip


def amount_dict(amount: Amount) -> dict[str, Any]:
    """Return an amount as `--json` prints it."""
    return {
        "dollars": round(amount.dollars, 4), "estimated": amount.guessed,
        "untold_seconds": round(amount.untold, 1),
    }  # fmt: skip


def item_dict(item: Item) -> dict[str, Any]:
    """Return a thing that is billed as `--json` prints it."""
    return {
        "account": item.account, "id": item.thing, "name": item.name, "deploy": item.tag,
        "line": item.line, "kind": str(item.kind), "per_hour": item.price,
        "estimated": item.guessed, "running_per_hour": item.running_price,
    }  # fmt: skip


def proof_dict(proof: Proof) -> dict[str, Any]:
    """Return what is left at an account as `--json` prints it."""
    return {
        "account": proof.account, "left": str(proof.left), "seen": proof.seen,
        "what": str(proof.text), "items": [item_dict(each) for each in proof.items],
    }  # fmt: skip


def budget_dict(budget: Budget) -> dict[str, Any]:
    """Return a budget as `--json` prints it."""
    return {
        "line": budget.line, "per_day": budget.per_day, "per_month": budget.per_month,
        "warn": budget.warn, "act": str(budget.act), "day_more": budget.day_more,
        "day_until": budget.day_until, "month_more": budget.month_more,
        "month_until": budget.month_until,
    }  # fmt: skip


def standing_dict(standing: Standing) -> dict[str, Any]:
    """Return how a limit stands as `--json` prints it."""
    return {
        "line": standing.budget.line, "period": str(standing.period), "limit": standing.limit,
        "spent": amount_dict(standing.spent), "share": round(standing.share, 4),
        "state": str(standing.level), "act": str(standing.budget.act),
    }  # fmt: skip


def alternative_dict(each: Alternative) -> dict[str, Any]:
    """Return a place as `--json` prints it."""
    return {
        "account": each.account, "provider": each.provider, "gpu": each.gpu, "place": each.place,
        "price": each.price, "estimated": each.estimated, "price_date": each.date,
        "asked": each.asked, "stock": each.stock, "more_per_hour": each.per_hour,
        "more_per_month": each.per_month,
    }  # fmt: skip


def _share(share: Share) -> str:
    told = tr(
        "{name}: {rate}, today {today}, this month {month}",
        name=share.name or tr("no line"), rate=rate_words(share.rate),
        today=amount_words(share.today), month=amount_words(share.month),
    )  # fmt: skip
    return f"  {told}"
