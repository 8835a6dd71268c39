"""Labels by type and tone, and one that shortens what does not fit."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from personadesk.ui.theme import Role, Type

__all__ = ["ElidedLabel", "label", "set_tone"]


def label(
    text: str = "",
    type_: Type = Type.BODY,
    tone: Role = Role.TEXT,
    *,
    weight: int | None = None,
    wrap: bool = False,
    mono: bool = False,
    selectable: bool = False,
) -> QLabel:
    """Return a label.

    Args:
        text: Shown as it is; markup is not read.
        type_: Step of the type scale.
        tone: Role of its colour.
        weight: 400, 500, 600 or 700, instead of the type's own.
        wrap: Whether it may take several lines.
        mono: Fixed width.
        selectable: Whether the user can select and copy it.
    """
    made = QLabel()
    _dress(made, type_, tone, weight, mono=mono)
    made.setText(text)
    made.setWordWrap(wrap)
    # What is left over in height belongs between the parts, not inside a line of text.
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    if wrap:
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        made.setSizePolicy(policy)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        made.setAccessibleName(text)
    return made


def set_tone(made: QLabel, tone: Role) -> None:
    """Change the colour of a label."""
    if made.property("tone") != tone.value:
        made.setProperty("tone", tone.value)
        style = made.style()
        style.unpolish(made)
        style.polish(made)


class ElidedLabel(QLabel):
    """A label on one line that ends in … where it does not fit; its tooltip then has the whole."""

    def __init__(
        self,
        text: str = "",
        type_: Type = Type.BODY,
        tone: Role = Role.TEXT,
        *,
        weight: int | None = None,
        mono: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        _dress(self, type_, tone, weight, mono=mono)
        self.setText(text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:  # noqa: N802 - overrides Qt's
        super().setText(text)
        self._tell_whole()

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        hint.setWidth(min(hint.width(), self.fontMetrics().horizontalAdvance("MMMM…")))
        return hint

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell_whole()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._tell_whole()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        shown = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width()
        )
        self.style().drawItemText(
            painter,
            self.contentsRect(),
            int(self.alignment() | Qt.AlignmentFlag.AlignVCenter),
            self.palette(),
            self.isEnabled(),
            shown,
            self.foregroundRole(),
        )
        painter.end()

    def _tell_whole(self) -> None:
        fits = self.fontMetrics().horizontalAdvance(self.text()) <= self.contentsRect().width()
        self.setToolTip("" if fits else self.text())


def _dress(made: QLabel, type_: Type, tone: Role, weight: int | None, *, mono: bool) -> None:
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setProperty("type", type_.value)
    made.setProperty("tone", tone.value)
    if weight is not None:
        made.setProperty("weight", str(weight))
    if mono:
        made.setProperty("mono", "true")
