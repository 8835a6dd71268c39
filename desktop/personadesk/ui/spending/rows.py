"""Rows that stay while their figures change: a budget with its bar, and what is left at an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from personadesk.domain.budget import Level
from personadesk.ui.i18n import tr
from personadesk.ui.money import dollars
from personadesk.ui.spending import words
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    Button,
    ElidedLabel,
    ProgressBar,
    Shape,
    Size,
    StateShape,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.budget import Standing
    from personadesk.domain.proof import Proof

__all__ = ["BudgetRow", "LeftRow"]


class BudgetRow(QWidget):
    """How one limit of a budget stands.

    Signals:
        change_asked: The budget is to be changed (its line).
        more_asked: More is to be allowed (its line, how many dollars).
    """

    change_asked = Signal(str)
    more_asked = Signal(str, float)

    def __init__(self, standing: Standing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._standing = standing
        column = vbox(self, gap=4)
        head = hbox(gap=8)
        self._mark = StateShape(Shape.WARN, "", size=14)
        head.addWidget(self._mark)
        self._name = ElidedLabel("", Type.BODY, weight=600)
        head.addWidget(self._name, 1)
        self._lift = Button(tr("Allow {price} more", price=dollars(self._more)), size=Size.SMALL)
        self._lift.clicked.connect(
            lambda: self.more_asked.emit(self._standing.budget.line, float(self._more))
        )
        head.addWidget(self._lift)
        self._change = Button(tr("Change…"), size=Size.SMALL)
        self._change.clicked.connect(lambda: self.change_asked.emit(self._standing.budget.line))
        head.addWidget(self._change)
        column.addLayout(head)
        self._bar = ProgressBar("", height=8)
        column.addWidget(self._bar)
        self._told = label("", Type.SMALL, Role.TEXT2, wrap=True)
        column.addWidget(self._told)
        self.show_standing(standing)

    @property
    def _more(self) -> int:
        """How many dollars are offered beyond the limit: half of it."""
        return max(1, round(self._standing.limit / 2))

    def show_standing(self, standing: Standing) -> None:
        """Show how it stands now."""
        self._standing = standing
        name, told = words.budget_name(standing.budget.line), words.limit(standing)
        self._name.setText(name)
        near = standing.level is Level.NEAR
        self._mark.setVisible(standing.level is not Level.FINE)
        self._mark.set_state(
            Shape.WARN if near else Shape.ERR, tr("nearly used up") if near else tr("used up")
        )
        self._lift.setVisible(standing.level is not Level.FINE)
        price = dollars(self._more)
        self._lift.setText(tr("Allow {price} more", price=price))
        self._lift.setAccessibleName(tr("Allow {price} more for {name}", price=price, name=name))
        self._change.setAccessibleName(tr("Change the budget of {name}", name=name))
        self._bar.setAccessibleName(f"{name}: {told}")
        self._bar.set_tone(words.LEVELS[standing.level])
        self._bar.set_fraction(standing.share)
        parts = [told, words.untold(standing.spent)]
        parts.append(tr("Then: {deed}", deed=tr(words.ACTS[standing.budget.act])))
        self._told.setText(" · ".join(filter(None, parts)))


class LeftRow(QWidget):
    """What an account's provider says is left."""

    def __init__(self, proof: Proof, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = hbox(self, gap=10)
        self._shape = StateShape(Shape.UNKNOWN, "", size=16)
        self._text = label("", Type.BODY, wrap=True)
        self._when = label("", Type.SMALL, Role.TEXT3)
        row.addWidget(self._shape)
        row.addWidget(self._text, 1)
        row.addWidget(self._when)
        self.show_proof(proof)

    def show_proof(self, proof: Proof) -> None:
        """Show what it says now."""
        shape, text, when = words.left(proof)
        self._shape.set_state(shape, "")
        self._text.setText(text)
        self._when.setText(when)
