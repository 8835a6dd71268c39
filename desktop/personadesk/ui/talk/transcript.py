"""The written side of a call as a list: when, who, and what; long lines wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFontMetricsF, QGuiApplication, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from personadesk.ui.theme import Role, Type, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TranscriptRow", "TranscriptView"]

_Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_WRAP = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
ROW_ROLE = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """One line.

    Attributes:
        time: Since the call began: `2:03`.
        who: Who speaks, in the user's language.
        text: What was said, or what is told of it.
        series: Curve colour of who speaks; None for what nobody says.
        faint: Whether it is told rather than written down.
    """

    time: str
    who: str
    text: str
    series: int | None
    faint: bool = False


class _Model(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[TranscriptRow, ...] = ()

    def show_rows(self, rows: Sequence[TranscriptRow]) -> None:
        """Show these; a call only ever changes its last line and adds to it."""
        wanted = tuple(rows)
        before, kept = self.rows, len(self.rows)
        if wanted[: max(0, kept - 1)] != before[: max(0, kept - 1)] or len(wanted) < kept:
            self.beginResetModel()
            self.rows = wanted
            self.endResetModel()
            return
        if len(wanted) > kept:
            self.beginInsertRows(_ROOT, kept, len(wanted) - 1)
            self.rows = wanted
            self.endInsertRows()
        else:
            self.rows = wanted
        if kept and before[kept - 1] != wanted[kept - 1]:
            changed = self.index(kept - 1)
            self.dataChanged.emit(changed, changed)

    def rowCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{row.time} {row.who}: {row.text}"
        return None


class _Delegate(QStyledItemDelegate):
    """Three columns; the third wraps."""

    def __init__(self, view: TranscriptView) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, _option: QStyleOptionViewItem, index: _Index) -> QSize:
        row: TranscriptRow = index.data(ROW_ROLE)
        metrics = QFontMetricsF(theme().font())
        _, text_left = self._columns()
        width = max(theme().px(80), self._view.viewport().width() - text_left - theme().px(8))
        box = metrics.boundingRect(QRectF(0, 0, width, 10_000), _WRAP, row.text)
        return QSize(theme().px(160), round(max(box.height(), metrics.height()) + theme().px(8)))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row: TranscriptRow = index.data(ROW_ROLE)
        look = theme()
        who_left, text_left = self._columns()
        box = QRectF(option.rect).adjusted(0, look.pxf(4), 0, 0)
        painter.save()
        plain = QFontMetricsF(look.font())
        painter.setFont(look.font(Type.SMALL))
        painter.setPen(look.colour(Role.TEXT3))
        painter.drawText(QPointF(box.left(), box.top() + plain.ascent()), row.time)
        painter.setFont(look.font(Type.BODY, 600))
        painter.setPen(look.colour(Role.WARN) if row.series is None else look.series(row.series))
        painter.drawText(QPointF(box.left() + who_left, box.top() + plain.ascent()), row.who)
        painter.setFont(look.font())
        painter.setPen(look.colour(Role.TEXT2 if row.faint else Role.TEXT))
        painter.drawText(box.adjusted(text_left, 0, -look.px(8), 0), _WRAP, row.text)
        painter.restore()

    def _columns(self) -> tuple[int, int]:
        bold = QFontMetricsF(theme().font(Type.BODY, 600))
        widest = max((bold.horizontalAdvance(row.who) for row in self._view.rows), default=0.0)
        who_left = theme().px(42)
        return who_left, round(who_left + widest + theme().px(16))


class TranscriptView(QListView):
    """The list; it follows its end unless the user scrolled up."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make an empty list.

        Args:
            name: What is listed, for assistive technology.
        """
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._lines = _Model(self)
        self.setModel(self._lines)
        self.setItemDelegate(_Delegate(self))
        theme().theme_changed.connect(self.scheduleDelayedItemsLayout)

    @property
    def rows(self) -> tuple[TranscriptRow, ...]:
        """What is shown."""
        return self._lines.rows

    def show_rows(self, rows: Sequence[TranscriptRow]) -> None:
        """Show these lines."""
        if tuple(rows) == self.rows:
            return
        bar = self.verticalScrollBar()
        following = bar.value() >= bar.maximum() - 2
        self._lines.show_rows(rows)
        self.scheduleDelayedItemsLayout()
        if following:
            self.scrollToBottom()

    def copy_all(self) -> None:
        """Put all lines on the clipboard."""
        QGuiApplication.clipboard().setText(
            "\n".join(f"{row.time}\t{row.who}\t{row.text}" for row in self.rows)
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()
