"""Gives callers their own voice back after a moment, to check microphone, speaker and network without a model."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from personaplex_server.engines.base import FrameOut
from personaplex_server.protocol import FRAME_SAMPLES, FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from personaplex_server.engines.base import Persona

DEFAULT_DELAY_S: Final = 0.4
"""Long enough to be heard as an answer instead of a sidetone, short enough not to trip over one's own words."""


class EchoEngine:
    """Rows of delay lines; silence comes back until the delay has passed.

    Attributes:
        name: `echo`.
        rows: How many callers it serves at once.
        delay_s: The delay, a whole number of frames.
    """

    name = "echo"

    def __init__(self, rows: int = 8, delay_s: float = DEFAULT_DELAY_S) -> None:
        frames = round(delay_s / FRAME_SECONDS)
        if frames < 0:
            raise ValueError("The echo's delay cannot be negative.")
        self.rows = rows
        self.delay_s = frames * FRAME_SECONDS
        self._frames = frames
        self._lines: dict[int, deque[NDArray[np.float32]]] = {}

    def voices(self) -> list[str]:
        """Return no names: the caller is the voice."""
        return []

    def describe(self) -> dict[str, object]:
        """Return facts for the status page."""
        return {"model": "echo", "device": "cpu", "dtype": "float32", "delay_s": self.delay_s}

    def opening(self, row: int, persona: Persona) -> Iterator[float]:
        """Empty the delay line of `row`; the persona does not matter here."""
        silence = np.zeros(FRAME_SAMPLES, np.float32)
        self._lines[row] = deque([silence] * self._frames)
        yield 1.0

    def tick(self, frames: Mapping[int, NDArray[np.float32]]) -> dict[int, FrameOut]:
        """Put each frame (float32 [1920]) into its row's line and return what comes out."""
        out = {}
        for row, pcm in frames.items():
            self._lines[row].append(pcm)
            out[row] = FrameOut(self._lines[row].popleft())
        return out

    def close(self, row: int) -> None:
        """Forget the line of `row`."""
        self._lines.pop(row, None)
