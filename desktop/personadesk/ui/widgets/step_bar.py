"""Where a wizard is: its pages in a row, the done ones clickable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets.base import Rule, repolish
from personadesk.ui.widgets.card import hbox
from personadesk.ui.widgets.state import Shape, paint_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StepBar"]


class StepBar(QWidget):
    """The pages of a wizard.

    Signals:
        step_chosen: The user clicked a done page (its index).
    """

    step_chosen = Signal(int)

    def __init__(self, titles: Sequence[str], parent: QWidget | None = None) -> None:
        """Make the bar at its first page."""
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._titles = list(titles)
        self._current = 0
        self._buttons: list[QPushButton] = []
        row = hbox(self, gap=8)
        for index, title in enumerate(titles):
            if index:
                rule = Rule()
                rule.setMinimumWidth(theme().px(8))
                rule.setMaximumWidth(theme().px(32))
                # Its stretch outweighs the room behind the last page until its greatest width is reached.
                row.addWidget(rule, 100)
            button = QPushButton(title)
            button.setAutoDefault(False)
            button.setProperty("kind", "step")
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda _checked=False, index=index: self._clicked(index))
            self._buttons.append(button)
            row.addWidget(button)
        row.addStretch(1)
        self._dress()
        theme().theme_changed.connect(self._dress)

    @property
    def current(self) -> int:
        """Index of the page that is open."""
        return self._current

    def set_current(self, index: int) -> None:
        """Mark a page as open; those before it are done, those after it to come."""
        self._current = index
        self._dress()

    def _clicked(self, index: int) -> None:
        if index < self._current:
            self.step_chosen.emit(index)

    def _dress(self) -> None:
        for index, button in enumerate(self._buttons):
            title = self._titles[index]
            if index == self._current:
                state, told, button_text = "current", tr("open"), f"{index + 1}   {title}"
                button.setIcon(QIcon())
            else:
                done = index < self._current
                state, told = ("done", tr("done")) if done else ("todo", tr("to come"))
                button_text = title
                button.setIcon(_shape_icon(button, Shape.OK if done else Shape.EMPTY))
                size = theme().px(16)
                button.setIconSize(QSize(size + theme().px(3), size))
            button.setText(button_text)
            # Pages to come cannot be pressed; the open one needs no press.
            button.setEnabled(index < self._current)
            button.setAccessibleName(
                tr("Page {number}, {title}: {state}", number=index + 1, title=title, state=told)
            )
            button.setProperty("step", state)
            repolish(button)


def _shape_icon(widget: QWidget, shape: Shape) -> QIcon:
    size, ratio = theme().px(16), widget.devicePixelRatioF()
    drawn = QPixmap(round((size + theme().px(3)) * ratio), round(size * ratio))
    drawn.setDevicePixelRatio(ratio)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    paint_shape(painter, QRectF(0, 0, size, size), shape, ground=Role.WINDOW)
    painter.end()
    made = QIcon(drawn)
    made.addPixmap(drawn, QIcon.Mode.Disabled)
    return made
