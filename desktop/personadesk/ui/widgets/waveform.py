"""Two or more sounds on one time axis, as they were or rolling by.

Each column is one upright stroke as high as the loudest level within it; silence is a dot. Strokes are cheap to
paint: one call for each track, whatever the length of the sound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RollingWaveform", "Track", "Waveform"]

COLUMN = 4.0
"""Distance of strokes at 13 px text."""

STROKE = 1.5
SILENT = 0.02


@dataclass(slots=True)
class Track:
    """One sound.

    Attributes:
        name: Who is heard.
        note: A word below the name.
        series: Which curve colour (0 to 5).
        levels: Peaks 0..1 at equal steps of time.
    """

    name: str
    note: str = ""
    series: int = 0
    levels: Sequence[float] = field(default_factory=tuple)


class _Tracks(Painted):
    def __init__(self, tracks: Iterable[Track], parent: QWidget | None) -> None:
        super().__init__(parent)
        self._tracks = list(tracks)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_note(self, index: int, note: str) -> None:
        """Change the word below a name."""
        if self._tracks[index].note != note:
            self._tracks[index].note = note
            self._tell()
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        px = self.look.px
        return QSize(px(420), px(80) * len(self._tracks) + self._axis_height())

    def minimumSizeHint(self) -> QSize:
        px = self.look.px
        return QSize(
            round(self._names_width()) + px(120), px(52) * len(self._tracks) + self._axis_height()
        )

    def _tell(self) -> None:
        self.setAccessibleName(
            "; ".join(f"{t.name}, {t.note}" if t.note else t.name for t in self._tracks)
        )

    def _axis_height(self) -> int:
        return round(self.metrics(Type.AXIS).height()) + self.look.px(6)

    def _names_width(self) -> float:
        bold, small = self.metrics(Type.BODY, 600), self.metrics(Type.SMALL)
        widest = max(
            (
                max(
                    bold.horizontalAdvance(t.name) + self.look.pxf(17),
                    small.horizontalAdvance(t.note),
                )
                for t in self._tracks
            ),
            default=0.0,
        )
        return widest + self.look.pxf(16)

    def _plot(self) -> QRectF:
        left = self._names_width()
        return QRectF(left, 0, self.width() - left - 1, self.height() - self._axis_height())

    def _paint_names(self, painter: QPainter, plot: QRectF) -> None:
        px = self.look.pxf
        lane = plot.height() / max(1, len(self._tracks))
        bold, small = self.metrics(Type.BODY, 600), self.metrics(Type.SMALL)
        for index, track in enumerate(self._tracks):
            block = bold.height() + (small.height() if track.note else 0)
            top = plot.top() + lane * (index + 0.5) - block / 2
            swatch = px(10)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.look.series(track.series))
            painter.drawRoundedRect(
                QRectF(0, top + (bold.height() - swatch) / 2, swatch, swatch), px(2.5), px(2.5)
            )
            painter.setPen(self.look.colour(Role.TEXT))
            painter.setFont(self.look.font(Type.BODY, 600))
            painter.drawText(QPointF(px(17), top + bold.ascent()), track.name)
            if track.note:
                painter.setPen(self.look.colour(Role.TEXT2))
                painter.setFont(self.look.font(Type.SMALL))
                painter.drawText(QPointF(0, top + bold.height() + small.ascent()), track.note)

    def _paint_columns(
        self, painter: QPainter, plot: QRectF, index: int, columns: Sequence[float], pitch: float
    ) -> None:
        lane = plot.height() / len(self._tracks)
        middle = plot.top() + lane * (index + 0.5)
        reach = lane * 0.46
        strokes, dots = [], []
        for number, level in enumerate(columns):
            x = plot.left() + (number + 0.5) * pitch
            if level <= SILENT:
                dots.append(QPointF(x, middle))
            else:
                half = max(1.0, min(1.0, level) * reach)
                strokes.append(QLineF(x, middle - half, x, middle + half))
        pen = QPen(self.look.series(self._tracks[index].series), self.look.pxf(STROKE))
        # Round ends cannot be told from flat ones at this width, and cost Qt three times the time.
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawLines(strokes)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawPoints(dots)

    def _paint_axis(
        self, painter: QPainter, plot: QRectF, marks: Sequence[tuple[float, str]]
    ) -> None:
        metrics = self.metrics(Type.AXIS)
        painter.setFont(self.look.font(Type.AXIS))
        painter.setPen(self.look.colour(Role.TEXT3))
        base = self.height() - metrics.descent() - 1
        for share, text in marks:
            width = metrics.horizontalAdvance(text)
            x = plot.left() + share * plot.width() - width / 2
            painter.drawText(QPointF(min(max(x, 0), self.width() - width), base), text)


class Waveform(_Tracks):
    """Whole sounds, as after a voice test."""

    def __init__(
        self, tracks: Iterable[Track], seconds: float, parent: QWidget | None = None
    ) -> None:
        """Make the picture.

        Args:
            tracks: The sounds; their levels all cover ``seconds``, short ones from its start.
            seconds: Length of the axis.
        """
        super().__init__(tracks, parent)
        self._seconds = max(0.1, seconds)
        self._step = 0.0
        self._played: float | None = None
        self._tell()

    def set_sounds(self, sounds: Sequence[Sequence[float]], step: float) -> None:
        """Show other sounds.

        Args:
            sounds: Peaks 0..1 of each track.
            step: Seconds between two peaks.
        """
        for track, levels in zip(self._tracks, sounds, strict=True):
            track.levels = tuple(levels)
        self._step = step
        self._seconds = max(0.1, step * max((len(levels) for levels in sounds), default=0))
        self.update()

    def set_played(self, seconds: float | None) -> None:
        """Show where playback is; None when nothing plays."""
        self._played = seconds
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        plot = self._plot()
        self._paint_names(painter, plot)
        count = max(1, int(plot.width() / self.look.pxf(COLUMN)))
        for index, track in enumerate(self._tracks):
            full = len(track.levels)
            if self._step:
                full = max(1, round(self._seconds / self._step))
            columns = _columns(track.levels, full, count)
            self._paint_columns(painter, plot, index, columns, plot.width() / count)
        every = next((s for s in (1, 2, 5, 10, 20, 30, 60) if self._seconds / s <= 7), 120)
        ticks = range(0, int(self._seconds) + 1, every)
        self._paint_axis(
            painter, plot, [(t / self._seconds, tr("{seconds} s", seconds=t)) for t in ticks]
        )
        if self._played is not None:
            x = plot.left() + min(1.0, self._played / self._seconds) * plot.width()
            painter.setPen(QPen(self.look.colour(Role.TEXT), self.look.pxf(STROKE)))
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        painter.end()


class RollingWaveform(_Tracks):
    """The last seconds of a call, "now" at the right; feed every track equally often."""

    def __init__(
        self,
        tracks: Iterable[Track],
        *,
        seconds: float = 12.0,
        step: float = 0.04,
        parent: QWidget | None = None,
    ) -> None:
        """Make an empty picture.

        Args:
            tracks: Who is heard; their levels are not read.
            seconds: Length of the axis.
            step: Seconds that one pushed level stands for.
        """
        super().__init__(tracks, parent)
        self._seconds = seconds
        self._length = max(1, round(seconds / step))
        self._levels = [deque([0.0] * self._length, self._length) for _ in self._tracks]
        self._pushed = 0
        self._tell()

    def push(self, *levels: Sequence[float]) -> None:
        """Add the newest levels (0..1) of each track, equally many for each, and repaint once.

        Raises:
            ValueError: the tracks got different numbers of levels.
        """
        counts = {len(part) for part in levels}
        if len(levels) != len(self._tracks) or len(counts) != 1:
            raise ValueError("every track needs the same number of levels")
        for kept, new in zip(self._levels, levels, strict=True):
            kept.extend(new)
        self._pushed += counts.pop()
        self.update()

    def clear(self) -> None:
        """Forget everything, as at the start of a call."""
        for kept in self._levels:
            kept.extend([0.0] * self._length)
        self._pushed = 0
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        plot = self._plot()
        self._paint_names(painter, plot)
        count = max(1, int(plot.width() / self.look.pxf(COLUMN)))
        group = max(1, -(-self._length // count))
        # Columns are cut at fixed moments, so that a stroke keeps its height while it rolls by.
        loose = self._pushed % group
        pitch = plot.width() / (self._length / group)
        painter.save()
        painter.setClipRect(plot)
        for index, kept in enumerate(self._levels):
            values = list(kept)
            if loose:
                values += [0.0] * (group - loose)
            start = len(values) % group
            columns = [max(values[i : i + group]) for i in range(start, len(values), group)]
            shift = plot.right() - len(columns) * pitch - plot.left()
            self._paint_columns(painter, plot.translated(shift, 0), index, columns, pitch)
        painter.restore()
        quarter = round(self._seconds / 4)
        marks = [(0.0, tr("−{seconds} s", seconds=round(self._seconds)))]
        marks += [(i / 4, f"−{round(self._seconds) - i * quarter}") for i in (1, 2, 3)]
        marks.append((1.0, tr("now")))
        self._paint_axis(painter, plot, marks)
        painter.end()


def _columns(levels: Sequence[float], full: int, count: int) -> list[float]:
    """Return ``count`` peaks out of ``levels``, which are the first of ``full``."""
    columns = []
    for number in range(count):
        start = number * full // count
        stop = max(start + 1, (number + 1) * full // count)
        columns.append(max(levels[start:stop], default=0.0))
    return columns
