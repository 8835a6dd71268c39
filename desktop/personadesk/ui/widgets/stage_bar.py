"""Where the lag comes from: one bar cut in stages, and a row with a number for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stage", "StageBar"]

GAP = 1.5


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the lag.

    Attributes:
        name: In the user's language.
        milliseconds: How long it takes; None when it was not measured.
        series: Which curve colour (0 to 5); None for that of its place.
        pale: Whether it is the second one of that colour, and drawn hatched.
    """

    name: str
    milliseconds: float | None
    series: int | None = None
    pale: bool = False


class StageBar(Painted):
    """A stacked bar over its rows, in the order in which sound travels; six colours, each may be used twice."""

    def __init__(self, stages: Sequence[Stage], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stages: tuple[Stage, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_stages(stages)

    def set_stages(self, stages: Sequence[Stage]) -> None:
        """Show other stages."""
        resized = len(stages) != len(self._stages)
        self._stages = tuple(stages)
        self.setAccessibleName(", ".join(f"{s.name}: {_told(s)}" for s in stages))
        if resized:
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        px = self.look.px
        return QSize(px(240), px(22) + px(9) + self._row() * len(self._stages))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(160), self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        px = self.look.pxf
        painter = self.start_painting()
        bar = QRectF(0, 0, self.width(), px(22))
        known = [(i, s.milliseconds) for i, s in enumerate(self._stages) if s.milliseconds]
        total = sum(value for _, value in known)
        round_ends = QPainterPath()
        round_ends.addRoundedRect(bar, px(4), px(4))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.save()
        painter.setClipPath(round_ends)
        if not known:
            painter.fillRect(bar, self.look.colour(Role.OFF_SOFT))
        left, room = 0.0, bar.width() - GAP * max(0, len(known) - 1)
        for index, value in known:
            width = room * value / total
            self._fill(painter, QRectF(left, 0, width, bar.height()), index)
            left += width + GAP
        painter.restore()
        row = float(self._row())
        for index, stage in enumerate(self._stages):
            box = QRectF(0, px(22) + px(9) + index * row, self.width(), row)
            swatch = px(10)
            patch = QRectF(0, box.center().y() - swatch / 2, swatch, swatch)
            corners = QPainterPath()
            corners.addRoundedRect(patch, px(2.5), px(2.5))
            painter.save()
            painter.setClipPath(corners)
            self._fill(painter, patch, index)
            painter.restore()
            middle = int(Qt.AlignmentFlag.AlignVCenter)
            painter.setFont(self.look.font())
            painter.setPen(self.look.colour(Role.TEXT2))
            painter.drawText(
                box.adjusted(px(18), 0, 0, 0), middle | int(Qt.AlignmentFlag.AlignLeft), stage.name
            )
            painter.setFont(self.look.font(weight=600))
            painter.setPen(self.look.colour(Role.TEXT))
            painter.drawText(box, middle | int(Qt.AlignmentFlag.AlignRight), _told(stage))
        painter.end()

    def _fill(self, painter: QPainter, box: QRectF, index: int) -> None:
        stage = self._stages[index]
        colour = self.look.series(index if stage.series is None else stage.series)
        if not stage.pale:
            painter.fillRect(box, colour)
            return
        # Hatched: a paler colour alone would not be told from its neighbour by everybody.
        painter.save()
        painter.setClipRect(box, Qt.ClipOperation.IntersectClip)
        painter.setPen(QPen(colour, self.look.pxf(2)))
        step = self.look.pxf(4)
        x = box.left() - box.height()
        while x < box.right():
            painter.drawLine(QPointF(x, box.bottom()), QPointF(x + box.height(), box.top()))
            x += step
        painter.restore()

    def _row(self) -> int:
        return round(self.metrics().height()) + self.look.px(9)


def _told(stage: Stage) -> str:
    if stage.milliseconds is None:
        return tr("not measured")
    return tr("{ms} ms", ms=round(stage.milliseconds))
