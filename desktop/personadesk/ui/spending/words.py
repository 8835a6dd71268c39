"""Money in the user's language: amounts that may be estimates, rates, kinds, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.budget import ALL, Act, Level, Period
from personadesk.domain.money import Kind, rate
from personadesk.domain.proof import Left
from personadesk.domain.quantity import duration
from personadesk.ui.i18n import language, mark, show, tr, trn
from personadesk.ui.moments import short_moment
from personadesk.ui.money import dollars
from personadesk.ui.theme import Role
from personadesk.ui.widgets import Shape

if TYPE_CHECKING:
    from personadesk.domain.budget import Standing
    from personadesk.domain.money import Amount, Rate
    from personadesk.domain.proof import Proof

__all__ = [
    "ACTS",
    "KINDS",
    "LEVELS",
    "amount",
    "budget_name",
    "fine_price",
    "hourly",
    "known",
    "known_rate",
    "left",
    "limit",
    "signed",
    "unpriced",
    "untold",
]

KINDS = {
    Kind.RUNNING: mark("Running"),
    Kind.KEPT: mark("Stopped or kept, and billed"),
    Kind.FORGOTTEN: mark("Forgotten"),
}
ACTS = {
    Act.WARN: mark("Only warn"),
    Act.STOP: mark("Stop the line"),
    Act.END: mark("End the machine"),
}
LEVELS = {Level.FINE: Role.ACCENT, Level.NEAR: Role.WARN, Level.REACHED: Role.ERR}
_LEFT = {
    Left.NOTHING: Shape.OK,
    Left.KEPT: Shape.OK,
    Left.RUNNING: Shape.LIVE,
    Left.UNCONFIRMED: Shape.UNKNOWN,
}


def amount(value: Amount) -> str:
    """Return an amount in full: `≈ $1.20 and 2 h, price not told`."""
    if not value.untold:
        return known(value)
    if not value.dollars:
        return untold(value)
    return tr("{price} and {time}", price=known(value), time=untold(value))


def known(value: Amount) -> str:
    """Return what is known of an amount: `≈ $1.20`; what is not told is said beside it."""
    price = dollars(value.dollars)
    return f"≈ {price}" if value.guessed else price


def untold(value: Amount) -> str:
    """Return for how long no price was told; "" when all is known."""
    return tr("{time}, price not told", time=duration(value.untold)) if value.untold else ""


def hourly(value: Rate) -> str:
    """Return a rate in full: `$0.75 /h and 1 price not told`."""
    more = unpriced(value)
    return (
        tr("{price} and {more}", price=known_rate(value), more=more) if more else known_rate(value)
    )


def known_rate(value: Rate) -> str:
    """Return what is known of a rate: `$0.75 /h`; what is not told is said beside it."""
    price = tr("{price} /h", price=fine_price(value.dollars))
    return f"≈ {price}" if value.guessed else price


def unpriced(value: Rate) -> str:
    """Return how many things have a price that is not told; "" for none."""
    if not value.untold:
        return ""
    return trn("{n} price not told", "{n} prices not told", value.untold)


def fine_price(value: float) -> str:
    """Return a price per hour; a disk costs less than a cent, and is not nothing."""
    if 0.0 < value < 0.0995:
        locale = language().locale
        number = locale.toString(value, "f", 3)
        return f"$ {number}" if locale.decimalPoint() == "," else f"${number}"
    return dollars(value)


def signed(value: float) -> str:
    """Return a difference with its sign; what saves has a minus."""
    if abs(value) < 0.005:
        return tr("the same")
    return f"{'−' if value < 0 else '+'}{dollars(abs(value))}"


def budget_name(line: str) -> str:
    """Return for what a budget is."""
    return tr("Everything together") if line == ALL else line


def limit(standing: Standing) -> str:
    """Return how a limit stands: `$7.90 of $10.00 today`."""
    spent, whole = known(standing.spent), dollars(standing.limit)
    if standing.period is Period.DAY:
        return tr("{spent} of {limit} today", spent=spent, limit=whole)
    return tr("{spent} of {limit} this month", spent=spent, limit=whole)


def left(proof: Proof) -> tuple[Shape, str, str]:
    """Return shape, sentence and the time of the provider's answer, of what is left at an account."""
    costs = rate(proof.items)
    names = ", ".join(item.name for item in proof.items)
    match proof.left:
        case Left.NOTHING:
            text = tr(
                "{account}: the provider confirms that nothing of ours is running.",
                account=proof.account,
            )
        case Left.KEPT:
            text = tr(
                "{account}: the provider confirms that nothing of ours is running. Kept, for {price}: {names}.",
                account=proof.account, price=hourly(costs), names=names,
            )  # fmt: skip
        case Left.RUNNING:
            text = tr(
                "{account}: there is still, for {price}: {names}.",
                account=proof.account, price=hourly(costs), names=names,
            )  # fmt: skip
        case _:
            text = tr("{account}: not confirmed. {why}", account=proof.account, why=show(proof.why))
    when = (
        tr("asked at {time}", time=short_moment(proof.seen)) if proof.seen else tr("never answered")
    )
    return _LEFT[proof.left], text, when
