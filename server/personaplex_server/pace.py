"""When the next tick is due: every 80 ms by the clock, never two at once, and as soon after the voices as can be.

Clients play what they get at once, with little to spare, so frames must leave evenly: a late tick is made up
for by slightly shorter steps, never by a burst.
"""

from __future__ import annotations

from typing import Final

from personaplex_server.protocol import FRAME_SECONDS

LEAST_STEP_S: Final = 0.06
"""Shortest time from one tick to the next while catching up."""
_PULL_S: Final = 0.004
_MARGIN_S: Final = 0.015
_WINDOW_TICKS: Final = 32


class Pace:
    """The schedule of one model thread.

    Attributes:
        due: Clock reading at which the next tick may start; 0 means at once.
    """

    def __init__(self) -> None:
        self.due = 0.0
        self._beat = 0.0
        self._pull = 0.0
        self._least_wait = float("inf")
        self._ticks = 0

    def idle(self) -> None:
        """Note that nobody is talking: the next first frame is served the moment it comes."""
        self.due = self._beat = self._pull = 0.0
        self._least_wait, self._ticks = float("inf"), 0

    def ticked(self, started: float, waited: float, *, was_ready: bool) -> None:
        """Set the time of the next tick.

        Args:
            started: When this tick started.
            waited: The shortest time that one of its frames had waited.
            was_ready: A frame was there when the tick was due; if not, the tick was late because its callers
                were, and the schedule follows them.
        """
        if not was_ready or started - self._beat > FRAME_SECONDS:
            self._beat = started
            self._least_wait, self._ticks = float("inf"), 0
        self._beat += FRAME_SECONDS
        self._draw_near(waited)
        self.due = max(self._beat, started + LEAST_STEP_S)

    def _draw_near(self, waited: float) -> None:
        """Move the schedule towards the frames' arrival when all of them have been waiting for it.

        One late frame shifts the schedule back; without this all later ones would wait out that delay too.
        """
        self._least_wait = min(self._least_wait, waited)
        self._ticks += 1
        if self._ticks >= _WINDOW_TICKS:
            self._pull = max(0.0, min(self._least_wait, FRAME_SECONDS) - _MARGIN_S)
            self._least_wait, self._ticks = float("inf"), 0
        step = min(self._pull, _PULL_S)
        self._pull -= step
        self._beat -= step
