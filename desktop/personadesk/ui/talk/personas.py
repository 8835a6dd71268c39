"""Who answers the next call: the persona being written, the saved ones, and the voices of the line's server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.persona import BUILT_IN, TEACHER, Persona, checked
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from personadesk.app import Services
    from personadesk.store.personas import PersonaStore
    from personadesk.ui.talk.call import TokenOf
    from personadesk.voice.voices import Voice, Voices

__all__ = ["Personas"]


class Personas(QObject):
    """One draft, and what it can be taken from.

    Signals:
        changed: The draft, the saved ones or the voices are others.

    Attributes:
        draft: What the next call begins with; its name is that of the persona it came from.
        voices: What the server has, None while it was not asked.
        asking: Whether it is being asked.
        fault: Why it told nothing, None when it did.
    """

    changed = Signal()

    def __init__(
        self,
        ready: Callable[[], Awaitable[Services]],
        parent: QObject | None = None,
        *,
        token: TokenOf | None = None,
    ) -> None:
        """Know those that come with PersonaDesk.

        Args:
            ready: Gives the services once they are open; the saved personas are in their database.
            token: Gives what the server of somebody else asks for, by its address; None knows of none.
        """
        super().__init__(parent)
        self._ready = ready
        self._token = token
        self._saved: tuple[Persona, ...] = ()
        self._url = ""
        self._asked = 0
        self.draft = TEACHER
        self.voices: Voices | None = None
        self.asking = False
        self.fault: PersonaDeskError | None = None

    @property
    def all(self) -> tuple[Persona, ...]:
        """Saved ones first; one of a built-in's name stands in its place."""
        names = {each.name.casefold() for each in self._saved}
        return (*self._saved, *(each for each in BUILT_IN if each.name.casefold() not in names))

    @property
    def origin(self) -> Persona | None:
        """The persona that the draft came from, None when it is gone."""
        return next((each for each in self.all if each.name == self.draft.name), None)

    @property
    def edited(self) -> bool:
        """Whether the draft differs from the persona it came from."""
        return self.draft != self.origin

    @property
    def removable(self) -> bool:
        """Whether the draft came from a saved one."""
        return any(each.name == self.draft.name for each in self._saved)

    def choose(self, name: str) -> None:
        """Take a persona as the draft."""
        found = next((each for each in self.all if each.name == name), None)
        if found is not None:
            self.draft = found
            self.changed.emit()

    def edit(self, **values: Any) -> None:
        """Change parts of the draft: `text`, `voice`, `sampling`."""
        changed = replace(self.draft, **values)
        if changed != self.draft:
            self.draft = changed
            self.changed.emit()

    def load(self) -> None:
        """Read the saved ones."""
        spawn(self._load(), "read the personas", owner=self)

    def save_as(self, name: str) -> None:
        """Save the draft under a name."""
        self._do(self._save(replace(self.draft, name=name)), "save a persona")

    def remove(self) -> None:
        """Forget the saved persona that the draft came from; the draft stays."""
        self._do(self._remove(self.draft.name), "remove a persona")

    def bring(self, path: Path) -> None:
        """Save a persona that somebody shared, and take it."""
        self._do(self._bring(path), "import a persona")

    def share(self, path: Path) -> None:
        """Write the draft as a file."""
        self._do(self._share(path, self.draft), "export a persona")

    def look_for_voices(self, url: str, *, again: bool = False) -> None:
        """Ask a server for its voices, unless it was asked."""
        if url == self._url and not again and (self.voices is not None or self.asking):
            return
        if url != self._url:
            self.voices = None
        self._url, self.asking, self.fault = url, bool(url), None
        self._asked += 1
        if url:
            failed = partial(self._not_told, self._asked)
            spawn(self._ask(url), "ask for the voices", owner=self, failed=failed)
        self.changed.emit()

    def add_voice(self, path: Path, name: str) -> None:
        """Bring a voice to the server, and take it."""
        if self._url:
            self._do(self._add(self._url, path, name), "bring a voice")

    # -- doing ------------------------------------------------------------------------------------------------

    def _do(self, work: Any, name: str) -> None:
        spawn(work, name, owner=self)

    async def _store(self) -> PersonaStore:
        from personadesk.store.personas import PersonaStore

        return PersonaStore((await self._ready()).database)

    async def _load(self) -> None:
        self._saved = await (await self._store()).all()
        self.changed.emit()

    async def _save(self, persona: Persona) -> None:
        persona = checked(persona)
        await (await self._store()).put(persona)
        self.draft = persona
        await self._load()

    async def _remove(self, name: str) -> None:
        await (await self._store()).remove(name)
        await self._load()

    async def _bring(self, path: Path) -> None:
        from personadesk.store.personas import read_shared

        await self._save(await asyncio.to_thread(read_shared, path))

    async def _share(self, path: Path, persona: Persona) -> None:
        from personadesk.store.personas import write_shared

        await asyncio.to_thread(write_shared, path, persona)

    async def _ask(self, url: str) -> None:
        # httpx takes a tenth of a second to load, which the window would feel.
        module = await asyncio.to_thread(_voices_module)
        token = await self._token(url) if self._token is not None else None
        found = await module.of_server(url, token)
        if url == self._url:
            self.voices, self.asking = found, False
            self.changed.emit()

    def _not_told(self, number: int, error: Exception) -> None:
        if not isinstance(error, PersonaDeskError):
            raise error
        if number != self._asked:
            # Asked anew since, perhaps with the token that was missing.
            return
        self.asking = False
        self.fault = error
        self.changed.emit()

    async def _add(self, url: str, path: Path, name: str) -> None:
        await asyncio.to_thread(_voices_module)
        made: Voice = await (await self._ready()).add_voice(url, name, path)
        if url == self._url:
            await self._ask(url)
            self.edit(voice=made.name)


def _voices_module() -> Any:
    import httpx  # noqa: F401 - loaded here, off the window's thread

    from personadesk.voice import voices

    return voices
