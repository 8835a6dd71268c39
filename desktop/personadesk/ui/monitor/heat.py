"""Many GPUs as one row each; how bad a figure is shows as the ground of its cell."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    Qt,
)
from PySide6.QtGui import QColor, QPainter

from personadesk.domain.sample import Metric
from personadesk.ui.i18n import mark, tr
from personadesk.ui.monitor.figures import BAD_EVENTS, scaled, written
from personadesk.ui.monitor.fleet import CARD_METRICS, TICK, state_word
from personadesk.ui.monitor.tile import DRAWN, state_of
from personadesk.ui.theme import Role, theme, wear, worn
from personadesk.ui.widgets.data_table import CELL_ROLE, Cell
from personadesk.ui.widgets.spark import SPARK_ROLE, Spark, SparkDelegate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QStyleOptionViewItem

    from personadesk.ui.monitor.curves import Curves
    from personadesk.ui.monitor.fleet import Card, Section

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["HEAT_ROLE", "HeatDelegate", "HeatTable"]

HEAT_ROLE = Qt.ItemDataRole.UserRole + 3
"""How much of its limit a figure is: 0 for none of it, 1 for all; None where that says nothing."""
_NOWHERE = QModelIndex()
_TITLES = (mark("GPU"), mark("State"))
_FULL = {TICK: 80.0, Metric.GPU_USE: 100.0, Metric.GPU_TEMPERATURE: 85.0}
_ROLES = [
    Qt.ItemDataRole.DisplayRole,
    Qt.ItemDataRole.AccessibleTextRole,
    CELL_ROLE,
    HEAT_ROLE,
    SPARK_ROLE,
]
SPARK_POINTS = 48


class HeatTable(QAbstractTableModel):
    """The cards in the order that they are given."""

    def __init__(self, curves: Curves | None = None, parent: QObject | None = None) -> None:
        """Make an empty table.

        Args:
            curves: What the small curves beside figures show; only those in sight are asked for.
        """
        super().__init__(parent)
        self._curves = curves
        self._cards: list[Card] = []
        self._groups: dict[str, str] = {}

    def show_sections(self, sections: Sequence[Section]) -> None:
        """Show these; where they are grouped, a column says by what."""
        titles = {card.key: each.title for each in sections for card in each.cards if each.title}
        if bool(titles) != bool(self._groups):
            self.beginResetModel()
            self._groups = titles
            self._cards = [card for each in sections for card in each.cards]
            self.endResetModel()
            return
        self._groups = titles
        self.show_cards([card for each in sections for card in each.cards])

    def show_cards(self, cards: Sequence[Card]) -> None:
        """Show these; where rows stay in their places, `tell` says that their figures are others."""
        were = [card.key for card in self._cards]
        wanted = [card.key for card in cards]
        if sorted(wanted) != sorted(were):
            # GPUs come and go rarely; then what is chosen may be lost.
            self.beginResetModel()
            self._cards = list(cards)
            self.endResetModel()
        elif wanted != were:
            self.layoutAboutToBeChanged.emit()
            kept = self.persistentIndexList()
            places = {key: number for number, key in enumerate(wanted)}
            fresh = [self.index(places[were[index.row()]], index.column()) for index in kept]
            self._cards = list(cards)
            self.changePersistentIndexList(kept, fresh)
            self.layoutChanged.emit()
        else:
            self._cards = list(cards)

    def tell(self, row: int) -> None:
        """Say that a row's figures are others; rows out of sight need not be told of."""
        if row < len(self._cards):
            last = self.index(row, self.columnCount() - 1)
            self.dataChanged.emit(self.index(row, 0), last, _ROLES)

    def card_at(self, index: Index) -> Card:
        """Return the card of a row."""
        return self._cards[index.row()]

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._cards)

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        if parent.isValid():
            return 0
        return len(_TITLES) + len(CARD_METRICS) + bool(self._groups)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        if section < len(_TITLES):
            return tr(_TITLES[section])
        number = section - len(_TITLES)
        return tr(DRAWN[CARD_METRICS[number]].title) if number < len(CARD_METRICS) else tr("Group")

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in _ROLES:
            return None
        card, column = self._cards[index.row()], index.column() - len(_TITLES)
        if role == HEAT_ROLE:
            metric = CARD_METRICS[column] if 0 <= column < len(CARD_METRICS) else None
            value = card.values.get(metric) if metric is not None else None
            full = _FULL.get(metric) if metric is not None else None
            return None if value is None or full is None else min(1.0, max(0.0, value / full))
        if role == SPARK_ROLE:
            return self._spark(card, column)
        grouped = column == len(CARD_METRICS)
        cell = Cell(self._groups.get(card.key, "")) if grouped else self._cell(card, column)
        return cell if role == CELL_ROLE else cell.spoken

    def _spark(self, card: Card, column: int) -> Spark | None:
        if self._curves is None or not 0 <= column < len(CARD_METRICS):
            return None
        metric = CARD_METRICS[column]
        found = self._curves.curve(card, metric, SPARK_POINTS)
        if not len(found):
            return None
        start, end = self._curves.edges
        drawn = DRAWN[metric]
        at = (found.at - start) / (end - start)
        marks = tuple(
            ((each.at - start) / (end - start), each.kind in BAD_EVENTS)
            for each in self._curves.events(card.host)
        )
        return Spark(at, found.high / scaled(metric), drawn.high, drawn.series, drawn.limit, marks)

    @staticmethod
    def _cell(card: Card, column: int) -> Cell:
        if column == -2:
            return Cell(card.title, card.below, strong=True)
        if column == -1:
            shape, word = state_of(card)
            return Cell(word, tip=card.why, shape=shape)
        metric = CARD_METRICS[column]
        value = card.values.get(metric)
        if value is None:
            return Cell("–", faint=True)
        return Cell(f"{written(value / scaled(metric), DRAWN[metric].unit)} {DRAWN[metric].unit}")


def sections_csv(sections: Sequence[Section]) -> str:
    """Return what is known of all cards now as comma separated values, in the units that are shown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    metrics = list(
        dict.fromkeys(m for each in sections for card in each.cards for m in card.metrics)
    )
    units = [f"{tr(DRAWN[metric].title)} ({DRAWN[metric].unit})" for metric in metrics]
    named = [tr("Machine"), tr("GPU"), tr("Line"), tr("Where"), tr("State"), tr("Group")]
    writer.writerow([*named, *units])
    for each in sections:
        for card in each.cards:
            values = [card.values.get(metric) for metric in metrics]
            figures = [
                "" if value is None else f"{value / scaled(metric):.6g}"
                for metric, value in zip(metrics, values, strict=True)
            ]
            words = [card.title, card.below, card.line, card.provider, state_word(card), each.title]
            writer.writerow([*words, *figures])
    return out.getvalue()


class HeatDelegate(SparkDelegate):
    """Paints the ground of a figure: cool while it is low, in the colour of trouble above its limit."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worn = worn()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        with wear(self._worn):
            self._paint(painter, option, index)

    def _paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        heat = index.data(HEAT_ROLE)
        if isinstance(heat, float):
            look = theme()
            colour = QColor(
                look.colour(Role.ERR if heat >= 1 else Role.WARN if heat >= 0.9 else Role.ACCENT)
            )
            colour.setAlphaF(0.45 if heat >= 0.9 else 0.04 + 0.30 * heat)
            edge = look.pxf(2)
            box = QRectF(option.rect).adjusted(edge, edge, -edge, -edge)
            painter.fillRect(box, colour)
        super().paint(painter, option, index)
