"""A small curve in a cell of a table, beside its number: its data, how it is painted, and the delegate that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QLineF, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets.data_table import Cell, CellDelegate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QStyleOptionViewItem

    Floats = NDArray[np.float64]
    Index = QModelIndex | QPersistentModelIndex

__all__ = ["SPARK_ROLE", "Spark", "SparkDelegate", "paint_spark"]

SPARK_ROLE = Qt.ItemDataRole.UserRole + 4
"""The curve of a cell: a `Spark`, or None."""
_WIDTH, _HEIGHT, _NUMBER, _GAP = 54, 24, 74, 2


@dataclass(frozen=True, slots=True, eq=False)
class Spark:
    """One curve.

    Attributes:
        at: Where its points lie: 0 is the left edge, 1 the right, float64 [n].
        values: Their values, NaN for gaps, float64 [n].
        high: Value at the top; a higher one makes it grow.
        series: Which curve colour (0 to 5).
        limit: A dashed line that should not be crossed; None for none.
        marks: What happened: where, as `at`, and whether it is trouble.
    """

    at: Floats
    values: Floats
    high: float
    series: int
    limit: float | None = None
    marks: tuple[tuple[float, bool], ...] = ()


def paint_spark(painter: QPainter, box: QRectF, spark: Spark) -> None:
    """Paint a curve into a box of a running painter, without smooth edges: many are painted at once."""
    look = theme()
    known = ~np.isnan(spark.values)
    if not known.any():
        return
    high = max(spark.high, float(spark.values[known].max()))
    xs = box.left() + np.clip(spark.at, 0.0, 1.0) * box.width()
    ys = box.bottom() - np.clip(spark.values / (high or 1.0), 0.0, 1.0) * box.height()
    colour = look.series(spark.series)
    joined = known[1:] & known[:-1]
    pairs = np.stack((xs[:-1], ys[:-1], xs[1:], ys[1:]), axis=1)[joined].tolist()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    if look.palette.graph_fills and pairs:
        tint = QColor(colour)
        tint.setAlphaF(0.16)
        for left, top, right, other in pairs:
            level = min(top, other)
            painter.fillRect(QRectF(left, level, right - left, box.bottom() - level), tint)
    painter.setPen(QPen(colour, 1))
    painter.drawLines([QLineF(*pair) for pair in pairs])
    if spark.limit is not None and spark.limit <= high:
        y = box.bottom() - spark.limit / high * box.height()
        painter.setPen(QPen(look.colour(Role.ERR), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QLineF(box.left(), y, box.right(), y))
    for at, bad in spark.marks:
        x = box.left() + at * box.width()
        role = Role.ERR if bad else Role.ACCENT_TEXT
        painter.setPen(QPen(look.colour(role), 1, Qt.PenStyle.DotLine))
        painter.drawLine(QLineF(x, box.top(), x, box.bottom()))


class SparkDelegate(CellDelegate):
    """Paints cells; one that has a curve shows it right of its number."""

    def paint_inside(self, painter: QPainter, box: QRectF, cell: Cell, index: Index) -> None:
        """Paint what stands in a cell."""
        spark = index.data(SPARK_ROLE)
        px = theme().pxf
        if isinstance(spark, Spark):
            # At the same place in every row, so that rows can be compared.
            left = box.left() + px(_NUMBER) + px(_GAP)
            width = min(px(_WIDTH), box.right() - left - px(_GAP))
            if width > px(_WIDTH) / 3:
                height = px(_HEIGHT)
                paint_spark(
                    painter, QRectF(left, box.center().y() - height / 2, width, height), spark
                )
                box = QRectF(box.left(), box.top(), left - box.left(), box.height())
        super().paint_inside(painter, box, cell, index)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        hint = super().sizeHint(option, index)
        if isinstance(index.data(SPARK_ROLE), Spark):
            hint.setWidth(max(hint.width(), theme().px(_NUMBER + _GAP + _WIDTH + _GAP)))
        return hint
