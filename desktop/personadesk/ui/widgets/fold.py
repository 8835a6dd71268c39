"""A heading that opens and closes what stands below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.widgets.buttons import Button, Kind, Size
from personadesk.ui.widgets.card import hbox, vbox

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

__all__ = ["Fold"]

SLACK = 3
"""Widths are rounded in several places; one pixel too few would cost two letters."""


class _Heading(Button):
    """The heading; it ends in … where there is no room beside what else stands in its row."""

    elides = True

    def __init__(self, title: str, size: Size) -> None:
        super().__init__(title, kind=Kind.FOLD, icon="chevron-down", size=size)
        self._title = title
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        width = hint.width() - self._wide(self.text()) + self._wide(self._title)
        return QSize(width + SLACK, hint.height())

    def minimumSizeHint(self) -> QSize:
        hint = super().sizeHint()
        shortest = min(self._wide("MMMMM…"), self._wide(self._title))
        return QSize(hint.width() - self._wide(self.text()) + shortest, hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() - (super().sizeHint().width() - self._wide(self.text()))
        shown = self.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideRight, room)
        if shown != self.text():
            self.setText(shown)
            self.setToolTip("" if shown == self._title else self._title)

    def _wide(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text)


class Fold(QWidget):
    """A heading with an arrow, and what it folds away.

    Attributes:
        body: Layout of what is folded.

    Signals:
        toggled: It was opened (True) or closed.
    """

    toggled = Signal(bool)

    def __init__(
        self,
        title: str,
        *,
        opened: bool = False,
        small: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make the fold.

        Args:
            title: Heading.
            opened: Whether it starts open.
            small: A quiet heading, as for details of an error.
        """
        super().__init__(parent)
        self._title = title
        column = vbox(self, gap=8)
        self._head = hbox(gap=8)
        self._button = _Heading(title, Size.SMALL if small else Size.REGULAR)
        self._button.clicked.connect(lambda: self.set_open(not self.is_open))
        self._head.addWidget(self._button)
        self._head.addStretch(1)
        column.addLayout(self._head)
        self._content = QWidget()
        self._content.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.body: QVBoxLayout = vbox(self._content, gap=8)
        column.addWidget(self._content, 1)
        self._open = not opened
        self.set_open(opened)

    @property
    def is_open(self) -> bool:
        """Whether the content shows."""
        return self._open

    def set_open(self, opened: bool) -> None:
        """Open or close it."""
        if opened == self._open:
            return
        self._open = opened
        self._content.setVisible(opened)
        self._button.set_icon("chevron-down" if opened else "chevron-right")
        state = tr("open") if opened else tr("closed")
        self._button.setAccessibleName(f"{self._title}, {state}")
        self.toggled.emit(opened)

    def add_to_head(self, widget: QWidget) -> None:
        """Put a widget at the right of the heading; it shows only while the fold is open."""
        self._head.addWidget(widget)
        self.toggled.connect(widget.setVisible)
        widget.setVisible(self._open)
