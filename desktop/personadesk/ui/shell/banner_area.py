"""The place under the top bar for what the user must be told: one message at a time, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QWidget

from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.messages import Message, MessageBus, Severity, bus
from personadesk.ui.theme import theme
from personadesk.ui.widgets import ErrorPanel, MessageBanner, Shape, clear_layout, vbox

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BannerArea"]

_SHAPES = {
    Severity.GOOD: Shape.OK,
    Severity.INFO: Shape.LIVE,
    Severity.WARNING: Shape.WARN,
    Severity.ERROR: Shape.ERR,
}


class BannerArea(QWidget):
    """Shows the worst message of the bus, and how many more there are."""

    def __init__(self, messages: MessageBus | None = None, parent: QWidget | None = None) -> None:
        """Make the area.

        Args:
            messages: Where messages come from; the bus of the process when left out.
        """
        super().__init__(parent)
        self._bus = messages or bus()
        self._shown: tuple[Message | None, int] = (None, 0)
        self._column = vbox(self)
        px = theme().px
        self._column.setContentsMargins(px(24), px(14), px(24), 0)
        # In a text field the same keys take back what was typed, as everywhere.
        undo = QShortcut(QKeySequence(QKeySequence.StandardKey.Undo), self)
        undo.activated.connect(self._undo)
        self._bus.changed.connect(self._follow)
        self.hide()
        self._follow()

    @property
    def message(self) -> Message | None:
        """What is shown."""
        return self._shown[0]

    def _follow(self) -> None:
        waiting = self._bus.messages
        wanted = (waiting[0] if waiting else None, len(waiting))
        if wanted == self._shown:
            return
        self._shown = wanted
        clear_layout(self._column)
        message, count = wanted
        self.setVisible(message is not None)
        if message is not None:
            self._column.addWidget(self._make_banner(message, count - 1))

    def _make_banner(self, message: Message, more: int) -> MessageBanner:
        text = show(message.next)
        if more:
            others = trn("And {n} more message.", "And {n} more messages.", more)
            text = f"{text} {others}".strip()
        doings: list[tuple[str, Callable[[], None]]] = [
            (show(action.title), lambda run=action.run: self._run(message, run))  # type: ignore[misc] # mypy can't type defaults
            for action in message.actions
        ]
        if message.undo is not None:
            doings.append((tr("Undo"), self._undo))
        if message.details:
            doings.append((tr("Details"), lambda: self._show_details(message)))
        banner = MessageBanner(
            show(message.what),
            text,
            shape=_SHAPES[message.severity],
            actions=[title for title, _ in doings],
        )
        banner.acted.connect(lambda index: doings[index][1]())
        banner.closed.connect(lambda: self._bus.dismiss(message))
        return banner

    def _undo(self) -> None:
        message = self.message
        if message is not None and message.undo is not None:
            self._run(message, message.undo)

    def _run(self, message: Message, run: Callable[[], None]) -> None:
        self._bus.dismiss(message)
        run()

    def _show_details(self, message: Message) -> None:
        dialog = QDialog(self.window())
        dialog.setWindowTitle(tr("Details"))
        dialog.setMinimumWidth(theme().px(560))
        column = vbox(dialog, margin=20)
        panel = ErrorPanel(
            show(message.what), show(message.next), details=message.details, opened=True
        )
        column.addWidget(panel)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
