"""Parts of the wizard's forms: a field with its label and fault, and a choice among a few as cards."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Pill, Shape, StateShape, hbox, label, repolish, vbox

__all__ = ["Finding", "FormField", "OptionCard"]


class FormField(QWidget):
    """A line to type in, with its label above and what is wrong with it below.

    Attributes:
        edit: The line.

    Signals:
        left: The field lost the focus; now is the time to judge it.
    """

    left = Signal()

    def __init__(
        self, title: str, *, hint: str = "", name: str = "", parent: QWidget | None = None
    ) -> None:
        """Make an empty field.

        Args:
            title: Its label, with `&` before the letter that jumps to it.
            hint: A sentence below it while nothing is wrong.
            name: What assistive technology says, where the label alone is not enough.
        """
        super().__init__(parent)
        self._hint = hint
        column = vbox(self, gap=6)
        title_label = QLabel(title)
        title_label.setProperty("type", Type.BODY.value)
        title_label.setProperty("tone", Role.TEXT.value)
        title_label.setProperty("weight", "500")
        column.addWidget(title_label)
        row = hbox(gap=8)
        self.edit = QLineEdit()
        self.edit.setAccessibleName(name or title.replace("&", ""))
        self.edit.installEventFilter(self)
        title_label.setBuddy(self.edit)
        row.addWidget(self.edit, 1)
        row.addStretch()
        self._row = row
        column.addLayout(row)
        below = hbox(gap=6)
        self._mark = StateShape(Shape.ERR, tr("Not right yet"), size=14)
        below.addWidget(self._mark, alignment=Qt.AlignmentFlag.AlignTop)
        self._below = label(hint, Type.SMALL, Role.TEXT3, wrap=True)
        below.addWidget(self._below, 1)
        column.addLayout(below)
        self.set_fault("")

    @property
    def fault(self) -> str:
        """What is wrong, empty when nothing is."""
        return self._fault

    def add_beside(self, widget: QWidget) -> None:
        """Put a button at the right of the line."""
        self._row.addWidget(widget)

    def set_fault(self, sentence: str) -> None:
        """Say what is wrong, or that nothing is."""
        self._fault = sentence
        faulty = bool(sentence)
        self._mark.setVisible(faulty)
        self._below.setText(sentence or self._hint)
        self._below.setVisible(faulty or bool(self._hint))
        self._below.setProperty("tone", (Role.ERR if faulty else Role.TEXT3).value)
        repolish(self._below)
        if (self.edit.property("fault") == "true") != faulty:
            self.edit.setProperty("fault", "true" if faulty else "false")
            repolish(self.edit)
        self.edit.setAccessibleDescription(sentence or self._hint)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.FocusOut:
            self.left.emit()
        return super().eventFilter(watched, event)


class OptionCard(QAbstractButton):
    """One of a few ways to choose from; all of it can be clicked, and one of them is taken."""

    confirmed = Signal()
    """Enter was pressed on it: go on."""

    def __init__(
        self, title: str, text: str, *, pill: str = "", parent: QWidget | None = None
    ) -> None:
        """Make the card.

        Args:
            title: What is chosen.
            text: A sentence or two about it.
            pill: A short fact at its right.
        """
        super().__init__(parent)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(f"{title}, {pill}" if pill else title)
        self.setAccessibleDescription(text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        px = theme().px
        self._row = row = hbox(self, gap=12, margin=16)
        row.addSpacing(px(30))
        self.column = vbox(gap=4)
        head = hbox(gap=8)
        head.addWidget(label(title, Type.CARD_TITLE, wrap=True), 1)
        if pill:
            head.addWidget(
                Pill(pill, tone=Role.OFF, ground=Role.OFF_SOFT),
                alignment=Qt.AlignmentFlag.AlignTop,
            )
        self.column.addLayout(head)
        self._text = label(text, Type.BODY, Role.TEXT2, wrap=True)
        self.column.addWidget(self._text)
        self.column.addStretch(1)
        row.addLayout(self.column, 1)
        self.toggled.connect(self.update)

    def set_text(self, text: str) -> None:
        """Say something else about it."""
        if text != self._text.text():
            self._text.setText(text)
            self.setAccessibleDescription(text)
            self.updateGeometry()

    def add_beside(self, widget: QWidget, alignment: Qt.AlignmentFlag) -> None:
        """Put a widget at the right of the words."""
        self._row.addWidget(widget, alignment=alignment)

    def sizeHint(self) -> QSize:
        return self._row.sizeHint()

    def minimumSizeHint(self) -> QSize:
        return self._row.minimumSize()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._row.heightForWidth(width)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.setChecked(True)
            self.confirmed.emit()
            return
        super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, px = theme(), theme().pxf
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = self.isChecked()
        edge = look.border * (2 if chosen else 1)
        line = Role.ACCENT if chosen else Role.BORDER_STRONG if self.underMouse() else Role.BORDER
        painter.setPen(QPen(look.colour(line), edge))
        painter.setBrush(look.colour(Role.SURFACE))
        half = edge / 2
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(half, half, -half, -half), px(10), px(10)
        )
        ring = QRectF(px(18), px(18), px(17), px(17))
        painter.setPen(QPen(look.colour(Role.ACCENT if chosen else Role.BORDER_STRONG), px(1.7)))
        painter.setBrush(look.colour(Role.ACCENT if chosen else Role.SURFACE))
        painter.drawEllipse(ring)
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour(Role.ON_ACCENT))
            painter.drawEllipse(QPointF(ring.center()), px(3.2), px(3.2))
        painter.end()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
        super().leaveEvent(event)


class Finding(QWidget):
    """A checked thing: shape, name, and a sentence."""

    def __init__(self, title: str, sentence: str, shape: Shape) -> None:
        super().__init__()
        row = hbox(self, gap=10)
        self._shape = StateShape(shape, "", size=16)
        row.addWidget(self._shape, alignment=Qt.AlignmentFlag.AlignTop)
        column = vbox(gap=1)
        column.addWidget(label(title, Type.BODY, weight=600, wrap=True))
        self._sentence = label(sentence, Type.SMALL, Role.TEXT2, wrap=True)
        column.addWidget(self._sentence)
        row.addLayout(column, 1)
        self._title = title
        self.show_finding(shape, sentence)

    def show_finding(self, shape: Shape, sentence: str) -> None:
        """Show how it is."""
        self._sentence.setText(sentence)
        word = {Shape.OK: tr("Good"), Shape.ERR: tr("Not right yet")}.get(shape, tr("Unknown"))
        if shape is Shape.STOPPED:
            word = tr("Not here")
        self._shape.set_state(shape, word)
        self.setAccessibleName(f"{self._title}: {word}. {sentence}")
