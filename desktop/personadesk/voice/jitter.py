"""The buffer before the loudspeaker: it hides an uneven network with as little lag as that network allows.

What it holds when a frame comes is its slack. It aims at a small one, asks for more each time it runs dry, and for
less when there was more than it needed. It gets there by leaving out silence or adding some; where nobody pauses, by
saying one period of the voice less or twice, which is not heard. So a burst after a stall is worked off and a sound
card whose clock differs from the server's never drifts away. Only what is more than half a second behind is dropped,
because in a conversation old sound is worth less than being in time.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.voice import stretch
from personadesk.voice.figures import Depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_SECONDS: Final = 0.02
"""What a quiet network needs: a frame comes every 80 ms, a few milliseconds early or late."""
MOST_SECONDS: Final = 0.5
"""More than this is dropped at once."""
_GREATEST_SECONDS: Final = 0.24
"""Three frames: with more, people begin to speak at the same time."""
_AFTER_DRY_SECONDS: Final = 0.01
"""A late frame that plays at once leaves room for the next to be as late; this is for one that is later."""
_STEP_SECONDS: Final = (0.005, 0.04)
"""How much more is asked for after running dry: by as much as was missing, within these bounds."""
_TOO_MUCH_SECONDS: Final = 0.015
_TOO_LITTLE_SECONDS: Final = 0.008
_ENOUGH: Final = 10
"""Frames that must have come before their slack says anything."""
_LOOKS_BACK: Final = 64
_CALM_SECONDS: Final = 10.0
_SPARE_SECONDS: Final = 0.012
"""When not one frame of a calm time came closer than this to being late, a little less is asked for."""
_QUIET: Final = 10 ** (-45 / 20)
_FADE_SECONDS: Final = 0.003


class JitterBuffer:
    """Sound between the network (`push`) and the loudspeaker (`pull`), which may be different threads.

    Its clock is the loudspeaker: time is what was pulled.

    Attributes:
        underruns: How often it ran dry in the middle of a call.
        dropped: Samples left out at once, because they were too late.
        skipped: Samples left out of silence or taken out of speech.
        added: Samples put in.
        volume: What comes out is this loud, 0..1.
    """

    def __init__(
        self,
        rate: int,
        start: float = START_SECONDS,
        most: float = MOST_SECONDS,
        *,
        adapt: bool = True,
    ) -> None:
        """Make an empty one.

        Args:
            rate: Samples per second of the loudspeaker.
            start: Slack to begin with, in seconds.
            most: What waits beyond this is dropped, in seconds.
            adapt: Whether the slack follows the network; off for sound that all lies ready.
        """
        self.underruns = 0
        self.dropped = 0
        self.skipped = 0
        self.added = 0
        self.volume = 1.0
        self._rate = rate
        self._base = self._target = start * rate
        self._most = round(most * rate)
        self._adapt = adapt
        self._pieces: deque[NDArray[np.float32]] = deque()
        self._waiting = 0
        self._playing = False
        self._hold = 0
        self._dry: int | None = None
        self._fading_in = False
        self._slacks: deque[int] = deque(maxlen=_LOOKS_BACK)
        self._pulled_since_push = 0
        self._calm = 0
        self._closest = float("inf")
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How much waits to be played."""
        return self._waiting / self._rate

    @property
    def wait_seconds(self) -> float:
        """How long the first sample of a frame waits now: the median slack of the last frames, and what is held."""
        with self._lock:
            recent = list(self._slacks)[-_ENOUGH:]
        return float(np.median(recent)) / self._rate if recent else self._target / self._rate

    def depth(self) -> Depth:
        """Return how it is."""
        return Depth(
            ms=1000.0 * self.seconds,
            target_ms=1000.0 * self._target / self._rate,
            underruns=self.underruns,
            skipped_ms=1000.0 * (self.skipped + self.dropped) / self._rate,
            added_ms=1000.0 * self.added / self._rate,
        )

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Add sound, float32 [n] at the loudspeaker's rate."""
        if not pcm.size:
            return
        with self._lock:
            if not self._playing and not self._waiting:
                self._begin()
            if self._adapt:
                self._note_slack()
                pcm = self._fit(pcm)
            self._pieces.append(pcm)
            self._waiting += len(pcm)
            if self._waiting > self._most:
                over = self._waiting - max(round(self._target), min(len(pcm), self._most))
                self._take(over)
                self.dropped += over
                self._slacks.clear()

    def pull(self, samples: int) -> NDArray[np.float32]:
        """Take exactly `samples`, float32 [samples]; silence while there is nothing to play."""
        out = np.zeros(samples, np.float32)
        with self._lock:
            self._pulled_since_push += samples
            if not self._playing and not self._waiting:
                if self._dry is not None:
                    self._dry += samples
                return out
            held = min(samples, self._hold)
            self._hold -= held
            if held == samples:
                return out
            self._playing = True
            wanted = samples - held
            got = self._take(min(wanted, self._waiting))
            if self._fading_in and got.size:
                got = self._fade(got, rising=True)
                self._fading_in = False
            if len(got) < wanted:
                got = self._fade(got, rising=False)
                self._playing = False
                self._dry = wanted - len(got)
                self.underruns += 1
            out[held : held + len(got)] = got if self.volume == 1.0 else got * self.volume
            self._grow_calm(samples)
        return out

    def _begin(self) -> None:
        """Decide how long to wait with the first sound after nothing."""
        self._fading_in = self._dry is not None
        if self._dry is None or not self._adapt:
            self._hold = round(self._target)
            return
        least, most = (each * self._rate for each in _STEP_SECONDS)
        self._target = min(
            self._target + min(max(self._dry, least), most), _GREATEST_SECONDS * self._rate
        )
        self._hold = round(_AFTER_DRY_SECONDS * self._rate)
        self._dry = None
        self._slacks.clear()
        self._calm, self._closest = 0, float("inf")

    def _note_slack(self) -> None:
        # Of frames that came together only the first was the network's last word.
        if self._pulled_since_push:
            slack = self._waiting + self._hold
            self._slacks.append(slack)
            self._closest = min(self._closest, slack)
        self._pulled_since_push = 0

    def _fit(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the new piece shorter or longer by what is too much or too little in hand."""
        if len(self._slacks) < _ENOUGH:
            return pcm
        # The second least, so that one late frame alone does not hide that all others wait too long.
        low = sorted(self._slacks)[1]
        excess = low - self._target
        quiet = float(np.sqrt(np.mean(np.square(pcm)))) < _QUIET
        before = len(pcm)
        if excess > _TOO_MUCH_SECONDS * self._rate:
            if quiet:
                pcm = stretch.cut(
                    pcm, min(round(excess), stretch.room(pcm, self._rate)), self._rate
                )
            else:
                pcm = stretch.tighten(pcm, self._rate)
            self.skipped += before - len(pcm)
        elif excess < -_TOO_LITTLE_SECONDS * self._rate:
            if quiet:
                more = min(round(-excess), stretch.room(pcm, self._rate))
                pcm = stretch.extend(pcm, more, self._rate)
            else:
                pcm = stretch.widen(pcm, self._rate)
            self.added += len(pcm) - before
        change = len(pcm) - before
        if change:
            self._slacks = deque((slack + change for slack in self._slacks), maxlen=_LOOKS_BACK)
        return pcm

    def _grow_calm(self, samples: int) -> None:
        self._calm += samples
        if self._calm < _CALM_SECONDS * self._rate:
            return
        spare = self._closest - _SPARE_SECONDS * self._rate
        if spare > 0 and self._target > self._base:
            self._target = max(self._base, self._target - min(spare, _STEP_SECONDS[1] * self._rate))
        self._calm, self._closest = 0, float("inf")

    def _fade(self, pcm: NDArray[np.float32], *, rising: bool) -> NDArray[np.float32]:
        """Take the click from a beginning or an end in the middle of a word."""
        count = min(len(pcm), round(_FADE_SECONDS * self._rate))
        pcm = pcm.copy()
        ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
        if rising:
            pcm[:count] *= ramp
        elif count:
            pcm[-count:] *= ramp[::-1]
        return pcm

    def _take(self, samples: int) -> NDArray[np.float32]:
        taken, missing = [], samples
        while missing > 0:
            piece = self._pieces.popleft()
            if len(piece) > missing:
                self._pieces.appendleft(piece[missing:])
                piece = piece[:missing]
            taken.append(piece)
            missing -= len(piece)
        self._waiting -= samples
        if len(taken) == 1:
            return taken[0]
        return np.concatenate(taken) if taken else np.zeros(0, np.float32)
