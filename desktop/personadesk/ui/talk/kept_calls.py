"""The calls that were kept, for the window: the disk is read and written in a worker thread."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T
from personadesk.ui.spawn import spawn
from personadesk.voice.sessions import CALLS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from personadesk.app import Services
    from personadesk.voice.sessions import Kept, Sessions
    from personadesk.voice.transcript_files import Caption

__all__ = ["KeptCalls"]

COLUMN_SECONDS = 0.05


class KeptCalls(QObject):
    """What there is, and one of them looked at.

    Signals:
        changed: The list is another.
        shown: The one looked at is another, or its details are there.

    Attributes:
        found: Those that fit the search, the newest first; None before the first look.
        chosen: The one looked at.
        captions: What was said in it.
        levels: Peaks 0..1 of both sides, one for each 50 ms.
    """

    changed = Signal()
    shown = Signal()

    def __init__(
        self, ready: Callable[[], Awaitable[Services]], parent: QObject | None = None
    ) -> None:
        """Know nothing yet.

        Args:
            ready: Gives the services once they are open; calls are kept in their data folder.
        """
        super().__init__(parent)
        self._ready = ready
        self._sought = ""
        self.found: tuple[Kept, ...] | None = None
        self.chosen: Kept | None = None
        self.captions: tuple[Caption, ...] = ()
        self.levels: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def look(self, text: str | None = None) -> None:
        """Read what there is; with a text, only what has all of its words."""
        if text is not None:
            self._sought = text
        spawn(self._look(self._sought), "look at the kept calls", owner=self)

    def choose(self, kept: Kept | None) -> None:
        """Look at one of them."""
        if kept == self.chosen:
            return
        self.chosen, self.captions, self.levels = kept, (), ((), ())
        self.shown.emit()
        if kept is not None:
            spawn(self._open(kept), "open a kept call", owner=self)

    def note(self, kept: Kept, text: str) -> None:
        """Replace the notes of one; unchanged ones are not written."""
        if text != kept.notes:
            spawn(self._note(kept, text), "note something on a call", owner=self)

    def delete(self) -> None:
        """Remove the one looked at; the user has agreed."""
        if self.chosen is not None:
            spawn(self._delete(self.chosen.folder.name), "delete a kept call", owner=self)

    def export(self, name: str, to: Path) -> None:
        """Copy a file of the one looked at, such as its transcript."""
        if self.chosen is not None:
            spawn(_copy(self.chosen.folder / name, to), "export a transcript", owner=self)

    async def sessions(self) -> Sessions:
        """Return the folder of kept calls."""
        from personadesk.voice.sessions import Sessions

        return Sessions((await self._ready()).folders.data / CALLS)

    async def _look(self, text: str) -> None:
        sessions = await self.sessions()
        found = await asyncio.to_thread(sessions.search, text)
        if text != self._sought:
            return
        self.found = found
        self.changed.emit()
        same = next((each for each in found if _is(each, self.chosen)), None)
        if same is None:
            self.choose(found[0] if found else None)
        elif same != self.chosen:
            self.chosen = same
            self.shown.emit()

    async def _open(self, kept: Kept) -> None:
        captions, levels = await asyncio.to_thread(_details, kept)
        if _is(kept, self.chosen):
            self.captions, self.levels = captions, levels
            self.shown.emit()

    async def _note(self, kept: Kept, text: str) -> None:
        sessions = await self.sessions()
        noted = await asyncio.to_thread(sessions.note, kept.folder.name, text)
        if _is(noted, self.chosen):
            self.chosen = noted
        await self._look(self._sought)

    async def _delete(self, name: str) -> None:
        sessions = await self.sessions()
        await asyncio.to_thread(sessions.delete, name)
        await self._look(self._sought)


def _is(one: Kept, other: Kept | None) -> bool:
    return other is not None and one.folder == other.folder


def _details(kept: Kept) -> tuple[tuple[Caption, ...], Any]:
    """Read words and sound; for a worker thread."""
    from personadesk.voice import levels, sessions, transcript_files

    captions = tuple(transcript_files.from_events(kept.folder, kept.seconds))
    if not kept.seconds:
        return captions, ((), ())
    both = sessions.sound(kept.folder)
    step = round(COLUMN_SECONDS * levels.SAMPLE_RATE)
    return captions, tuple(levels.peaks(both[:, side], step) for side in (0, 1))


async def _copy(source: Path, target: Path) -> None:
    try:
        await asyncio.to_thread(shutil.copyfile, source, target)
    except OSError as error:
        raise HostUnfit(
            T("The transcript could not be written to {file}.", file=str(target)),
            T("Choose another folder, or make room there."),
            cause="not_writable",
            details=str(error),
        ) from error
