"""The values of a graph as a table, for who reads numbers better than lines, or has them read out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QDialog, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import theme
from personadesk.ui.widgets import Button, hbox, vbox
from personadesk.ui.widgets.data_table import CELL_ROLE, Cell, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["ValueTable"]

_NOWHERE = QModelIndex()


class _Values(QAbstractTableModel):
    """Rows of text below titles."""

    def __init__(self, rows: Sequence[tuple[str, ...]], parent: QObject) -> None:
        super().__init__(parent)
        self._titles, self._rows = rows[0], list(reversed(rows[1:]))

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        text = self._rows[index.row()][index.column()] or "–"
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return text
        return Cell(text) if role == CELL_ROLE else None


class ValueTable(QDialog):
    """The table, newest first. Esc closes it."""

    def __init__(
        self, title: str, rows: Sequence[tuple[str, ...]], parent: QWidget | None = None
    ) -> None:
        """Make the window.

        Args:
            title: What the graph shows.
            rows: As `TimeChart.table` returns them.
        """
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(theme().px(480), theme().px(560))
        column = vbox(self, gap=12, margin=16)
        self.table = DataTable(title, _Values(rows, self))
        self.table.left.connect(self.reject)
        column.addWidget(self.table, 1)
        foot = hbox()
        foot.addStretch(1)
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        foot.addWidget(close)
        column.addLayout(foot)
        self.table.fit_columns()
        self.table.setFocus()
