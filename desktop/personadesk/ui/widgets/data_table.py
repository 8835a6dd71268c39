"""A table of two-line cells, each perhaps with a state's shape; its model says what stands in a cell, by `CELL_ROLE`.

The model sorts and filters by itself; this only draws. Cells are painted by a delegate, so that a thousand rows cost no
widgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.state import SHAPE_ROLE, Shape, paint_shape

if TYPE_CHECKING:
    from typing import Any

    from PySide6.QtCore import QAbstractItemModel

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["CELL_ROLE", "Cell", "CellDelegate", "DataTable"]

CELL_ROLE = Qt.ItemDataRole.UserRole + 1
"""What a cell says: a `Cell`."""
_ROW_HEIGHT, _PLAIN_ROW_HEIGHT = 46, 36
_PADDING, _SHAPE, _GAP = 10, 14, 7
_NARROWEST = 140
"""What the widest column keeps."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell says.

    Attributes:
        text: The first line.
        below: A second, fainter line; "" for none.
        tip: What stands in its tooltip; "" for nothing.
        shape: A state's shape before the text, None for none.
        strong: Whether the text stands out, as names and prices do.
        faint: Whether the whole cell steps back, as that of something that is over.
    """

    text: str
    below: str = ""
    tip: str = ""
    shape: Shape | None = None
    strong: bool = False
    faint: bool = False

    @property
    def spoken(self) -> str:
        """What assistive technology says."""
        return f"{self.text}, {self.below}" if self.below else self.text

    def told(self, role: int) -> Any:
        """Return what a model answers for this cell in a role, None where it has nothing to say."""
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.text
            case Qt.ItemDataRole.ToolTipRole:
                return self.tip or None
            case Qt.ItemDataRole.AccessibleTextRole:
                return self.spoken
            case _ if role == CELL_ROLE:
                return self
        return None


class CellDelegate(QStyledItemDelegate):
    """Paints cells."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        self.initStyleOption(option, index)
        cell = index.data(CELL_ROLE)
        look = theme()
        box = QRectF(option.rect)
        painter.save()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if selected or hovered:
            painter.fillRect(box, look.colour(Role.ACCENT_SOFT if selected else Role.HOVER))
        edge = look.border
        painter.fillRect(
            QRectF(box.left(), box.bottom() - edge + 1, box.width(), edge), look.colour(Role.BORDER)
        )
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(look.colour(Role.FOCUS))
            painter.drawRect(box.adjusted(1, 1, -2, -2))
        if isinstance(cell, Cell):
            self.paint_inside(painter, box, cell, index)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        cell = index.data(CELL_ROLE)
        px = theme().pxf
        if not isinstance(cell, Cell):
            return QSize(theme().px(40), theme().px(_PLAIN_ROW_HEIGHT))
        first = QFontMetricsF(theme().font(Type.BODY, 600)).horizontalAdvance(cell.text)
        second = QFontMetricsF(theme().font(Type.SMALL)).horizontalAdvance(cell.below)
        shape = px(_SHAPE + _GAP) if cell.shape is not None else 0.0
        return QSize(
            round(max(first + shape, second) + 2 * px(_PADDING)) + 2, theme().px(_ROW_HEIGHT)
        )

    def paint_inside(self, painter: QPainter, box: QRectF, cell: Cell, _index: Index) -> None:
        """Paint what stands in a cell; its ground is there."""
        look = theme()
        px = look.pxf
        inner = box.adjusted(px(_PADDING), 0, -px(_PADDING), 0)
        font = look.font(Type.BODY, 600 if cell.strong or cell.shape is not None else 400)
        metrics = QFontMetricsF(font)
        small = look.font(Type.SMALL)
        small_height = QFontMetricsF(small).height() if cell.below else 0.0
        height = metrics.height() + small_height
        top = box.center().y() - height / 2
        line = QRectF(inner.left(), top, inner.width(), metrics.height())
        tone = Role.TEXT3 if cell.faint else Role.TEXT
        if cell.shape is not None:
            size = px(_SHAPE)
            where = QRectF(line.left(), line.center().y() - size / 2, size, size)
            paint_shape(painter, where, cell.shape)
            line.setLeft(line.left() + size + px(_GAP))
            tone = SHAPE_ROLE[cell.shape]
            if tone is Role.BORDER_STRONG:
                tone = Role.TEXT2
        painter.setFont(font)
        painter.setPen(look.colour(tone))
        middle = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(line, middle, metrics.elidedText(cell.text, elide, line.width()))
        if cell.below:
            painter.setFont(small)
            painter.setPen(look.colour(Role.TEXT3 if cell.faint else Role.TEXT2))
            below = QRectF(inner.left(), line.bottom(), inner.width(), small_height)
            shown = QFontMetricsF(small).elidedText(cell.below, elide, below.width())
            painter.drawText(below, middle, shown)


class DataTable(QTableView):
    """A table whose rows are chosen whole.

    Signals:
        opened: Enter or a double click on a row (its index).
        left: Esc: back to what was before.
    """

    opened = Signal(QModelIndex)
    left = Signal()

    def __init__(
        self,
        name: str,
        model: QAbstractItemModel,
        *,
        several: bool = False,
        row_height: int = _ROW_HEIGHT,
        parent: QWidget | None = None,
    ) -> None:
        """Make the table.

        Args:
            name: What it lists, for assistive technology.
            model: Says what stands in its cells.
            several: Whether more than one row can be chosen.
            row_height: Height of its rows at 13 px text; cells with two lines need the usual one.
        """
        super().__init__(parent)
        self._row_height = row_height
        self._wanted: list[int] = []
        self.setAccessibleName(name)
        self.setItemDelegate(CellDelegate(self))
        self.setModel(model)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        mode = QAbstractItemView.SelectionMode
        self.setSelectionMode(mode.ExtendedSelection if several else mode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setStretchLastSection(True)
        self.doubleClicked.connect(self.opened)
        theme().theme_changed.connect(self._measure)
        self._measure()

    def fit_columns(self, most: int = 60) -> None:
        """Give each column the width that its title and its first `most` cells want."""
        model = self.model()
        delegate = self.itemDelegate()
        option = QStyleOptionViewItem()
        self._wanted = []
        for column in range(model.columnCount()):
            wanted = self.horizontalHeader().sectionSizeHint(column)
            for row in range(min(most, model.rowCount())):
                wanted = max(wanted, delegate.sizeHint(option, model.index(row, column)).width())
            self._wanted.append(min(wanted, theme().px(320)))
        self._spread()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._spread()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex())
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _spread(self) -> None:
        """Share what is left of the width among the columns, so that none stands alone at the far end.

        Where a little is lacking the widest column gives it: a long sentence that ends in … is better than a bar.
        """
        if not self._wanted or len(self._wanted) != self.model().columnCount():
            return
        widths = list(self._wanted)
        left = self.viewport().width() - sum(widths)
        widest = widths.index(max(widths))
        if left < 0 and widths[widest] + left >= theme().px(_NARROWEST):
            widths[widest] += left
        share = max(0, left) // len(widths)
        for column, width in enumerate(widths):
            self.setColumnWidth(column, width + share)

    def _measure(self) -> None:
        self.verticalHeader().setDefaultSectionSize(theme().px(self._row_height))
        self.viewport().update()
