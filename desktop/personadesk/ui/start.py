"""Opens the window: one instance, the loop, first paint first, and an end that loses nothing.

The only module that knows how Qt's loop and asyncio's are one (qasync). Services are opened after the first paint.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEventLoop

from personadesk.store import paths

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QApplication

    from personadesk.store.paths import Folders
    from personadesk.ui.desk import Opener
    from personadesk.ui.instance import SingleInstance
    from personadesk.ui.preferences import Preferences

__all__ = ["run"]

PAINT_SECONDS = 2.0
"""A window that a system shows later, or minimised, must not keep the rest from starting."""


def run(
    arguments: Sequence[str] | None = None,
    *,
    folders: Folders | None = None,
    opener: Opener | None = None,
    on_first_paint: Callable[[], None] | None = None,
) -> int:
    """Open the window and return the exit status when it is closed.

    A second start raises the first window and returns 0.

    Args:
        arguments: As `sys.argv`.
        folders: Where files are; None takes the user's own.
        opener: Opens the services; None opens the real ones.
        on_first_paint: Called once the first page is on the screen; for measuring.
    """
    # qasync looks for a binding by itself otherwise, and the first found may not be ours.
    os.environ.setdefault("QT_API", "pyside6")
    from personadesk.ui.application import BrokenQtError, make_application
    from personadesk.ui.instance import SingleInstance
    from personadesk.ui.preferences import Preferences

    folders = folders or paths.folders()
    preferences = Preferences.open(folders)
    try:
        application = make_application(
            list(arguments if arguments is not None else sys.argv),
            look=preferences.look,
            language_code=preferences.language,
            text_percent=preferences.text_percent,
        )
    except BrokenQtError as error:
        print(error, file=sys.stderr)
        return 1
    instance = SingleInstance(folders)
    try:
        first = instance.become_first()
    except OSError as error:
        print(f"PersonaDesk cannot write to {folders.state}: {error}", file=sys.stderr)
        return 1
    if not first:
        if instance.raise_other():
            return 0
        print(
            "PersonaDesk is open already, but its window does not answer. "
            "End that process, then start again.",
            file=sys.stderr,
        )
        return 1
    try:
        return _run(application, preferences, instance, opener or _opener(folders), on_first_paint)
    finally:
        instance.close()


def _run(
    application: QApplication,
    preferences: Preferences,
    instance: SingleInstance,
    opener: Opener,
    on_first_paint: Callable[[], None] | None,
) -> int:
    from personadesk.ui.messages import bus, catch_everything
    from personadesk.ui.session import WindowSession

    restore = catch_everything()
    signals = _Signals()
    application.setQuitOnLastWindowClosed(False)
    session = WindowSession(preferences, instance, opener)
    if on_first_paint is not None:
        session.window.first_painted.connect(on_first_paint)
    session.window.show()
    until = time.monotonic() + PAINT_SECONDS
    while not session.is_painted and time.monotonic() < until:
        application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)
    instance.listen()

    import asyncio  # only now: asyncio and its bridge to Qt take 40 ms

    import qasync

    def lost(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        bus().error(error if error is not None else RuntimeError(context.get("message", "")))

    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lost)
    try:
        with loop:
            signals.follow(lambda: loop.call_soon_threadsafe(session.quit_now))
            loop.run_until_complete(session.run())
    finally:
        asyncio.set_event_loop(None)
        signals.release()
        restore()
    return 0


def _opener(folders: Folders) -> Opener:
    async def open_real() -> Any:
        import asyncio
        import importlib

        # In a thread: reading all modules takes a fifth of a second, in which the window must live.
        app = await asyncio.to_thread(importlib.import_module, "personadesk.app")
        return await app.open_services(folders, kind="window")

    return open_real


class _Signals:
    """Lets Ctrl+C and a polite kill close the window without a question; voice servers go on.

    One that comes before the event loop runs is kept until `follow`.
    """

    def __init__(self) -> None:
        self._asked = False
        self._act: Callable[[], object] | None = None
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True
        if self._act is not None:
            self._act()

    def follow(self, act: Callable[[], object]) -> None:
        """Call `act` on each signal, and at once for one that has come already."""
        self._act = act
        if self._asked:
            act()

    def release(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
