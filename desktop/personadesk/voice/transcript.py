"""The written side of a call: the voice's own words joined to sentences, and when the caller spoke.

Nothing here recognises the caller's speech; of them only the length is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from personadesk.domain.text import T, Text
from personadesk.voice.turns import Speech

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAUSE_SECONDS: Final = 1.2
_MOST_LINES: Final = 500


class Line(NamedTuple):
    """One line of the transcript.

    Attributes:
        at: Seconds since the call began.
        who: `you` or `voice`.
        text: The voice's words as they are, or a sentence to translate.
    """

    at: float
    who: Literal["you", "voice"]
    text: str | Text


class Transcript:
    """Lines of one call, in the order in which they began. Not thread-safe: its owner locks.

    Attributes:
        you: When the caller spoke.
    """

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._voice: int | None = None
        self._wrote = float("-inf")
        self.you = Speech()

    def voice_wrote(self, at: float, words: str) -> None:
        """Add words of the voice; they continue its last line unless it paused or the caller spoke since."""
        if not words:
            return
        line = self._voice
        if line is None or at - self._wrote > _PAUSE_SECONDS:
            if not words.strip():
                return
            self._voice = self._add(Line(at, "voice", words.lstrip()))
        else:
            before = self._lines[line]
            self._lines[line] = before._replace(text=str(before.text) + words)
        self._wrote = at

    def you_sent(self, at: float, pcm: NDArray[np.float32]) -> tuple[float, float] | None:
        """Notice whether the caller speaks; return start and end, in seconds, of words that just ended."""
        if not self.you.add(at, pcm):
            return None
        began, ended = self.you.last()
        self._voice = None
        self._add(Line(began, "you", T("spoke for {seconds} s", seconds=round(ended - began, 1))))
        return began, ended

    def lines(self) -> tuple[Line, ...]:
        """Return what there is."""
        return tuple(self._lines)

    def _add(self, line: Line) -> int:
        if len(self._lines) >= _MOST_LINES:
            del self._lines[0]
            if self._voice is not None:
                self._voice -= 1
        self._lines.append(line)
        return len(self._lines) - 1
