"""Tiles side by side, perhaps under headings. Each takes its new figures in its turn, and only while it can be seen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from personadesk.domain.sample import Absent, Metric
from personadesk.ui.i18n import show
from personadesk.ui.monitor.figures import BAD_EVENTS
from personadesk.ui.monitor.tile import Tile
from personadesk.ui.theme import Role, Type, theme, wear, worn
from personadesk.ui.turns import Turns
from personadesk.ui.widgets import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.monitor.curves import Curves
    from personadesk.ui.monitor.fleet import Card, Fleet, Section
    from personadesk.ui.monitor.source import Watch

__all__ = ["TileGrid"]

_FEW, _MOST_COLUMNS = 8, 6
_TOTALS = {Metric.GPU_MEMORY_USED: Metric.GPU_MEMORY_TOTAL, Metric.MEMORY_USED: Metric.MEMORY_TOTAL}


class TileGrid(QWidget):
    """The tiles.

    Signals:
        chosen: The user wants to see more of a machine (its name in the monitor).
    """

    chosen = Signal(str)

    def __init__(self, watch: Watch, fleet: Fleet, curves: Curves) -> None:
        """Make it without tiles.

        Args:
            watch: The monitor.
            fleet: Knows what stands at a tile's foot.
            curves: What the tiles draw.
        """
        super().__init__()
        self._watch, self._fleet, self._curves = watch, fleet, curves
        px = theme().px
        self._grid = QGridLayout(self)
        self._grid.setSpacing(px(12))
        self._grid.setContentsMargins(px(20), px(10), px(20), px(14))
        self._sections: Sequence[Section] = ()
        self._tiles: list[Tile] = []
        self._heads: list[QLabel] = []
        self._placed: list[tuple[str, int]] = []
        self._turns = Turns(self)
        self._worn = worn()

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles that show, in order."""
        return tuple(tile for tile in self._tiles if not tile.isHidden())

    @property
    def headings(self) -> tuple[str, ...]:
        """What stands over the groups."""
        return tuple(head.text() for head in self._heads if not head.isHidden())

    def show_sections(self, sections: Sequence[Section]) -> None:
        """Show these cards, each at its place."""
        self._sections = sections
        self.arrange()
        self.draw()

    def arrange(self) -> None:
        """Put the tiles in as many columns as there is room for."""
        count = sum(len(section.cards) for section in self._sections)
        with wear(self._worn):
            self._make(count)
        least = 300 if count <= _FEW else 250
        columns = max(
            1, min(4 if count <= _FEW else _MOST_COLUMNS, self.width() // theme().px(least))
        )
        if 0 < count < columns:
            columns = count
        wanted = [("columns", columns), *((each.title, len(each.cards)) for each in self._sections)]
        if wanted == self._placed:
            return
        self._placed = wanted
        while self._grid.count():
            self._grid.takeAt(0)
        for part in (*self._tiles[count:], *self._heads):
            part.hide()
        heads, tiles, row = iter(self._heads), iter(self._tiles), 0
        for section in self._sections:
            if section.title:
                head = next(heads)
                head.setText(section.title)
                head.show()
                self._grid.addWidget(head, row, 0, 1, columns)
                row += 1
            for number in range(len(section.cards)):
                tile = next(tiles)
                self._grid.addWidget(tile, row + number // columns, number % columns)
                tile.show()
            row += -(-len(section.cards) // columns)
        for column in range(_MOST_COLUMNS):
            self._grid.setColumnStretch(column, int(column < columns))

    def draw(self) -> None:
        """Let each tile that can be seen take its new figures in its turn."""
        cards = [card for section in self._sections for card in section.cards]
        for number, (tile, card) in enumerate(zip(self._tiles, cards, strict=False)):
            if tile.card is not card:
                # At once, so that no tile shows another GPU's name for a moment.
                self._fill(tile, card)
            else:
                self._turns.put(number, partial(self._fill_if_seen, tile, card))

    def forget(self) -> None:
        """Drop what waits: nobody sees it."""
        self._turns.forget()

    def _fill_if_seen(self, tile: Tile, card: Card) -> None:
        if not tile.visibleRegion().isEmpty():
            self._fill(tile, card)

    def _fill(self, tile: Tile, card: Card) -> None:
        marks = tuple(
            (each.at, show(each.text), each.kind in BAD_EVENTS)
            for each in self._curves.events(card.host)
        )
        curves = self._curves.get(card)
        tile.show_card(
            card, curves, self._curves.edges, self._fleet.foot(card), self._wholes(card), marks
        )

    def _wholes(self, card: Card) -> dict[Metric, float]:
        feed = self._watch.feed
        found = {}
        for metric in card.metrics:
            if metric in _TOTALS and feed is not None:
                whole = feed.latest(card.host, _TOTALS[metric], card.part)
                if whole is not None and not isinstance(whole, Absent):
                    found[metric] = whole
        return found

    def _point(self, at: float | None) -> None:
        """Show the values at one moment in all tiles."""
        for tile in self.tiles:
            tile.set_cursor(at)

    def _make(self, count: int) -> None:
        """Make the tiles and headings that lack."""
        while len(self._tiles) < count:
            tile = Tile(self)
            tile.chosen.connect(self.chosen)
            tile.hovered.connect(self._point)
            self._tiles.append(tile)
        while len(self._heads) < len(self._sections):
            head = label("", Type.CARD_TITLE, Role.TEXT2)
            head.setParent(self)
            self._heads.append(head)
