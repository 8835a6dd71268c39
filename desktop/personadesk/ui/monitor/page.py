"""The place Monitor in the side bar: all GPUs at once, and the way to a window of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal

from personadesk.ui.i18n import tr
from personadesk.ui.monitor.view import MonitorView
from personadesk.ui.shell.pages import Page
from personadesk.ui.widgets import Button, vbox

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.monitor.source import Watch

__all__ = ["MonitorPage"]


class MonitorPage(Page):
    """The page.

    Signals:
        deploy_asked: There is nothing to watch, and the user wants to begin.
        machine_asked: More of a machine is wanted (its name in the monitor).
        detach_asked: A window of its own is wanted.
    """

    deploy_asked = Signal()
    machine_asked = Signal(str)
    detach_asked = Signal()

    def __init__(self, watch: Watch, parent: QWidget | None = None) -> None:
        """Make the page.

        Args:
            watch: The monitor; it outlives the page.
        """
        super().__init__(parent)
        column = vbox(self)
        self.view = MonitorView(watch)
        self.view.deploy_asked.connect(self.deploy_asked)
        self.view.machine_asked.connect(self.machine_asked)
        self.detach = Button(tr("Own window"), icon="detach")
        self.detach.clicked.connect(self.detach_asked)
        self.view.bar.addWidget(self.detach)
        column.addWidget(self.view)

    @property
    def title(self) -> str:
        return tr("Monitor")

    @property
    def subtitle(self) -> str:
        return tr("Every GPU at once, live")

    def focus_first(self) -> None:
        """Put the keyboard on the first tile, the table, or the way to begin."""
        view = self.view
        wanted: QWidget = self.detach
        if view.is_empty:
            wanted = view.begin
        elif view.shows_table:
            wanted = view.table
        elif view.tiles:
            wanted = view.tiles[0]
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)
