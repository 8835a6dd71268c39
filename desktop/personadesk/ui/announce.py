"""Tells assistive technology once what changed: politely for progress, at once for errors. Live numbers never."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QApplication

__all__ = ["Announcer", "announce", "announcer"]


class Announcer(QObject):
    """Sends announcements.

    Signals:
        announced: What was said, and whether it was urgent.
    """

    announced = Signal(str, bool)

    def say(self, text: str, *, urgent: bool = False) -> None:
        """Say something in the window that the user is in; nothing where there is none."""
        window = QApplication.activeWindow()
        if window is None or not text:
            return
        event = QAccessibleAnnouncementEvent(window, text)
        event.setPoliteness(
            QAccessible.AnnouncementPoliteness.Assertive
            if urgent
            else QAccessible.AnnouncementPoliteness.Polite
        )
        QAccessible.updateAccessibility(event)
        self.announced.emit(text, urgent)


_announcer: Announcer | None = None


def announcer() -> Announcer:
    """Return the announcer of this process; it is made on first use."""
    global _announcer
    if _announcer is None:
        _announcer = Announcer()
    return _announcer


def announce(text: str, *, urgent: bool = False) -> None:
    """Say something to who uses a screen reader."""
    announcer().say(text, urgent=urgent)
