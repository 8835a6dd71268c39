"""The steps of a deploy as a list: state, title, what it does, time, and progress in the running row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
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
from PySide6.QtGui import QFontMetricsF, QHideEvent, QPainter, QPen, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.busy import Turner
from personadesk.ui.widgets.fields import paint_bar
from personadesk.ui.widgets.state import Shape, paint_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StepList", "StepModel", "StepRow"]

_Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as it is shown.

    Attributes:
        title: What the step is.
        detail: What it does or did, one line.
        shape: Its state's shape.
        word: Its state in a word.
        time: Time taken, or expected with ``≈``.
        fraction: 0 to 1 for the running one, None where there is no bar.
        current: Whether the row is lit.
    """

    title: str
    detail: str
    shape: Shape
    word: str
    time: str = ""
    fraction: float | None = None
    current: bool = False


class StepRole(IntEnum):
    """Roles of the model beyond Qt's own."""

    ROW = Qt.ItemDataRole.UserRole + 1


class StepModel(QAbstractListModel):
    """Rows of a deploy; holds no truth of its own, it is told what to show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[StepRow, ...] = ()

    @property
    def rows(self) -> tuple[StepRow, ...]:
        """What is shown."""
        return self._rows

    def set_rows(self, rows: Sequence[StepRow]) -> None:
        """Show these rows; only changed ones are announced."""
        wanted = tuple(rows)
        if len(wanted) != len(self._rows):
            self.beginResetModel()
            self._rows = wanted
            self.endResetModel()
            return
        before, self._rows = self._rows, wanted
        for number, (old, new) in enumerate(zip(before, wanted, strict=True)):
            if old != new:
                changed = self.index(number)
                self.dataChanged.emit(changed, changed)

    def rowCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == StepRole.ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.detail or None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(part for part in (row.title, row.word, row.detail, row.time) if part)
        return None


class _StepDelegate(QStyledItemDelegate):
    def __init__(self, turner: Turner, parent: QWidget) -> None:
        super().__init__(parent)
        self._turner = turner

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _Index) -> QSize:
        title = QFontMetricsF(theme().font(Type.CARD_TITLE)).height()
        detail = QFontMetricsF(theme().font(Type.SMALL)).height()
        return QSize(theme().px(160), round(title + detail + theme().px(29)))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row: StepRow = index.data(StepRole.ROW)
        look, px = theme(), theme().pxf
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(option.rect).adjusted(px(2), px(2), -px(2), -px(2))
        if row.current:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(
                look.colour(Role.ERR_SOFT if row.shape is Shape.ERR else Role.ACCENT_SOFT)
            )
            painter.drawRoundedRect(box, px(8), px(8))
        focused = option.state & QStyle.StateFlag.State_HasFocus
        if focused:
            painter.setPen(QPen(look.colour(Role.FOCUS), px(2)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), px(7), px(7))
        waiting = row.shape in {Shape.EMPTY, Shape.UNKNOWN}
        inner = box.adjusted(px(10), px(8), -px(12), -px(8))
        shape = px(19)
        paint_shape(
            painter,
            QRectF(inner.left(), inner.top() + px(2), shape, shape),
            row.shape,
            turn=self._turner.angle,
        )
        text_left = inner.left() + shape + px(11)
        small = QFontMetricsF(look.font(Type.SMALL))
        time_width = small.horizontalAdvance(row.time)
        self._paint_line(
            painter,
            QPointF(text_left, inner.top()),
            inner.right() - text_left - time_width - px(8),
            row.title,
            Type.CARD_TITLE,
            Role.TEXT2 if waiting else Role.TEXT,
            600,
        )
        title_height = QFontMetricsF(look.font(Type.CARD_TITLE)).height()
        painter.setFont(look.font(Type.SMALL))
        painter.setPen(look.colour(Role.TEXT2))
        painter.drawText(
            QRectF(inner.right() - time_width - 1, inner.top(), time_width + 2, title_height),
            int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
            row.time,
        )
        top = inner.top() + title_height + px(3)
        self._paint_line(
            painter,
            QPointF(text_left, top),
            inner.right() - text_left,
            row.detail,
            Type.SMALL,
            Role.TEXT3 if waiting and not row.current else Role.TEXT2,
            400,
        )
        if row.fraction is not None:
            bar = QRectF(text_left, top + small.height() + px(3), inner.right() - text_left, px(6))
            paint_bar(painter, bar, row.fraction)
        painter.restore()

    def _paint_line(
        self,
        painter: QPainter,
        top_left: QPointF,
        width: float,
        text: str,
        type_: Type,
        role: Role,
        weight: int,
    ) -> None:
        font = theme().font(type_, weight)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(theme().colour(role))
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
        painter.drawText(QPointF(top_left.x(), top_left.y() + metrics.ascent()), shown)


class StepList(QListView):
    """The list; arrow keys walk through it, and assistive technology reads each row whole."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make an empty list.

        Args:
            name: What is listed, for assistive technology.
        """
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._turner = Turner(self, still=theme().reduced_motion)
        self._turner.timeout.connect(self._turn_busy)
        self._model = StepModel(self)
        self._model.dataChanged.connect(self._changed)
        self._model.modelReset.connect(self._changed)
        self.setModel(self._model)
        self.setItemDelegate(_StepDelegate(self._turner, self))
        theme().theme_changed.connect(self._follow_theme)

    @property
    def rows(self) -> tuple[StepRow, ...]:
        """What is shown."""
        return self._model.rows

    def set_rows(self, rows: Sequence[StepRow]) -> None:
        """Show these steps; the lit one is scrolled into view when it changes."""
        before = self._lit()
        self._model.set_rows(rows)
        lit = self._lit()
        if lit is not None and lit != before:
            self.scrollTo(self._model.index(lit))

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(hint.width(), self.sizeHintForRow(0) * len(self.rows) + theme().px(4))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._changed()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._turner.run(False)

    def _lit(self) -> int | None:
        return next((i for i, row in enumerate(self.rows) if row.current), None)

    def _busy(self) -> list[int]:
        return [i for i, row in enumerate(self.rows) if row.shape is Shape.BUSY]

    def _changed(self) -> None:
        self._turner.run(self.isVisible() and bool(self._busy()))

    def _turn_busy(self) -> None:
        for number in self._busy():
            self.update(self._model.index(number))

    def _follow_theme(self) -> None:
        self.scheduleDelayedItemsLayout()
        self.viewport().update()
