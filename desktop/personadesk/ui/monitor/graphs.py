"""The graphs of one machine: charts with one cursor, from a minute to a month. Only those in sight are drawn."""

from __future__ import annotations

import asyncio
import math
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QWidget

from personadesk.domain.sample import Metric
from personadesk.ui.i18n import show, tr
from personadesk.ui.messages import bus
from personadesk.ui.monitor.figures import BAD_EVENTS, PANELS, SPANS, Panel, scaled, written
from personadesk.ui.monitor.notes import held_by, known, note
from personadesk.ui.spawn import spawn
from personadesk.ui.theme import Role, Type, theme, wear, worn
from personadesk.ui.turns import Turns
from personadesk.ui.widgets import Button, ComboBox, ElidedLabel, Kind, Segments, hbox, label, vbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtCore import QPoint
    from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent

    from personadesk.domain.event import Event
    from personadesk.domain.gap import Gap
    from personadesk.monitor.ranges import Range
    from personadesk.ui.monitor.source import Feed, Watch
    from personadesk.ui.widgets.time_chart import Mark, TimeChart

__all__ = ["GraphsPane"]

SCROLL_MS = 100
POINTS = 300
"""Buckets of a curve; each is drawn as its lowest and highest value, so at most 600 points."""
LEAST_SPAN, MOST_SPAN = 10.0, 30 * 86400.0
RING_SECONDS = 3600.0
"""So much lies in memory; more comes from the history, and is read again once in a while."""
EVENTS_SECONDS = 10.0
"""How often events are read again while figures come from memory."""
_CHART_WIDTH = 250
_FIRST_SPAN = 1


class GraphsPane(QWidget):
    """Shows one machine's graphs. It asks for a sample a second while it can be seen, and not otherwise.

    Attributes:
        bar: Chooses what is shown; its owner gives it a place.
    """

    def __init__(self, watch: Watch, parent: QWidget | None = None) -> None:
        """Make it; it is empty until `show_host`.

        Args:
            watch: The monitor; it outlives the pane.
        """
        super().__init__(parent)
        self._watch = watch
        self._host = ""
        self._looked = ""
        self._part = ""
        self._charts: list[TimeChart] = []
        self._loading = False
        self._span_s = SPANS[_FIRST_SPAN][0]
        self._past: tuple[float, float] | None = None
        self._cursor: float | None = None
        self._read_at = 0.0
        self._reading = False
        self._again = False
        self._unseen: dict[int, Callable[[], None]] = {}
        self._turns = Turns(self)
        self._worn = worn()
        column = vbox(self, gap=8)
        self.bar = self._make_bar()
        self._waiting = label("", Type.BODY, Role.TEXT2, wrap=True)
        column.addWidget(self._waiting)
        self._field = QWidget()
        self._grid = QGridLayout(self._field)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme().px(10))
        column.addWidget(self._field, 1)
        self._columns = 0
        self._field.hide()
        self._scroll = QTimer(self)
        self._scroll.setInterval(SCROLL_MS)
        self._scroll.timeout.connect(self._roll)
        watch.opened.connect(self._follow)
        watch.changed.connect(self._follow)

    # -- what it shows ----------------------------------------------------------------------------------------

    @property
    def charts(self) -> tuple[TimeChart, ...]:
        """The charts, empty until they are loaded; those that nobody has figures for are hidden."""
        return tuple(self._charts)

    @property
    def is_live(self) -> bool:
        """Whether the right edge is now."""
        return self._past is None

    def show_host(self, host: str) -> None:
        """Show a machine, by the monitor's name for it; "" for one that nothing is measured of."""
        if host == self._host:
            return
        self._host = host
        self._part = ""
        self._read_at = 0.0
        self._mind()
        self._follow()

    def choose_span(self, number: int) -> None:
        """Show another stretch of time, up to now."""
        self._span_s = SPANS[number][0]
        self._ranges.choose(number)
        self.go_live()

    def pause(self) -> None:
        """Keep what is shown where it is, or follow again."""
        if self._past is None:
            end = self._watch.clock()
            self._set_past(end - self._span_s, end)
        else:
            self.go_live()

    def go_live(self) -> None:
        """Show now again."""
        self._past = None
        self._read_at = 0.0
        self._say_mode()
        self._move_charts()
        self._draw()

    def finish(self) -> None:
        """Draw all that waits for its turn now, for example because a picture is taken."""
        self._turns.finish()

    # -- life -------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch.begin()
        self._load()
        self._mind()
        self._follow()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._scroll.stop()
        self._turns.forget()
        self._unseen.clear()
        self._mind()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _mind(self) -> None:
        """Look at the machine that shows, and at no other."""
        feed = self._watch.feed
        wanted = (
            self._host if self.isVisible() and feed is not None and self._host in feed.hosts else ""
        )
        if feed is None or wanted == self._looked:
            return
        if self._looked:
            feed.leave(self._looked)
        if wanted:
            feed.look(wanted)
        self._looked = wanted

    def _load(self) -> None:
        if self._charts or self._loading:
            return
        self._loading = True
        if "pyqtgraph" in sys.modules:
            # Not within the event that shows the pane: Qt is then walking through its children.
            QTimer.singleShot(0, self, self.build)
            return
        # Loaded in a thread: it takes a third of a second, and a window that stands still for that is felt.
        work = asyncio.to_thread(__import__, "pyqtgraph")
        spawn(work, "load the graphs", owner=self, done=lambda _module: self.build())

    def build(self) -> None:
        """Make the charts now; harmless when they are there. It loads what they are drawn with, which takes a while."""
        if self._charts:
            return
        self._loading = False
        with wear(self._worn):
            self._make_charts()
        self._columns = 0
        self._arrange()
        self._move_charts()
        self._follow()

    def _make_charts(self) -> None:
        from personadesk.ui.widgets.time_chart import Curve, TimeChart

        for panel in PANELS:
            curves = [
                Curve(tr(line.name) if line.name else "", line.series, line.dashed)
                for line in panel.lines
            ]
            chart = TimeChart(
                tr(panel.title), panel.unit, curves, high=panel.high, limit=panel.limit,
                write=_writer(panel.unit), parent=self._field,
            )  # fmt: skip
            chart.setHidden(panel.optional)
            chart.hovered.connect(self._point)
            chart.zoomed.connect(self._zoom)
            chart.moved.connect(self._move)
            chart.live_asked.connect(self.go_live)
            chart.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            chart.customContextMenuRequested.connect(
                lambda where, chart=chart: self._open_chart_menu(chart, where)
            )
            self._charts.append(chart)

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_bar(self) -> QWidget:
        bar = QWidget()
        row = hbox(bar, gap=8)
        self._ranges = Segments([text() for _, text in SPANS], tr("Shown time"))
        self._ranges.choose(_FIRST_SPAN)
        self._ranges.chosen.connect(self.choose_span)
        row.addWidget(self._ranges)
        self._gpus = ComboBox(tr("GPU"))
        self._gpus.currentIndexChanged.connect(self._choose_gpu)
        self._gpus.hide()
        row.addWidget(self._gpus)
        self._mode = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._mode.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.insertWidget(0, self._mode, 1)
        self._pause = Button(tr("Pause"), kind=Kind.PLAIN)
        self._pause.clicked.connect(self.pause)
        row.addWidget(self._pause)
        self._more = Button(kind=Kind.ICON, icon="more", name=tr("Table and export"))
        self._more.clicked.connect(self._open_menu)
        row.addWidget(self._more)
        self._say_mode()
        return bar

    def _open_menu(self) -> None:
        from personadesk.ui.monitor.chart_menu import charts_menu

        shown = [chart for chart in self._charts if not chart.isHidden()]
        menu = charts_menu(self, shown, self._host)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    def _open_chart_menu(self, chart: TimeChart, where: QPoint) -> None:
        from personadesk.ui.monitor.chart_menu import chart_menu

        menu = chart_menu(self, chart, self._host)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(chart.mapToGlobal(where))

    # -- time -------------------------------------------------------------------------------------------------

    def _edges(self) -> tuple[float, float]:
        if self._past is not None:
            return self._past
        end = self._watch.clock()
        return end - self._span_s, end

    def _set_past(self, start: float, end: float) -> None:
        width = min(MOST_SPAN, max(LEAST_SPAN, end - start))
        end = min(end, self._watch.clock())
        self._past = (end - width, end)
        self._say_mode()
        self._move_charts()
        self._draw()

    def _move_charts(self) -> None:
        """Show the stretch at once; its figures follow."""
        for number in range(len(self._charts)):
            self._move_chart(number)

    def _zoom(self, factor: float, at: float) -> None:
        start, end = self._edges()
        self._set_past(at - (at - start) * factor, at + (end - at) * factor)

    def _move(self, seconds: float) -> None:
        start, end = self._edges()
        self._set_past(start + seconds, end + seconds)

    def _point(self, at: float | None) -> None:
        self._cursor = at
        for chart in self._charts:
            chart.set_cursor(at)

    def _say_mode(self) -> None:
        live = self._past is None
        self._mode.setText(tr("live") if live else tr("paused"))
        self._pause.setText(tr("Pause") if live else tr("Follow"))

    def _roll(self) -> None:
        """Move a live picture on, and draw what came into sight.

        Where a pixel is longer than a second there is nothing to move.
        """
        for number, job in tuple(self._unseen.items()):
            if self._is_seen(number):
                del self._unseen[number]
                self._turns.put(("draw", number), job)
        if self._past is None and self._span_s <= RING_SECONDS:
            for number in self._shown():
                if self._is_seen(number):
                    self._turns.put(("move", number), partial(self._move_chart, number))

    def _shown(self) -> list[int]:
        return [number for number, chart in enumerate(self._charts) if not chart.isHidden()]

    def _is_seen(self, number: int) -> bool:
        return not self._charts[number].visibleRegion().isEmpty()

    def _draw_each(self, job: Callable[[int], None]) -> None:
        """Draw each chart in its turn; one that cannot be seen then waits until it can."""

        def turn(number: int) -> None:
            if self._is_seen(number):
                with wear(self._worn):
                    job(number)
            else:
                self._unseen[number] = partial(turn, number)

        self._unseen.clear()
        for number in self._shown():
            self._turns.put(("draw", number), partial(turn, number))

    def _move_chart(self, number: int) -> None:
        self._charts[number].set_span(*self._edges(), live=self._past is None)

    # -- drawing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        if not self.isVisible():
            return
        self._mind()
        feed = self._watch.feed
        known = feed is not None and self._host in feed.hosts
        told = feed is not None and known and bool(feed.hosts[self._host].samples)
        self._waiting.setText(
            tr("Nothing is measured of this machine.")
            if feed is not None and not known
            else tr("Waiting for the first reading, about 5 seconds.")
        )
        ready = bool(self._charts) and told
        self._waiting.setVisible(not ready)
        self._field.setVisible(ready)
        if not ready:
            return
        if not self._scroll.isActive():
            self._scroll.start()
        self._offer_gpus()
        if self._past is None:
            self._draw()

    def _offer_gpus(self) -> None:
        feed = self._watch.feed
        gpus = list(feed.hosts[self._host].gpus.values()) if feed is not None else []
        have = [self._gpus.itemData(n) for n in range(self._gpus.count())]
        wanted = [gpu.index for gpu in gpus]
        if have != wanted:
            self._gpus.blockSignals(True)
            self._gpus.clear()
            for gpu in gpus:
                self._gpus.addItem(f"{gpu.index}  {gpu.name}", gpu.index)
            self._gpus.blockSignals(False)
        if self._part not in wanted:
            self._part = self._gpus.currentData() or ""
        self._gpus.setVisible(len(gpus) > 1)

    def _choose_gpu(self) -> None:
        self._part = self._gpus.currentData() or ""
        self._read_at = 0.0
        self._draw()

    def _draw(self) -> None:
        """Show the chosen stretch: from memory where it lies there, else from the history."""
        feed = self._watch.feed
        if feed is None or not self._charts or self._host not in feed.hosts:
            return
        self._offer_charts(feed)
        start, _ = self._edges()
        now = self._watch.clock()
        if now - start <= RING_SECONDS:
            self._draw_each(self._draw_recent)
            if now - self._read_at >= EVENTS_SECONDS:
                self._read(history=False)
        elif self._past is not None or now - self._read_at >= max(1.0, self._span_s / POINTS):
            self._move_charts()
            self._read(history=True)

    def _draw_recent(self, number: int) -> None:
        """Show what memory holds in one chart."""
        from personadesk.monitor.ranges import reduced

        feed = self._watch.feed
        if feed is None or self._host not in feed.hosts:
            return
        self._move_chart(number)
        start, end = self._edges()
        panel, chart = PANELS[number], self._charts[number]
        ranges = [
            reduced(feed.series(self._host, metric, self._of(panel)), start, end, POINTS)
            for metric in _metrics(panel)
        ]
        self._fill(panel, chart, ranges)

    def _offer_charts(self, feed: Feed) -> None:
        """Show the charts that somebody has figures for; the usual ones always."""
        told = False
        for panel, chart in zip(PANELS, self._charts, strict=True):
            wanted = not panel.optional or any(
                feed.latest(self._host, line.metric, self._of(panel)) is not None
                for line in panel.lines
            )
            if wanted == chart.isHidden():
                chart.setVisible(wanted)
                told = True
        if told:
            self._columns = 0
            self._arrange()

    def _read(self, *, history: bool) -> None:
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._read_at = self._watch.clock()
        start, end = self._edges()
        host, part = self._host, self._part

        def done(found: _Read) -> None:
            self._reading = False
            if (host, part) == (self._host, self._part):
                self._show_events(found)
                if history:
                    self._show(found.ranges)
            if self._again:
                self._again = False
                self._draw()

        def failed(error: Exception) -> None:
            self._reading = False
            bus().error(error)

        work = self._gather(start, end, history=history)
        self._watch.ask(work, "read the history", owner=self, done=done, failed=failed)

    async def _gather(self, start: float, end: float, *, history: bool) -> _Read:
        feed = self._watch.feed
        found: dict[int, list[Range]] = {}
        if feed is None:
            return _Read(found, (), ())
        host = self._host
        for number in self._shown() if history else ():
            panel = PANELS[number]
            found[number] = [
                await feed.range(
                    host, metric, self._of(panel), start=start, end=end, points=POINTS
                )
                for metric in _metrics(panel)
            ]  # fmt: skip
        events = await feed.events(start, end, host)
        return _Read(found, events, await feed.gaps(start, end, host))

    def _of(self, panel: Panel) -> str:
        return self._part if panel.per_gpu else ""

    def _show(self, found: dict[int, list[Range]]) -> None:
        """Show what was read from the history, in the charts that can be seen."""

        def show_one(number: int) -> None:
            if number in found:
                self._fill(PANELS[number], self._charts[number], found[number])

        self._draw_each(show_one)

    def _fill(self, panel: Panel, chart: TimeChart, ranges: list[Range]) -> None:
        feed = self._watch.feed
        if feed is None or self._host not in feed.hosts:
            return
        for number, (line, each) in enumerate(zip(panel.lines, ranges, strict=False)):
            by = scaled(line.metric)
            chart.set_points(number, each.at, each.low / by, each.mean / by, each.high / by)
        if panel.shade is not None:
            chart.set_shade(ranges[-1].at, ranges[-1].high, held_by)
        if panel.whole is not None:
            told = known(feed, self._host, panel.whole, self._of(panel))
            chart.set_whole(told)
            if panel.whole is Metric.GPU_POWER_LIMIT:
                chart.set_limit(told)
        if panel.lines[0].metric is Metric.MONEY_SPENT:
            chart.set_limit(known(feed, self._host, Metric.MONEY_SPEND_LIMIT))
        chart.set_note(note(feed, self._host, self._part, panel, chart, ranges))

    def _show_events(self, found: _Read) -> None:
        from personadesk.ui.widgets.time_chart import Hole, Mark

        marks = [Mark(each.at, show(each.text), each.kind in BAD_EVENTS) for each in found.events]
        for number, (panel, chart) in enumerate(zip(PANELS, self._charts, strict=True)):
            metric = panel.lines[0].metric
            holes = [
                Hole(each.start, math.inf if each.end is None else each.end, show(each.reason))
                for each in found.gaps
                if each.explains(metric, each.start)
            ]
            chart.set_holes(holes)
            self._turns.put(("marks", number), partial(self._mark, chart, marks))

    def _mark(self, chart: TimeChart, marks: list[Mark]) -> None:
        with wear(self._worn):
            chart.set_marks(marks)

    def _arrange(self) -> None:
        columns = max(1, min(4, self.width() // theme().px(_CHART_WIDTH)))
        columns = 2 if columns == 3 else columns
        if columns == self._columns or not self._charts:
            return
        self._columns = columns
        while self._grid.count():
            self._grid.takeAt(0)
        shown = [chart for chart in self._charts if not chart.isHidden()]
        for number, chart in enumerate(shown):
            self._grid.addWidget(chart, number // columns, number % columns)
        for column in range(4):
            self._grid.setColumnStretch(column, int(column < columns))


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the history: curves by the number of their panel, events and gaps."""

    ranges: dict[int, list[Range]]
    events: Sequence[Event]
    gaps: Sequence[Gap]


def _metrics(panel: Panel) -> list[Metric]:
    """Return what is read for a panel: its lines, then its shade."""
    return [line.metric for line in panel.lines] + ([panel.shade] if panel.shade else [])


def _writer(unit: str) -> Callable[[float], str]:
    return lambda value: written(value, unit)
