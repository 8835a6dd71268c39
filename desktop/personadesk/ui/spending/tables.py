"""What stands in the tables of the money page: who costs what, and what the same would cost elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.money import Kind
from personadesk.domain.quantity import duration
from personadesk.ui.i18n import tr
from personadesk.ui.money import dollars
from personadesk.ui.rented import offer_words
from personadesk.ui.spending import words
from personadesk.ui.widgets import Shape
from personadesk.ui.widgets.data_table import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.deploy.rented.elsewhere import Elsewhere
    from personadesk.domain.statement import Money, Share

__all__ = [
    "BY",
    "in_order",
    "places_rows",
    "places_titles",
    "share_rows",
    "share_titles",
]

BY = ("lines", "accounts", "kinds", "items")
"""By what the table sums up, in the order of its switch."""


def share_titles(by: str) -> tuple[str, ...]:
    """Return the heads of the columns."""
    first = {
        "lines": tr("Line"), "accounts": tr("Account"), "kinds": tr("Kind"), "items": tr("Thing"),
    }[by]  # fmt: skip
    if by == "items":
        return (first, tr("Why it costs"), tr("Line"), tr("Now"))
    return (first, tr("Now"), tr("Today"), tr("This month"))


def share_rows(found: Money | None, by: str) -> list[tuple[Cell, ...]]:
    """Return who costs what, with the sum last."""
    if found is None:
        return []
    if by == "items":
        return [
            (
                Cell(item.name, item.account, item.thing, strong=True),
                _kind(item.kind),
                Cell(item.line or tr("no line"), faint=not item.line),
                _price(item.price, guessed=item.guessed),
            )
            for item in found.items
        ]
    shares: Sequence[Share] = in_order(found.kinds) if by == "kinds" else getattr(found, by)
    rows = [
        (
            _kind(Kind(share.name)) if by == "kinds" else _name(share.name),
            *_figures(share),
        )
        for share in shares
    ]
    return [*rows, (Cell(tr("Everything together"), strong=True), *_figures(found.all))]


def in_order(kinds: Sequence[Share]) -> list[Share]:
    """Return the kinds: what runs first, what is forgotten last."""
    return sorted(kinds, key=lambda share: list(Kind).index(Kind(share.name)))


def places_titles() -> tuple[str, ...]:
    """Return the heads of the columns."""
    return (tr("Where"), tr("GPU"), tr("Price"), tr("An hour"), tr("A month"), tr("Told"))


def places_rows(found: Elsewhere | None, now: float) -> list[tuple[Cell, ...]]:
    """Return what the same would cost at each place."""
    if found is None:
        return []
    rows: list[tuple[Cell, ...]] = []
    for each in found.places:
        title = offer_words.provider_title(each.provider)
        price = tr("{price} /h", price=words.fine_price(each.price))
        told = (
            tr("table of {date}", date=each.date)
            if each.date
            else tr("{time} ago", time=duration(max(0.0, now - each.asked)))
        )
        hour, month = each.per_hour, each.per_month
        rows.append(
            (
                Cell(title, each.account or tr("no account yet"), strong=True),
                Cell(each.gpu, each.place),
                Cell(f"≈ {price}" if each.estimated else price),
                Cell("–" if hour is None else words.signed(hour)),
                Cell("–" if month is None else words.signed(month)),
                Cell(told, faint=bool(each.date)),
            )
        )
    return rows


def _name(name: str) -> Cell:
    return Cell(name, strong=True) if name else Cell(tr("no line"), faint=True)


def _kind(kind: Kind) -> Cell:
    shape = {
        Kind.RUNNING: Shape.LIVE, Kind.KEPT: Shape.STOPPED, Kind.FORGOTTEN: Shape.WARN,
    }[kind]  # fmt: skip
    return Cell(tr(words.KINDS[kind]), shape=shape)


def _figures(share: Share) -> tuple[Cell, Cell, Cell]:
    return (
        Cell(words.known_rate(share.rate), words.unpriced(share.rate)),
        Cell(words.known(share.today), words.untold(share.today)),
        Cell(words.known(share.month), words.untold(share.month)),
    )  # fmt: skip


def _price(price: float | None, *, guessed: bool) -> Cell:
    if price is None:
        return Cell(tr("not told"), faint=True)
    text = tr("{price} /h", price=words.fine_price(price))
    return Cell(f"≈ {text}" if guessed and price else text, tip=dollars(price))
