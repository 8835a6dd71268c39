"""Form controls whose marks are painted: Qt's style sheets take pictures only from files in fixed colours."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QProgressBar,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QWidget,
)

from personadesk.ui.icons import paint_icon
from personadesk.ui.theme import Role, theme

__all__ = ["CheckBox", "ComboBox", "ProgressBar", "paint_bar"]


class ComboBox(QComboBox):
    """A drop-down choice with an icon of its own at the left."""

    def __init__(
        self, name: str, *, icon: str | None = None, parent: QWidget | None = None
    ) -> None:
        """Make an empty one.

        Args:
            name: What is chosen, for assistive technology.
            icon: Name of an icon at its left.
        """
        super().__init__(parent)
        self._icon = icon
        self.setAccessibleName(name)
        self.setProperty("has_icon", "true" if icon else "false")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # Scrolling a page must not change a choice that happens to pass under the pointer.
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        px = theme().pxf
        tone = Role.TEXT2 if self.isEnabled() else Role.TEXT3
        painter = QPainter(self)
        size = px(14)
        middle = self.height() / 2
        paint_icon(
            painter,
            QRectF(self.width() - size - px(9), middle - size / 2, size, size),
            "chevron-down",
            tone,
        )
        if self._icon is not None:
            size = px(16)
            paint_icon(painter, QRectF(px(10), middle - size / 2, size, size), self._icon, tone)
        painter.end()


class CheckBox(QCheckBox):
    """A box to tick."""

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(hint.width(), max(hint.height(), theme().px(24)))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        look = theme()
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = QRectF(
            self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        )
        edge = max(1.0, look.border)
        box.adjust(edge / 2, edge / 2, -edge / 2, -edge / 2)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        checked, enabled = self.isChecked(), self.isEnabled()
        fill = Role.ACCENT if checked else Role.SURFACE
        line = Role.ACCENT if checked else Role.BORDER_STRONG
        if not enabled:
            fill, line = Role.INSET, Role.BORDER
        elif self.underMouse() and not checked:
            fill = Role.HOVER
        painter.setPen(QPen(look.colour(line), edge))
        painter.setBrush(look.colour(fill))
        painter.drawRoundedRect(box, look.pxf(4), look.pxf(4))
        if checked:
            mark = look.colour(Role.ON_ACCENT if enabled else Role.TEXT3)
            painter.setPen(
                QPen(
                    mark,
                    look.pxf(1.7),
                    Qt.PenStyle.SolidLine,
                    Qt.PenCapStyle.RoundCap,
                    Qt.PenJoinStyle.RoundJoin,
                )
            )
            painter.setBrush(Qt.BrushStyle.NoBrush)
            unit = box.width()
            painter.drawPolyline(
                QPolygonF(
                    [
                        box.topLeft() + QPointF(0.26 * unit, 0.53 * unit),
                        box.topLeft() + QPointF(0.44 * unit, 0.70 * unit),
                        box.topLeft() + QPointF(0.76 * unit, 0.32 * unit),
                    ]
                )
            )
        painter.end()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
        super().leaveEvent(event)


class ProgressBar(QProgressBar):
    """A flat bar with round ends. Its value is 0 to 1000, so that small steps show."""

    STEPS = 1000

    def __init__(
        self,
        name: str,
        *,
        tone: Role = Role.ACCENT,
        height: int = 10,
        parent: QWidget | None = None,
    ) -> None:
        """Make an empty bar.

        Args:
            name: What advances, for assistive technology.
            tone: Role of the filled part.
            height: At 13 px text.
        """
        super().__init__(parent)
        self._tone, self._height = tone, height
        self.setAccessibleName(name)
        self.setRange(0, self.STEPS)
        self.setTextVisible(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().theme_changed.connect(self.updateGeometry)

    def set_fraction(self, fraction: float | None) -> None:
        """Show how far it is, 0 to 1; None when that cannot be told (the bar is then empty)."""
        told = 0.0 if fraction is None else min(1.0, max(0.0, fraction))
        self.setValue(round(told * self.STEPS))

    def set_tone(self, tone: Role) -> None:
        """Change the colour of the filled part."""
        self._tone = tone
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme().px(120), theme().px(self._height))

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().px(40), theme().px(self._height))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_bar(painter, QRectF(self.rect()), self.value() / self.STEPS, self._tone)
        painter.end()


def paint_bar(painter: QPainter, rect: QRectF, fraction: float, tone: Role = Role.ACCENT) -> None:
    """Paint a flat bar with round ends, filled up to ``fraction`` (0 to 1)."""
    radius = rect.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().colour(Role.OFF_SOFT))
    painter.drawRoundedRect(rect, radius, radius)
    if fraction > 0:
        filled = QRectF(rect)
        filled.setWidth(max(rect.height(), rect.width() * min(1.0, fraction)))
        painter.setBrush(theme().colour(tone))
        painter.drawRoundedRect(filled, radius, radius)
