"""Keeps a call while it goes on, from the moment somebody asks until they have enough."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from personadesk.domain.errors import PersonaDeskError
from personadesk.voice.figures import Keeping
from personadesk.voice.sessions import Ending

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.recorder import Form, Recorder
    from personadesk.voice.sessions import Sessions

log = logging.getLogger(__name__)


class Wish(NamedTuple):
    """What is to be kept, and where.

    Attributes:
        sessions: The folder of kept calls.
        line: Whom the call is to.
        url: What was called.
        form: How sound is kept.
        persona: Its name, "" for none.
        voice: The same.
    """

    sessions: Sessions
    line: str
    url: str
    form: Form
    persona: str = ""
    voice: str = ""


class Keeper:
    """The recording of one call; used from one loop, but for `keeping`. Times are seconds since the call began."""

    def __init__(self) -> None:
        self._wish: Wish | None = None
        self._recorder: Recorder | None = None
        self._began = 0.0
        self._last = Keeping()
        self._busy = asyncio.Lock()

    def keeping(self) -> Keeping:
        """Return how far it is, or was."""
        return self._last if self._recorder is None else self._recorder.keeping()

    async def begin(self, wish: Wish, at: float) -> None:
        """Begin; a second wish while one is kept changes nothing."""
        async with self._busy:
            if self._recorder is not None:
                return
            try:
                recorder = await asyncio.to_thread(
                    wish.sessions.begin, wish.line, wish.url, wish.form,
                    persona=wish.persona, voice=wish.voice,
                )  # fmt: skip
            except PersonaDeskError as fault:
                self._last = Keeping(fault=fault.what)
                return
            self._wish, self._began, self._recorder = wish, at, recorder
        self.event(at, "recording")

    async def end(self) -> None:
        """Write what is left, and the transcript; harmless when nothing is kept."""
        async with self._busy:
            recorder, self._recorder = self._recorder, None
            if recorder is None or self._wish is None:
                return
            self._last = replace(recorder.keeping(), on=False)
            whole = await asyncio.to_thread(recorder.close)
            self._last = replace(recorder.keeping(), on=False)
            ending = Ending.WHOLE if whole else Ending.CUT_OFF
            try:
                await asyncio.to_thread(self._wish.sessions.finish, recorder.folder, ending=ending)
            except OSError as error:
                # The sound and the events are there; the transcript is made when the call is looked at next.
                log.warning("the transcript of a call was not written: %s", error)

    def you(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Keep what went out."""
        if self._recorder is not None and at >= self._began:
            self._recorder.you(at - self._began, pcm)

    def voice(self, at: float, pcm: NDArray[np.float32]) -> None:
        """Keep what sounds from `at` on."""
        if self._recorder is not None and at >= self._began:
            self._recorder.voice(at - self._began, pcm)

    def event(self, at: float, what: str, **values: Any) -> None:
        """Keep that something happened."""
        if self._recorder is not None:
            self._recorder.event(max(0.0, at - self._began), what, **values)
