"""Voice test, comparison and load test of the window: they go on while others are looked at. Outlives its views."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, Text
from personadesk.ui.i18n import show
from personadesk.ui.spawn import spawn
from personadesk.ui.voice_lab.voice_test_run import VoiceTestRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from personadesk.app import Services
    from personadesk.domain.load import LoadReport
    from personadesk.voice.compare import Comparison
    from personadesk.voice.load import Pace

__all__ = ["Lab"]


class Lab(QObject):
    """One voice test, one comparison and one load test at a time.

    Signals:
        compared: The comparison began, went on or ended.
        loaded: The load test did.

    Attributes:
        test: The voice test.
        comparison: The last one that came to its end.
        compare_error: Why the last one did not.
        compare_done: How far it is, 0..1; None when none goes on.
        compare_doing: What is being done.
        load: The load test as far as it has come.
        load_error: Why it did not begin.
        loading: Whether one goes on.
        callers: How many are in.
    """

    compared = Signal()
    loaded = Signal()

    def __init__(
        self,
        ready: Callable[[], Awaitable[Services]],
        parent: QObject | None = None,
        *,
        listen_s: float = 3.0,
        pace: Pace | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            ready: Gives the services once they are open.
            listen_s: How long is listened after a clip, in seconds.
            pace: How long each step of a load test takes; None for the usual.
        """
        super().__init__(parent)
        self._ready = ready
        self._listen_s, self._pace = listen_s, pace
        self.test = VoiceTestRun(ready, listen_s, self)
        self._comparing: asyncio.Task[Any] | None = None
        self._stop: asyncio.Event | None = None
        self.comparison: Comparison | None = None
        self.compare_error: PersonaDeskError | None = None
        self.compare_done: float | None = None
        self.compare_doing: Text = NOTHING
        self.load: LoadReport | None = None
        self.load_error: PersonaDeskError | None = None
        self.loading = False
        self.callers = 0

    # -- compare ------------------------------------------------------------------------------------------------

    def compare(self, names: list[str], clip: str, rounds: int = 1) -> None:
        """Say a clip to lines in turn; harmless while that goes on."""
        if self.compare_done is not None:
            return
        self.compare_done, self.compare_doing, self.compare_error = 0.0, NOTHING, None
        self.compared.emit()
        self._comparing = spawn(
            self._compare(names, clip, rounds), "compare voices", owner=self,
            done=self._has_compared, failed=self._compare_failed,
        )  # fmt: skip
        self._comparing.add_done_callback(self._compare_ended)

    def stop_comparing(self) -> None:
        """Hang up."""
        if self._comparing is not None:
            self._comparing.cancel()

    async def _compare(self, names: list[str], clip: str, rounds: int) -> Comparison:
        # Loaded in a thread: the sound libraries take 0.1 s, which the window would feel.
        await asyncio.to_thread(importlib.import_module, "personadesk.voice.compare")
        from personadesk.voice import clips, compare

        services = await self._ready()
        said = await asyncio.to_thread(clips.find, clip)
        callees = [await services.callee(name) for name in names]
        return await compare.compare(
            callees, said, rounds=rounds, seconds_after=self._listen_s, on_progress=self._progress
        )

    def _progress(self, done: float, doing: Text) -> None:
        self.compare_done, self.compare_doing = done, doing
        self.compared.emit()

    def _has_compared(self, found: Comparison) -> None:
        self.comparison = found

    def _compare_failed(self, error: Exception) -> None:
        if not isinstance(error, PersonaDeskError):
            raise error
        self.compare_error = error

    def _compare_ended(self, _task: asyncio.Task[Any]) -> None:
        self._comparing, self.compare_done = None, None
        self.compared.emit()

    # -- load ---------------------------------------------------------------------------------------------------

    def load_line(self, name: str, most: int) -> None:
        """Add callers to a line until frames are late; harmless while that goes on."""
        if self.loading:
            return
        self.loading, self.load, self.load_error, self.callers = True, None, None, 0
        self._stop = asyncio.Event()
        self.loaded.emit()
        task = spawn(
            self._load(name, most, self._stop), "load a line", owner=self,
            done=self._has_loaded, failed=self._load_failed,
        )  # fmt: skip
        task.add_done_callback(self._load_ended)

    def stop_loading(self) -> None:
        """Let all callers hang up."""
        if self._stop is not None:
            self._stop.set()

    async def _load(self, name: str, most: int, stop: asyncio.Event) -> LoadReport:
        await asyncio.to_thread(importlib.import_module, "personadesk.voice.load")
        from personadesk.voice import load

        services = await self._ready()
        callee = await services.callee(name)
        return await load.run_load(
            callee, most, stop=stop, pace=self._pace, on_change=self._load_changed
        )

    def _load_changed(self, report: LoadReport, callers: int) -> None:
        self.load, self.callers = report, callers
        self.loaded.emit()

    def _has_loaded(self, report: LoadReport) -> None:
        self.load = report

    def _load_failed(self, error: Exception) -> None:
        if not isinstance(error, PersonaDeskError):
            raise error
        self.load_error = error

    def _load_ended(self, _task: asyncio.Task[Any]) -> None:
        self.loading, self._stop = False, None
        self.loaded.emit()

    # -- keeping ------------------------------------------------------------------------------------------------

    def save_comparison(self, folder: Path, done: Callable[[Path], None]) -> None:
        """Write the comparison's report into a new folder below `folder`."""
        from personadesk.voice import compare_report

        found = self.comparison
        if found is not None:
            target = folder / f"comparison-{time.strftime('%Y%m%d-%H%M%S')}"
            work = asyncio.to_thread(compare_report.save, found, target, translate=show)
            spawn(work, "save a comparison", owner=self, done=done)

    def save_load(self, folder: Path, done: Callable[[Path], None]) -> None:
        """Write the load test's report into a new folder below `folder`."""
        from personadesk.voice import load_report

        report = self.load
        if report is not None:
            target = folder / f"load-{time.strftime('%Y%m%d-%H%M%S')}"
            work = asyncio.to_thread(load_report.save, report, target, translate=show)
            spawn(work, "save a load test", owner=self, done=done)
