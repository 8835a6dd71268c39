"""What own-painted widgets share: they follow the theme, and repaint when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from personadesk.ui.theme import Role, Theme, Type, theme, wear, worn

if TYPE_CHECKING:
    from PySide6.QtCore import QEvent

__all__ = ["Painted", "Rule", "repolish"]


class Painted(QWidget):
    """A widget with one painter; subclasses paint and give a size hint."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worn = worn()
        theme().theme_changed.connect(self.follow_theme)

    @property
    def look(self) -> Theme:
        """The theme in use: the one that was worn when this was made, else the program's."""
        return self._worn or theme()

    def metrics(self, type_: Type = Type.BODY, weight: int | None = None) -> QFontMetricsF:
        """Return the measures of a type, as it will be painted."""
        return QFontMetricsF(self.look.font(type_, weight), self)

    def follow_theme(self) -> None:
        """Forget what was measured and drawn in the old theme."""
        self.updateGeometry()
        self.update()

    def event(self, event: QEvent) -> bool:
        if self._worn is None:
            return super().event(event)
        with wear(self._worn):
            return super().event(event)

    def start_painting(self, font: QFont | None = None) -> QPainter:
        """Return a painter with smooth edges; the caller ends it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font or self.look.font())
        painter.setPen(self.look.colour(Role.TEXT))
        return painter


class Rule(QFrame):
    """A thin line that separates; decoration only."""

    def __init__(self, *, vertical: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "rule")
        self._vertical = vertical
        grow, stay = QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        self.setSizePolicy(stay if vertical else grow, grow if vertical else stay)
        self._measure()
        theme().theme_changed.connect(self._measure)

    def _measure(self) -> None:
        if self._vertical:
            self.setFixedWidth(theme().border)
        else:
            self.setFixedHeight(theme().border)


def repolish(widget: QWidget) -> None:
    """Apply the style sheet again after a property that it looks at has changed."""
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
    widget.updateGeometry()
    widget.update()
