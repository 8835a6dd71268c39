"""Home: are my lines up, and what do they cost. Without a line it is the first start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QPushButton, QStackedLayout, QWidget

from personadesk.ui.home.first_start import FirstStart
from personadesk.ui.home.line_card import LineCard
from personadesk.ui.i18n import language, tr
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.theme import theme
from personadesk.ui.widgets import (
    Button,
    Card,
    DecisionRow,
    FigureStrip,
    Kind,
    clear_layout,
    vbox,
)

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from personadesk.ui.home.model import Decided, HomeModel

__all__ = ["HomePage"]

TWO_COLUMNS_FROM = 820
MINUTE_MS = 60_000


class HomePage(Page):
    """The page; it follows its model."""

    def __init__(self, model: HomeModel, parent: QWidget | None = None) -> None:
        """Make the page.

        Args:
            model: What to show; it is also told what the user asks for.
        """
        super().__init__(parent)
        self._model = model
        model.sort_again()
        self._new_line = Button(tr("New line"), kind=Kind.PRIMARY, icon="plus", parent=self)
        self._new_line.hide()
        self._new_line.clicked.connect(model.new_line_asked)
        self._cards: dict[str, LineCard] = {}
        self._columns = 0
        self._shown: tuple[Decided, ...] = ()
        self._first = FirstStart(model.view.computer, rehearsal=model.rehearsal)
        self._first.try_here_asked.connect(model.try_here_asked)
        self._first.rent_asked.connect(model.rent_asked)
        self._first.use_machine_asked.connect(model.use_machine_asked)
        self._first.rehearse_asked.connect(model.rehearse_asked)
        self._first.look_chosen.connect(self.look_asked)
        self._first.language_chosen.connect(self.language_asked)
        self._views = QStackedLayout(self)
        self._views.addWidget(scrolled(self._first))
        # The sub-line holds the time of day.
        self._minute = QTimer(self)
        self._minute.setInterval(MINUTE_MS)
        self._minute.timeout.connect(self.title_changed)
        model.changed.connect(self._follow)
        self._follow()

    @property
    def title(self) -> str:
        return tr("Home")

    @property
    def subtitle(self) -> str:
        if not self._model.view.lines:
            return tr("No lines yet")
        now = language().locale.toString(QDateTime.currentDateTime(), "dddd d MMMM, HH:mm")
        return now[:1].upper() + now[1:]

    @property
    def primary_action(self) -> QPushButton | None:
        return self._new_line if self._model.view.lines else None

    def focus_first(self) -> None:
        """Put the keyboard on the first card."""
        lines = self._model.ordered()
        if lines:
            self._cards[lines[0].name].focus_first()
        else:
            self._first.card.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        self._minute.start()

    def left(self) -> None:
        self._minute.stop()

    def card(self, name: str) -> LineCard:
        """Return the card of a line."""
        return self._cards[name]

    @property
    def first_start(self) -> FirstStart:
        """The view that shows while there is no line."""
        return self._first

    def _make_lines(self) -> QWidget:
        content = QWidget()
        column = vbox(content, gap=16)
        px = theme().px
        column.setContentsMargins(px(24), px(18), px(24), px(20))
        column.addWidget(self._make_strip())
        self._grid = QGridLayout()
        self._grid.setSpacing(px(16))
        column.addLayout(self._grid)
        self._decided = Card(tr("What the guardian did, and why"), padding=18, gap=10)
        self._decisions = vbox(gap=10)
        self._decided.add(self._decisions)
        column.addWidget(self._decided)
        column.addStretch(1)
        return content

    def _make_strip(self) -> FigureStrip:
        self._strip = FigureStrip((tr("Lines up"), tr("Costs now"), tr("Today")))
        self.money = Button(tr("Money"), kind=Kind.LINK, name=tr("What costs money, in full"))
        self.money.clicked.connect(self._model.money_asked)
        self._strip.add_beside(self.money)
        return self._strip

    def _follow(self) -> None:
        view = self._model.view
        self._first.set_computer(view.computer)
        if view.lines and not self._has_lines:
            # Not before there is a line: the window's first paint, which knows of none yet, is quicker so.
            self._views.addWidget(scrolled(self._make_lines()))
        if self._has_lines:
            self._follow_lines()
        self._views.setCurrentIndex(1 if view.lines else 0)
        self.title_changed.emit()

    @property
    def _has_lines(self) -> bool:
        """Whether the view of the lines was made."""
        return self._views.count() > 1

    def _follow_lines(self) -> None:
        view = self._model.view
        self._strip.show_values(
            ((view.up, view.up_note), (view.now, view.now_note), (view.today, view.today_note))
        )
        lines = self._model.ordered()
        names = [line.name for line in lines]
        placed = list(self._cards)
        for name in placed:
            if name not in names:
                gone = self._cards.pop(name)
                self._grid.removeWidget(gone)
                gone.hide()
                gone.deleteLater()
        for line in lines:
            if line.name in self._cards:
                self._cards[line.name].show_line(line)
            else:
                card = LineCard(line)
                card.asked.connect(self._model.asked)
                self._cards[line.name] = card
        if names != placed:
            self._place()
        self._follow_decided()

    def _follow_decided(self) -> None:
        decided = self._model.view.decided
        self._decided.setVisible(bool(decided))
        if decided == self._shown:
            return
        self._shown = decided
        clear_layout(self._decisions)
        for each in decided:
            self._decisions.addWidget(DecisionRow(each.shape, each.what, each.why, short=True))

    def _place(self) -> None:
        self._columns = self._wanted_columns()
        for card in self._cards.values():
            self._grid.removeWidget(card)
        for index, line in enumerate(self._model.ordered()):
            row, column = divmod(index, self._columns)
            self._grid.addWidget(self._cards[line.name], row, column)
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < self._columns else 0)

    def _wanted_columns(self) -> int:
        return 2 if self.width() >= theme().px(TWO_COLUMNS_FROM) else 1

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._first.fit_height(self.height())
        if self._has_lines and self._columns != self._wanted_columns():
            self._place()
