"""The focus ring: 2 px around whatever has the keyboard, 2 px away from it, the same for every control.

Style sheets cannot paint outside a control, so one transparent widget a window follows the focus.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QRegion
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractScrollArea,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)
from shiboken6 import isValid

from personadesk.ui.theme import Role, theme

__all__ = ["FocusRing"]

GAP = 2
WIDTH = 2
_FOLLOWED = {
    QEvent.Type.Move,
    QEvent.Type.Resize,
    QEvent.Type.Show,
    QEvent.Type.Hide,
    QEvent.Type.ParentChange,
}


class FocusRing(QWidget):
    """Shows where the keyboard is in one window."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("")
        self._followed: list[QWidget] = []
        self._target: QWidget | None = None
        self.hide()
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_moved)
        theme().theme_changed.connect(self._place)

    @property
    def target(self) -> QWidget | None:
        """What the ring is around."""
        shown = self._target is not None and isValid(self._target) and self.isVisible()
        return self._target if shown else None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _FOLLOWED:
            self._place()
        return super().eventFilter(watched, event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        width = theme().pxf(WIDTH)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme().colour(Role.FOCUS), width))
        half = width / 2
        radius = theme().pxf(9)
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(half, half, -half, -half), radius, radius
        )
        painter.end()

    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        for widget in self._followed:
            if isValid(widget):
                widget.removeEventFilter(self)
        self._followed = []
        self._target = None
        if new is not None and new.window() is self.window() and _wants_ring(new):
            self._target = new
            step: QWidget | None = new
            while step is not None and step is not self.window():
                step.installEventFilter(self)
                self._followed.append(step)
                step = step.parentWidget()
        self._place()

    def _place(self) -> None:
        target = self._target
        if target is None or not isValid(target) or not target.isVisible():
            self.hide()
            return
        reach = theme().px(GAP + WIDTH)
        window = self.window()
        outer = QRect(target.mapTo(window, QPoint(0, 0)), target.size()).adjusted(
            -reach, -reach, reach, reach
        )
        seen = window.rect()
        step = target.parentWidget()
        while step is not None and step is not window:
            holder = step.parentWidget()
            if isinstance(holder, QAbstractScrollArea) and holder.viewport() is step:
                seen = seen.intersected(QRect(step.mapTo(window, QPoint(0, 0)), step.size()))
            step = holder
        self.setGeometry(outer)
        self.setMask(QRegion(seen.translated(-outer.topLeft()).intersected(self.rect())))
        self.setVisible(seen.intersects(outer))
        self.raise_()


def _wants_ring(widget: QWidget) -> bool:
    if isinstance(widget, QAbstractItemView) and widget.currentIndex().isValid():
        return False  # The delegate marks the row itself.
    if isinstance(widget, (QLineEdit, QPlainTextEdit)):
        return True
    # Who clicked knows where he is; the ring is for the keyboard.
    by_pointer = QApplication.mouseButtons() != Qt.MouseButton.NoButton
    return not by_pointer
