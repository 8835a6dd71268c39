"""The last comparison in short, beside the call: what is heard of two voices, and which one is better at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.voice_lab.parts import figure
from personadesk.ui.widgets import Button, Card, ElidedLabel, Kind, Size, clear_layout, label

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.compare import Comparison

__all__ = ["ComparedCard"]

ROWS: Final = ("first_audio_s", "response_p50_ms", "gap_p99_ms", "late_percent", "price")
"""What is heard, and what it costs; the whole table is under *Compare two*."""
MOST_SIDES: Final = 2


class ComparedCard(Card):
    """The card; it is there only after a comparison of two."""

    def __init__(self, lab: Lab, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(tr("Compared, same clip"), padding=12, gap=4, parent=parent)
        self._lab, self._call = lab, call
        self._shown: Comparison | None = None
        self.again = Button(
            tr("Run again"), kind=Kind.LINK, size=Size.SMALL, name=tr("Compare the same two again")
        )
        self.again.clicked.connect(self._run)
        self.add_to_head(self.again)
        self._table = QWidget()
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme().px(24))
        self._grid.setVerticalSpacing(theme().px(2))
        self._grid.setColumnStretch(0, 1)
        self.add(self._table)
        self._doing = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._doing)
        lab.compared.connect(self.follow)
        call.changed.connect(self.follow)
        self.follow()

    def follow(self) -> None:
        """Show the last comparison, or that another one goes on."""
        lab, found = self._lab, self._lab.comparison
        on = lab.compare_done is not None
        two = found is not None and len(found.sides) == MOST_SIDES
        self.setVisible(two)
        self.again.setEnabled(not on and not self._call.is_on)
        self.again.setToolTip(tr("Hang up first.") if self._call.is_on else "")
        error = lab.compare_error
        words = show(lab.compare_doing) if on else show(error.what) if error is not None else ""
        self._doing.setText(words)
        self._doing.setVisible(bool(words))
        if found is not None and two and found is not self._shown:
            self._shown = found
            self._fill(found)

    def _fill(self, found: Comparison) -> None:
        clear_layout(self._grid)
        for column, side in enumerate(found.sides, 1):
            name = ElidedLabel(side.callee.name, Type.SMALL, Role.TEXT2)
            name.setAlignment(Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(name, 0, column)
        for line, row in enumerate((row for row in found.rows if row.key in ROWS), 1):
            title = label(show(row.title), Type.SMALL, Role.TEXT2, wrap=True)
            self._grid.addWidget(title, line, 0)
            for column in range(len(row.values)):
                value = label(figure(row, column), Type.SMALL, weight=600)
                value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
                self._grid.addWidget(value, line, column + 1, Qt.AlignmentFlag.AlignTop)

    def _run(self) -> None:
        found = self._lab.comparison
        if found is not None and not self._call.is_on:
            self._lab.compare([side.callee.name for side in found.sides], found.clip, found.rounds)
