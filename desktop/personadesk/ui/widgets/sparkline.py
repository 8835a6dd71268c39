"""A small curve without axes, beside the number it explains."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Sparkline"]


class Sparkline(Painted):
    """A curve of the last readings; a missing reading is a gap."""

    def __init__(
        self,
        name: str,
        *,
        series: int = 2,
        values: Sequence[float | None] = (),
        parent: QWidget | None = None,
    ) -> None:
        """Make the curve.

        Args:
            name: What it shows, in words, for assistive technology.
            series: Which curve colour (0 to 5).
            values: Readings, oldest first.
        """
        super().__init__(parent)
        self._series = series
        self._values: tuple[float | None, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_values(values, name)

    def set_values(self, values: Sequence[float | None], name: str) -> None:
        """Show other readings, with their sum in words."""
        self._values = tuple(values)
        self.setAccessibleName(name)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(96), self.look.px(32))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(48), self.look.px(32))

    def paintEvent(self, _event: QPaintEvent) -> None:
        known = [value for value in self._values if value is not None]
        if not known:
            return
        low, high = min(known), max(known)
        span = (high - low) or 1.0
        box = QRectF(self.rect()).adjusted(1, 2, -1, -2)
        step = box.width() / max(1, len(self._values) - 1)
        points = [
            None
            if value is None
            else QPointF(box.left() + i * step, box.bottom() - (value - low) / span * box.height())
            for i, value in enumerate(self._values)
        ]
        colour = self.look.series(self._series)
        painter = self.start_painting()
        for run in _runs(points):
            if self.look.palette.graph_fills and len(run) > 1:
                fade = QLinearGradient(box.topLeft(), box.bottomLeft())
                top, bottom = QColor(colour), QColor(colour)
                top.setAlphaF(0.20)
                bottom.setAlphaF(0.0)
                fade.setColorAt(0, top)
                fade.setColorAt(1, bottom)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(fade)
                floor = [QPointF(run[-1].x(), box.bottom()), QPointF(run[0].x(), box.bottom())]
                painter.drawPolygon(QPolygonF([*run, *floor]))
            # Segments, not a polyline: a wide smooth polyline costs Qt over a second at 600 points.
            painter.setPen(QPen(colour, 1.5))
            painter.drawLines([QLineF(a, b) for a, b in itertools.pairwise(run)])
        painter.end()


def _runs(points: Sequence[QPointF | None]) -> list[list[QPointF]]:
    runs: list[list[QPointF]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]
