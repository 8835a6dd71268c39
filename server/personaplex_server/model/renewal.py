"""What keeps a long call in character: before the memory is full, it is made anew from the prompt and recent talk.

The model sees a fixed number of positions, and the first to fall out of sight are those of the prompt: voice and role.
So a fresh memory is prepared beside the running call, a few positions per tick: the prompt as it was, then the recent
part of the call thought through again at the places that follow. Once it has caught up, the row goes on with it between
two ticks; nobody hears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .lm import Lm, LmState, Snapshot

PER_TICK: Final = 8
"""Positions per tick: several, to catch up with the call, and few, so that the tick stays short."""
_SLACK: Final = 16
_LEAST_KEPT: Final = 16
"""Recent positions that make a renewal worth while."""


def keep(window: int, prompt: int) -> int:
    """Return how many recent positions a renewal keeps; 0 without a prompt, or where it leaves no room for one.

    Args:
        window: Positions that the model sees.
        prompt: Positions of the prompt.
    """
    kept = (window - prompt) // 2
    # While it is prepared the call goes on, and that part has to fit, too.
    needed = prompt + kept + _ticks(kept) + _SLACK
    return kept if prompt and kept >= _LEAST_KEPT and needed <= window else 0


def _ticks(kept: int) -> int:
    return -(-kept // (PER_TICK - 1))


def due(window: int, prompt: int, call: int) -> bool:
    """Whether a row that is at `call` should begin now, to be done before its prompt falls out of sight."""
    kept = keep(window, prompt)
    return kept > 0 and call > window - _ticks(kept) - _SLACK


class Renewal:
    """A fresh memory for one row, on its way.

    Args:
        lm: The model.
        snapshot: The row's prompt, as it was when the call began.
        call: The row's next call.
    """

    def __init__(self, lm: Lm, snapshot: Snapshot, call: int) -> None:
        self._prompt = snapshot.memory.shape[3]
        kept = keep(lm.window, self._prompt)
        # The first old position that is kept; it comes right behind the prompt.
        self._from = call - 1 - kept
        self._filled = self._prompt
        self._memory = lm.room(lm.window)
        self._memory[:, :, :, : self._prompt] = snapshot.memory

    @property
    def _shift(self) -> int:
        return self._from - self._prompt

    def advance(self, lm: Lm, state: LmState, row: int, call: int) -> bool:
        """Think a few positions through; return whether everything before `call` is done.

        Args:
            lm: The model.
            state: Memory of all rows.
            row: Where the row lies now.
            call: Its next call.
        """
        # The last position that was given is call - 2.
        stop = min(call - 1 - self._shift, self._filled + PER_TICK)
        if stop > self._filled:
            slots = [(each + self._shift) % lm.window for each in range(self._filled, stop)]
            tokens = state.history[row][:, slots].t().long()
            lm.extend(self._memory, lm.embed(tokens), self._filled)
            self._filled = stop
        return self._filled == call - 1 - self._shift

    def switch(self, state: LmState, row: int) -> int:
        """Let the row go on with the fresh memory; return by how much its calls are counted back."""
        shift, filled = self._shift, self._filled
        state.memory[:, :, row, :, :filled] = self._memory[:, :, :, :filled]
        state.ring[row] = state.ring[row].roll(-shift, 1)
        state.forced[row] = state.forced[row].roll(-shift, 1)
        state.history[row] = state.history[row].roll(-shift, 1)
        state.call[row] -= shift
        return shift
