"""The four answers of every provider in one table, to choose by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtWidgets import QDialog, QHeaderView, QWidget

from personadesk.ui.accounts import words
from personadesk.ui.i18n import tr
from personadesk.ui.servers.words import count_on
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, Card, Kind, hbox, label, vbox
from personadesk.ui.widgets.cell_table import CellTable
from personadesk.ui.widgets.data_table import Cell, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.widgets import Shape

__all__ = ["CompareDialog"]

OWN = ""
"""Instead of a provider's id: machines of one's own."""


class CompareDialog(QDialog):
    """A window with the table.

    Signals:
        chosen: The tab of a provider is wanted (its id, "" for machines of one's own).
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget, providers: Sequence[ProviderFacts]) -> None:
        """Make the window; `open()` shows it.

        Args:
            parent: Window that it belongs to.
            providers: All of them, the most promising first.
        """
        super().__init__(parent)
        title = tr("What you can count on, at each provider")
        self.setWindowTitle("PersonaDesk")
        self.setAccessibleName(title)
        self.setModal(True)
        px = theme().px
        self.resize(px(1120), px(560))
        column = vbox(self, gap=12, margin=20)
        column.addWidget(label(title, Type.HEADING))
        column.addWidget(
            label(
                tr("A line hides most of this: it moves to another machine by itself."),
                Type.BODY, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        told = [(each.id, each.title, words.count_on(each.answers)) for each in providers]
        own = count_on(None)
        self.ids = [*(id_ for id_, _, _ in told), OWN]
        self.model = CellTable([tr("Provider"), *(question for question, _, _, _ in own)], self)
        self.model.show_rows(
            self.model.titles,
            [_row(title, answers) for _, title, answers in [*told, (OWN, tr("My servers"), own)]],
        )
        self.table = DataTable(tr("What you can count on"), self.model)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.table.opened.connect(self._take)
        self.table.left.connect(self.reject)
        frame = Card(padding=0, gap=0)
        frame.add(self.table)
        column.addWidget(frame, 1)
        buttons = hbox(gap=8)
        buttons.addStretch(1)
        show_it = Button(tr("Show this one"), kind=Kind.PRIMARY)
        show_it.clicked.connect(lambda: self._take(self.table.currentIndex()))
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        buttons.addWidget(close)
        buttons.addWidget(show_it)
        column.addLayout(buttons)
        self.table.selectRow(0)
        self.table.setFocus()
        self.finished.connect(self.deleteLater)

    def _take(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(self.ids[index.row()])
            self.accept()


def _row(title: str, answers: Sequence[tuple[str, Shape, str, str]]) -> tuple[Cell, ...]:
    told = (
        Cell(word, sentence, f"{question}: {word}. {sentence}", shape)
        for question, shape, word, sentence in answers
    )
    return (Cell(title, strong=True), *told)
