"""The machines of one account, ours and others, with what may be done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from personadesk.domain.machine import Action
from personadesk.ui.i18n import tr
from personadesk.ui.instances import words
from personadesk.ui.instances.questions import ask_action
from personadesk.ui.instances.rows import Column, rows_of
from personadesk.ui.instances.table import InstanceTable
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, Card, ElidedLabel, Kind, hbox, label
from personadesk.ui.widgets.data_table import DataTable

if TYPE_CHECKING:
    from personadesk.domain.machine import Machine
    from personadesk.ui.rented.model import Rented

__all__ = ["MachinesCard"]

MOST_ROWS = 7
_COLUMNS = (
    Column.MACHINE, Column.STATE, Column.GPU, Column.WHERE, Column.PRICE, Column.TODAY, Column.AGE,
)  # fmt: skip


class MachinesCard(Card):
    """The table.

    Signals:
        opened: Details of a machine are wanted (its key).
    """

    opened = Signal(str)

    def __init__(self, rented: Rented, parent: QWidget | None = None) -> None:
        super().__init__(padding=0, gap=0, parent=parent)
        self.setAccessibleName(tr("Machines in this account"))
        self._rented = rented
        self._name = ""
        px = theme().px
        head = hbox(gap=8)
        head.setContentsMargins(px(16), px(12), px(16), px(12))
        head.addWidget(label(tr("Machines in this account"), Type.CARD_TITLE))
        self._sum = ElidedLabel("", Type.SMALL, Role.TEXT2)
        head.addStretch(1)
        head.addWidget(self._sum)
        self.add(head)
        self.model = InstanceTable(clock=rented.clock, parent=self)
        self.model.set_columns(_COLUMNS)
        self.table = DataTable(tr("Machines in this account"), self.model)
        self.table.setSortingEnabled(True)
        self.table.opened.connect(self._open)
        self.table.selectionModel().selectionChanged.connect(self._marked)
        self.add(self.table)
        self._empty = label(
            tr("Nothing runs in this account, so nothing is billed."),
            Type.BODY, Role.TEXT2, wrap=True,
        )  # fmt: skip
        self._empty.setContentsMargins(px(16), px(4), px(16), px(16))
        self.add(self._empty)
        self._foot = QWidget()
        foot = hbox(self._foot, gap=8)
        foot.setContentsMargins(px(16), px(10), px(12), px(10))
        self._told = ElidedLabel("", Type.SMALL, Role.TEXT2)
        foot.addWidget(self._told, 1)
        self.adopt = Button(tr("Adopt"))
        self.adopt.clicked.connect(self._adopt)
        foot.addWidget(self.adopt)
        self.actions_: dict[Action, Button] = {}
        for action in (Action.START, Action.RESTART, Action.STOP, Action.END):
            kind = Kind.DANGER_OUTLINE if action is Action.END else Kind.PLAIN
            button = Button(words.verb(action), kind=kind)
            button.clicked.connect(lambda _on=False, action=action: self._ask(action))
            self.actions_[action] = button
            foot.addWidget(button)
        self.add(self._foot)
        self._marked()

    @property
    def machine(self) -> Machine | None:
        """The machine that is marked."""
        rows = [self.model.row_at(each) for each in self.table.selectionModel().selectedRows()]
        return rows[0].machine if rows and rows[0] is not None else None

    def show_account(self, name: str) -> None:
        """Show the machines of an account as they were last seen."""
        fresh = name != self._name
        self._name = name
        view = self._rented.view
        rows = [
            row
            for row in rows_of(view, self._rented.today_by_machine())
            if row.machine.account == name
        ]
        had = bool(self.model.all())
        self.model.show_rows(rows)
        if rows and (fresh or not had):
            self.table.fit_columns()
        now = sum(row.machine.price or 0.0 for row in rows)
        today = sum(row.today or 0.0 for row in rows)
        self._sum.setText(words.sum_of(len(rows), now, today) if rows else "")
        self._sum.setVisible(bool(rows))
        self.table.setVisible(bool(rows))
        self._empty.setVisible(not rows)
        height = self.table.verticalHeader().defaultSectionSize()
        header = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(header + min(MOST_ROWS, len(rows)) * height + 2)
        self._marked()

    def tick(self) -> None:
        """Time has passed."""
        self.model.tick()

    def _marked(self) -> None:
        machine = self.machine
        self._foot.setVisible(machine is not None)
        if machine is None:
            return
        self._told.setText(machine.name or machine.id)
        allowed = words.allowed([machine])
        for action, button in self.actions_.items():
            button.setVisible(action in allowed)
            button.setAccessibleName(words.named_verb(action, machine))
        stray = any(each.key == machine.key for each in self._rented.view.strays)
        self.adopt.setVisible(stray)
        self.adopt.setAccessibleName(tr("Adopt {name}", name=machine.name or machine.id))

    def _open(self) -> None:
        machine = self.machine
        if machine is not None:
            self.opened.emit(machine.key)

    def _adopt(self) -> None:
        machine = self.machine
        if machine is not None:
            self._rented.adopt(machine)

    def _ask(self, action: Action) -> None:
        machine = self.machine
        if machine is not None and action in machine.actions:
            ask_action(self, [machine], action, lambda: self._rented.act([machine], action))
