"""The wizard's page “My machine”: one of those that are known, with what was found about it, or another one to add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import OptionCard
from personadesk.ui.deploy.wizard_pages import WizardPage
from personadesk.ui.i18n import show, tr
from personadesk.ui.servers.findings import FindingsView
from personadesk.ui.servers.form import MachineForm
from personadesk.ui.servers.rows import MachineRow
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    BusyRing,
    Card,
    ErrorPanel,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.text import Text
    from personadesk.ui.servers.model import Machine, Machines

__all__ = ["MachinePage"]


class MachinePage(WizardPage):
    """Which machine; choosing one checks it, adding one chooses it."""

    def __init__(self, draft: flow.Draft, machines: Machines) -> None:
        super().__init__(
            tr("Which machine?"),
            tr("It is checked before anything is changed there."),
        )
        self._machines = machines
        self._chosen = draft.machine
        self._adding = False
        self._open = False
        self._rows: dict[str, MachineRow] = {}
        self._shown: PersonaDeskError | None = None
        columns = hbox(gap=16)
        left = vbox(gap=10)
        self._list = QWidget()
        self._list_column = vbox(self._list, gap=10)
        left.addWidget(self._list)
        self._fault = QWidget()
        told = hbox(self._fault, gap=8)
        told.addWidget(
            StateShape(Shape.ERR, tr("Not right yet"), size=14),
            alignment=Qt.AlignmentFlag.AlignTop,
        )
        self._fault_text = label("", Type.SMALL, Role.ERR, wrap=True)
        told.addWidget(self._fault_text, 1)
        self._fault.hide()
        left.addWidget(self._fault)
        self._form_card = Card(tr("Another machine"), padding=20, gap=14)
        self._form = MachineForm(machines, primary=False, can_cancel=False)
        self._form_card.add(self._form)
        left.addWidget(self._form_card)
        left.addStretch(1)
        columns.addLayout(left, 56)
        self._found = self._make_found()
        columns.addWidget(self._found, 44, Qt.AlignmentFlag.AlignTop)
        self.column.addLayout(columns)
        self.column.addStretch(1)
        machines.changed.connect(self._moved)
        machines.added.connect(self._take)
        self._follow()

    @property
    def form(self) -> MachineForm:
        """The form that adds one."""
        return self._form

    @property
    def findings(self) -> FindingsView:
        """What was found about the chosen one."""
        return self._findings

    def row(self, name: str) -> MachineRow:
        """Return the row of a machine."""
        return self._rows[name]

    def show_draft(self, draft: flow.Draft) -> None:
        self._open = True
        if not self._adding:
            self._chosen = draft.machine
        self._follow()
        self._machines.check_new(self._chosen)

    def show_fault(self, field: flow.Field, what: Text | None) -> None:
        if field is flow.Field.MACHINE:
            self._fault.setVisible(what is not None)
            self._fault_text.setText(show(what) if what else "")

    def focus_field(self, field: flow.Field) -> None:
        if field is flow.Field.MACHINE:
            self.focus_first()

    def focus_first(self) -> bool:
        if self._form_card.isVisibleTo(self):
            self._form.focus_first()
            return True
        row = self._rows.get(self._chosen)
        if row is not None:
            row.setFocus()
        return row is not None

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_found(self) -> Card:
        card = Card(tr("What was found"), padding=20, gap=12)
        self._looking = QWidget()
        row = hbox(self._looking, gap=10)
        row.addWidget(BusyRing(tr("Being checked"), size=18))
        row.addWidget(
            label(tr("Looking at it; nothing is changed there…"), Type.BODY, Role.TEXT2, wrap=True),
            1,
        )
        card.add(self._looking)
        self._findings = FindingsView()
        card.add(self._findings)
        self._trouble = vbox()
        card.add(self._trouble)
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def _moved(self) -> None:
        # What was wrong may not be so any more; Continue judges anew.
        self.show_fault(flow.Field.MACHINE, None)
        self._follow()

    def _follow(self) -> None:
        machines = self._machines.all
        if [machine.name for machine in machines] != list(self._rows):
            self._make_rows(machines)
        now = self._machines.clock()
        for machine in machines:
            self._rows[machine.name].show_machine(machine, now)
        if self._open and self._chosen not in self._rows and self._machines.loaded:
            first = machines[0].name if machines else ""
            self._choose("" if self._adding else first)
        if self._chosen in self._rows:
            self._rows[self._chosen].setChecked(True)
        self._list.setVisible(bool(machines))
        self._form_card.setVisible(self._machines.loaded and (self._adding or not machines))
        self._show_found(self._machines.find(self._chosen))

    def _make_rows(self, machines: tuple[Machine, ...]) -> None:
        clear_layout(self._list_column)
        self._rows = {}
        now = self._machines.clock()
        for machine in machines:
            row = MachineRow(machine, now, brief=True)
            row.toggled.connect(lambda on, name=machine.name: self._choose(name) if on else None)
            row.confirmed.connect(self.go_on)
            self._rows[machine.name] = row
            self._list_column.addWidget(row)
        if machines:
            self._other = OptionCard(
                tr("Another machine"), tr("Add one by its address and a login.")
            )
            self._other.setChecked(self._adding)
            self._other.toggled.connect(lambda on: self._choose("") if on else None)
            self._list_column.addWidget(self._other)

    def _show_found(self, machine: Machine | None) -> None:
        shown = machine is not None and (machine.looking or bool(machine.checked))
        self._found.setVisible(shown)
        if machine is None:
            return
        looking = machine.looking
        self._looking.setVisible(looking)
        self._findings.setVisible(machine.check is not None and not looking)
        if machine.check is not None and not looking:
            self._findings.show_check(machine.check)
        error = None if looking else machine.error
        if error is not self._shown:
            self._shown = error
            clear_layout(self._trouble)
            if error is not None:
                panel = ErrorPanel.of(error, [tr("Check again")])
                panel.acted.connect(lambda _index: self._machines.check(self._chosen))
                self._trouble.addWidget(panel)

    # -- deeds ------------------------------------------------------------------------------------------------

    def _choose(self, name: str) -> None:
        adding = not name and bool(self._machines.all)
        if name == self._chosen and adding == self._adding:
            return
        self._adding = adding
        self._chosen = name
        self.show_fault(flow.Field.MACHINE, None)
        self.edited.emit({"machine": name})
        if name:
            self._machines.check_new(name)
        self._follow()
        if adding:
            self._form.focus_first()

    def _take(self, name: str) -> None:
        self._choose(name)
