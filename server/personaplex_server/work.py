"""What the model's thread is given to do between ticks: seats, prompts to fill in pieces, and commands."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from personaplex_server.logs import fields
from personaplex_server.status import BrokenEngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from personaplex_server.engines.base import Engine, Persona
    from personaplex_server.session import Session

log = logging.getLogger(__name__)

BUNDLED_VOICES: Final = frozenset(
    f"{family}{number}.pt"
    for family, count in (("NATF", 4), ("NATM", 4), ("VARF", 5), ("VARM", 5))
    for number in range(count)
)
"""The released voices. Existing clients have these names built in and always send one, so that a model folder
without that voice must still answer them, with its own default voice."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Seat:
    """A caller in a row.

    Attributes:
        session: The caller.
        row: Which row.
        open: The prompt is filled in.
        left: The caller has gone; the row is closed at the next chance.
    """

    session: Session
    row: int
    open: bool = False
    left: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A prompt being filled in, piece by piece, and who waits for it."""

    seat: Seat
    pieces: Iterator[float]
    done: Future[None]
    began: float

    def settle(self, error: Exception | None) -> None:
        """Tell who waits that the row is ready, or why not."""
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do in the model thread between two ticks, and who waits for it, if anybody does."""

    work: Callable[[Engine], None]
    done: Future[Any] | None = None

    def refuse(self, reason: str) -> None:
        """Tell who waits that it will never be done."""
        if self.done is not None and self.done.set_running_or_notify_cancel():
            self.done.set_exception(BrokenEngineError(reason))


def pieces(engine: Engine, row: int, persona: Persona) -> Iterator[float]:
    """Return the pieces in which an engine fills a row's prompt."""
    if persona.voice in BUNDLED_VOICES and persona.voice not in engine.voices():
        log.info("voice not here, default taken %s", fields(voice=persona.voice))
        persona = dataclasses.replace(persona, voice=None)
    yield from engine.opening(row, persona)


def attempt(done: Future[_T], work: Callable[[], _T]) -> None:
    """Run `work` and settle `done`, unless whoever waited has gone."""
    if not done.set_running_or_notify_cancel():
        return
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)


def sentence(error: Exception) -> str:
    """Return the error's text as a sentence; its type stands in for a missing text."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if words.endswith((".", "!", "?")) else words + "."
