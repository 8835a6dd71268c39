"""How offers, stock, the four answers and an account's rights are called; the same on every page that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.account import Right
from personadesk.domain.offer import Stock
from personadesk.domain.provider import Answer
from personadesk.providers import catalog
from personadesk.ui.i18n import mark, show, tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.widgets.state import Shape

if TYPE_CHECKING:
    from personadesk.domain.account import AccountInfo
    from personadesk.domain.offer import Offer
    from personadesk.domain.provider import FourAnswers, Promise

__all__ = [
    "ago",
    "answer",
    "four",
    "gpu_name",
    "missing",
    "per_hour",
    "place_of",
    "provider_title",
    "rights",
    "stock",
]

_ANSWERS = {
    Answer.YES: (Shape.OK, mark("Yes")),
    Answer.PARTLY: (Shape.PARTLY, mark("Partly")),
    Answer.NO: (Shape.ERR, mark("No")),
}
_STOCK = {
    Stock.HIGH: (Shape.OK, mark("Available")),
    Stock.MEDIUM: (Shape.OK, mark("Available")),
    Stock.LOW: (Shape.WARN, mark("Low")),
    Stock.NONE: (Shape.STOPPED, mark("Sold out")),
    Stock.UNKNOWN: (Shape.UNKNOWN, mark("Not told")),
}
_RIGHTS = {
    Right.SEE: mark("see"),
    Right.RENT: mark("rent"),
    Right.END: mark("end"),
}


def answer(given: Answer) -> tuple[Shape, str]:
    """Return shape and word of one of the four answers."""
    shape, word = _ANSWERS[given]
    return shape, tr(word)


def four(answers: FourAnswers) -> tuple[tuple[str, Promise], ...]:
    """Return the four pains by name with their answers, in the order of every page."""
    return (
        (tr("Keeps the GPU"), answers.keeps_gpu),
        (tr("Keeps the address"), answers.keeps_address),
        (tr("Starts and stops simply"), answers.simple),
        (tr("Starts by itself"), answers.starts_itself),
    )


def stock(offer: Offer) -> tuple[Shape, str]:
    """Return shape and word of an offer's stock."""
    shape, word = _STOCK[offer.stock]
    return shape, tr(word)


def provider_title(provider_id: str) -> str:
    """Return how a provider is called."""
    return catalog.facts(provider_id).title if provider_id in catalog.ids() else provider_id


def gpu_name(offer: Offer) -> str:
    """Return the GPU, with its number where there are several."""
    return f"{offer.count} × {offer.gpu}" if offer.count > 1 else offer.gpu


def place_of(offer: Offer) -> str:
    """Return where an offer is, for people; its provider where that chooses the place."""
    return (
        offer.place
        or offer.region
        or tr("{provider} chooses", provider=provider_title(offer.provider))
    )


def per_hour(price: float | None, *, estimated: bool = False, provider: str = "") -> str:
    """Return a price an hour as it is shown: `$0.75 /h`, `≈ $0.80 /h`, or that it is not told.

    Args:
        price: Dollars an hour, None when its provider does not tell.
        estimated: Whether it is from a table of ours.
        provider: Whose silence it is.
    """
    if price is None:
        return tr("not told by {provider}", provider=provider) if provider else tr("not told")
    told = tr("{price} /h", price=dollars(price))
    return f"≈ {told}" if estimated else told


def rights(info: AccountInfo) -> str:
    """Return what an account's key may do, as far as its provider tells."""
    told = [tr(_RIGHTS[right]) for right in Right if right in info.rights]
    if not told:
        return tr("Connected.")
    if len(told) == 1:
        return tr("Connected. Can {right} machines.", right=told[0])
    return tr(
        "Connected. Can {rights} and {last} machines.",
        rights=", ".join(told[:-1]), last=told[-1],
    )  # fmt: skip


def missing(info: AccountInfo) -> str:
    """Return what an account's key may not do, by name; "" when nothing is known to be missing."""
    return " ".join(show(each) for each in info.missing)


def ago(seconds: float) -> str:
    """Return how long ago offers were read."""
    whole = max(0, round(seconds))
    if whole < 90:
        return trn("read {n} second ago", "read {n} seconds ago", whole)
    return trn("read {n} minute ago", "read {n} minutes ago", round(whole / 60))
