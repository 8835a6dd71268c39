"""Cards: the frame that holds what belongs together, and the big one that offers a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QKeyEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import (
    QAbstractButton,
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from personadesk.ui.icons import pixmap
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.base import Painted
from personadesk.ui.widgets.buttons import Button, Kind, Size
from personadesk.ui.widgets.pill import Pill
from personadesk.ui.widgets.state import Shape, StateShape
from personadesk.ui.widgets.text import label

if TYPE_CHECKING:
    from collections.abc import Sequence

_Box = TypeVar("_Box", bound=QBoxLayout)

__all__ = ["Card", "ChoiceCard", "IconLabel", "Note", "clear_layout", "hbox", "vbox"]


def vbox(parent: QWidget | None = None, *, gap: int = 0, margin: int = 0) -> QVBoxLayout:
    """Return a column; gap and margin in design pixels."""
    made = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    return _spaced(made, gap, margin)


def hbox(parent: QWidget | None = None, *, gap: int = 0, margin: int = 0) -> QHBoxLayout:
    """Return a row; gap and margin in design pixels."""
    made = QHBoxLayout(parent) if parent is not None else QHBoxLayout()
    return _spaced(made, gap, margin)


def clear_layout(layout: QLayout) -> None:
    """Remove and delete everything in a layout."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear_layout(inner)


class IconLabel(Painted):
    """An icon as a picture, not to be pressed; it decorates a text beside it."""

    def __init__(
        self, name: str, size: int, tone: Role = Role.TEXT2, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._name, self._size, self._tone = name, size, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(self._size), self.look.px(self._size))

    def show_icon(self, name: str, tone: Role) -> None:
        """Show another icon."""
        if (name, tone) != (self._name, self._tone):
            self._name, self._tone = name, tone
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        drawn: QPixmap = pixmap(
            self._name, self.look.px(self._size), self._tone, ratio=self.devicePixelRatioF()
        )
        painter.drawPixmap(0, 0, drawn)
        painter.end()


class Card(QFrame):
    """A frame for what belongs together.

    Attributes:
        column: Its layout, from top to bottom.
    """

    def __init__(
        self, title: str = "", *, padding: int = 18, gap: int = 12, parent: QWidget | None = None
    ) -> None:
        """Make the card.

        Args:
            title: Heading; none when empty.
            padding: Space within its edge at 13 px text.
            gap: Space between its parts at 13 px text.
        """
        super().__init__(parent)
        self.setProperty("kind", "card")
        self.column = vbox(self, gap=gap, margin=padding)
        self._head: QHBoxLayout | None = None
        self._title: QLabel | None = None
        if title:
            self._head = hbox(gap=8)
            self._title = label(title, Type.CARD_TITLE)
            self._head.addWidget(self._title)
            self._head.addStretch(1)
            self.column.addLayout(self._head)
            self.setAccessibleName(title)

    def set_title(self, title: str) -> None:
        """Change the heading of a card that has one."""
        if self._title is not None:
            self._title.setText(title)
            self.setAccessibleName(title)

    def add_to_head(self, widget: QWidget) -> None:
        """Put a widget at the right of the heading."""
        if self._head is None:
            raise ValueError("only a card with a title has a head")
        self._head.addWidget(widget)

    def add(self, part: QWidget | QLayout, stretch: int = 0) -> None:
        """Put a part below the others."""
        if isinstance(part, QWidget):
            self.column.addWidget(part, stretch)
        else:
            self.column.addLayout(part, stretch)


class Note(QFrame):
    """One plain sentence on a soft ground, for what is good to know."""

    def __init__(self, text: str, *, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "note")
        row = hbox(self, gap=10, margin=12)
        row.addWidget(
            IconLabel("info", 16, Role.ACCENT_TEXT), alignment=Qt.AlignmentFlag.AlignVCenter
        )
        column = vbox(gap=3)
        if title:
            column.addWidget(label(title, Type.SMALL, Role.ACCENT_TEXT, weight=600))
        self._text = label(text, Type.SMALL, wrap=True)
        column.addWidget(self._text)
        row.addLayout(column, 1)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def set_text(self, text: str) -> None:
        """Say something else."""
        self._text.setText(text)


class ChoiceCard(QAbstractButton):
    """A way to go: icon, price, promises and the button that takes it. All of it can be clicked.

    ``clicked`` is emitted for the card and for its button alike.
    """

    def __init__(
        self,
        *,
        icon: str,
        title: str,
        text: str,
        promises: Sequence[str],
        action: str,
        pill: str = "",
        free: bool = False,
        recommended: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make the card.

        Args:
            icon: Name of its icon.
            title: What is chosen.
            text: A sentence or two about it.
            promises: Short facts with a tick each.
            action: Text of the button.
            pill: Price, at the right of the icon.
            free: Whether the price is shown as good news.
            recommended: Whether its button is the filled one.
        """
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"{title}, {pill}" if pill else title)
        self.setAccessibleDescription(" ".join((text, *promises)))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._hovered = False
        self._text = label(text, Type.BODY, Role.TEXT2, wrap=True)
        column = self._column = vbox(self, gap=0, margin=24)
        head = hbox(gap=8)
        head.addWidget(IconLabel(icon, 30, Role.ACCENT_TEXT))
        head.addStretch(1)
        if pill:
            tone, ground = (Role.OK, Role.OK_SOFT) if free else (Role.OFF, Role.OFF_SOFT)
            head.addWidget(Pill(pill, tone=tone, ground=ground))
        column.addLayout(head)
        column.addSpacing(theme().px(12))
        column.addWidget(label(title, Type.PAGE))
        column.addSpacing(theme().px(10))
        column.addWidget(self._text)
        column.addSpacing(theme().px(14))
        for promise in promises:
            row = hbox(gap=10)
            row.addWidget(StateShape(Shape.OK, "", size=16), alignment=Qt.AlignmentFlag.AlignTop)
            row.addWidget(label(promise, wrap=True), 1)
            column.addLayout(row)
            column.addSpacing(theme().px(10))
        column.addStretch(1)
        column.addSpacing(theme().px(14))
        self.button = Button(
            action,
            kind=Kind.PRIMARY if recommended else Kind.PLAIN,
            size=Size.LARGE,
            name=f"{action}: {title}",
        )
        # The card is the one stop of the Tab key; the button in it serves the pointer.
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button.clicked.connect(self.click)
        column.addWidget(self.button)

    def set_text(self, text: str) -> None:
        """Change the sentence about it, for example when this computer has been looked at."""
        self._text.setText(text)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return self._column.sizeHint()

    def minimumSizeHint(self) -> QSize:
        return self._column.minimumSize()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.click()
            return
        super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._hovered = True
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = False
        self.update()
        super().leaveEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = look.border
        painter.setPen(
            QPen(look.colour(Role.BORDER_STRONG if self._hovered else Role.BORDER), edge)
        )
        painter.setBrush(look.colour(Role.SURFACE))
        half = edge / 2
        box = QRectF(self.rect()).adjusted(half, half, -half, -half)
        painter.drawRoundedRect(box, look.pxf(10), look.pxf(10))
        painter.end()


def _spaced(made: _Box, gap: int, margin: int) -> _Box:
    made.setSpacing(theme().px(gap))
    edge = theme().px(margin)
    made.setContentsMargins(edge, edge, edge, edge)
    return made
