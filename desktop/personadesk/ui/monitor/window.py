"""Windows that only watch: on top of others, or over the whole screen of a wall, with a clock and a screen kept on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QWidget

from personadesk.ui.awake import Awake
from personadesk.ui.i18n import language, tr
from personadesk.ui.monitor.graphs import GraphsPane
from personadesk.ui.monitor.view import MonitorView
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import FixedTheme, Look, Role, Type, theme, wear
from personadesk.ui.widgets import Button, ElidedLabel, FocusRing, hbox, label, vbox

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QResizeEvent

    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.preferences import Preferences

__all__ = ["MachineWindow", "MonitorWindow", "WatchWindow"]

START_SIZE, SMALLEST = QSize(1280, 800), QSize(480, 360)
NARROW = 1180
"""Below that width the switches are icons."""


class WatchWindow(QMainWindow):
    """What such windows share. They stay when the main window is hidden, and go when the program ends.

    Attributes:
        awake: Keeps the screen on while it is taken whole.

    Signals:
        closed: The user closed it.
    """

    closed = Signal()

    def __init__(self, watch: Watch, preferences: Preferences) -> None:
        """Make the window; `show` shows it.

        Args:
            watch: The monitor.
            preferences: Where its place and its look are remembered.
        """
        super().__init__()
        self._preferences = preferences
        self._watch = watch
        self._fixed: FixedTheme | None = None
        self.awake = Awake(self)
        self.setMinimumSize(SMALLEST)
        self.resize(START_SIZE.boundedTo(self.screen().availableSize()))
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
        theme().theme_changed.connect(self._dress)

    def full_screen(self, wanted: bool) -> None:
        """Take the whole screen and keep it on, or give it back."""
        if wanted != self.isFullScreen():
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        self._name_switches()
        self._clock.setVisible(wanted)
        self.awake.keep(wanted=wanted)

    def keep_on_top(self, wanted: bool) -> None:
        """Stay above other windows, or not."""
        if bool(self.windowFlags() & Qt.WindowType.WindowStaysOnTopHint) != wanted:
            shown = self.isVisible()
            self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint, wanted)
            if shown:  # Qt hides a window whose flags change
                self.show()

    def keep_dark(self, wanted: bool) -> None:
        """Be dark whatever the program's look is, or follow it; the choice is remembered."""
        if wanted != self._preferences.monitor_dark:
            self._preferences.monitor_dark = wanted
            # Not within the click of a button that goes with it.
            QTimer.singleShot(0, self, self._build)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._name_switches()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.awake.keep(wanted=False)
        super().closeEvent(event)
        self.closed.emit()

    def _make(self) -> tuple[QWidget, QHBoxLayout]:
        """Return what fills the window, and the bar in which its buttons stand."""
        raise NotImplementedError

    def _build(self) -> None:
        on_top = bool(self.windowFlags() & Qt.WindowType.WindowStaysOnTopHint)
        self._fixed = FixedTheme(theme(), Look.DARK) if self._preferences.monitor_dark else None
        with wear(self._fixed):
            content, bar = self._make()
            content.setProperty("kind", "page")
            content.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
            self._clock = label("", Type.HEADING)
            self._clock.setVisible(self.isFullScreen())
            bar.addWidget(self._clock)
            self.dark = _switch(tr("Dark"), "moon", on=self._fixed is not None)
            self.dark.toggled.connect(self.keep_dark)
            self.on_top = _switch(tr("Always on top"), "pin", on=on_top)
            self.on_top.toggled.connect(self.keep_on_top)
            self._full = Button(tr("Full screen"), icon="fullscreen")
            self._full.clicked.connect(lambda: self.full_screen(not self.isFullScreen()))
            for button in (self.dark, self.on_top, self._full):
                bar.addWidget(button)
        before: QWidget | None = self.centralWidget()
        self.setCentralWidget(content)
        if before is not None:
            before.deleteLater()
        self._dress()
        self._name_switches()
        self._tell_time()

    def _name_switches(self) -> None:
        """Write the switches' names on them where there is room; else they are icons that say their names."""
        narrow = self.width() < theme().px(NARROW)
        whole = tr("Leave full screen") if self.isFullScreen() else tr("Full screen")
        for button, name, keys in (
            (self.dark, tr("Dark"), ""), (self.on_top, tr("Always on top"), "Ctrl+Shift+T"),
            (self._full, whole, "F11"),
        ):  # fmt: skip
            button.setText("" if narrow else name)
            button.setAccessibleName(name)
            button.setToolTip(" ".join(part for part in (name if narrow else "", keys) if part))

    def _dress(self) -> None:
        if self._fixed is not None:
            self._fixed.dress(self)
        elif self.styleSheet():
            self.setStyleSheet("")
            self.setPalette(QWidget().palette())

    def _tell_time(self) -> None:
        now = QDateTime.currentDateTime()
        self._clock.setText(language().locale.toString(now.time(), "HH:mm:ss"))


class MonitorWindow(WatchWindow):
    """All GPUs.

    Signals:
        deploy_asked: See `MonitorView`.
        machine_asked: See `MonitorView`.
    """

    deploy_asked = Signal()
    machine_asked = Signal(str)

    def __init__(self, watch: Watch, preferences: Preferences) -> None:
        super().__init__(watch, preferences)
        if not preferences.monitor_geometry.isEmpty():
            self.restoreGeometry(preferences.monitor_geometry)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._preferences.monitor_geometry = self.saveGeometry()
        super().closeEvent(event)

    def _make(self) -> tuple[QWidget, QHBoxLayout]:
        self.setWindowTitle(tr("Monitor – PersonaDesk"))
        self.view = MonitorView(self._watch)
        self.view.deploy_asked.connect(self.deploy_asked)
        self.view.machine_asked.connect(self.machine_asked)
        return self.view, self.view.bar


class MachineWindow(WatchWindow):
    """The graphs of one machine."""

    def __init__(self, watch: Watch, preferences: Preferences, host: str, name: str) -> None:
        """Make the window; `show` shows it.

        Args:
            watch: The monitor.
            preferences: Where its look is remembered.
            host: The machine as the monitor calls it.
            name: The machine as people call it.
        """
        self._host, self._name = host, name
        super().__init__(watch, preferences)

    @property
    def host(self) -> str:
        """The machine as the monitor calls it."""
        return self._host

    def _make(self) -> tuple[QWidget, QHBoxLayout]:
        self.setWindowTitle(tr("{machine} – PersonaDesk", machine=self._name))
        self.graphs = GraphsPane(self._watch)
        self.graphs.show_host(self._host)
        content = QWidget()
        px = theme().px
        column = vbox(content, gap=10)
        column.setContentsMargins(px(20), px(12), px(20), px(14))
        bar = hbox(gap=8)
        bar.addWidget(ElidedLabel(self._name, Type.HEADING, Role.TEXT), 1)
        bar.addWidget(self.graphs.bar, 2)
        column.addLayout(bar)
        column.addWidget(scrolled(self.graphs), 1)
        return content, bar


def _switch(text: str, icon: str, *, on: bool) -> Button:
    made = Button(text, icon=icon)
    made.setCheckable(True)
    made.setChecked(on)
    return made
