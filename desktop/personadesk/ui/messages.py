"""The one way by which anything tells the user something: a bus that logs, keeps and announces messages.

Whoever has something to say posts it here; the shell shows the worst one. Tests listen instead.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Action", "Message", "MessageBus", "Severity", "bus", "catch_everything", "from_error"]

log = logging.getLogger(__name__)

UNDO_SECONDS = 8.0
"""For so long what was just done can be taken back."""
MOST_KEPT = 20
"""Older ones are in the log; a flood of messages must not fill memory."""


class Severity(IntEnum):
    """How bad it is; worse ones are shown first."""

    GOOD = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a message.

    Attributes:
        title: What it does, a verb.
        run: Called on the window's thread; the message is then gone.
    """

    title: Text
    run: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell.

    Attributes:
        severity: How bad it is.
        what: What happened, one sentence.
        next: What to do, one sentence.
        details: Raw words for the fold.
        actions: Buttons.
        key: Messages of one key replace each other; empty: the sentence is the key.
        undo: Takes back what it tells, for `UNDO_SECONDS`; then the message is gone. None where nothing can be.
    """

    severity: Severity
    what: Text
    next: Text = NOTHING
    details: str = ""
    actions: tuple[Action, ...] = ()
    key: str = ""
    undo: Callable[[], None] | None = None

    @property
    def identity(self) -> str:
        """What makes two messages the same."""
        return self.key or str(self.what)


class MessageBus(QObject):
    """Keeps what the user has not yet dismissed, worst first.

    Signals:
        changed: Messages came or went.
        posted: A message came (the message).
    """

    changed = Signal()
    posted = Signal(object)
    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: list[Message] = []
        self._arrived.connect(self._take)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is to be shown: first what can still be undone, then worst first, then newest first."""
        newest_first = self._kept[::-1]
        newest_first.sort(key=lambda message: (message.undo is None, -message.severity))
        return tuple(newest_first)

    def post(self, message: Message) -> None:
        """Tell something; may be called from any thread."""
        level = {Severity.WARNING: logging.WARNING, Severity.ERROR: logging.ERROR}
        words = " ".join(str(part) for part in (message.what, message.next) if part)
        if message.details:
            words = f"{words}\n{message.details}"
        log.log(level.get(message.severity, logging.INFO), "%s", words)
        # A signal crosses threads by itself and arrives on the window's.
        self._arrived.emit(message)

    def error(self, error: BaseException) -> None:
        """Tell that something failed."""
        self.post(from_error(error))

    def dismiss(self, message: Message) -> None:
        """Forget a message; harmless when it is gone already."""
        if message in self._kept:
            self._kept.remove(message)
            self.changed.emit()

    def withdraw(self, key: str) -> None:
        """Forget the message of a key, for example because what it told is over."""
        for message in [m for m in self._kept if m.identity == key]:
            self.dismiss(message)

    def _take(self, message: Message) -> None:
        self._kept = [m for m in self._kept if m.identity != message.identity]
        self._kept.append(message)
        del self._kept[:-MOST_KEPT]
        if message.undo is not None:
            QTimer.singleShot(round(UNDO_SECONDS * 1000), self, lambda: self.dismiss(message))
        self.posted.emit(message)
        self.changed.emit()


def from_error(error: BaseException) -> Message:
    """Say in words what an exception means; one that is none of ours is our own fault."""
    if isinstance(error, PersonaDeskError):
        return Message(Severity.ERROR, error.what, error.next, error.details)
    details = "".join(traceback.format_exception(error)).strip()
    return Message(
        Severity.ERROR,
        T("Something went wrong inside PersonaDesk: {kind}.", kind=type(error).__name__),
        T("You can go on. If it happens again, send us the details."),
        details,
    )


_bus: MessageBus | None = None


def bus() -> MessageBus:
    """Return the bus of this process; it is made on first use and lives as long."""
    global _bus
    if _bus is None:
        _bus = MessageBus()
    return _bus


def catch_everything() -> Callable[[], None]:
    """Send uncaught exceptions of this process to the bus.

    Returns:
        A function that restores what was there before.
    """
    before, before_thread = sys.excepthook, threading.excepthook

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, Exception):
            before(kind, error, trace)
            return
        bus().error(error)

    def uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
        if isinstance(found.exc_value, Exception):
            bus().error(found.exc_value)
        else:
            before_thread(found)

    sys.excepthook, threading.excepthook = uncaught, uncaught_in_thread

    def restore() -> None:
        sys.excepthook, threading.excepthook = before, before_thread

    return restore
