"""The table of offers as Qt wants it: it sorts by itself, keeps the selection by key, and tells what changed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from personadesk.domain.offer import Offer, Stock
from personadesk.domain.reputation import Doubt, Reputation
from personadesk.providers import catalog
from personadesk.ui.deploy.rent_draft import hourly
from personadesk.ui.i18n import mark, show, tr
from personadesk.ui.rented import offer_words
from personadesk.ui.widgets.data_table import Cell
from personadesk.ui.widgets.state import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["OfferTable", "Order"]

_TITLES = (mark("GPU"), mark("Where"), mark("Price"), mark("Stock"), mark("Keeps the GPU"))


class Order(StrEnum):
    """How offers are sorted."""

    BEST = "best"
    PRICE = "price"


class OfferTable(QAbstractTableModel):
    """Offers in the order that the user chose; those that are sold out come last in each."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._offers: list[Offer] = []
        self._best = ""
        self._order = Order.BEST
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self._reputation = Reputation()

    # -- what there is ----------------------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        """How they are sorted."""
        return self._order

    def offers(self) -> tuple[Offer, ...]:
        """Return the rows, in their order."""
        return tuple(self._offers)

    def at(self, index: Index) -> Offer | None:
        """Return the offer of an index."""
        inside = index.isValid() and 0 <= index.row() < len(self._offers)
        return self._offers[index.row()] if inside else None

    def position(self, key: str) -> int:
        """Return the row of an offer, -1 when it is not there."""
        return next((n for n, offer in enumerate(self._offers) if offer.key == key), -1)

    # -- changing ---------------------------------------------------------------------------------------------

    def show_offers(
        self,
        ranked: Sequence[Offer],
        *,
        stay: bool = False,
        reputation: Reputation | None = None,
    ) -> None:
        """Take over other offers.

        Args:
            ranked: What fits, best first.
            reputation: What is held against them; None where that is as it was.
            stay: Rows that are there keep their place, as when offers are asked again by themselves.
        """
        if reputation is not None and reputation.all() != self._reputation.all():
            self._cells.clear()
        self._reputation = self._reputation if reputation is None else reputation
        best = next((offer.key for offer in ranked if offer.stock is not Stock.NONE), "")
        wanted = self._sorted(ranked)
        if stay:
            fresh = {offer.key: offer for offer in wanted}
            kept = [fresh[offer.key] for offer in self._offers if offer.key in fresh]
            there = {offer.key for offer in kept}
            wanted = kept + [offer for offer in wanted if offer.key not in there]
        marked, self._best = self._best, best
        if [each.key for each in wanted] == [each.key for each in self._offers]:
            self._refill(wanted, {marked, best} if marked != best else set())
            return
        self._rearrange(wanted)

    def set_order(self, order: Order, ranked: Sequence[Offer]) -> None:
        """Sort otherwise."""
        self._order = order
        self.show_offers(ranked)

    # -- how it is done ---------------------------------------------------------------------------------------

    def _sorted(self, ranked: Sequence[Offer]) -> list[Offer]:
        if self._order is Order.BEST or not ranked:
            return list(ranked)
        prices = np.array([np.inf if (p := hourly(o)) is None else p for o in ranked])
        gone = np.array([offer.stock is Stock.NONE for offer in ranked])
        alone = np.array([self._reputation.level(offer) > 1 for offer in ranked])
        # The last key decides first; equal prices stay as they were ranked.
        return [ranked[index] for index in np.lexsort((prices, alone, gone))]

    def _refill(self, wanted: list[Offer], touched: set[str]) -> None:
        before, self._offers = self._offers, wanted
        for row, (old, new) in enumerate(zip(before, wanted, strict=True)):
            if old == new and new.key not in touched:
                continue
            known = self._cells.pop(new.key, None)
            if known is not None and known != self._cells_of(new):
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(_TITLES) - 1))

    def _rearrange(self, wanted: list[Offer]) -> None:
        before = self._offers
        if len(before) == len(wanted):
            self.layoutAboutToBeChanged.emit()
            self._take(wanted)
            self._move_indexes(before)
            self.layoutChanged.emit()
            return
        self.beginResetModel()
        self._take(wanted)
        self.endResetModel()

    def _take(self, wanted: list[Offer]) -> None:
        self._offers = wanted
        self._cells.clear()

    def _move_indexes(self, before: list[Offer]) -> None:
        old = self.persistentIndexList()
        new = []
        for index in old:
            row = self.position(before[index.row()].key)
            new.append(self.index(row, index.column()) if row >= 0 else QModelIndex())
        self.changePersistentIndexList(old, new)

    def _cells_of(self, offer: Offer) -> tuple[Cell, ...]:
        cells = self._cells.get(offer.key)
        if cells is None:
            cells = _cells(offer, self._reputation, best=offer.key == self._best)
            self._cells[offer.key] = cells
        return cells

    # -- Qt ---------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._offers)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(_TITLES)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        offer = self.at(index)
        if offer is None:
            return None
        cell = self._cells_of(offer)[index.column()]
        return cell.told(role)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        across = orientation == Qt.Orientation.Horizontal
        if across and role == Qt.ItemDataRole.DisplayRole and section < len(_TITLES):
            return tr(_TITLES[section])
        return None


def _cells(offer: Offer, reputation: Reputation, *, best: bool) -> tuple[Cell, ...]:
    title = offer_words.provider_title(offer.provider)
    doubts = reputation.against(offer)
    faint = offer.stock is Stock.NONE or reputation.level(offer) > 1
    size = tr("{size} GB", size=f"{offer.memory_gb:g}")
    below = f"{size} · {tr('Best match')}" if best else size
    stock_shape, stock_word = offer_words.stock(offer)
    promise = catalog.facts(offer.provider).answers.keeps_gpu
    shape, word = offer_words.answer(promise.answer)
    price = offer_words.per_hour(hourly(offer), estimated=offer.estimated)
    tip = tr("Not told by {provider}.", provider=title) if offer.price is None else ""
    if offer.estimated:
        tip = tr("From a price list of {date}.", date=offer.price_date)
    untold = tr("Not told by {provider}.", provider=title)
    stock = Cell(stock_word, "", untold if offer.stock is Stock.UNKNOWN else "", stock_shape)
    if doubts and offer.stock is not Stock.NONE:
        stock = _held(doubts[0], reputation.now)
    return (
        Cell(offer_words.gpu_name(offer), below, strong=True, faint=faint),
        Cell(title, offer_words.place_of(offer), offer.account, faint=faint),
        Cell(price, tr("may be taken back") if offer.spot else "", tip, strong=True, faint=faint),
        stock,
        Cell(word, "", show(promise.reason), shape),
    )


def _held(doubt: Doubt, now: float) -> Cell:
    """Return what stands in place of the stock of an offer that did badly before."""
    until = tr("until {until}", until=show(doubt.ends(now)))
    word = tr("Left alone") if doubt.leaves_alone else tr("Comes later")
    return Cell(word, until, show(doubt.why(now)), Shape.WARN)
