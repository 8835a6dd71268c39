"""Which machines of the table are looked at: those in sight.

Rows that cannot be seen cost nothing: their machines are not looked at, and nobody is told that they changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject

if TYPE_CHECKING:
    from personadesk.ui.instances.table import InstanceTable
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.widgets.data_table import DataTable

__all__ = ["Sight"]


class Sight(QObject):
    """Keeps the figures of the rows in sight fresh, once a second, while the table can be seen."""

    def __init__(self, watch: Watch, table: DataTable, model: InstanceTable) -> None:
        """Follow a table.

        Args:
            watch: The monitor; it outlives the table.
            table: Shows the model.
            model: The machines.
        """
        super().__init__(table)
        self._watch = watch
        self._table = table
        self._model = model
        self._looked: set[str] = set()
        table.installEventFilter(self)
        watch.opened.connect(self.follow)
        watch.changed.connect(self.follow)
        table.verticalScrollBar().valueChanged.connect(self._mind)
        model.shown_changed.connect(self._mind)

    def follow(self) -> None:
        """Tell the rows in sight that their figures are others."""
        rows = self._mind()
        if rows is not None:
            self._model.tell_figures(*rows)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Begin when the table shows, end when it does not."""
        if event.type() == QEvent.Type.Show:
            self._watch.begin()
            self.follow()
        elif event.type() == QEvent.Type.Hide:
            self._look_at(set())
        return super().eventFilter(watched, event)

    def _mind(self) -> tuple[int, int] | None:
        """Look at the machines in sight; returns the first and the last row, None where there are none."""
        feed = self._watch.feed
        if feed is None:
            return None
        if not self._table.isVisible() or not self._model.rowCount():
            self._look_at(set())
            return None
        first = max(0, self._table.rowAt(0))
        last = self._table.rowAt(self._table.viewport().height() - 1)
        last = self._model.rowCount() - 1 if last < 0 else last
        self._look_at({tag for tag in self._model.tags(first, last) if tag in feed.hosts})
        return first, last

    def _look_at(self, wanted: set[str]) -> None:
        feed = self._watch.feed
        if feed is None or wanted == self._looked:
            return
        for name in wanted - self._looked:
            feed.look(name)
        for name in self._looked - wanted:
            feed.leave(name)
        self._looked = wanted
