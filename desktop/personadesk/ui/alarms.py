"""Tells alarms as they begin and end: as messages in the window, and by the system where it has a tray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from personadesk.domain.alarm import Severity as AlarmSeverity
from personadesk.ui.i18n import show
from personadesk.ui.messages import Message, Severity, bus

if TYPE_CHECKING:
    from personadesk.domain.alarm import Alarm
    from personadesk.ui.monitor.source import Watch

__all__ = ["AlarmTeller"]

SHOWN_MS = 10_000
_SEVERITIES = {AlarmSeverity.ERROR: Severity.ERROR, AlarmSeverity.WARNING: Severity.WARNING}


class AlarmTeller(QObject):
    """Follows the alarms of the monitor.

    Signals:
        clicked: The user wants to see what is wrong.
    """

    clicked = Signal()

    def __init__(self, watch: Watch, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watch = watch
        self._tray: QSystemTrayIcon | None = None
        watch.opened.connect(self._follow)
        if watch.feed is not None:
            self._follow()

    @property
    def tray(self) -> QSystemTrayIcon | None:
        """The icon in the tray, None while nothing rang or where there is no tray."""
        return self._tray

    def tell(self, alarm: Alarm) -> None:
        """Tell one alarm; its end replaces its beginning."""
        severity = _SEVERITIES[alarm.rule.severity] if alarm.on else Severity.GOOD
        key = f"alarm {alarm.host} {alarm.rule.quantity} {alarm.part}"
        bus().post(Message(severity, alarm.text, key=key))
        self._notify(alarm)

    def _follow(self) -> None:
        feed = self._watch.feed
        if feed is None:
            return
        for alarm in feed.alarms.active:
            self.tell(alarm)
        feed.subscribe_alarms(self.tell)

    def _notify(self, alarm: Alarm) -> None:
        if self._tray is None:
            if not QSystemTrayIcon.isSystemTrayAvailable():
                return
            self._tray = QSystemTrayIcon(QApplication.windowIcon(), self)
            self._tray.setToolTip("PersonaDesk")
            self._tray.messageClicked.connect(self.clicked)
            self._tray.activated.connect(lambda _reason: self.clicked.emit())
            self._tray.show()
        icons = QSystemTrayIcon.MessageIcon
        icon = icons.Information
        if alarm.on:
            icon = icons.Critical if alarm.rule.severity is AlarmSeverity.ERROR else icons.Warning
        self._tray.showMessage(show(alarm.rule.title), show(alarm.text), icon, SHOWN_MS)
