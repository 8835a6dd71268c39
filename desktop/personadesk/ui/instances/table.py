"""The table of machines as Qt wants it. The view of the fleet is the truth; this holds an order and what was shown.

It sorts and filters by itself, with numpy: a proxy over a live column stalls a window of 1,000 rows for a quarter of a
second at each change; this takes a few milliseconds. Rows stay where they are until the user sorts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from personadesk.ui.i18n import language, tr
from personadesk.ui.instances.rows import (
    COLUMNS,
    MEASURED,
    TITLES,
    Column,
    Filter,
    Row,
    cell,
    sort_key,
)
from personadesk.ui.widgets.data_table import CELL_ROLE, Cell
from personadesk.ui.widgets.spark import SPARK_ROLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.ui.instances.figures import Figures

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["KEY_ROLE", "InstanceTable"]

KEY_ROLE = Qt.ItemDataRole.UserRole + 2
"""The machine's key."""
_ROLES = [
    Qt.ItemDataRole.DisplayRole,
    Qt.ItemDataRole.ToolTipRole,
    Qt.ItemDataRole.AccessibleTextRole,
    CELL_ROLE,
]
_MEASURED_ROLES = [*_ROLES, SPARK_ROLE]
MANY = 20
"""More new rows than that are put in together; each alone would cost a search."""


class InstanceTable(QAbstractTableModel):
    """Machines, in the order and with the filter that the user chose.

    Signals:
        shown_changed: Other rows are shown than before.
    """

    shown_changed = Signal()

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        figures: Figures | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Make an empty table.

        Args:
            clock: Unix time.
            figures: What is measured of the machines; without it such cells stay empty.
        """
        super().__init__(parent)
        self._clock = clock
        self._figures = figures
        self._rows: dict[str, Row] = {}
        self._order: list[str] = []
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self._columns: tuple[Column, ...] = COLUMNS
        self._filter = Filter()
        self._sort: tuple[Column, bool] = (Column.MACHINE, False)
        language().language_changed.connect(self._reword)

    # -- what there is ----------------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        return self._columns

    @property
    def filter(self) -> Filter:
        """Which rows are kept."""
        return self._filter

    @property
    def sorted_by(self) -> tuple[Column, bool]:
        """By which column, and whether from the end."""
        return self._sort

    def all(self) -> tuple[Row, ...]:
        """Every row, shown or not."""
        return tuple(self._rows.values())

    def shown(self) -> tuple[Row, ...]:
        """The rows that are shown, in order."""
        return tuple(self._rows[key] for key in self._order)

    def row_at(self, index: Index) -> Row | None:
        """Return the row of an index."""
        inside = index.isValid() and 0 <= index.row() < len(self._order)
        return self._rows[self._order[index.row()]] if inside else None

    def position(self, key: str) -> int:
        """Return where a machine is shown, -1 when it is not."""
        return self._order.index(key) if key in self._rows and key in self._order else -1

    def tags(self, first: int, last: int) -> list[str]:
        """Return what the machines in some rows are called in the monitor, where it can have them."""
        rows = (self._rows[key] for key in self._order[first : last + 1])
        return [row.machine.tag for row in rows if row.machine.tag]

    # -- changing ---------------------------------------------------------------------------------------------

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Take over a new view: rows that stay keep their place, and only cells that changed are told."""
        fresh = {row.key: row for row in rows}
        changed = {key for key, row in fresh.items() if self._rows.get(key) != row}
        before = self._order
        kept = {key for key in fresh if self._filter.keeps(fresh[key])}
        gone = [key for key in before if key not in kept]
        there = set(before)
        new = [key for key in fresh if key in kept and key not in there]
        for key in gone:
            self._take_out(key)
        self._rows = fresh
        self._cells = {key: cells for key, cells in self._cells.items() if key in fresh}
        for key in self._order:
            if key in changed:
                self._tell_changed(key)
        if len(new) > MANY:
            self._append(self._sorted(new))
        else:
            for key in self._sorted(new):
                self._put_in(key)
        if gone or new:
            self.shown_changed.emit()

    def tick(self) -> None:
        """Time has passed: tell the cells that say how long."""
        for key in self._order:
            self._tell_changed(key)

    def tell_figures(self, first: int, last: int) -> None:
        """Time has passed: tell the measured cells of some rows."""
        places = [n for n, column in enumerate(self._columns) if column in MEASURED]
        if places and self._figures is not None and 0 <= first <= last < len(self._order):
            self.dataChanged.emit(
                self.index(first, places[0]), self.index(last, places[-1]), _MEASURED_ROLES
            )

    def set_filter(self, wanted: Filter) -> None:
        """Keep other rows."""
        if wanted != self._filter:
            self._filter = wanted
            self._arrange()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; the machine's name always stays."""
        chosen = tuple(column for column in Column if column in columns or column is Column.MACHINE)
        if chosen == self._columns:
            return
        self.beginResetModel()
        self._columns = chosen
        self._cells.clear()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self._columns):
            self._sort = (self._columns[column], order == Qt.SortOrder.DescendingOrder)
            self._arrange()

    # -- how it is done ---------------------------------------------------------------------------------------

    def _sorted(self, keys: Sequence[str]) -> list[str]:
        column, descending = self._sort
        values = [self._sort_key(key, column) for key in keys]
        if not values:
            return []
        names = np.array(keys)
        if isinstance(values[0], float):
            numbers = np.array(values, dtype=float)
            # Unknown comes last whichever way it goes.
            ranked = np.where(np.isinf(numbers), numbers, -numbers) if descending else numbers
            order = np.lexsort((names, ranked))
        else:
            order = np.lexsort((names, np.array(values)))
            if descending:
                order = order[::-1]
        return [keys[index] for index in order]

    def _sort_key(self, key: str, column: Column) -> float | str:
        row = self._rows[key]
        if column not in MEASURED:
            return sort_key(row, column)
        number = (
            self._figures.number(row.machine.tag, column) if self._figures is not None else None
        )
        return float("inf") if number is None else number

    def _arrange(self) -> None:
        """Filter and sort anew; selection and current index follow their machines."""
        wanted = self._sorted([key for key, row in self._rows.items() if self._filter.keeps(row)])
        if wanted == self._order:
            return
        self.layoutAboutToBeChanged.emit()
        before = self._order
        places = {key: place for place, key in enumerate(wanted)}
        self._order = wanted
        old = self.persistentIndexList()
        new = []
        for index in old:
            place = places.get(before[index.row()]) if index.row() < len(before) else None
            new.append(QModelIndex() if place is None else self.index(place, index.column()))
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()
        self.shown_changed.emit()

    def _take_out(self, key: str) -> None:
        place = self._order.index(key)
        self.beginRemoveRows(QModelIndex(), place, place)
        self._order = [each for each in self._order if each != key]
        self.endRemoveRows()

    def _append(self, keys: list[str]) -> None:
        """Put many new rows in at once, and sort them in with the others."""
        alone = not self._order
        begin = len(self._order)
        self.beginInsertRows(QModelIndex(), begin, begin + len(keys) - 1)
        self._order = [*self._order, *keys]
        self.endInsertRows()
        if not alone:
            self._arrange()

    def _put_in(self, key: str) -> None:
        """Put a new row where it belongs by the order in use, as far as the others still are in it."""
        after = self._sorted([*self._order, key])
        place = after.index(key)
        self.beginInsertRows(QModelIndex(), place, place)
        self._order = [*self._order[:place], key, *self._order[place:]]
        self.endInsertRows()

    def _tell_changed(self, key: str) -> None:
        known = self._cells.pop(key, None)
        if known is None:
            # It was never drawn, so nobody has an old text.
            return
        fresh = self._cells_of(key)
        places = [n for n, (old, new) in enumerate(zip(known, fresh, strict=True)) if old != new]
        if places:
            row = self._order.index(key)
            self.dataChanged.emit(self.index(row, places[0]), self.index(row, places[-1]), _ROLES)

    def _cells_of(self, key: str) -> tuple[Cell, ...]:
        cells = self._cells.get(key)
        if cells is None:
            now = self._clock()
            cells = tuple(cell(self._rows[key], column, now) for column in self._columns)
            self._cells[key] = cells
        return cells

    def _reword(self) -> None:
        self.beginResetModel()
        self._cells.clear()
        self.endResetModel()

    # -- Qt ---------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None or index.column() >= len(self._columns):
            return None
        if role == KEY_ROLE:
            return row.key
        column = self._columns[index.column()]
        if self._figures is not None and column in MEASURED:
            if role == SPARK_ROLE:
                return self._figures.spark(row.machine.tag, column)
            said = self._figures.cell(row.machine.tag, column)
        else:
            said = self._cells_of(row.key)[index.column()]
        return said.told(role)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        across = orientation == Qt.Orientation.Horizontal
        if across and role == Qt.ItemDataRole.DisplayRole and section < len(self._columns):
            return tr(TITLES[self._columns[section]])
        return None
