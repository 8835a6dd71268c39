"""What is happening, line by line: follows its end, keeps the last 5,000 lines, can show warnings only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.buttons import Button, Kind, Segments, Size
from personadesk.ui.widgets.card import Card
from personadesk.ui.widgets.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LogEntry", "LogPanel", "LogView"]

MOST_LINES = 5000
SOURCE_WIDTH = 9


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line.

    Attributes:
        clock: Time of day, ``14:02:11``.
        source: Who says it, a short word.
        text: What it says, on one line.
        warning: Whether it shows under *Warnings*.
    """

    clock: str
    source: str
    text: str
    warning: bool = False

    def __str__(self) -> str:
        sign = "!" if self.warning else " "
        return f"{self.clock} {sign}{self.source:<{SOURCE_WIDTH}} {self.text}"


class LogView(QPlainTextEdit):
    """The lines; scrolling up stops following, scrolling to the end resumes it."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setMaximumBlockCount(MOST_LINES)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setProperty("kind", "log")
        self._entries: deque[LogEntry] = deque(maxlen=MOST_LINES)
        self._warnings_only = False
        self._follow_theme()
        theme().theme_changed.connect(self._follow_theme)

    @property
    def entries(self) -> tuple[LogEntry, ...]:
        """All lines kept, shown or not."""
        return tuple(self._entries)

    @property
    def following(self) -> bool:
        """Whether the last line is in view, so that new ones scroll in."""
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - 1

    def add(self, entries: Iterable[LogEntry]) -> None:
        """Append lines; join those of about 100 ms into one call."""
        new = list(entries)
        self._entries.extend(new)
        self._append([e for e in new if e.warning or not self._warnings_only])

    def show_warnings_only(self, only: bool) -> None:
        """Show all lines, or only warnings."""
        if only != self._warnings_only:
            self._warnings_only = only
            self._rebuild()

    def copy_all(self) -> None:
        """Put the lines that are shown on the clipboard."""
        QGuiApplication.clipboard().setText(self.toPlainText())

    def clear_log(self) -> None:
        """Forget all lines."""
        self._entries.clear()
        self.clear()

    def _append(self, entries: list[LogEntry]) -> None:
        if not entries:
            return
        following = self.following
        place = self.verticalScrollBar().value()
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        for entry in entries:
            if not self.document().isEmpty():
                cursor.insertBlock()
            colours = QTextCharFormat()
            role = Role.WARN if entry.warning else Role.TEXT2
            colours.setForeground(theme().colour(role))
            cursor.insertText(str(entry), colours)
        cursor.endEditBlock()
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum() if following else place)

    def _rebuild(self) -> None:
        self.clear()
        self._append([e for e in self._entries if e.warning or not self._warnings_only])

    def _follow_theme(self) -> None:
        self.setFont(theme().font(Type.SMALL, mono=True))
        self._rebuild()


class LogPanel(Card):
    """The lines in a card, with the fold, *All / Warnings* and *Copy*.

    Attributes:
        view: The lines.
        fold: Opens and closes them.
    """

    def __init__(self, *, opened: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(padding=14, gap=0, parent=parent)
        title = tr("What is happening, line by line")
        self.view = LogView(title)
        self.fold = Fold(title, opened=opened)
        which = Segments([tr("All"), tr("Warnings")], tr("Which lines"))
        which.chosen.connect(lambda index: self.view.show_warnings_only(index == 1))
        copy = Button(
            tr("Copy"), kind=Kind.QUIET, icon="copy", size=Size.SMALL, name=tr("Copy these lines")
        )
        copy.clicked.connect(self.view.copy_all)
        self.fold.add_to_head(which)
        self.fold.add_to_head(copy)
        self.fold.body.addWidget(self.view, 1)
        self.add(self.fold, 1)
