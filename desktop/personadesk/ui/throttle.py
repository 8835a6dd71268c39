"""Joins many calls into few: the first at once, those that follow soon after together, with the latest arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle(QObject):
    """Calls a function at most once in a while."""

    def __init__(
        self, function: Callable[..., None], milliseconds: int, parent: QObject | None = None
    ) -> None:
        """Wrap a function.

        Args:
            function: What is called.
            milliseconds: Least time between two calls.
        """
        super().__init__(parent)
        self._function = function
        self._waiting: tuple[Any, ...] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(self._due)

    def __call__(self, *arguments: Any) -> None:
        """Call now, or soon with the others."""
        if self._timer.isActive():
            self._waiting = arguments
            return
        self._timer.start()
        self._function(*arguments)

    def flush(self) -> None:
        """Make a waiting call now, for example because nothing more will come."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._timer.start()
            self._function(*waiting)

    def stop(self) -> None:
        """Forget a waiting call."""
        self._waiting = None
        self._timer.stop()

    def _due(self) -> None:
        self.flush()
