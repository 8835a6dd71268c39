"""All GPUs at once: a bar, tiles or a table, and the worst news at the foot. A page and a window show it alike."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSizePolicy, QStackedWidget, QWidget

from personadesk.domain.plan import LOCAL
from personadesk.ui.i18n import tr
from personadesk.ui.monitor.curves import Curves
from personadesk.ui.monitor.fleet import Fleet, Grouping
from personadesk.ui.monitor.heat import HeatDelegate, HeatTable, sections_csv
from personadesk.ui.monitor.news import NewsFoot
from personadesk.ui.monitor.tile_grid import TileGrid
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.turns import Turns
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    ElidedLabel,
    IconLabel,
    Kind,
    Segments,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.data_table import DataTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent

    from personadesk.domain.sample import Sample
    from personadesk.ui.monitor.fleet import Section
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.monitor.tile import Tile

__all__ = ["MOST_TILES", "MonitorView"]

MOST_TILES = 32
"""More GPUs than that are rows of a table."""
SPANS: tuple[tuple[float, Callable[[], str]], ...] = (
    (60.0, lambda: tr("1 min")),
    (300.0, lambda: tr("5 min")),
    (900.0, lambda: tr("15 min")),
    (3600.0, lambda: tr("1 h")),
    (86_400.0, lambda: tr("24 h")),
    (30 * 86_400.0, lambda: tr("30 days")),
)
"""Seconds that the tiles can show, and how that is called."""
_ORDERS = (
    (True, Grouping.NONE), (False, Grouping.NONE), (True, Grouping.LINE), (True, Grouping.PROVIDER),
    (True, Grouping.STATE),
)  # fmt: skip
"""Of each order that can be chosen: whether trouble comes first, and what stands together."""


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
        self.fleet = Fleet(watch.owner)
        self.curves = Curves(watch, self)
        self._turns = Turns(self)
        self._looked: set[str] = set()
        self._sections: list[Section] = []
        self._span_s = SPANS[1][0]
        self._past: tuple[float, float] | None = None
        column = vbox(self, gap=0)
        px = theme().px
        top = QWidget()
        self.bar = hbox(top, gap=8)
        self.bar.setContentsMargins(px(20), px(12), px(20), px(4))
        self._fill_bar(self.bar)
        top.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column.addWidget(top)
        self._stack = QStackedWidget()
        self._waiting = _note(tr("Waiting for the first reading, about 5 seconds."))
        self._empty = self._make_empty()
        self._nothing = _note(tr("Nothing is found by these words."))
        self.grid = TileGrid(watch, self.fleet, self.curves)
        self.grid.chosen.connect(self.machine_asked)
        self.curves.arrived.connect(self._draw)
        self._tile_area = scrolled(self.grid)
        self._heat = HeatTable(self.curves, self)
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
        for each in (self._waiting, self._empty, self._nothing, self._tile_area, self._table_area):
            self._stack.addWidget(each)
        column.addWidget(self._stack, 1)
        self._foot = NewsFoot()
        self._foot.machine_asked.connect(self.machine_asked)
        self._foot.hide()
        column.addWidget(self._foot)
        watch.opened.connect(self.follow_now)
        watch.sampled.connect(self._take)
        watch.changed.connect(self.follow_now)

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles that show, in order."""
        return self.grid.tiles

    @property
    def shows_table(self) -> bool:
        """Whether there are so many GPUs that they are rows."""
        return self._stack.currentWidget() is self._table_area

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to watch."""
        return self._stack.currentWidget() is self._empty

    def choose_span(self, number: int) -> None:
        """Show another stretch of time, up to now."""
        self._span_s = SPANS[number][0]
        self._spans.choose(number)
        self._span_box.setCurrentIndex(number)
        self._past = None
        self._say_mode()
        self.curves.show(*self._edges(), fresh=True)
        self._show_body()
        self._draw()

    @property
    def is_live(self) -> bool:
        """Whether the right edge is now."""
        return self._past is None

    def toggle_pause(self) -> None:
        """Keep what is shown where it is, or follow again."""
        self._past = self._edges() if self._past is None else None
        self._say_mode()
        self.follow_now()

    def _say_mode(self) -> None:
        self.pause.setText(tr("Pause") if self._past is None else tr("Follow"))

    # -- life -------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch.begin()
        self.follow_now()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.grid.forget()
        self._turns.forget()
        self._look_at(set())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.grid.arrange()
        self._show_spans(bool(self._sections))

    def _show_spans(self, shown: bool) -> None:
        """Offer stretches of time side by side where there is room for that, else in a list."""
        taken = sum(
            item.minimumSize().width()
            for each in (self._spans, self._span_box)
            if (item := self.bar.itemAt(self.bar.indexOf(each))) is not None and not each.isHidden()
        )
        needed = self.bar.minimumSize().width() - taken + self._spans.sizeHint().width()
        wide = needed <= self.width()
        self._spans.setVisible(shown and wide)
        self._span_box.setVisible(shown and not wide)

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
        self.search = QLineEdit()
        self.search.setObjectName("monitorFilter")
        self.search.setPlaceholderText(tr("Filter GPUs"))
        self.search.setAccessibleName(tr("Filter GPUs"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(theme().px(110))
        self.search.setMaximumWidth(theme().px(200))
        self.search.textChanged.connect(self.reorder)
        bar.addWidget(self.search, 1)
        self.order = ComboBox(tr("Order"))
        self.order.setObjectName("monitorOrder")
        for text in (
            tr("Trouble first"), tr("As they are listed"), tr("Grouped by line"),
            tr("Grouped by provider"), tr("Grouped by state"),
        ):  # fmt: skip
            self.order.addItem(text)
        self.order.currentIndexChanged.connect(self.reorder)
        bar.addWidget(self.order)
        self._spans = Segments([text() for _, text in SPANS], tr("Shown time"))
        self._spans.choose(1)
        self._spans.chosen.connect(self.choose_span)
        bar.addWidget(self._spans)
        # The same choice where there is no room for all of it side by side.
        self._span_box = ComboBox(tr("Shown time"))
        for _, named in SPANS:
            self._span_box.addItem(named())
        self._span_box.setCurrentIndex(1)
        self._span_box.activated.connect(self.choose_span)
        self._span_box.hide()
        bar.addWidget(self._span_box)
        self._mode = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._mode.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        bar.addWidget(self._mode, 1)
        self.pause = Button(tr("Pause"))
        self.pause.setObjectName("monitorPause")
        self.pause.clicked.connect(self.toggle_pause)
        bar.addWidget(self.pause)
        self.more = Button(kind=Kind.ICON, icon="more", name=tr("Save what is shown"))
        self.more.clicked.connect(self._open_menu)
        bar.addWidget(self.more)

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

    # -- drawing ----------------------------------------------------------------------------------------------

    def follow_now(self) -> None:
        """Show the newest figures; done once a second by itself while it can be seen."""
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
        if other or not self._sections:
            self._sort_cards()
        self._show_body()
        self._draw()
        self._foot.tell(feed.alarms.active, self.fleet.sums())

    def reorder(self) -> None:
        """Sort, group and filter anew."""
        self._sort_cards()
        self._show_body()
        self._draw()

    def _sort_cards(self) -> None:
        by_trouble, grouping = _ORDERS[self.order.currentIndex()]
        self._sections = self.fleet.sections(
            by_trouble=by_trouble, grouping=grouping, text=self.search.text()
        )

    def _show_body(self) -> None:
        count = sum(len(section.cards) for section in self._sections)
        if not self.fleet.cards:
            wanted = self._empty
        elif not count:
            wanted = self._nothing
        else:
            wanted = self._tile_area if count <= MOST_TILES else self._table_area
        if self._stack.currentWidget() is not wanted:
            self._stack.setCurrentWidget(wanted)
        there = bool(self.fleet.cards)
        self._show_spans(bool(count))
        for part in (self.order, self.search, self.pause, self.more, self._foot):
            part.setVisible(there)
        live = tr("live, once a second") if self._past is None else tr("paused")
        self._mode.setText(live if there else "")

    def _edges(self) -> tuple[float, float]:
        if self._past is not None:
            return self._past
        end = self._watch.clock()
        return end - self._span_s, end

    def _draw(self) -> None:
        if self._watch.feed is None or not self.isVisible():
            return
        self.curves.show(*self._edges())
        if self.shows_table:
            if self._past is None:
                first = not self._heat.rowCount()
                self._heat.show_sections(self._sections)
                if first:
                    self.table.fit_columns()
                self._tell_rows()
        elif self._stack.currentWidget() is self._tile_area:
            self.grid.show_sections(self._sections)

    def _tell_rows(self) -> None:
        """Let each row in sight take its new figures in its turn."""
        last = self.table.rowAt(self.table.viewport().height() - 1)
        last = self._heat.rowCount() - 1 if last < 0 else last
        for row in range(max(0, self.table.rowAt(0)), last + 1):
            self._turns.put(row, partial(self._heat.tell, row))

    def _opened(self, index: QModelIndex) -> None:
        self.machine_asked.emit(self._heat.card_at(index).host)

    # -- taking it elsewhere ----------------------------------------------------------------------------------

    def export_menu(self) -> QMenu:
        """Return how what is shown can be taken elsewhere."""
        menu = QMenu(self)
        for text, kind in (
            (tr("Save as PNG…"), "png"), (tr("Save as SVG…"), "svg"), (tr("Save as CSV…"), "csv")
        ):  # fmt: skip
            menu.addAction(text).triggered.connect(lambda _on=False, kind=kind: self._save_as(kind))
        return menu

    def save(self, path: str) -> bool:
        """Write what is shown to a file, as its ending says: PNG, SVG or CSV. A failure is told.

        Returns:
            Whether it was written.
        """
        from personadesk.ui.monitor.chart_menu import written_or_told
        from personadesk.ui.widgets.picture import save_png, save_svg

        def write() -> bool:
            if path.endswith(".csv"):
                Path(path).write_text(sections_csv(self._sections), encoding="utf-8")
                return True
            shown = self._table_area if self.shows_table else self._tile_area
            return (save_svg if path.endswith(".svg") else save_png)(shown, path, tr("Monitor"))

        return written_or_told(path, write)

    def _open_menu(self) -> None:
        menu = self.export_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))

    def _save_as(self, kind: str) -> None:
        from personadesk.ui.monitor.chart_menu import ask_path

        path = ask_path(self, "monitor", kind)
        if path:
            self.save(path)


def _note(text: str) -> QWidget:
    made = label(text, Type.BODY, Role.TEXT2)
    made.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return made
