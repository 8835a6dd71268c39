"""The voice test of the window: the code of `personadesk voice-test`, going on while other pages are looked at."""

from __future__ import annotations

import asyncio
import importlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, Text
from personadesk.ui.i18n import show
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from personadesk.app import Services
    from personadesk.domain.report import VoiceReport
    from personadesk.voice.recording import Recording

__all__ = ["Said", "VoiceTestRun"]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said in a test.

    Attributes:
        word: A bundled clip or script, or a file.
        script: Whether it is a script of turns.
    """

    word: str
    script: bool = False


class VoiceTestRun(QObject):
    """One voice test at a time.

    Signals:
        changed: It began, went on or ended.

    Attributes:
        report: What the last one found that came to its end.
        recording: What was said and heard in it.
        line: The line that it called.
        error: Why the last one did not come about.
        done: How far it is, 0..1; None when none goes on.
        doing: What is being done.
    """

    changed = Signal()

    def __init__(
        self, ready: Callable[[], Awaitable[Services]], listen_s: float, parent: QObject
    ) -> None:
        """Know nothing yet.

        Args:
            ready: Gives the services once they are open.
            listen_s: How long is listened at the end, in seconds.
            parent: Whom it belongs to.
        """
        super().__init__(parent)
        self._ready, self._listen_s = ready, listen_s
        self._task: asyncio.Task[Any] | None = None
        self.report: VoiceReport | None = None
        self.recording: Recording | None = None
        self.line = ""
        self.error: PersonaDeskError | None = None
        self.done: float | None = None
        self.doing: Text = NOTHING

    def start(self, line: str, said: Said) -> None:
        """Test the voice behind a line; harmless while that goes on."""
        if self.done is not None:
            return
        self.done, self.doing, self.error = 0.0, NOTHING, None
        self.changed.emit()
        self._task = spawn(
            self._test(line, said), "test a voice", owner=self, done=self._found,
            failed=self._failed,
        )  # fmt: skip
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Hang up; what was found before stays."""
        if self._task is not None:
            self._task.cancel()

    def save(self, folder: Path, done: Callable[[Path], None]) -> None:
        """Write the report into a new folder below `folder`."""
        from personadesk.voice import test_report

        report, recording = self.report, self.recording
        if report is not None and recording is not None:
            target = folder / f"voice-test-{time.strftime('%Y%m%d-%H%M%S')}"
            work = asyncio.to_thread(test_report.save, report, recording, target, translate=show)
            spawn(work, "save a voice test", owner=self, done=done)

    async def _test(self, line: str, said: Said) -> tuple[str, VoiceReport, Recording]:
        # Loaded in a thread: the sound libraries take 0.1 s, which the window would feel.
        await asyncio.to_thread(importlib.import_module, "personadesk.voice.measure")
        from personadesk.voice import clips, script, test

        services = await self._ready()
        callee = await services.callee(line)
        turns = await asyncio.to_thread(script.find, said.word) if said.script else None
        clip = None if said.script else await asyncio.to_thread(clips.find, said.word)
        report, recording = await test.run_voice_test(
            callee.url, clip=clip, script=turns, token=callee.token or None,
            seconds_after=self._listen_s, on_progress=self._progress,
        )  # fmt: skip
        return line, report, recording

    def _progress(self, done: float, doing: Text) -> None:
        self.done, self.doing = done, doing
        self.changed.emit()

    def _found(self, found: tuple[str, VoiceReport, Recording]) -> None:
        self.line, self.report, self.recording = found

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, PersonaDeskError):
            raise error
        self.error = error

    def _ended(self, _task: asyncio.Task[Any]) -> None:
        self._task, self.done = None, None
        self.changed.emit()
