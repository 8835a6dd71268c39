"""What every engine offers: rows that callers occupy, a prompt to fill one, and a tick that serves them all.

An engine is driven by one model thread; none of its methods is called from two threads at once, and none from
the event loop. Rows are independent: what one caller does never changes what another one hears.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; the defaults are those of the reference implementation.

    Attributes:
        text_temperature: 0 means greedy.
        text_top_k: How many of the likeliest text tokens may be drawn; 0 means all.
        audio_temperature: 0 means greedy.
        audio_top_k: The same for audio tokens.
        seed: Makes a conversation repeatable; None draws a fresh one.
    """

    text_temperature: float = 0.7
    text_top_k: int = 25
    audio_temperature: float = 0.8
    audio_top_k: int = 250
    seed: int | None = None

    @classmethod
    def greedy(cls) -> Sampling:
        """Return sampling that always takes the likeliest token."""
        return cls(text_temperature=0.0, audio_temperature=0.0)


@dataclass(frozen=True, slots=True)
class Persona:
    """Who answers.

    Attributes:
        voice: Name of a voice as `Engine.voices` lists it; None takes the engine's default.
        text: The role in words, unwrapped; empty means no text part in the prompt.
        sampling: How tokens are drawn in this conversation.
    """

    voice: str | None = None
    text: str = ""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class FrameOut:
    """What one row answered in one tick.

    Attributes:
        pcm: float32 [1920] at 24 kHz, or None while the model has nothing to say yet (its first two calls).
        text: New words as whole UTF-8 characters, "" when there are none; padding and `<s>` never appear.
        tokens: The 9 values (text, 8 agent codebooks) of this call, or None where it returned none.
    """

    pcm: NDArray[np.float32] | None
    text: str = ""
    tokens: tuple[int, ...] | None = None


class EngineError(RuntimeError):
    """The engine cannot do what was asked; the text is a sentence for the person who asked."""


class NoModelError(EngineError):
    """The model's folder cannot be used.

    Attributes:
        cause: Tells programs so.
    """

    cause = "model"


class Engine(Protocol):
    """Rows, prompts and ticks."""

    name: str
    rows: int

    def voices(self) -> list[str]:
        """Return the names a persona may use, sorted; file names such as `NATF2.pt` or `anna.wav`."""

    def describe(self) -> dict[str, object]:
        """Return facts for the status page: model, device, dtype, sizes."""

    def opening(self, row: int, persona: Persona) -> Iterator[float]:
        """Reset `row` and fill it with the persona's prompt, in pieces between which other rows may tick.

        Nothing is done before the first piece is asked for; when the iterator ends, the row is ready. One that is
        dropped before leaves the row free.

        Args:
            row: A free row, 0 to rows-1.
            persona: Who answers.

        Yields:
            The share done, 0 to 1.

        Raises:
            EngineError: The voice is unknown or unusable.
        """

    def tick(self, frames: Mapping[int, NDArray[np.float32]]) -> dict[int, FrameOut]:
        """Give each named row one frame (float32 [1920], 24 kHz) and return each one's answer."""

    def close(self, row: int) -> None:
        """Free `row`."""
