"""Accounts: a tab for one's own machines, and one a provider; connected ones first, then the most promising."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QStackedWidget, QTabBar, QWidget

from personadesk.domain.provider import by_promise
from personadesk.ui.accounts import words
from personadesk.ui.accounts.compare import CompareDialog
from personadesk.ui.accounts.provider_tab import ProviderTab
from personadesk.ui.i18n import tr
from personadesk.ui.servers.page import ServersPage
from personadesk.ui.shell.pages import Page
from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets import Shape, hbox, paint_shape, vbox

if TYPE_CHECKING:
    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.rented.model import Rented
    from personadesk.ui.servers.model import Machines

__all__ = ["SERVERS", "AccountsPage"]

SERVERS = ""
"""Instead of a provider's id: the tab of one's own machines."""
ICON = 16


class AccountsPage(Page):
    """The page; each tab is made when it is first shown.

    Attributes:
        servers: The tab of one's own machines.

    Signals:
        deploy_asked: Put a voice on a machine of one's own (its name).
        rent_asked: Put a voice on an offer (the `Offer`).
        machine_asked: Details of a rented machine are wanted (its key).
    """

    deploy_asked = Signal(str)
    rent_asked = Signal(object)
    machine_asked = Signal(str)

    def __init__(self, machines: Machines, rented: Rented, parent: QWidget | None = None) -> None:
        """Make the page.

        Args:
            machines: What is known of one's own machines.
            rented: What is known of accounts. Both outlive the page.
        """
        super().__init__(parent)
        self._machines, self._rented = machines, rented
        self._shows = False
        self._facts = {each.id: each for each in rented.providers()}
        self._order: list[str] = []
        self._marks: dict[str, tuple[Shape, str]] = {}
        self._made: dict[str, ProviderTab] = {}
        self.servers = ServersPage(machines)
        self.servers.deploy_asked.connect(self.deploy_asked)
        self.servers.title_changed.connect(self.title_changed)
        px = theme().px
        self.tabs = QTabBar()
        self.tabs.setProperty("many", True)
        self.tabs.setAccessibleName(tr("Accounts"))
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self.tabs.setIconSize(QSize(px(ICON), px(ICON)))
        bar = hbox()
        bar.setContentsMargins(px(16), px(6), px(24), 0)
        bar.addWidget(self.tabs, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.servers)
        column = vbox(self)
        column.addLayout(bar)
        column.addWidget(self._stack, 1)
        self._chosen = SERVERS
        self._arrange()
        self._chosen = self._first()
        self._show_chosen()
        self.tabs.currentChanged.connect(self._turned)
        rented.accounts_changed.connect(self._follow)
        machines.changed.connect(self._follow)
        theme().theme_changed.connect(self._redraw)

    @property
    def title(self) -> str:
        return self.current.title

    @property
    def subtitle(self) -> str:
        return self.current.subtitle

    @property
    def primary_action(self) -> QWidget | None:
        return self.current.primary_action

    @property
    def current(self) -> Page:
        """The tab that shows."""
        return self.servers if self._chosen == SERVERS else self.tab(self._chosen)

    @property
    def chosen(self) -> str:
        """Id of the provider whose tab shows, `SERVERS` for one's own machines."""
        return self._chosen

    def tab(self, provider_id: str) -> ProviderTab:
        """Return the tab of a provider."""
        if provider_id not in self._made:
            made = ProviderTab(self._facts[provider_id], self._rented)
            made.deploy_asked.connect(self.rent_asked)
            made.machine_asked.connect(self.machine_asked)
            made.compare_asked.connect(self.compare)
            made.title_changed.connect(self.title_changed)
            self._made[provider_id] = made
            self._stack.addWidget(made)
        return self._made[provider_id]

    def choose(self, provider_id: str) -> None:
        """Show a tab."""
        self.tabs.setCurrentIndex(self._order.index(provider_id))

    def focus_first(self) -> None:
        self.current.focus_first()

    def entered(self) -> None:
        self._shows = True
        self.current.entered()

    def left(self) -> None:
        self._shows = False
        self.current.left()

    def compare(self) -> None:
        """Open the table of all providers."""
        ranked = by_promise(self._facts.values())
        dialog = CompareDialog(self.window(), ranked)
        dialog.chosen.connect(self.choose)
        dialog.open()

    # -- showing ----------------------------------------------------------------------------------------------

    def _first(self) -> str:
        """Return the tab to begin with: what is connected, else the most promising."""
        connected = [each for each in self._order if self._is_connected(each)]
        if connected:
            return connected[0]
        return SERVERS if self._machines.all else self._order[1]

    def _is_connected(self, provider_id: str) -> bool:
        return provider_id != SERVERS and bool(self._rented.of_provider(provider_id))

    def _ranked(self) -> list[str]:
        def rank(facts: ProviderFacts) -> tuple[bool, bool, float]:
            return (not self._is_connected(facts.id), facts.fading, -facts.answers.score())

        return [SERVERS, *(each.id for each in sorted(self._facts.values(), key=rank))]

    def _arrange(self) -> None:
        """Put the tabs in their order; the one that shows stays."""
        self._order = self._ranked()
        self.tabs.blockSignals(True)
        while self.tabs.count():
            self.tabs.removeTab(0)
        for each in self._order:
            self.tabs.addTab(self._name(each))
        self.tabs.setCurrentIndex(self._order.index(self._chosen))
        self.tabs.blockSignals(False)
        self._marks.clear()
        self._mark()

    def _follow(self) -> None:
        if self._ranked() != self._order:
            self._arrange()
        self._mark()
        self.title_changed.emit()

    def _redraw(self) -> None:
        self._marks.clear()
        self._mark()

    def _mark(self) -> None:
        """Give each tab the shape of how its accounts stand."""
        for index, each in enumerate(self._order):
            if each == SERVERS:
                there = bool(self._machines.all)
                mark = (Shape.OK, tr("Connected")) if there else words.worst(())
            else:
                mark = words.worst(self._rented.of_provider(each))
            if self._marks.get(each) == mark:
                continue
            self._marks[each] = mark
            self.tabs.setTabIcon(index, self._icon(mark[0]))
            self.tabs.setTabToolTip(index, f"{self._title(each)}: {mark[1]}")
            self.tabs.setAccessibleTabName(index, f"{self._title(each)}, {mark[1]}")

    def _title(self, provider_id: str) -> str:
        return tr("My servers") if provider_id == SERVERS else self._facts[provider_id].title

    def _name(self, provider_id: str) -> str:
        """Return what stands on a tab: short, so that all of them are seen at once in a narrow window."""
        facts = self._facts.get(provider_id)
        return (facts and facts.short) or self._title(provider_id)

    def _icon(self, shape: Shape) -> QIcon:
        size, ratio = theme().px(ICON), self.devicePixelRatioF()
        drawn = QPixmap(round(size * ratio), round(size * ratio))
        drawn.setDevicePixelRatio(ratio)
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        paint_shape(painter, QRectF(1, 1, size - 2, size - 2), shape, ground=Role.WINDOW)
        painter.end()
        return QIcon(drawn)

    def _turned(self, index: int) -> None:
        if not 0 <= index < len(self._order) or self._order[index] == self._chosen:
            return
        if self._shows:
            self.current.left()
        self._chosen = self._order[index]
        self._show_chosen()
        if self._shows:
            self.current.entered()
        self.title_changed.emit()

    def _show_chosen(self) -> None:
        self._stack.setCurrentWidget(self.current)
        self.tabs.blockSignals(True)
        self.tabs.setCurrentIndex(self._order.index(self._chosen))
        self.tabs.blockSignals(False)
