"""The money page: what costs now, was spent and will be; budgets; who costs what; elsewhere; and what is left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from personadesk.domain import money
from personadesk.ui.i18n import show, tr
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.spending import tables, words
from personadesk.ui.spending.budget_card import BudgetCard
from personadesk.ui.spending.chart import DayBars
from personadesk.ui.spending.rows import LeftRow
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    FigureStrip,
    Segments,
    Size,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.cell_table import CellTable
from personadesk.ui.widgets.data_table import DataTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.proof import Proof
    from personadesk.domain.statement import Money
    from personadesk.ui.spending.model import Purse

__all__ = ["MoneyPage"]

MOST_ROWS = 8


class MoneyPage(Page):
    """The page; it follows the purse."""

    def __init__(
        self, purse: Purse, lines: Callable[[], Sequence[str]], parent: QWidget | None = None
    ) -> None:
        """Make the page.

        Args:
            purse: What is known of money; it outlives the page.
            lines: Returns the names of all lines.
        """
        super().__init__(parent)
        self._purse = purse
        self._lines = lines
        self._proofs: tuple[Proof, ...] | None = None
        self.export = Button(tr("Export CSV…"), icon="download", parent=self)
        self.export.hide()
        self.export.clicked.connect(self._ask_where)
        content = QWidget()
        column = vbox(content, gap=16)
        px = theme().px
        column.setContentsMargins(px(24), px(18), px(24), px(20))
        column.addWidget(self._make_strip())
        self.budgets = BudgetCard(purse, lines)
        column.addLayout(self._side_by_side(self._make_chart(), self.budgets))
        column.addWidget(self._make_shares())
        column.addWidget(self._make_left())
        column.addWidget(self._make_places())
        column.addStretch(1)
        vbox(self).addWidget(scrolled(content))
        purse.changed.connect(self.follow)
        purse.places_changed.connect(self._follow_places)
        self.follow()
        self._follow_places()

    @property
    def title(self) -> str:
        return tr("Money")

    @property
    def subtitle(self) -> str:
        return tr("What it costs, what it may cost, and what is left. All in US dollars.")

    @property
    def primary_action(self) -> QPushButton | None:
        return self.export

    def entered(self) -> None:
        self._purse.look()

    # -- parts ------------------------------------------------------------------------------------------------

    @staticmethod
    def _side_by_side(*cards: QWidget) -> QHBoxLayout:
        row = hbox(gap=16)
        for card in cards:
            row.addWidget(card, 1)
        return row

    def _make_strip(self) -> Card:
        px = theme().px
        strip = self._strip = FigureStrip(
            (tr("Costs now"), tr("Today"), tr("This month"), tr("At the month’s end"))
        )
        self._explained = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self._explained.setContentsMargins(px(20), 0, px(20), px(14))
        strip.add(self._explained)
        return strip

    def _make_chart(self) -> Card:
        card = Card(tr("Cost per day"), padding=16, gap=8)
        self.bars = DayBars()
        card.add(self.bars, 1)
        card.add(
            label(
                tr("Hatched: an estimate, because nobody looked or the price is from a table."),
                Type.SMALL, Role.TEXT3, wrap=True,
            )
        )  # fmt: skip
        return card

    def _make_shares(self) -> Card:
        card = Card(tr("Who costs what"), padding=16, gap=10)
        texts = (tr("By line"), tr("By account"), tr("By kind"), tr("Each thing"))
        self.by = Segments(texts, tr("Sum up"))
        self.by.chosen.connect(lambda _index: self._follow_shares())
        card.add_to_head(self.by)
        self.shares = CellTable(tables.share_titles(tables.BY[0]), self)
        self.shares_table = DataTable(tr("Who costs what"), self.shares)
        card.add(self.shares_table)
        return card

    def _make_left(self) -> Card:
        card = Card(tr("What is left"), padding=16, gap=10)
        self.check = Button(tr("Ask the providers now"), size=Size.SMALL, icon="refresh")
        self.check.clicked.connect(self._purse.check)
        card.add_to_head(self.check)
        self._left = vbox(gap=8)
        self._left_rows: list[LeftRow] = []
        self._none_left = label(tr("No account yet, so nothing is rented."), Type.BODY, Role.TEXT2)
        self._left.addWidget(self._none_left)
        card.add(self._left)
        return card

    def _make_places(self) -> Card:
        card = Card(tr("What the same would cost elsewhere"), padding=16, gap=10)
        self.line = ComboBox(tr("Compare with"))
        card.add_to_head(self.line)
        self.ask = Button(tr("Ask for offers"), size=Size.SMALL, icon="compare")
        self.ask.clicked.connect(lambda: self._purse.ask_places(self.line.currentData() or ""))
        card.add_to_head(self.ask)
        self._here = label("", Type.BODY, Role.TEXT2, wrap=True)
        card.add(self._here)
        self.places = CellTable(tables.places_titles(), self)
        self.places_table = DataTable(tr("What the same would cost elsewhere"), self.places)
        card.add(self.places_table)
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Show the sums as they are now."""
        found = self._purse.found
        if found is not None:
            self._follow_strip(found)
            self.bars.show_days(found.days)
            self._follow_left(found.proofs)
        self._follow_shares()
        self._fill_lines()
        self.check.setEnabled(not self._purse.checking)

    def _follow_strip(self, found: Money) -> None:
        whole = found.all
        kinds = [
            f"{tr(words.KINDS[money.Kind(each.name)])}: {words.hourly(each.rate)}"
            for each in tables.in_order(found.kinds)
            if each.rate.dollars or each.rate.untold
        ]
        told = (
            (words.known_rate(whole.rate), words.unpriced(whole.rate) or tr("of all accounts")),
            (words.known(whole.today), words.untold(whole.today) or tr("of all accounts")),
            (words.known(whole.month), words.untold(whole.month) or tr("since the first")),
            (words.known(found.forecast.amount), tr("a forecast")),
        )
        self._strip.show_values(told)
        now = " · ".join(kinds) or tr("Nothing costs money")
        how = tr("Forecast: {how}", how=show(found.forecast.how))
        self._explained.setText(f"{now}\n{how}")

    def _follow_shares(self) -> None:
        by = tables.BY[self.by.current]
        rows = tables.share_rows(self._purse.found, by)
        if self.shares.show_rows(tables.share_titles(by), rows):
            _fit(self.shares_table, len(rows))

    def _follow_left(self, proofs: tuple[Proof, ...]) -> None:
        if proofs == self._proofs:
            return
        self._proofs = proofs
        self._none_left.setVisible(not proofs)
        while len(self._left_rows) > len(proofs):
            gone = self._left_rows.pop()
            gone.hide()
            gone.deleteLater()
        for index, each in enumerate(proofs):
            if index < len(self._left_rows):
                self._left_rows[index].show_proof(each)
            else:
                self._left_rows.append(LeftRow(each))
                self._left.addWidget(self._left_rows[-1])

    def _fill_lines(self) -> None:
        names = ["", *self._lines()]
        if [self.line.itemData(n) for n in range(self.line.count())] == names:
            return
        chosen = self.line.currentData()
        self.line.clear()
        for name in names:
            self.line.addItem(name or tr("Whatever runs now"), name)
        self.line.setCurrentIndex(max(0, self.line.findData(chosen)))

    def _follow_places(self) -> None:
        places = self._purse.places
        self.ask.setEnabled(not places.asking)
        rows = tables.places_rows(places.found, self._purse.clock())
        if self.places.show_rows(tables.places_titles(), rows):
            _fit(self.places_table, len(rows))
        self.places_table.setVisible(places.found is not None)
        if places.asking:
            self._here.setText(tr("Asking all accounts…"))
        elif places.found is None:
            self._here.setText(
                tr("Live offers of all your accounts, and a dated table where you have none.")
            )
        elif places.found.here is None:
            self._here.setText(tr("Nothing is rented now, so there is nothing to compare with."))
        else:
            price = tr("{price} /h", price=words.fine_price(places.found.here))
            silent = ", ".join(places.found.failures)
            here = tr("Now it costs {price} while it runs. A month is 730 hours.", price=price)
            missing = tr("Not asked: {names}.", names=silent) if silent else ""
            self._here.setText(f"{here} {missing}".strip())

    # -- export -----------------------------------------------------------------------------------------------

    def _ask_where(self) -> None:
        dialog = QFileDialog(self, tr("Where shall the costs go?"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.selectFile("personadesk-costs.csv")
        dialog.fileSelected.connect(lambda chosen: self.export_to(Path(chosen)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export_to(self, file: Path) -> None:
        """Write the last twelve months into a file, and say where it is."""
        today = money.day_of(self._purse.clock())
        self._purse.export(today - timedelta(days=365), today, file)


def _fit(table: DataTable, rows: int) -> None:
    """Make a table as high as its rows, up to a few; the page scrolls, not the table."""
    table.fit_columns()
    each = table.verticalHeader().defaultSectionSize()
    head = table.horizontalHeader().sizeHint().height()
    table.setFixedHeight(head + each * max(1, min(rows, MOST_ROWS)) + 2)
