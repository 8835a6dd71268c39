"""What one account offers: a row a kind of GPU, its regions together, and the card that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from personadesk.domain.offer import Need, Offer, Stock
from personadesk.ui.accounts import words
from personadesk.ui.i18n import mark, show, tr, trn
from personadesk.ui.rented import offer_words
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    BusyRing,
    Button,
    Card,
    ElidedLabel,
    Kind,
    Segments,
    hbox,
    label,
)
from personadesk.ui.widgets.data_table import Cell, DataTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtWidgets import QWidget

    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.rented.model import Rented

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["GpuKind", "OfferRows", "OffersCard", "kinds"]

_TITLES = (
    mark("GPU"), mark("Memory"), mark("PersonaPlex"), mark("Price"), mark("Stock"), mark("Regions"),
)  # fmt: skip
ANY = Need(memory_gb=0.0)
FRESH_SECONDS = 60.0
"""An older answer is asked anew while it shows."""
NAMED_REGIONS = 3
"""More of them are counted."""
ROW_HEIGHT = 40
MOST_ROWS = 6
"""More rows scroll within the card."""
_STOCKS = (Stock.HIGH, Stock.MEDIUM, Stock.LOW, Stock.UNKNOWN, Stock.NONE)


@dataclass(frozen=True, slots=True)
class GpuKind:
    """All offers of one account of one kind of GPU.

    Attributes:
        offers: The offers, best first.
    """

    offers: tuple[Offer, ...]

    @property
    def best(self) -> Offer:
        """The one that would be rented."""
        return self.offers[0]

    @property
    def key(self) -> str:
        """What stays the same when offers are asked again."""
        best = self.best
        return f"{best.gpu}|{best.count}|{best.memory_gb:g}|{best.spot}"

    @property
    def prices(self) -> tuple[float, ...]:
        """The prices told, lowest first."""
        return tuple(sorted({each.price for each in self.offers if each.price is not None}))

    @property
    def stock(self) -> Offer:
        """The offer whose stock is the best of them."""
        return min(self.offers, key=lambda each: _STOCKS.index(each.stock))


def kinds(offers: Iterable[Offer]) -> list[GpuKind]:
    """Put offers together by GPU; they come best first, and so do the kinds."""
    found: dict[str, list[Offer]] = {}
    for offer in offers:
        found.setdefault(GpuKind((offer,)).key, []).append(offer)
    return [GpuKind(tuple(each)) for each in found.values()]


class OfferRows(QAbstractTableModel):
    """The kinds, best first or as the user sorts them."""

    def __init__(self, facts: ProviderFacts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._facts = facts
        self._ranked: list[GpuKind] = []
        self._rows: list[GpuKind] = []
        self._cells: list[tuple[Cell, ...]] = []
        self._sort: tuple[int, bool] | None = None

    @property
    def rows(self) -> tuple[GpuKind, ...]:
        """The rows in their order."""
        return tuple(self._rows)

    def position(self, key: str) -> int:
        """Return the row of a kind, -1 when it is not there."""
        return next((n for n, row in enumerate(self._rows) if row.key == key), -1)

    def show_kinds(self, ranked: list[GpuKind]) -> None:
        """Take over a new answer; where the same rows stay in place, only changed cells are told."""
        self._ranked = ranked
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sort = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self._arrange()

    def _arrange(self) -> None:
        wanted = list(self._ranked)
        if self._sort is not None:
            column, descending = self._sort
            wanted.sort(key=lambda row: _sort_key(row, column), reverse=descending)
        cells = [_cells(row, self._facts) for row in wanted]
        if [row.key for row in wanted] == [row.key for row in self._rows]:
            before, self._rows, self._cells = self._cells, wanted, cells
            for row, (old, new) in enumerate(zip(before, cells, strict=True)):
                if old != new:
                    self.dataChanged.emit(self.index(row, 0), self.index(row, len(_TITLES) - 1))
            return
        self.beginResetModel()
        self._rows, self._cells = wanted, cells
        self.endResetModel()

    # -- Qt ---------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(_TITLES)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._cells):
            return None
        cell = self._cells[index.row()][index.column()]
        return cell.told(role)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        across = orientation == Qt.Orientation.Horizontal
        if across and role == Qt.ItemDataRole.DisplayRole and section < len(_TITLES):
            return tr(_TITLES[section])
        return None


class OffersCard(Card):
    """The table of offers of one account.

    Signals:
        deploy_asked: A voice is to be put on an offer (the `Offer`).
    """

    deploy_asked = Signal(object)

    def __init__(self, facts: ProviderFacts, rented: Rented, parent: QWidget | None = None) -> None:
        super().__init__(padding=0, gap=0, parent=parent)
        self.setAccessibleName(tr("Offers"))
        self._facts, self._rented = facts, rented
        self._name = ""
        self._chosen = ""
        px = theme().px
        head = hbox(gap=8)
        head.setContentsMargins(px(16), px(12), px(12), px(12))
        head.addWidget(label(tr("Offers"), Type.CARD_TITLE))
        self._ring = BusyRing(tr("Busy"))
        head.addWidget(self._ring)
        self._age = ElidedLabel("", Type.SMALL, Role.TEXT2)
        head.addWidget(self._age, 1)
        self.filter = Segments([tr("Fits PersonaPlex"), tr("All")], tr("Which offers"))
        self.filter.chosen.connect(lambda _index: self.ask())
        head.addWidget(self.filter)
        self.refresh = Button(kind=Kind.ICON, icon="refresh", name=tr("Ask for offers again"))
        self.refresh.clicked.connect(self.ask)
        head.addWidget(self.refresh)
        self.add(head)
        self.model = OfferRows(facts, self)
        self.table = DataTable(tr("Offers"), self.model, row_height=ROW_HEIGHT)
        self.table.setSortingEnabled(True)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.opened.connect(lambda _index: self._deploy())
        self.table.selectionModel().selectionChanged.connect(self._marked)
        self.add(self.table)
        self._empty = label("", Type.BODY, Role.TEXT2, wrap=True)
        self._empty.setContentsMargins(px(16), px(8), px(16), px(16))
        self.add(self._empty)
        foot = hbox(gap=8)
        foot.setContentsMargins(px(16), px(10), px(12), px(10))
        self._told = ElidedLabel("", Type.SMALL, Role.TEXT2)
        foot.addWidget(self._told, 1)
        self.deploy = Button(tr("Deploy…"), kind=Kind.PRIMARY, icon="deploy")
        self.deploy.clicked.connect(self._deploy)
        foot.addWidget(self.deploy)
        self.add(foot)
        rented.offers_changed.connect(self.follow)
        self._marked()

    @property
    def chosen(self) -> GpuKind | None:
        """The row that is marked."""
        place = self.model.position(self._chosen)
        return self.model.rows[place] if place >= 0 else None

    def show_account(self, name: str) -> None:
        """Show what an account offers, asked anew when the answer is old."""
        fresh = name != self._name
        self._name = name
        shelf = self._rented.shelf(name)
        if not shelf.asking and self._rented.clock() - shelf.asked >= FRESH_SECONDS:
            self.ask()
        elif fresh:
            self.follow()

    def ask(self) -> None:
        """Ask anew; what is marked stays marked."""
        if self._name:
            need = Need() if self.filter.current == 0 else ANY
            self._rented.ask_shelf(self._name, need)

    def follow(self) -> None:
        """Show the answer as it is now, and its age."""
        shelf = self._rented.shelf(self._name)
        error = shelf.failures.get(self._name)
        first = not self.model.rows
        self.model.show_kinds(kinds(shelf.offers))
        place = self.model.position(self._chosen)
        if place >= 0 and self.table.currentIndex().row() != place:
            self.table.selectRow(place)
        there = bool(self.model.rows)
        if there and first:
            self.table.fit_columns()
        self.table.setVisible(there)
        self._fit_height()
        self._ring.setVisible(shelf.asking)
        self.refresh.setEnabled(not shelf.asking)
        title = self._facts.title
        if not shelf.asked:
            self._age.setText(tr("Asking {provider}…", provider=title) if shelf.asking else "")
        else:
            passed = self._rented.clock() - shelf.asked
            self._age.setText(tr("prices and stock {read}", read=offer_words.ago(passed)))
        told = ""
        if error is not None:
            told = f"{show(error.what)} {show(error.next)}".rstrip()
        elif not there and shelf.asked:
            told = tr("{provider} has nothing that fits right now.", provider=title)
        self._empty.setText(told)
        self._empty.setVisible(bool(told))
        self._marked()

    def _fit_height(self) -> None:
        rows = min(MOST_ROWS, len(self.model.rows))
        row = self.table.verticalHeader().defaultSectionSize()
        header = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(header + rows * row + 2)

    def _marked(self) -> None:
        marked = self.table.selectionModel().selectedRows()
        if marked:
            self._chosen = self.model.rows[marked[0].row()].key
        row = self.chosen
        self.deploy.setVisible(row is not None)
        self.deploy.setEnabled(row is not None and row.stock.stock is not Stock.NONE)
        if row is None:
            self._told.setText(tr("Choose a GPU to put a voice on it.") if self.model.rows else "")
            return
        best = row.best
        price = offer_words.per_hour(best.price, estimated=best.estimated)
        self._told.setText(f"{offer_words.gpu_name(best)} · {offer_words.place_of(best)} · {price}")
        self.deploy.setAccessibleName(tr("Deploy to {name}…", name=offer_words.gpu_name(best)))

    def _deploy(self) -> None:
        row = self.chosen
        if row is not None and row.stock.stock is not Stock.NONE:
            self.deploy_asked.emit(row.best)


def _sort_key(row: GpuKind, column: int) -> tuple[object, ...]:
    best = row.best
    keys: tuple[tuple[object, ...], ...] = (
        (best.gpu.casefold(), best.memory_gb), (best.memory_gb,), (best.memory_gb,),
        (row.prices[0] if row.prices else float("inf"),),
        (_STOCKS.index(row.stock.stock),), (-len(row.offers),),
    )  # fmt: skip
    return keys[column]


def _cells(row: GpuKind, facts: ProviderFacts) -> tuple[Cell, ...]:
    best = row.best
    stock_shape, stock_word = offer_words.stock(row.stock)
    gone = row.stock.stock is Stock.NONE
    untold = tr("Not told by {provider}.", provider=facts.title)
    fit_shape, fit_word = words.fit(best.memory_gb)
    name = offer_words.gpu_name(best)
    if best.spot:
        name = f"{name} · {tr('may be taken back')}"
    tip = ""
    if best.estimated:
        tip = tr("From a price list of {date}.", date=best.price_date)
    elif not row.prices:
        tip = untold
    return (
        Cell(name, strong=True, faint=gone),
        Cell(tr("{size} GB", size=f"{best.memory_gb:g}"), faint=gone),
        Cell(fit_word, shape=fit_shape),
        Cell(_price(row), tip=tip, strong=True, faint=gone),
        Cell(stock_word, tip=untold if row.stock.stock is Stock.UNKNOWN else "", shape=stock_shape),
        Cell(_regions(row), tip="\n".join(_places(row)), faint=gone),
    )  # fmt: skip


def _price(row: GpuKind) -> str:
    if not row.prices:
        return tr("not told")
    least = offer_words.per_hour(row.prices[0], estimated=row.best.estimated)
    if len(row.prices) == 1:
        return least
    return tr("from {price}", price=least)


def _places(row: GpuKind) -> list[str]:
    return list(
        dict.fromkeys(
            offer_words.place_of(each) for each in row.offers if each.stock is not Stock.NONE
        )
    )


def _regions(row: GpuKind) -> str:
    places = _places(row)
    if not places:
        return tr("none now")
    if len(places) > NAMED_REGIONS:
        return trn("{n} region", "{n} regions", len(places))
    return " · ".join(places)
