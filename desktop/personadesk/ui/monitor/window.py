"""Monitor as a window of its own: on top of others, or over the whole screen of a wall, with a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QMainWindow, QWidget

from personadesk.ui.i18n import language, tr
from personadesk.ui.monitor.view import MonitorView
from personadesk.ui.theme import Type
from personadesk.ui.widgets import Button, FocusRing, label

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent

    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.preferences import Preferences

__all__ = ["MonitorWindow"]

START_SIZE, SMALLEST = QSize(1280, 800), QSize(480, 360)


class MonitorWindow(QMainWindow):
    """The window. It stays when the main window is hidden, and goes when the program ends.

    Signals:
        deploy_asked: See `MonitorView`.
        machine_asked: See `MonitorView`.
        closed: The user closed it.
    """

    deploy_asked = Signal()
    machine_asked = Signal(str)
    closed = Signal()

    def __init__(self, watch: Watch, preferences: Preferences) -> None:
        """Make the window; `show` shows it.

        Args:
            watch: The monitor.
            preferences: Where its place is remembered.
        """
        super().__init__()
        self._preferences = preferences
        self._watch = watch
        self.setMinimumSize(SMALLEST)
        self.resize(START_SIZE.boundedTo(self.screen().availableSize()))
        if not preferences.monitor_geometry.isEmpty():
            self.restoreGeometry(preferences.monitor_geometry)
        self._ring = FocusRing(self)
        self._build()
        self._second = QTimer(self)
        self._second.setInterval(1000)
        self._second.timeout.connect(self._tell_time)
        self._second.start()
        full = QShortcut(QKeySequence("F11"), self)
        full.activated.connect(lambda: self.full_screen(not self.isFullScreen()))
        leave = QShortcut(QKeySequence("Esc"), self)
        leave.activated.connect(lambda: self.full_screen(False))
        top = QShortcut(QKeySequence("Ctrl+Shift+T"), self)
        top.activated.connect(lambda: self.on_top.click())
        language().language_changed.connect(self._build)

    def full_screen(self, wanted: bool) -> None:
        """Take the whole screen, or give it back."""
        if wanted != self.isFullScreen():
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        self._full.setText(tr("Leave full screen") if wanted else tr("Full screen"))
        self._clock.setVisible(wanted)

    def keep_on_top(self, wanted: bool) -> None:
        """Stay above other windows, or not."""
        if bool(self.windowFlags() & Qt.WindowType.WindowStaysOnTopHint) != wanted:
            shown = self.isVisible()
            self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint, wanted)
            if shown:  # Qt hides a window whose flags change
                self.show()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._preferences.monitor_geometry = self.saveGeometry()
        super().closeEvent(event)
        self.closed.emit()

    def _build(self) -> None:
        on_top = bool(self.windowFlags() & Qt.WindowType.WindowStaysOnTopHint)
        self.setWindowTitle(tr("Monitor – PersonaDesk"))
        view = MonitorView(self._watch)
        view.setProperty("kind", "page")
        view.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        view.deploy_asked.connect(self.deploy_asked)
        view.machine_asked.connect(self.machine_asked)
        self._clock = label("", Type.HEADING)
        self._clock.setVisible(self.isFullScreen())
        view.bar.addWidget(self._clock)
        self.on_top = Button(tr("Always on top"), icon="pin")
        self.on_top.setCheckable(True)
        self.on_top.setChecked(on_top)
        self.on_top.toggled.connect(self.keep_on_top)
        view.bar.addWidget(self.on_top)
        self._full = Button(tr("Full screen"), icon="fullscreen")
        self._full.setToolTip("F11")
        self._full.clicked.connect(lambda: self.full_screen(not self.isFullScreen()))
        view.bar.addWidget(self._full)
        self.view = view
        before: QWidget | None = self.centralWidget()
        self.setCentralWidget(view)
        if before is not None:
            before.deleteLater()
        self._tell_time()

    def _tell_time(self) -> None:
        now = QDateTime.currentDateTime()
        self._clock.setText(language().locale.toString(now.time(), "HH:mm:ss"))
