"""The lower pane of the page of machines: one machine's facts, what happened to it, its money, and its log."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QStackedWidget, QTabBar, QWidget

from personadesk.providers import catalog
from personadesk.ui.i18n import show, tr
from personadesk.ui.instances import words
from personadesk.ui.instances.rows import (
    Column,
    Row,
    cell,
    state_shape,
    state_word,
)
from personadesk.ui.moments import time_of_day
from personadesk.ui.money import dollars
from personadesk.ui.monitor.graphs import GraphsPane
from personadesk.ui.rented.offer_words import provider_title
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    ElidedLabel,
    FactList,
    Kind,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.machine import Machine
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.rented.model import Rented

__all__ = ["DetailsPane"]

MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class _Event:
    at: float
    what: str


class DetailsPane(QFrame):
    """Shows one machine; what it saw of others it remembers while the page lives.

    Attributes:
        graphs: Its graphs, None where nothing is measured.

    Signals:
        closed: The user closed it.
        action_asked: Something is to be done (the machine, the action).
        detach_asked: The graphs are wanted in a window of their own (the machine).
    """

    closed = Signal()
    detach_asked = Signal(object)
    action_asked = Signal(object, object)

    def __init__(
        self, rented: Rented, watch: Watch | None = None, parent: QWidget | None = None
    ) -> None:
        """Make the pane.

        Args:
            rented: What is known of machines.
            watch: What is measured of them; without it there are no graphs.
        """
        super().__init__(parent)
        self.graphs: GraphsPane | None = None
        self.setProperty("kind", "card")
        self._rented = rented
        self._machine: Machine | None = None
        self._events: dict[str, deque[_Event]] = {}
        self._states: dict[str, tuple[str, str]] = {}
        column = vbox(self, gap=8, margin=16)
        head = hbox(gap=10)
        self._shape_place = hbox()
        head.addLayout(self._shape_place)
        self._name = label("", Type.HEADING)
        head.addWidget(self._name)
        self._line = ElidedLabel("", Type.SMALL, Role.TEXT2)
        head.addWidget(self._line, 1)
        self._buttons = hbox(gap=8)
        head.addLayout(self._buttons)
        self.detach = Button(
            kind=Kind.ICON, icon="detach", name=tr("Graphs in a window of their own")
        )
        self.detach.setObjectName("detachGraphs")
        self.detach.clicked.connect(lambda: self.detach_asked.emit(self._machine))
        self.detach.setVisible(False)
        head.addWidget(self.detach)
        close = Button(kind=Kind.ICON, icon="close", name=tr("Close details"))
        close.clicked.connect(self.closed)
        head.addWidget(close)
        column.addLayout(head)
        self._tabs = QTabBar()
        self._tabs.setAccessibleName(tr("Details"))
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        self._stack = QStackedWidget()
        if watch is not None:
            self._tabs.addTab(tr("Graphs"))
            self.graphs = GraphsPane(watch)
            self._stack.addWidget(scrolled(self.graphs))
        for title in (tr("Facts"), tr("Events"), tr("Money")):
            self._tabs.addTab(title)
        bar = hbox(gap=12)
        bar.addWidget(self._tabs)
        bar.addStretch(1)
        if self.graphs is not None:
            bar.addWidget(self.graphs.bar, 1)
        column.addLayout(bar)
        self._facts, self._more_facts = FactList(), FactList()
        facts = QWidget()
        both = hbox(facts, gap=40)
        both.addWidget(self._facts, 1, Qt.AlignmentFlag.AlignTop)
        both.addWidget(self._more_facts, 1, Qt.AlignmentFlag.AlignTop)
        self._event_list = QWidget()
        self._event_column = vbox(self._event_list, gap=6)
        self._money = FactList()
        self._money.setMaximumWidth(theme().px(560))
        for part in (facts, self._event_list, self._money):
            holder = QWidget()
            inner = vbox(holder)
            inner.addWidget(part)
            inner.addStretch(1)
            self._stack.addWidget(scrolled(holder))
        self._tabs.currentChanged.connect(self._turn)
        column.addWidget(self._stack, 1)
        self.setMinimumHeight(theme().px(200))
        rented.fleet_changed.connect(self._watch)
        self._watch()

    @property
    def machine(self) -> Machine | None:
        """The machine that shows."""
        return self._machine

    def follow(self) -> None:
        """Show the same machine as it is now; one that is gone stays as it was last seen."""
        if self._machine is not None:
            fresh = next(
                (m for m in self._rented.view.machines if m.key == self._machine.key), None
            )
            self.show_machine(fresh or self._machine)

    def show_machine(self, machine: Machine) -> None:
        """Show a machine."""
        self._machine = machine
        now = self._rented.clock()
        row = Row(
            machine,
            self._rented.view.lines.get(machine.tag, ""),
            self._rented.view.spent.get(machine.tag) if machine.tag else None,
            self._rented.today_by_machine().get(machine.key, 0.0) if machine.tag else None,
            self._rented.view.held.get(machine.key),
            machine.tag in self._rented.view.spares,
        )
        if self.graphs is not None:
            self.graphs.show_host(machine.tag)
            self.detach.setVisible(bool(machine.tag))
        clear_layout(self._shape_place)
        self._shape_place.addWidget(StateShape(state_shape(machine), state_word(machine), size=20))
        self._name.setText(machine.name or machine.id)
        gpu = cell(row, Column.GPU, now)
        parts = (
            provider_title(machine.provider), f"{gpu.text} {gpu.below}".strip(),
            machine.place or machine.region, state_word(machine), row.line,
        )  # fmt: skip
        self._line.setText(" · ".join(part for part in parts if part))
        self._show_buttons(machine)
        self._show_facts(row, now)
        self._show_events(machine)
        self._show_money(row, now)

    def _turn(self, number: int) -> None:
        self._stack.setCurrentIndex(number)
        if self.graphs is not None:
            self.graphs.bar.setVisible(number == 0)

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_buttons(self, machine: Machine) -> None:
        clear_layout(self._buttons)
        for action in words.allowed([machine]):
            button = Button(words.verb(action), name=words.named_verb(action, machine))
            button.clicked.connect(
                lambda _on=False, action=action: self.action_asked.emit(self._machine, action)
            )
            self._buttons.addWidget(button)

    def _show_facts(self, row: Row, now: float) -> None:
        machine = row.machine
        told = machine.said or "–"
        self._facts.set_facts(
            [
                (tr("Account"), machine.account),
                (tr("Provider’s number"), machine.id),
                (tr("Tag"), machine.tag or tr("none: it is not ours")),
                (tr("Provider’s word"), told),
                (tr("Why"), show(machine.reason) or "–"),
                *self._kept_fact(row),
            ]
        )
        self._more_facts.set_facts(
            [
                (tr("Address"), machine.ssh.place if machine.ssh is not None else "–"),
                (tr("Region"), machine.region or "–"),
                (tr("Running for"), cell(row, Column.AGE, now).text),
                (tr("Asked"), cell(row, Column.SEEN, now).text),
            ]
        )

    def _kept_fact(self, row: Row) -> list[tuple[str, str]]:
        if row.held_until is None:
            return []
        told = tr("until {time}, then it is ended", time=time_of_day(row.held_until))
        return [(tr("Kept for a look"), told)]

    def _show_events(self, machine: Machine) -> None:
        clear_layout(self._event_column)
        events = self._events.get(machine.key)
        if not events:
            self._event_column.addWidget(
                label(tr("Nothing has changed since this page was opened."), Type.BODY, Role.TEXT2)
            )
            return
        for event in reversed(events):
            stamp = time.strftime("%H:%M:%S", time.localtime(event.at))
            self._event_column.addWidget(
                label(f"{stamp}  {event.what}", Type.BODY, selectable=True, wrap=True)
            )

    def _show_money(self, row: Row, now: float) -> None:
        machine = row.machine
        running = machine.running_price
        facts: list[tuple[str, str]] = [
            (tr("Costs now"), cell(row, Column.PRICE, now).text),
            (
                tr("While it runs"),
                tr("{price} /h", price=dollars(running)) if running is not None else "–",
            ),
            (tr("Today"), cell(row, Column.TODAY, now).text),
            (tr("In all"), cell(row, Column.SPENT, now).text),
        ]
        days = [
            cost
            for cost in self._rented.costs
            if (cost.account, cost.machine_id) == (machine.account, machine.id)
        ]
        facts += [(cost.day, dollars(cost.dollars)) for cost in days[-31:]]
        if machine.provider in catalog.ids():
            stop = show(catalog.facts(machine.provider).stop_costs)
            if stop:
                facts.append((tr("When stopped"), stop))
        self._money.set_facts(facts)

    def _watch(self) -> None:
        """Write down what changed about any machine."""
        now = self._rented.clock()
        seen = set()
        for machine in self._rented.view.machines:
            seen.add(machine.key)
            state = (state_word(machine), machine.said)
            before = self._states.get(machine.key)
            if before != state:
                self._states[machine.key] = state
                if before is not None:
                    said = f" ({machine.said})" if machine.said else ""
                    self._note(machine.key, now, f"{before[0]} → {state[0]}{said}")
        for key in set(self._states) - seen:
            del self._states[key]
            self._note(key, now, tr("The provider does not list it any more."))
        if self.isVisible():
            self.follow()

    def _note(self, key: str, at: float, what: str) -> None:
        self._events.setdefault(key, deque(maxlen=MOST_EVENTS)).append(_Event(at, what))
