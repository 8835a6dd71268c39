"""Remembers through what somebody talks: devices, volume and when the microphone is heard."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from personadesk.store.settings import (
    HALF_DUPLEX,
    HEADPHONES,
    MICROPHONE,
    PUSH_TO_TALK,
    SPEAKER,
    VOLUME,
)
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.app import Services
    from personadesk.store.settings import Settings
    from personadesk.ui.talk.call import Call

__all__ = ["Habits"]

STILL_MS = 800
"""A slider that moves is written once it rests."""


class Habits(QObject):
    """Sets a call's choices as they were, and writes down what becomes of them."""

    def __init__(self, call: Call, ready: Callable[[], Awaitable[Services]]) -> None:
        """Read them as soon as the services are open.

        Args:
            call: Whose choices; also the parent.
            ready: Gives the services.
        """
        super().__init__(call)
        self._call = call
        self._ready = ready
        self._settings: Settings | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(STILL_MS)
        self._soon.timeout.connect(self._write)
        spawn(self._read(), "read through what is talked", owner=self)

    @property
    def known(self) -> bool:
        """Whether they were read."""
        return self._settings is not None

    async def _read(self) -> None:
        settings = (await self._ready()).settings
        call = self._call
        call.headphones = settings.get(HEADPHONES)
        call.half_duplex = settings.get(HALF_DUPLEX)
        call.push_to_talk = settings.get(PUSH_TO_TALK)
        call.volume = settings.get(VOLUME) / 100
        call.source = settings.get(MICROPHONE) or None
        call.sink = settings.get(SPEAKER) or None
        self._settings = settings
        call.changed.connect(self._soon.start)
        call.recall()

    def _write(self) -> None:
        settings, call = self._settings, self._call
        if settings is None:
            return
        # One that is unplugged stays the wish.
        source, sink = call.lost_source or call.source or "", call.lost_sink or call.sink or ""
        texts = [(MICROPHONE, source), (SPEAKER, sink)]
        ticks = [
            (HEADPHONES, call.headphones), (HALF_DUPLEX, call.half_duplex),
            (PUSH_TO_TALK, call.push_to_talk),
        ]  # fmt: skip
        wanted: tuple[tuple[Any, Any], ...] = (*texts, *ticks, (VOLUME, round(100 * call.volume)))
        changed = [(setting, value) for setting, value in wanted if settings.get(setting) != value]
        if changed:
            spawn(_put(settings, changed), "write down through what is talked", owner=self)


async def _put(settings: Settings, changed: Sequence[tuple[Any, Any]]) -> None:
    # Writing needs it; loading it takes longer than a frame.
    await asyncio.to_thread(importlib.import_module, "tomlkit")
    for setting, value in changed:
        settings.set(setting, value)
