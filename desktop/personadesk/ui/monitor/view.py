"""All GPUs at once: a bar, tiles or a table, and the worst news at the foot. A page and a window show it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QStackedWidget, QWidget

from personadesk.domain.alarm import Severity
from personadesk.domain.plan import LOCAL
from personadesk.domain.sample import Absent, Metric
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.monitor.fleet import Fleet
from personadesk.ui.monitor.heat import HeatDelegate, HeatTable
from personadesk.ui.monitor.tile import Tile
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    ElidedLabel,
    IconLabel,
    Segments,
    Shape,
    StateShape,
    hbox,
    label,
    set_tone,
    vbox,
)
from personadesk.ui.widgets.data_table import DataTable

if TYPE_CHECKING:
    from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent

    from personadesk.domain.alarm import Alarm
    from personadesk.domain.sample import Sample
    from personadesk.ui.monitor import fleet
    from personadesk.ui.monitor.source import Watch

__all__ = ["MOST_TILES", "MonitorView"]

MOST_TILES = 32
"""More GPUs than that are rows of a table."""
_FEW = 8
SPANS = (60.0, 300.0, 900.0, 3600.0)
_POINTS = 240
_TOTALS = {Metric.GPU_MEMORY_USED: Metric.GPU_MEMORY_TOTAL, Metric.MEMORY_USED: Metric.MEMORY_TOTAL}


class MonitorView(QWidget):
    """The view. Every machine in it is sampled once a second while it can be seen.

    Attributes:
        bar: Where more buttons may stand, at its right end.

    Signals:
        machine_asked: The user wants to see more of a machine (its name in the monitor).
        deploy_asked: There is nothing to watch, and the user wants to begin.
    """

    machine_asked = Signal(str)
    deploy_asked = Signal()

    def __init__(self, watch: Watch, parent: QWidget | None = None) -> None:
        """Make the view.

        Args:
            watch: The monitor; it outlives the view.
        """
        super().__init__(parent)
        self._watch = watch
        self.fleet = Fleet()
        self._looked: set[str] = set()
        self._order: list[fleet.Card] = []
        self._span_s = SPANS[1]
        self._worst = ""
        column = vbox(self, gap=0)
        px = theme().px
        top = QWidget()
        self.bar = hbox(top, gap=8)
        self.bar.setContentsMargins(px(20), px(12), px(20), px(4))
        self._fill_bar(self.bar)
        column.addWidget(top)
        self._stack = QStackedWidget()
        self._waiting = self._make_note()
        self._empty = self._make_empty()
        holder = QWidget()
        self._grid = QGridLayout(holder)
        self._grid.setSpacing(px(12))
        self._grid.setContentsMargins(px(20), px(10), px(20), px(14))
        self._tiles: list[Tile] = []
        self._places: list[tuple[int, int]] = []
        self._tile_area = scrolled(holder)
        self._heat = HeatTable(self)
        self.table = DataTable(tr("GPUs"), self._heat)
        self.table.setItemDelegate(HeatDelegate(self.table))
        self.table.opened.connect(self._opened)
        frame = QWidget()
        inner = vbox(frame)
        inner.setContentsMargins(px(20), px(10), px(20), px(14))
        rows = Card(padding=0, gap=0)
        rows.add(self.table)
        inner.addWidget(rows)
        self._table_area = frame
        for each in (self._waiting, self._empty, self._tile_area, self._table_area):
            self._stack.addWidget(each)
        column.addWidget(self._stack, 1)
        self._foot = self._make_foot()
        self._foot.hide()
        column.addWidget(self._foot)
        watch.opened.connect(self.follow_now)
        watch.sampled.connect(self._take)
        watch.changed.connect(self.follow_now)

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles that show, in order."""
        return tuple(tile for tile in self._tiles if not tile.isHidden())

    @property
    def shows_table(self) -> bool:
        """Whether there are so many GPUs that they are rows."""
        return self._stack.currentWidget() is self._table_area

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to watch."""
        return self._stack.currentWidget() is self._empty

    def choose_span(self, number: int) -> None:
        """Show another stretch of time."""
        self._span_s = SPANS[number]
        self._spans.choose(number)
        self._draw()

    # -- life -------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch.begin()
        self.follow_now()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._look_at(set())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _look_at(self, wanted: set[str]) -> None:
        feed = self._watch.feed
        if feed is None:
            return
        for name in self._looked - wanted:
            feed.leave(name)
        for name in wanted - self._looked:
            feed.look(name)
        self._looked = wanted

    def _take(self, host: str, sample: Sample) -> None:
        if self.isVisible():
            self.fleet.take(host, sample)

    # -- parts ------------------------------------------------------------------------------------------------

    def _fill_bar(self, bar: QHBoxLayout) -> None:
        self._sort = ComboBox(tr("Order"))
        self._sort.addItem(tr("Trouble first"), True)
        self._sort.addItem(tr("As they are listed"), False)
        self._sort.currentIndexChanged.connect(self._reorder)
        bar.addWidget(self._sort)
        self._spans = Segments(
            [tr("1 min"), tr("5 min"), tr("15 min"), tr("1 h")], tr("Shown time")
        )
        self._spans.choose(1)
        self._spans.chosen.connect(self.choose_span)
        bar.addWidget(self._spans)
        self._mode = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._mode.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        bar.addWidget(self._mode, 1)

    def _make_note(self) -> QWidget:
        made = label(tr("Waiting for the first reading, about 5 seconds."), Type.BODY, Role.TEXT2)
        made.setAlignment(Qt.AlignmentFlag.AlignCenter)
        return made

    def _make_empty(self) -> QWidget:
        outside = QWidget()
        column = vbox(outside)
        px = theme().px
        column.setContentsMargins(px(20), px(10), px(20), px(14))
        card = Card(padding=24, gap=12)
        head = hbox(gap=14)
        head.addWidget(
            IconLabel("monitor", 30, Role.ACCENT_TEXT), alignment=Qt.AlignmentFlag.AlignTop
        )
        told = vbox(gap=4)
        told.addWidget(label(tr("Nothing to watch yet"), Type.HEADING))
        told.addWidget(
            label(
                tr(
                    "As soon as a voice runs, here or on a machine of yours, its frame time, GPU, memory and "
                    "temperature show here, once a second."
                ),
                Type.BODY, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        head.addLayout(told, 1)
        card.column.addLayout(head)
        row = hbox()
        self.begin = Button(tr("Deploy"), icon="deploy")
        self.begin.clicked.connect(self.deploy_asked)
        row.addWidget(self.begin)
        row.addStretch(1)
        card.column.addLayout(row)
        column.addWidget(card)
        column.addStretch(1)
        return outside

    def _make_foot(self) -> QFrame:
        foot = QFrame()
        foot.setProperty("kind", "footbar")
        row = hbox(foot, gap=10)
        px = theme().px
        row.setContentsMargins(px(20), px(10), px(20), px(10))
        self._news_shape = hbox()
        row.addLayout(self._news_shape)
        self._news = ElidedLabel("", Type.BODY)
        row.addWidget(self._news, 3)
        self._news_button = Button(tr("Show machine"))
        self._news_button.clicked.connect(lambda: self.machine_asked.emit(self._worst))
        row.addWidget(self._news_button)
        self._sums = ElidedLabel("", Type.SMALL, Role.TEXT2, weight=600)
        self._sums.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._sums, 2)
        self._shape: Shape | None = None
        return foot

    # -- drawing ----------------------------------------------------------------------------------------------

    def follow_now(self) -> None:
        feed = self._watch.feed
        if not self.isVisible() or feed is None:
            return
        wanted = {
            name
            for name, state in feed.hosts.items()
            if state.target.wanted or name in self._looked
        }
        self._look_at(wanted)
        shown = {name: feed.hosts[name] for name in feed.hosts if name in wanted}
        alone = shown.get(LOCAL)
        if alone is not None and not alone.gpus and not alone.target.servers:
            # This computer without GPU and without voice says nothing about voices.
            del shown[LOCAL]
        other = self.fleet.follow(shown, feed.alarms.active)
        if other or not self._order:
            self._order = self.fleet.sorted(by_trouble=bool(self._sort.currentData()))
        self._show_body()
        self._draw()
        self._show_foot(feed.alarms.active)

    def _reorder(self) -> None:
        self._order = self.fleet.sorted(by_trouble=bool(self._sort.currentData()))
        self._draw()

    def _show_body(self) -> None:
        count = len(self._order)
        wanted = (
            self._empty
            if not count
            else self._table_area
            if count > MOST_TILES
            else self._tile_area
        )
        if self._stack.currentWidget() is not wanted:
            self._stack.setCurrentWidget(wanted)
        self._spans.setVisible(wanted is self._tile_area)
        self._sort.setVisible(bool(count))
        self._foot.setVisible(bool(count))
        self._mode.setText(tr("live, once a second") if count else "")

    def _draw(self) -> None:
        feed = self._watch.feed
        if feed is None or not self.isVisible():
            return
        if self.shows_table:
            first = not self._heat.rowCount()
            self._heat.show_cards(self._order)
            if first:
                self.table.fit_columns()
            return
        if self._stack.currentWidget() is not self._tile_area:
            return
        from personadesk.monitor.ranges import reduced

        self._arrange()
        end = self._watch.clock()
        edges = (end - self._span_s, end)
        for tile, card in zip(self._tiles, self._order, strict=False):
            ranges = tuple(
                reduced(
                    feed.series(card.host, metric, "" if metric.value.startswith("server.") else card.part),
                    *edges, _POINTS,
                )
                for metric in card.metrics
            )  # fmt: skip
            tile.show_card(card, ranges, edges, self.fleet.foot(card), self._wholes(card))

    def _wholes(self, card: fleet.Card) -> dict[Metric, float]:
        feed = self._watch.feed
        found = {}
        for metric in card.metrics:
            if metric in _TOTALS and feed is not None:
                whole = feed.latest(card.host, _TOTALS[metric], card.part)
                if whole is not None and not isinstance(whole, Absent):
                    found[metric] = whole
        return found

    def _arrange(self) -> None:
        count = min(len(self._order), MOST_TILES)
        while len(self._tiles) < count:
            tile = Tile(self._grid.parentWidget())
            tile.chosen.connect(self.machine_asked)
            self._tiles.append(tile)
        least = 300 if count <= _FEW else 250
        columns = max(1, min(4 if count <= _FEW else 6, self.width() // theme().px(least)))
        if 0 < count < columns:
            columns = count
        wanted = [(number // columns, number % columns) for number in range(count)]
        if wanted == self._places:
            return
        self._places = wanted
        while self._grid.count():
            self._grid.takeAt(0)
        for number, tile in enumerate(self._tiles):
            tile.setVisible(number < count)
            if number < count:
                self._grid.addWidget(tile, *wanted[number])
                tile.show()
        for column in range(6):
            self._grid.setColumnStretch(column, int(column < columns))

    def _opened(self, index: QModelIndex) -> None:
        self.machine_asked.emit(self._heat.card_at(index).host)

    def _show_foot(self, alarms: tuple[Alarm, ...]) -> None:
        worst = next((each for each in alarms if each.rule.severity is Severity.ERROR), None)
        worst = worst or next(iter(alarms), None)
        self._worst = worst.host if worst is not None else ""
        self._news_button.setVisible(worst is not None)
        if worst is None:
            shape = Shape.OK
            self._news.setText(tr("Nothing is wrong."))
        else:
            shape = Shape.ERR if worst.rule.severity is Severity.ERROR else Shape.WARN
            more = trn("and {n} more", "and {n} more", len(alarms) - 1) if len(alarms) > 1 else ""
            self._news.setText(" ".join(part for part in (show(worst.text), more) if part))
        if shape is not self._shape:
            self._shape = shape
            while (item := self._news_shape.takeAt(0)) is not None:
                if (widget := item.widget()) is not None:
                    widget.deleteLater()
            self._news_shape.addWidget(StateShape(shape, "", size=16))
        sums = self.fleet.sums()
        parts = [
            trn("{n} call", "{n} calls", sums.calls), trn("{n} GPU", "{n} GPUs", sums.gpus),
            tr("{price} /h", price=dollars(sums.price)) if sums.price else "",
            tr("worst frame p99 {ms} ms", ms=round(sums.worst_ms)) if sums.worst_ms is not None else "",
        ]  # fmt: skip
        self._sums.setText("  ·  ".join(part for part in parts if part))
        set_tone(self._sums, Role.WARN if (sums.worst_ms or 0) > 80 else Role.TEXT2)
