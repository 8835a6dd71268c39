"""What wants the user's eye above the table: machines without a line or kept for a look, silent accounts, leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QWidget

from personadesk.domain.quantity import duration
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.moments import time_of_day
from personadesk.ui.money import dollars
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    Button,
    Kind,
    Shape,
    Size,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.machine import Machine, Resource
    from personadesk.ui.rented.model import Rented

__all__ = ["Notices"]

MOST = 4
"""More of a kind are counted, not listed."""


class Notices(QFrame):
    """Rows of things to know, each with what can be done about it; hidden when there is nothing.

    Signals:
        end_asked: A machine is to be ended (the machine).
    """

    end_asked = Signal(object)

    def __init__(self, rented: Rented, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        self._rented = rented
        self._column = vbox(self, gap=8, margin=12)
        self._shown: tuple[object, ...] | None = None

    def follow(self) -> None:
        """Show how it stands now; what is shown already is left alone."""
        view = self._rented.view
        strays = view.strays
        failed = tuple(
            (name, account.error.what, account.seen)
            for name, account in view.accounts.items()
            if account.error is not None
        )
        leftovers = view.extras
        kept = tuple((m, view.held[m.key]) for m in view.kept)
        adrift = tuple(m for m in view.without_line() if m not in strays and m.key not in view.held)
        what = (
            strays, failed, leftovers, tuple(m.key for m in adrift),
            tuple((m.key, m.price, until) for m, until in kept),
        )  # fmt: skip
        if what == self._shown:
            return
        self._shown = what
        clear_layout(self._column)
        for machine in strays[:MOST]:
            self._add_stray(machine)
        for machine in adrift[:MOST]:
            self._add_adrift(machine)
        for machine, until in kept:
            self._add_kept(machine, until)
        for name, why, seen in failed:
            self._add_failed(name, show(why), seen)
        if leftovers:
            self._add_row(Shape.UNKNOWN, _left(leftovers))
        self.setVisible(bool(strays or failed or leftovers or adrift or kept))

    def _add_stray(self, machine: Machine) -> None:
        name = machine.name or machine.id
        adopt = Button(tr("Adopt"), size=Size.SMALL, name=tr("Adopt {name}", name=name))
        adopt.clicked.connect(lambda: self._rented.adopt(machine))
        end = Button(
            tr("End…"), kind=Kind.DANGER_OUTLINE, size=Size.SMALL, name=tr("End {name}…", name=name)
        )
        end.clicked.connect(lambda: self.end_asked.emit(machine))
        self._add_row(
            Shape.WARN,
            tr(
                "{name} at {account} carries our tag, but PersonaDesk had forgotten it: {price}.",
                name=name, account=machine.account, price=_price(machine),
            ),
            adopt, end,
        )  # fmt: skip

    def _add_adrift(self, machine: Machine) -> None:
        name = machine.name or machine.id
        end = Button(
            tr("End…"), kind=Kind.DANGER_OUTLINE, size=Size.SMALL, name=tr("End {name}…", name=name)
        )
        end.clicked.connect(lambda: self.end_asked.emit(machine))
        self._add_row(
            Shape.WARN,
            tr("{name} is billed without a line: {price}.", name=name, price=_price(machine)),
            end,
        )

    def _add_kept(self, machine: Machine, until: float) -> None:
        name = machine.name or machine.id
        end = Button(
            tr("End it now…"), kind=Kind.DANGER_OUTLINE, size=Size.SMALL,
            name=tr("End {name} now…", name=name),
        )  # fmt: skip
        end.clicked.connect(lambda: self.end_asked.emit(machine))
        self._add_row(
            Shape.WARN,
            tr(
                "{name} did not work and is kept for a look until {time}, then ended: {price}.",
                name=name, time=time_of_day(until), price=_price(machine),
            ),
            end,
        )  # fmt: skip

    def _add_failed(self, name: str, why: str, seen: float | None) -> None:
        again = Button(tr("Try again"), size=Size.SMALL, name=tr("Ask {name} again", name=name))
        again.clicked.connect(self._rented.look_now)
        age = (
            tr(
                "What shows of it is {time} old.",
                time=duration(max(0.0, self._rented.clock() - seen)),
            )
            if seen is not None
            else ""
        )
        self._add_row(Shape.ERR, f"{name}: {why} {age}".rstrip(), again)

    def _add_row(self, shape: Shape, text: str, *buttons: Button) -> None:
        row = hbox(gap=10)
        row.addWidget(StateShape(shape, "", size=16))
        row.addWidget(label(text, Type.BODY, Role.TEXT, wrap=True), 1)
        for button in buttons:
            row.addWidget(button)
        self._column.addLayout(row)


def _left(leftovers: Sequence[Resource]) -> str:
    """Return what goes on without a machine, and what it costs as far as that is told."""
    names = ", ".join(each.name or each.id for each in leftovers[:MOST])
    priced = sum(each.price or 0.0 for each in leftovers)
    untold = sum(each.price is None for each in leftovers)
    if untold == len(leftovers):
        return trn(
            "{n} other thing of yours may cost money; its price is not told: {names}.",
            "{n} other things of yours may cost money; their price is not told: {names}.",
            untold, names=names,
        )  # fmt: skip
    told = trn(
        "{n} other thing of yours costs {price} /h: {names}.",
        "{n} other things of yours cost {price} /h: {names}.",
        len(leftovers), price=dollars(priced), names=names,
    )  # fmt: skip
    if not untold:
        return told
    more = trn(
        "The price of {n} of them is not told.", "The price of {n} of them is not told.", untold
    )
    return f"{told} {more}"


def _price(machine: Machine) -> str:
    if machine.price is None:
        return tr("price not told")
    return tr("{price} /h", price=dollars(machine.price))
