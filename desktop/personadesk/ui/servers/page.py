"""The tab “My servers” of Accounts: machines of one's own, what was found about each, and the form that adds one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QPushButton, QWidget

from personadesk.domain.host import Fitness
from personadesk.ui import dialogs
from personadesk.ui.i18n import show, tr
from personadesk.ui.servers import words
from personadesk.ui.servers.findings import CountOnCard, FindingsView
from personadesk.ui.servers.form import MachineForm
from personadesk.ui.servers.rows import MachineRow
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    BusyRing,
    Button,
    Card,
    ErrorPanel,
    FactList,
    IconLabel,
    Kind,
    Pill,
    Rule,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from personadesk.ui.servers.model import Machine, Machines

__all__ = ["ServersPage"]

THREE_COLUMNS_FROM = 1080
MINUTE_MS = 30_000


class ServersPage(Page):
    """The tab, a page within the page; it follows the machines.

    Signals:
        deploy_asked: Put a voice on a machine (its name).
    """

    deploy_asked = Signal(str)

    def __init__(self, machines: Machines, parent: QWidget | None = None) -> None:
        """Make the page.

        Args:
            machines: What is known of machines; it outlives the page.
        """
        super().__init__(parent)
        self._machines = machines
        self._chosen = ""
        self._shows = False
        self._adding = machines.attempt.busy or bool(machines.draft.address)
        self._rows: dict[str, MachineRow] = {}
        self._layout: tuple[bool, bool] | None = None
        self._add_button = Button(tr("Add machine"), kind=Kind.PRIMARY, icon="plus", parent=self)
        self._add_button.hide()
        self._add_button.clicked.connect(self.begin_adding)
        outer = vbox(self)
        px = theme().px
        sheet = Sheet()
        self._column = vbox(sheet, gap=16)
        self._column.setContentsMargins(px(24), px(14), px(24), px(20))
        self._form_card = self._make_form()
        self._empty = self._make_empty()
        self._list = Card(tr("Machines"), padding=18, gap=10)
        self._list_column = vbox(gap=10)
        self._list.add(self._list_column)
        self._connection = self._make_connection()
        self._found = self._make_found()
        self._count_on = CountOnCard()
        self._grid = QGridLayout()
        self._grid.setSpacing(px(16))
        self._column.addWidget(self._form_card)
        self._column.addWidget(self._empty)
        self._column.addWidget(self._list)
        self._column.addLayout(self._grid)
        self._column.addStretch(1)
        outer.addWidget(scrolled(sheet), 1)
        self._clock = QTimer(self)
        self._clock.setInterval(MINUTE_MS)
        self._clock.timeout.connect(self._follow)
        machines.changed.connect(self._follow)
        machines.added.connect(self._was_added)
        self._follow()

    @property
    def title(self) -> str:
        return tr("Accounts")

    @property
    def subtitle(self) -> str:
        return tr("Machines of your own. Passphrases are kept in your system’s keyring.")

    @property
    def primary_action(self) -> QPushButton | None:
        return self._add_button if self._machines.all and not self._adding else None

    @property
    def form(self) -> MachineForm:
        """The form that adds a machine."""
        return self._form

    @property
    def chosen(self) -> str:
        """Name of the machine whose facts show; "" for none."""
        return self._chosen

    def row(self, name: str) -> MachineRow:
        """Return the row of a machine."""
        return self._rows[name]

    def focus_first(self) -> None:
        """Put the keyboard on the form, the chosen machine, or the way to begin."""
        if self._adding:
            self._form.focus_first()
        elif self._chosen in self._rows:
            self._rows[self._chosen].setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self._begin.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        self._shows = True
        self._clock.start()
        self._machines.load()
        self._machines.check_all_new()

    def left(self) -> None:
        self._shows = False
        self._clock.stop()

    def begin_adding(self) -> None:
        """Open the form."""
        self._adding = True
        self._follow()
        self._form.focus_first()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_form(self) -> Card:
        card = Card(tr("Add a machine"), padding=20, gap=14)
        self._form = MachineForm(self._machines)
        self._form.cancelled.connect(self._stop_adding)
        card.add(self._form)
        return card

    def _make_empty(self) -> Card:
        card = Card(padding=24, gap=12)
        head = hbox(gap=14)
        head.addWidget(
            IconLabel("server", 30, Role.ACCENT_TEXT), alignment=Qt.AlignmentFlag.AlignTop
        )
        told = vbox(gap=4)
        told.addWidget(label(tr("No machine of your own yet"), Type.HEADING, wrap=True))
        told.addWidget(
            label(
                tr(
                    "Any Linux machine that you reach by SSH: a workstation with an NVIDIA card, or "
                    "one that you rented yourself. It is checked before anything is changed there."
                ),
                Type.BODY, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        head.addLayout(told, 1)
        card.add(head)
        row = hbox()
        self._begin = Button(tr("Add a machine"), kind=Kind.PRIMARY, icon="plus")
        self._begin.clicked.connect(self.begin_adding)
        row.addWidget(self._begin)
        row.addStretch(1)
        card.add(row)
        return card

    def _make_connection(self) -> Card:
        card = Card(tr("Connection"), padding=18, gap=10)
        self._state = Pill("")
        card.add_to_head(self._state)
        self._facts = FactList()
        card.add(self._facts)
        self._rule = Rule()
        card.add(self._rule)
        self._machine_facts = FactList()
        card.add(self._machine_facts)
        card.column.addSpacing(theme().px(4))
        card.column.addStretch(1)
        row = hbox(gap=8)
        self._deploy = Button(tr("Deploy…"), kind=Kind.PRIMARY, icon="deploy")
        self._deploy.clicked.connect(lambda: self.deploy_asked.emit(self._chosen))
        self._check = Button(tr("Check again"), icon="refresh")
        self._check.clicked.connect(lambda: self._machines.check(self._chosen))
        self._remove = Button(kind=Kind.ICON, icon="trash", name=tr("Remove…"))
        self._remove.clicked.connect(self._ask_remove)
        for button in (self._deploy, self._check):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self._remove)
        card.add(row)
        self._uninstall = Button(tr("Uninstall…"), kind=Kind.DANGER_OUTLINE)
        self._uninstall.clicked.connect(self._ask_uninstall)
        card.add(self._uninstall)
        return card

    def _make_found(self) -> Card:
        card = Card(tr("What was found"), padding=18, gap=12)
        self._looking = QWidget()
        row = hbox(self._looking, gap=10)
        row.addWidget(BusyRing(tr("Busy"), size=18))
        self._looking_text = label("", Type.BODY, Role.TEXT2, wrap=True)
        row.addWidget(self._looking_text, 1)
        card.add(self._looking)
        self._findings = FindingsView()
        card.add(self._findings)
        self._trouble = vbox()
        card.add(self._trouble)
        card.column.addStretch(1)
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        machines = self._machines.all
        names = [machine.name for machine in machines]
        if names != list(self._rows):
            self._make_rows(machines)
        now = self._machines.clock()
        for machine in machines:
            self._rows[machine.name].show_machine(machine, now)
        if self._chosen not in self._rows:
            self._chosen = names[0] if names else ""
        if self._chosen:
            self._rows[self._chosen].setChecked(True)
        chosen = self._machines.find(self._chosen)
        self._place()
        self._form_card.setVisible(self._adding)
        self._empty.setVisible(not machines and not self._adding and self._machines.loaded)
        self._list.setVisible(bool(machines))
        self._connection.setVisible(chosen is not None)
        self._found.setVisible(chosen is not None)
        self._count_on.show_machine(chosen)
        if chosen is not None:
            self._show_machine(chosen, now)
        self.title_changed.emit()
        if self._shows:
            self._machines.check_all_new()

    def _make_rows(self, machines: tuple[Machine, ...]) -> None:
        clear_layout(self._list_column)
        self._rows = {}
        now = self._machines.clock()
        for machine in machines:
            row = MachineRow(machine, now)
            row.toggled.connect(lambda on, name=machine.name: self._choose(name) if on else None)
            row.confirmed.connect(lambda name=machine.name: self.deploy_asked.emit(name))
            self._rows[machine.name] = row
            self._list_column.addWidget(row)

    def _show_machine(self, machine: Machine, now: float) -> None:
        shape, word = words.state(machine)
        self._connection.set_title(machine.name)
        self._state.set_state(word, shape)
        self._facts.set_facts(
            [
                (tr("Address"), words.address(machine.record)),
                (tr("Login"), words.login(machine.record)),
                (tr("Fingerprint"), machine.fingerprint or "–"),
                (tr("Checked"), words.age(machine.checked, now)),
            ]
        )
        self._deploy.setAccessibleName(tr("Deploy to {name}…", name=machine.name))
        self._check.setAccessibleName(tr("Check {name} again", name=machine.name))
        self._remove.setAccessibleName(tr("Remove {name}…", name=machine.name))
        self._uninstall.setAccessibleName(
            tr("Uninstall PersonaDesk from {name}…", name=machine.name)
        )
        self._uninstall.setVisible(machine.has_ours)
        leaving = machine.is_leaving
        for button in (self._deploy, self._uninstall, self._remove):
            button.setEnabled(not leaving)
        self._check.setEnabled(not machine.looking and not leaving)
        check, error = machine.check, machine.error
        fits = check is not None and check.verdict is not Fitness.UNFIT
        self._deploy.set_kind(Kind.PRIMARY if fits else Kind.PLAIN)
        self._found.set_title(tr("Uninstalling") if leaving else tr("What was found"))
        self._looking.setVisible(leaving or machine.looking or (check is None and error is None))
        self._looking_text.setText(_busy_text(machine))
        shown = check is not None and not machine.looking and not leaving
        self._findings.setVisible(shown)
        self._rule.setVisible(shown)
        self._machine_facts.setVisible(shown)
        if check is not None and shown:
            self._findings.show_check(check)
            self._machine_facts.set_facts(words.facts(check.facts))
        self._show_trouble(machine)

    def _show_trouble(self, machine: Machine) -> None:
        removal = machine.removal
        left = removal.error if removal is not None else None
        error = None if machine.looking or machine.is_leaving else left or machine.error
        key = (machine.name, error)
        if self.property("trouble") == str(key):
            return
        self.setProperty("trouble", str(key))
        clear_layout(self._trouble)
        if error is None:
            return
        name = machine.name
        text = tr("Check again")
        deed: Callable[[], None] = partial(self._machines.check, name)
        if error is left:
            text, deed = tr("Try to uninstall again"), partial(self._machines.uninstall, name)
        elif error.cause == "host_key_changed":
            text, deed = tr("Remove…"), self._ask_remove
        deeds = [deed]
        texts = [text]
        if error is left:
            deeds.append(self._ask_remove)
            texts.append(tr("Forget anyway…"))
        panel = ErrorPanel.of(error, texts)
        panel.acted.connect(lambda index: deeds[index]())
        self._trouble.addWidget(panel)

    # -- deeds ------------------------------------------------------------------------------------------------

    def _choose(self, name: str) -> None:
        if name != self._chosen:
            self._chosen = name
            self._machines.check_new(name)
            self._follow()

    def _was_added(self, name: str) -> None:
        self._adding = False
        self._chosen = name
        self._follow()
        if self.isVisible():
            self.focus_first()

    def _stop_adding(self) -> None:
        self._adding = False
        self._follow()
        self.focus_first()

    def _ask_remove(self) -> None:
        name = self._chosen
        machine = self._machines.find(name)
        if machine is not None and machine.placed:
            dialogs.ask_forget_machine(self, name, lambda: self._machines.forget(name))
            return
        dialogs.ask_remove_machine(self, name, lambda: self._machines.remove(name))

    def _ask_uninstall(self) -> None:
        name = self._chosen
        dialogs.ask_uninstall(self, name, lambda: self._machines.uninstall(name))

    def _place(self) -> None:
        wide = self.width() >= theme().px(THREE_COLUMNS_FROM)
        layout = (wide, bool(self._chosen))
        if layout == self._layout:
            return
        self._layout = layout
        cards = (self._connection, self._found, self._count_on)
        for card in cards:
            self._grid.removeWidget(card)
        top = Qt.AlignmentFlag.AlignTop
        stretches = (45, 55, 0)
        if not self._chosen:
            self._grid.addWidget(self._count_on, 0, 0, 1, 3)
        elif wide:
            for column, card in enumerate(cards):
                self._grid.addWidget(card, 0, column, alignment=top)
            stretches = (30, 38, 32)
        else:
            self._grid.addWidget(self._connection, 0, 0, alignment=top)
            self._grid.addWidget(self._found, 0, 1, 2, 1, alignment=top)
            self._grid.addWidget(self._count_on, 1, 0, alignment=top)
        for column, stretch in enumerate(stretches):
            self._grid.setColumnStretch(column, stretch)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()


def _busy_text(machine: Machine) -> str:
    if machine.is_leaving and machine.removal is not None:
        return show(machine.removal.doing) or tr("Beginning…")
    if machine.looking:
        return tr("Looking at it; nothing is changed there…")
    return tr("It was not checked yet.")
