"""Draws one thing after another: between two of them the window paints, and answers clicks and keys.

Eight graphs that all take new figures at once hold a window up for longer than a frame; the same eight in turns do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Turns"]


class Turns(QObject):
    """Jobs that wait for their turn, each under a key; a newer job takes the place of an older one with its key."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: dict[Hashable, Callable[[], None]] = {}
        # Zero: after what is there to be painted and to be answered, before anything else is done.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._turn)

    def put(self, key: Hashable, job: Callable[[], None]) -> None:
        """Let a job be done soon, at the place in the queue of one with the same key that still waits."""
        self._waiting[key] = job
        if not self._timer.isActive():
            self._timer.start()

    def finish(self) -> None:
        """Do all that waits now, for example because a picture is taken."""
        self._timer.stop()
        while self._waiting:
            self._next()()

    def forget(self) -> None:
        """Drop all that waits."""
        self._timer.stop()
        self._waiting.clear()

    def _turn(self) -> None:
        if not self._waiting:
            return
        job = self._next()
        if self._waiting:
            self._timer.start()
        job()

    def _next(self) -> Callable[[], None]:
        return self._waiting.pop(next(iter(self._waiting)))
