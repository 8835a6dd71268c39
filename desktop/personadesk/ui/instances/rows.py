"""Rows of the table of machines: what each cell says, by what it is sorted, and which rows a filter keeps. No Qt model.

What a machine costs and which line it carries comes with the view of the fleet; nothing is asked here.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.machine import Machine, MachineState
from personadesk.domain.quantity import duration
from personadesk.ui.i18n import mark, show, tr
from personadesk.ui.moments import time_of_day
from personadesk.ui.money import dollars
from personadesk.ui.rented.offer_words import provider_title
from personadesk.ui.widgets.data_table import Cell
from personadesk.ui.widgets.state import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.deploy.rented.views import FleetView

__all__ = [
    "COLUMNS",
    "MEASURED",
    "OPTIONAL",
    "Column",
    "Filter",
    "Row",
    "cell",
    "rows_of",
    "sort_key",
]

NOTHING = "–"


class Column(StrEnum):
    """What the table can show; the names are kept in the settings."""

    MACHINE = "machine"
    STATE = "state"
    GPU = "gpu"
    WHERE = "where"
    USE = "use"
    MEMORY = "memory"
    FRAME = "frame"
    CALLS = "calls"
    PRICE = "price"
    TODAY = "today"
    SPENT = "spent"
    AGE = "age"
    ACCOUNT = "account"
    REGION = "region"
    ID = "id"
    TAG = "tag"
    SAID = "said"
    SEEN = "seen"


TITLES: dict[Column, str] = {
    Column.MACHINE: mark("Machine"),
    Column.STATE: mark("State"),
    Column.GPU: mark("GPU"),
    Column.WHERE: mark("Where"),
    Column.USE: mark("GPU use"),
    Column.MEMORY: mark("GPU memory"),
    Column.FRAME: mark("Frame p99"),
    Column.CALLS: mark("Calls"),
    Column.PRICE: mark("Price"),
    Column.TODAY: mark("Today"),
    Column.SPENT: mark("Spent"),
    Column.AGE: mark("Running for"),
    Column.ACCOUNT: mark("Account"),
    Column.REGION: mark("Region"),
    Column.ID: mark("Provider’s number"),
    Column.TAG: mark("Tag"),
    Column.SAID: mark("Provider’s word"),
    Column.SEEN: mark("Asked"),
}
COLUMNS = (
    Column.MACHINE, Column.STATE, Column.GPU, Column.WHERE, Column.USE, Column.MEMORY, Column.FRAME, Column.CALLS,
    Column.PRICE, Column.TODAY,
)  # fmt: skip
"""Shown at first."""
OPTIONAL = tuple(column for column in Column if column not in COLUMNS)
"""Shown when they are asked for."""

STATES: dict[MachineState, tuple[Shape, str]] = {
    MachineState.REQUESTED: (Shape.BUSY, mark("Asked for")),
    MachineState.PROVISIONING: (Shape.BUSY, mark("Being prepared")),
    MachineState.BOOTING: (Shape.BUSY, mark("Boots")),
    MachineState.RUNNING: (Shape.OK, mark("Runs")),
    MachineState.STOPPING: (Shape.BUSY, mark("Stops")),
    MachineState.STOPPED: (Shape.ASLEEP, mark("Asleep")),
    MachineState.STARTING: (Shape.BUSY, mark("Starts")),
    MachineState.ENDING: (Shape.BUSY, mark("Ends")),
    MachineState.ENDED: (Shape.STOPPED, mark("Ended")),
    MachineState.FAILED: (Shape.ERR, mark("Failed")),
    MachineState.LOST: (Shape.ERR, mark("GPU taken")),
    MachineState.UNKNOWN: (Shape.UNKNOWN, mark("Unknown")),
}
"""Shape and word of each state; trouble sorts first."""
_TROUBLE = {
    MachineState.LOST: 0, MachineState.FAILED: 1, MachineState.UNKNOWN: 2, MachineState.STOPPED: 5,
    MachineState.ENDED: 6, MachineState.RUNNING: 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One machine.

    Attributes:
        machine: As its provider tells of it.
        line: The line whose voice runs on it, "" for none.
        spent: Dollars that it has cost in all; None for one that is not ours.
        today: Dollars of today.
        held_until: Unix time until which it is kept for a look, None when it is not.
        spare: Whether it stands by for its line, which leads elsewhere.
    """

    machine: Machine
    line: str = ""
    spent: float | None = None
    today: float | None = None
    held_until: float | None = None
    spare: bool = False

    @property
    def key(self) -> str:
        """What stays the same as long as the machine exists."""
        return self.machine.key


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are kept; empty keeps all.

    Attributes:
        account: Name of an account.
        state: A state.
        line: Name of a line; `NO_LINE` for machines without one.
        text: Words that all must occur somewhere in the row.
    """

    account: str = ""
    state: str = ""
    line: str = ""
    text: str = ""

    NO_LINE = "\0none"

    def keeps(self, row: Row) -> bool:
        """Whether a row is shown."""
        machine = row.machine
        if self.account and machine.account != self.account:
            return False
        if self.state and machine.state != self.state:
            return False
        if self.line == Filter.NO_LINE:
            if row.line or not machine.tag:
                return False
        elif self.line and row.line != self.line:
            return False
        words = self.text.casefold().split()
        if not words:
            return True
        said = " ".join(
            (
                machine.name, machine.id, machine.tag, row.line, machine.gpu, machine.place, machine.region,
                machine.account, provider_title(machine.provider), state_word(machine),
            )
        ).casefold()  # fmt: skip
        return all(word in said for word in words)


def rows_of(view: FleetView, today: Mapping[str, float]) -> list[Row]:
    """Return the rows of a view of the fleet.

    Args:
        view: The machines.
        today: Dollars of today by a machine's key.
    """
    return [
        Row(
            machine,
            view.lines.get(machine.tag, ""),
            view.spent.get(machine.tag) if machine.tag else None,
            today.get(machine.key, 0.0) if machine.tag else None,
            view.held.get(machine.key),
            machine.tag in view.spares,
        )
        for machine in view.machines
    ]


def state_word(machine: Machine) -> str:
    """Return a machine's state in a word."""
    if machine.state is MachineState.RUNNING and machine.count == 0:
        return tr("GPU taken")
    return tr(STATES[machine.state][1])


def state_shape(machine: Machine) -> Shape:
    """Return the shape of a machine's state."""
    if machine.state is MachineState.RUNNING and machine.count == 0:
        return Shape.ERR
    return STATES[machine.state][0]


def cell(row: Row, column: Column, now: float) -> Cell:
    """Return what a cell says.

    Args:
        row: The machine.
        column: Which of its cells.
        now: Unix time.
    """
    return _CELLS[column](row, now)


def sort_key(row: Row, column: Column) -> float | str:
    """Return by what a row is sorted: a number where unknown is infinite and so comes last, or a text."""
    machine = row.machine
    match column:
        case Column.STATE:
            return float(_TROUBLE.get(machine.state, 3))
        case Column.GPU:
            return -machine.memory_gb * max(1, machine.count)
        case Column.PRICE:
            return _or_last(machine.price)
        case Column.TODAY:
            return _or_last(row.today)
        case Column.SPENT:
            return _or_last(row.spent)
        case Column.AGE:
            return _or_last(machine.created)
        case Column.SEEN:
            return machine.seen
        case Column.MACHINE:
            return (machine.name or machine.id).casefold()
        case Column.WHERE:
            return (
                f"{provider_title(machine.provider)} {machine.place or machine.region}".casefold()
            )
        case _:
            return cell(row, column, 0.0).text.casefold()


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value


def _machine(row: Row, _now: float) -> Cell:
    machine = row.machine
    line = tr("spare of {line}", line=row.line) if row.spare else row.line
    below = line or (tr("no line") if machine.tag else tr("not ours"))
    over = machine.state is MachineState.ENDED
    return Cell(machine.name or machine.id, below, machine.key, strong=True, faint=over)


def _state(row: Row, _now: float) -> Cell:
    machine = row.machine
    tip = " ".join(part for part in (show(machine.reason), machine.said) if part)
    held = row.held_until
    below = "" if held is None else tr("kept until {time}", time=time_of_day(held))
    return Cell(state_word(machine), below, tip, state_shape(machine))


def _gpu(row: Row, _now: float) -> Cell:
    machine = row.machine
    if not machine.gpu:
        return Cell(
            NOTHING, tip=tr("Not told by {provider}.", provider=provider_title(machine.provider))
        )
    name = f"{machine.count} × {machine.gpu}" if machine.count > 1 else machine.gpu
    memory = tr("{size} GB", size=f"{machine.memory_gb:g}") if machine.memory_gb else ""
    if machine.count == 0:
        return Cell(machine.gpu, tr("none now"))
    return Cell(name, memory)


def _where(row: Row, _now: float) -> Cell:
    machine = row.machine
    return Cell(provider_title(machine.provider), machine.place or machine.region)


def _price(row: Row, _now: float) -> Cell:
    machine = row.machine
    if machine.price is None:
        return Cell(
            NOTHING, tip=tr("Not told by {provider}.", provider=provider_title(machine.provider))
        )
    spot = tr("may be taken back") if machine.spot else ""
    return Cell(tr("{price} /h", price=dollars(machine.price)), spot, strong=True)


def _money(value: float | None) -> Cell:
    if value is None:
        return Cell(NOTHING, tip=tr("It is not ours; its provider knows."))
    return Cell(dollars(value))


def _age(row: Row, now: float) -> Cell:
    created = row.machine.created
    if created is None:
        return Cell(NOTHING)
    if row.machine.state is MachineState.ENDED:
        return Cell(NOTHING)
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(created))
    return Cell(show(duration(max(0.0, now - created))), tip=tr("since {time}", time=begun))


def _seen(row: Row, now: float) -> Cell:
    return Cell(tr("{time} ago", time=duration(max(0.0, now - row.machine.seen))))


MEASURED = (Column.USE, Column.MEMORY, Column.FRAME, Column.CALLS)
"""What is measured second by second; `figures` has these cells."""

_CELLS: dict[Column, Callable[[Row, float], Cell]] = {
    Column.MACHINE: _machine,
    Column.STATE: _state,
    Column.GPU: _gpu,
    Column.WHERE: _where,
    **dict.fromkeys(MEASURED, lambda _row, _now: Cell(NOTHING, faint=True)),
    Column.PRICE: _price,
    Column.TODAY: lambda row, _now: _money(row.today),
    Column.SPENT: lambda row, _now: _money(row.spent),
    Column.AGE: _age,
    Column.ACCOUNT: lambda row, _now: Cell(row.machine.account),
    Column.REGION: lambda row, _now: Cell(row.machine.region or NOTHING),
    Column.ID: lambda row, _now: Cell(row.machine.id),
    Column.TAG: lambda row, _now: Cell(row.machine.tag or NOTHING),
    Column.SAID: lambda row, _now: Cell(row.machine.said or NOTHING),
    Column.SEEN: _seen,
}
