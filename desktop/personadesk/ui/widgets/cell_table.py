"""A model for a `DataTable` whose rows somebody else makes and hands in; it holds no truth of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.widgets.data_table import Cell

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["CellTable"]


class CellTable(QAbstractTableModel):
    """Rows of cells that somebody else makes."""

    def __init__(self, titles: Sequence[str], parent: Any = None) -> None:
        super().__init__(parent)
        self._titles = tuple(titles)
        self._rows: tuple[tuple[Cell, ...], ...] = ()

    def show_rows(self, titles: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> bool:
        """Show other rows; what is the same is left alone. Return whether there are others in number or kind."""
        if (self._titles, self._rows) == (tuple(titles), tuple(rows)):
            return False
        if self._titles == tuple(titles) and len(self._rows) == len(rows):
            self._rows = tuple(rows)
            self.dataChanged.emit(
                self.index(0, 0), self.index(len(rows) - 1, len(self._titles) - 1)
            )
            return False
        self.beginResetModel()
        self._titles, self._rows = tuple(titles), tuple(rows)
        self.endResetModel()
        return True

    @property
    def titles(self) -> tuple[str, ...]:
        """The heads of the columns."""
        return self._titles

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """What is shown."""
        return self._rows

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._titles)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        cell = self._rows[index.row()][index.column()]
        return cell.told(role)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None
