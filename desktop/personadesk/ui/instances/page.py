"""The page of all machines: filters, the table, what is billed without a line, and the details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QSplitter, QWidget

from personadesk.deploy.rented.money import MoneyService
from personadesk.domain.machine import Action, Machine
from personadesk.domain.proof import Left
from personadesk.ui.i18n import tr, trn
from personadesk.ui.instances import words
from personadesk.ui.instances.details import DetailsPane
from personadesk.ui.instances.figures import Figures
from personadesk.ui.instances.questions import ask_action
from personadesk.ui.instances.rows import COLUMNS, STATES, TITLES, Column, Filter, rows_of
from personadesk.ui.instances.sight import Sight
from personadesk.ui.instances.strip import Notices
from personadesk.ui.instances.table import InstanceTable
from personadesk.ui.shell.pages import Page
from personadesk.ui.spending.words import left
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    ElidedLabel,
    IconLabel,
    Kind,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.data_table import DataTable
from personadesk.ui.widgets.spark import SparkDelegate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.instances.rows import Row
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.rented.model import Rented

__all__ = ["InstancesPage"]

TICK_MS = 30_000
"""How often the cells that say how long are told; what else changes is told at once."""


class InstancesPage(Page):
    """The page; it follows the fleet.

    Signals:
        deploy_asked: A new machine is wanted.
        accounts_asked: The accounts are wanted.
        detach_asked: A machine's graphs are wanted in a window of their own (the machine).
    """

    deploy_asked = Signal()
    accounts_asked = Signal()
    detach_asked = Signal(object)

    def __init__(
        self, rented: Rented, watch: Watch | None = None, parent: QWidget | None = None
    ) -> None:
        """Make the page.

        Args:
            rented: What is known of machines; it outlives the page.
            watch: What is measured of them; without it there are no graphs.
        """
        super().__init__(parent)
        self._rented = rented
        self._deploy = Button(tr("Deploy"), kind=Kind.PRIMARY, icon="plus", parent=self)
        self._deploy.hide()
        self._deploy.clicked.connect(self.deploy_asked)
        figures = Figures(watch) if watch is not None else None
        self.model = InstanceTable(clock=rented.clock, figures=figures, parent=self)
        px = theme().px
        outer = vbox(self, gap=12)
        outer.setContentsMargins(px(24), px(14), px(24), px(16))
        outer.addLayout(self._make_filters())
        self._notices = Notices(rented)
        self._notices.end_asked.connect(lambda machine: self._ask([machine], Action.END))
        outer.addWidget(self._notices)
        self._empty = self._make_empty()
        outer.addWidget(self._empty, 1)
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(px(8))
        frame = Card(padding=0, gap=0)
        self.table = DataTable(tr("Machines"), self.model, several=True)
        self.table.setItemDelegate(SparkDelegate(self.table))
        if watch is not None:
            self._sight = Sight(watch, self.table, self.model)
        self.table.setSortingEnabled(True)
        self.table.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.opened.connect(self._open)
        self.table.left.connect(self._close_details)
        self.table.selectionModel().selectionChanged.connect(self._marked)
        frame.add(self.table)
        self._split.addWidget(frame)
        self.details = DetailsPane(rented, watch)
        self.details.closed.connect(self._close_details)
        self.details.detach_asked.connect(self.detach_asked)
        self.details.action_asked.connect(lambda machine, action: self._ask([machine], action))
        self._split.addWidget(self.details)
        self.details.hide()
        self._shared = False
        self._split.setStretchFactor(0, 1)
        self._split.setStretchFactor(1, 2)
        outer.addWidget(self._split, 1)
        outer.addLayout(self._make_foot())
        self._left = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self._left.setObjectName("what-is-left")
        outer.addWidget(self._left)
        menu_key = QShortcut(QKeySequence("Shift+F10"), self.table)
        menu_key.setContext(Qt.ShortcutContext.WidgetShortcut)
        menu_key.activated.connect(self._menu_by_key)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.table)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(lambda: self._ask(self.marked(), Action.END))
        self._clock = QTimer(self)
        self._clock.setInterval(TICK_MS)
        self._clock.timeout.connect(self.model.tick)
        rented.fleet_changed.connect(self._follow)
        rented.accounts_changed.connect(self._follow)
        self.model.shown_changed.connect(self._tell_sum)
        self._follow()
        self.table.fit_columns()

    @property
    def title(self) -> str:
        return tr("Instances")

    @property
    def subtitle(self) -> str:
        return tr("Every machine in all your accounts")

    @property
    def primary_action(self) -> QPushButton | None:
        return self._deploy if self._rented.accounts else None

    def entered(self) -> None:
        self._clock.start()
        self._rented.look_now()

    def left(self) -> None:
        self._clock.stop()

    def focus_first(self) -> None:
        """Put the keyboard on the table, or on the way to begin."""
        wanted: QWidget = self.table if self.model.all() else self._begin
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)

    def marked(self) -> list[Machine]:
        """Return the machines that are marked, in the table's order."""
        rows = (self.model.row_at(index) for index in self.table.selectionModel().selectedRows())
        return [row.machine for row in rows if row is not None]

    def choose(self, key: str) -> None:
        """Mark one machine and show its details."""
        place = self.model.position(key)
        if place >= 0:
            self.table.selectRow(place)
            self._open(self.model.index(place, 0))

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_filters(self) -> QHBoxLayout:
        row = hbox(gap=8)
        self._account = ComboBox(tr("Account"))
        self._state = ComboBox(tr("State"))
        self._line = ComboBox(tr("Line"))
        for box in (self._account, self._state, self._line):
            box.currentIndexChanged.connect(self._filter)
            row.addWidget(box)
        self._search = QLineEdit()
        self._search.setPlaceholderText(tr("Filter machines"))
        self._search.setAccessibleName(tr("Filter machines"))
        self._search.setClearButtonEnabled(True)
        self._search.setMaximumWidth(theme().px(240))
        self._search.setMinimumWidth(theme().px(120))
        self._search.textChanged.connect(self._filter)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.activated.connect(self._search.setFocus)
        row.addWidget(self._search, 1)
        self._sum = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._sum.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._sum, 2)
        self._columns = Button(tr("Columns"), icon="filter")
        menu = QMenu(self._columns)
        self._column_actions: dict[Column, QAction] = {}
        for column in Column:
            if column is Column.MACHINE:
                continue
            action = menu.addAction(tr(TITLES[column]))
            action.setCheckable(True)
            action.setChecked(column in COLUMNS)
            action.toggled.connect(self._choose_columns)
            self._column_actions[column] = action
        self._columns.setMenu(menu)
        row.addWidget(self._columns)
        return row

    def _make_empty(self) -> Card:
        card = Card(padding=24, gap=12)
        head = hbox(gap=14)
        head.addWidget(
            IconLabel("instances", 30, Role.ACCENT_TEXT), alignment=Qt.AlignmentFlag.AlignTop
        )
        told = vbox(gap=4)
        self._empty_title = label("", Type.HEADING, wrap=True)
        self._empty_text = label("", Type.BODY, Role.TEXT2, wrap=True)
        told.addWidget(self._empty_title)
        told.addWidget(self._empty_text)
        head.addLayout(told, 1)
        card.add(head)
        row = hbox()
        self._begin = Button(tr("Add account"), kind=Kind.PRIMARY, icon="plus")
        self._begin.clicked.connect(self._begin_asked)
        row.addWidget(self._begin)
        row.addStretch(1)
        card.add(row)
        card.column.addStretch(1)
        return card

    def _make_foot(self) -> QHBoxLayout:
        row = hbox(gap=8)
        self._chosen_text = ElidedLabel("", Type.SMALL, Role.TEXT2)
        row.addWidget(self._chosen_text, 1)
        self._actions: dict[Action, Button] = {}
        for action in (Action.START, Action.RESTART, Action.STOP, Action.END):
            kind = Kind.DANGER_OUTLINE if action is Action.END else Kind.PLAIN
            button = Button(words.verb(action), kind=kind)
            button.clicked.connect(
                lambda _on=False, action=action: self._ask(self.marked(), action)
            )
            button.hide()
            self._actions[action] = button
            row.addWidget(button)
        return row

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        view = self._rented.view
        self.model.show_rows(rows_of(view, self._rented.today_by_machine()))
        self._fill_filters()
        there = bool(self.model.all())
        self._split.setVisible(there)
        self._empty.setVisible(not there)
        has_accounts = bool(self._rented.accounts)
        self._empty_title.setText(tr("No machines") if has_accounts else tr("No account yet"))
        self._empty_text.setText(
            (
                tr("Nothing shows in your accounts. What their providers say stands below.")
                if view.accounts
                else tr("Your accounts are being asked.")
            )
            if has_accounts
            else tr(
                "Add an account at a provider; every machine in it then shows here, yours and others."
            )
        )
        self._begin.setText(tr("Deploy") if has_accounts else tr("Add account"))
        self._notices.follow()
        self._tell_left()
        self._tell_sum()
        self._marked()
        if not self.details.isHidden():
            self.details.follow()
        self.title_changed.emit()

    def _tell_left(self) -> None:
        """Say of which accounts the provider confirms that nothing of ours runs, and of which nobody can say."""
        view = self._rented.view
        proofs = [p for p in MoneyService.proofs(view) if p.left is not Left.RUNNING]
        told = [left(each) for each in proofs if view.accounts[each.account].error is None]
        self._left.setText("\n".join(f"{text} ({when})" for _, text, when in told))
        self._left.setVisible(bool(told))

    def _fill_filters(self) -> None:
        rows = self.model.all()
        accounts = sorted({row.machine.account for row in rows})
        states = [state for state in STATES if any(row.machine.state is state for row in rows)]
        lines = sorted({row.line for row in rows if row.line})
        _refill(self._account, [(tr("All accounts"), ""), *((name, name) for name in accounts)])
        named = [(tr(STATES[state][1]), str(state)) for state in states]
        _refill(self._state, [(tr("All states"), ""), *named])
        without = [(tr("Without a line"), Filter.NO_LINE)] if rows else []
        _refill(self._line, [(tr("All lines"), ""), *((name, name) for name in lines), *without])

    def _tell_sum(self) -> None:
        shown = self.model.shown()
        now = sum(row.machine.price or 0.0 for row in shown)
        today = sum(row.today or 0.0 for row in shown)
        self._sum.setText(words.sum_of(len(shown), now, today))

    def _marked(self) -> None:
        machines = self.marked()
        # The pane has the buttons of the one that it shows.
        alone = len(machines) == 1 and not self.details.isHidden()
        allowed = [] if alone else words.allowed(machines)
        for action, button in self._actions.items():
            button.setVisible(action in allowed)
            button.setAccessibleName(
                words.named_verb(action, machines[0]) if len(machines) == 1 else words.verb(action)
            )
        if len(machines) > 1:
            self._chosen_text.setText(
                trn("{n} machine marked", "{n} machines marked", len(machines))
            )
        else:
            shown = machines and not alone
            self._chosen_text.setText(machines[0].name or machines[0].id if shown else "")
        if len(machines) == 1 and not self.details.isHidden():
            self.details.show_machine(machines[0])

    # -- deeds ------------------------------------------------------------------------------------------------

    def _filter(self) -> None:
        self.model.set_filter(
            Filter(
                account=self._account.currentData() or "",
                state=self._state.currentData() or "",
                line=self._line.currentData() or "",
                text=self._search.text(),
            )
        )

    def _choose_columns(self) -> None:
        wanted = [column for column, action in self._column_actions.items() if action.isChecked()]
        self.model.set_columns(wanted)
        self.table.fit_columns()

    def _begin_asked(self) -> None:
        (self.deploy_asked if self._rented.accounts else self.accounts_asked).emit()

    def _open(self, index: QModelIndex) -> None:
        row: Row | None = self.model.row_at(index)
        if row is not None:
            self.details.show_machine(row.machine)
            if self.details.isHidden():
                self.details.show()
                if not self._shared:
                    # The graphs want more height than some rows of the table do.
                    self._shared = True
                    height = self._split.height()
                    self._split.setSizes([height // 3, height * 2 // 3])
            self.table.scrollTo(index)
            self._marked()

    def _close_details(self) -> None:
        self.details.hide()
        self._marked()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_menu(self, where: QPoint) -> None:
        machines = self.marked()
        if not machines:
            return
        menu = QMenu(self.table)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Details")).triggered.connect(
            lambda: self._open(self.table.currentIndex())
        )
        allowed = words.allowed(machines)
        if allowed:
            menu.addSeparator()
        for action in allowed:
            menu.addAction(words.verb(action)).triggered.connect(
                lambda _on=False, action=action: self._ask(machines, action)
            )
        menu.popup(self.table.viewport().mapToGlobal(where))

    def _menu_by_key(self) -> None:
        index = self.table.currentIndex()
        if index.isValid():
            self._show_menu(self.table.visualRect(index).bottomLeft())

    def _ask(self, machines: Sequence[Machine], action: Action) -> None:
        fit = [each for each in machines if action in each.actions]
        if fit:
            ask_action(self, fit, action, lambda: self._rented.act(fit, action))


def _refill(box: ComboBox, wanted: list[tuple[str, str]]) -> None:
    """Offer these choices; the chosen one stays chosen while it is there."""
    have = [(box.itemText(n), box.itemData(n)) for n in range(box.count())]
    if have == wanted:
        return
    chosen = box.currentData()
    box.blockSignals(True)
    box.clear()
    for text, value in wanted:
        box.addItem(text, value)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(False)
    if box.currentData() != chosen and chosen is not None:
        box.currentIndexChanged.emit(box.currentIndex())
