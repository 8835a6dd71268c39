"""Figures and facts: key figures with their limit, and rows of name and value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.base import Rule
from personadesk.ui.widgets.card import Card, hbox, vbox
from personadesk.ui.widgets.state import Shape, StateShape
from personadesk.ui.widgets.text import ElidedLabel, label, set_tone

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DecisionRow", "FactList", "Figure", "FigureCard", "FigureStrip"]


class Figure(QWidget):
    """A small label over a value, as in the head of a running deploy."""

    def __init__(
        self,
        title: str,
        value: str = "–",
        *,
        type_: Type = Type.FIGURE,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        column = vbox(self, gap=3)
        self._title = label(title, Type.SMALL, Role.TEXT3)
        self._value = label(value, type_)
        column.addWidget(self._title)
        column.addWidget(self._value)
        self.set_value(value)

    def set_value(self, value: str, tone: Role = Role.TEXT) -> None:
        """Show another value."""
        self._value.setText(value)
        set_tone(self._value, tone)
        self.setAccessibleName(f"{self._title.text()}: {value}")


class FigureStrip(Card):
    """Figures side by side with a rule between them, each with a note below."""

    def __init__(self, titles: Iterable[str], parent: QWidget | None = None) -> None:
        """Make it without values.

        Args:
            titles: What each figure is.
        """
        super().__init__(padding=0, gap=0, parent=parent)
        px = theme().px
        self._row = hbox(gap=20)
        self._row.setContentsMargins(px(20), px(14), px(20), px(14))
        self._figures: list[tuple[Figure, ElidedLabel]] = []
        for index, title in enumerate(titles):
            if index:
                self._row.addWidget(Rule(vertical=True))
            box = QWidget()
            column = vbox(box, gap=3)
            figure, note = Figure(title), ElidedLabel("", Type.SMALL, Role.TEXT2)
            column.addWidget(figure)
            column.addWidget(note)
            self._figures.append((figure, note))
            self._row.addWidget(box, 1)
        self.add(self._row)

    def add_beside(self, widget: QWidget) -> None:
        """Put something at the right of the figures."""
        self._row.addWidget(widget)

    def show_values(self, told: Iterable[tuple[str, str]]) -> None:
        """Show the value of each figure, and the note below it."""
        for (figure, note), (value, below) in zip(self._figures, told, strict=True):
            figure.set_value(value)
            note.setText(below)


class FigureCard(Card):
    """A measured figure with its limit and how it stands to it."""

    def __init__(
        self,
        title: str,
        value: str,
        limit: str,
        shape: Shape,
        word: str,
        *,
        why: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """Make the card.

        Args:
            title: What was measured.
            value: With its unit.
            limit: The limit in words, for example ``limit 2 s``.
            shape: Passed, at risk or failed.
            word: The same in a word.
            why: Reason for the limit, as tooltip.
        """
        super().__init__(padding=16, gap=4, parent=parent)
        head = hbox(gap=6)
        self._name = ElidedLabel(title, Type.SMALL, Role.TEXT3)
        self._shape = StateShape(shape, word, size=15)
        head.addWidget(self._name, 1)
        head.addWidget(self._shape)
        self._value = label(value, Type.FIGURE)
        self._limit = ElidedLabel(limit, Type.SMALL, Role.TEXT2)
        self.add(head)
        self.add(self._value)
        self.add(self._limit)
        self.column.addStretch(1)
        if why:
            self.setToolTip(why)
        self.set_figure(value, limit, shape, word)

    def set_figure(self, value: str, limit: str, shape: Shape, word: str) -> None:
        """Show another value and its judgement."""
        self._value.setText(value)
        set_tone(self._value, {Shape.WARN: Role.WARN, Shape.ERR: Role.ERR}.get(shape, Role.TEXT))
        self._limit.setText(limit)
        self._shape.set_state(shape, word)
        self.setAccessibleName(f"{self._name.text()}: {value}, {limit}, {word}")


class FactList(QWidget):
    """Rows of a name at the left and its value at the right."""

    def __init__(
        self, facts: Iterable[tuple[str, str]] = (), *, gap: int = 9, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(theme().px(gap))
        self._grid.setHorizontalSpacing(theme().px(12))
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, QLabel]] = []
        self.set_facts(facts)

    def set_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Show these rows; labels are kept, so that live values do not flicker."""
        wanted = list(facts)
        while len(self._rows) > len(wanted):
            for part in self._rows.pop():
                part.hide()
                part.deleteLater()
        for index, (name, value) in enumerate(wanted):
            if index == len(self._rows):
                self._add_row(index)
            title, shown = self._rows[index]
            title.setText(name)
            shown.setText(value)
            shown.setAccessibleName(f"{name}: {value}")

    def _add_row(self, index: int) -> None:
        title = label("", Type.BODY, Role.TEXT3)
        title.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        value = ElidedLabel("", Type.BODY, weight=500)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(title, index, 0)
        self._grid.addWidget(value, index, 1)
        self._rows.append((title, value))


class DecisionRow(QWidget):
    """Something that was done, with its cause below."""

    def __init__(
        self,
        shape: Shape,
        what: str,
        why: str,
        *,
        short: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make the row.

        Args:
            shape: What became of it.
            what: What was done.
            why: Its cause.
            short: Whether each takes one line, with the whole as a tooltip.
        """
        super().__init__(parent)
        self.setAccessibleName(f"{what}. {why}")
        row = hbox(self, gap=10)
        row.addWidget(StateShape(shape, what, size=16), alignment=Qt.AlignmentFlag.AlignTop)
        told = vbox(gap=2)
        if short:
            told.addWidget(ElidedLabel(what, weight=600))
            told.addWidget(ElidedLabel(why, Type.SMALL, Role.TEXT2))
        else:
            told.addWidget(label(what, weight=600, wrap=True))
            told.addWidget(label(why, Type.SMALL, Role.TEXT2, wrap=True))
        row.addLayout(told, 1)
