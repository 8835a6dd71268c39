"""The four answers of every provider in one table, to choose by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtWidgets import QDialog, QHeaderView, QWidget

from personadesk.ui.accounts import words
from personadesk.ui.i18n import tr
from personadesk.ui.servers.words import count_on
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, Card, Kind, hbox, label, vbox
from personadesk.ui.widgets.data_table import Cell, DataTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.provider import ProviderFacts

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["CompareDialog"]

OWN = ""
"""Instead of a provider's id: machines of one's own."""


class _Answers(QAbstractTableModel):
    """A row a provider: its name, then the four answers with their reasons."""

    def __init__(self, providers: Sequence[ProviderFacts], parent: QObject | None = None) -> None:
        super().__init__(parent)
        own = count_on(None)
        self._titles = [tr("Provider"), *(question for question, _, _, _ in own)]
        told = [(each.id, each.title, words.count_on(each.answers)) for each in providers]
        self.ids = [each[0] for each in told] + [OWN]
        self._rows = [
            (
                Cell(title, strong=True),
                *(
                    Cell(word, sentence, f"{question}: {word}. {sentence}", shape)
                    for question, shape, word, sentence in answers
                ),
            )
            for _, title, answers in [*told, (OWN, tr("My servers"), own)]
        ]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._titles)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        cell = self._rows[index.row()][index.column()]
        return cell.told(role)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        across = orientation == Qt.Orientation.Horizontal
        if across and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None


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
        self.model = _Answers(providers, self)
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
            self.chosen.emit(self.model.ids[index.row()])
            self.accept()
