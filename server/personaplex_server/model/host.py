"""Drawing tokens on a CPU: mostly without looking for the likeliest at all.

A token is drawn from all of them first; if it happens to be among the row's likeliest, it is a fair draw from those.
Only where it is not are they searched for, which costs several times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Whole = NDArray[np.int64]

_BLOCK: Final = 64
"""Chances are summed block by block, so that only one block of each row is looked at closely."""


@dataclass(frozen=True, slots=True)
class HostDraw:
    """How all rows of one batch draw one kind of token in one tick.

    Attributes:
        scale: 1 / temperature, float32 [rows, 1].
        k: Each row's own top-k, int64 [rows].
        spins: Random numbers in [0, 1), float32 [rows, 2] or [rows, codebooks, 2].
        greedy: Rows that take the likeliest, bool [rows]; None where none does.
        most: The largest top-k of a row that draws.
    """

    scale: Floats
    k: Whole
    spins: Floats
    greedy: NDArray[np.bool_] | None
    most: int

    @classmethod
    def of(
        cls, scales: Sequence[float], ks: Sequence[int], spins: Floats, drawing: Sequence[bool]
    ) -> HostDraw:
        """Return the draw of rows of which some may be greedy."""
        return cls(
            np.array(scales, np.float32)[:, None],
            np.array(ks, np.int64),
            spins,
            None if all(drawing) else ~np.array(drawing),
            max(k for k, draws in zip(ks, drawing, strict=True) if draws),
        )

    def at(self, codebook: int) -> HostDraw:
        """Return the draw of one codebook, for random numbers that have a codebook axis."""
        return HostDraw(self.scale, self.k, self.spins[:, codebook], self.greedy, self.most)

    def ranked(self, top: Floats) -> Whole:
        """Return the rank that each row draws, where the likeliest are known already.

        Args:
            top: Their logits, largest first, float32 [rows, most].

        Returns:
            int64 [rows]; 0 for a greedy row.
        """
        chances = np.exp((top - top[:, :1]) * self.scale)
        chances *= np.arange(top.shape[1]) < self.k[:, None]
        sums = np.cumsum(chances, axis=1)
        below: Whole = (sums <= self.spins[:, :1] * sums[:, -1:]).sum(1)
        rank: Whole = np.minimum(below, np.minimum(self.k, top.shape[1]) - 1)
        return rank if self.greedy is None else np.where(self.greedy, 0, rank)

    def choose(self, logits: Floats) -> Whole:
        """Return one token a row, int64 [rows], for `logits` [rows, tokens]."""
        rows, count = logits.shape
        every = np.arange(rows)
        chances = logits * self.scale
        chances -= chances.max(1, keepdims=True)
        np.exp(chances, out=chances)
        tokens = _spin(chances, self.spins[:, 0])
        rank = (logits > logits[every, tokens][:, None]).sum(1)
        failed = rank >= self.k
        if self.greedy is not None:
            failed &= ~self.greedy
            tokens = np.where(self.greedy, logits.argmax(1), tokens)
        for row in np.flatnonzero(failed):
            k = int(self.k[row])
            least = np.partition(logits[row], count - k)[count - k]
            among = np.where(logits[row] >= least, chances[row], np.float32(0.0))
            tokens[row] = _spin(among[None], self.spins[row, 1:])[0]
        return tokens


def _spin(chances: Floats, spins: Floats) -> Whole:
    """Return a token a row, drawn in proportion to `chances` [rows, tokens] by `spins` [rows]."""
    rows, count = chances.shape
    every = np.arange(rows)
    if count % _BLOCK:
        padded = np.zeros((rows, -(-count // _BLOCK) * _BLOCK), np.float32)
        padded[:, :count] = chances
        chances = padded
    blocks = chances.reshape(rows, -1, _BLOCK)
    if rows == 1:
        return np.array([_spin_one(blocks[0], spins[0])], np.int64)
    sums = np.cumsum(np.add.reduce(blocks, 2), axis=1)
    target = spins * sums[:, -1]
    # Rounding must never lead past the last token that has a chance.
    block = np.minimum((sums <= target[:, None]).sum(1), sums.shape[1] - 1)
    before = np.where(block > 0, sums[every, block - 1], np.float32(0.0))
    inner = np.cumsum(blocks[every, block], axis=1)
    place = (inner <= (target - before)[:, None]).sum(1)
    last = _BLOCK - 1 - (blocks[every, block, ::-1] > 0).argmax(1)
    tokens: Whole = block * _BLOCK + np.minimum(place, last)
    return tokens


def _spin_one(blocks: Floats, spin: np.float32) -> int:
    """Return what `_spin` does for one row [blocks, 64], with a third of its calls and the very same sums."""
    sums = np.add.reduce(blocks, 1).cumsum()
    target = spin * sums[-1]
    block = min(int(sums.searchsorted(target, "right")), len(sums) - 1)
    among = blocks[block]
    before = sums[block - 1] if block else np.float32(0.0)
    place = int(among.cumsum().searchsorted(target - before, "right"))
    if place == _BLOCK or not among[place]:
        place = min(place, int(np.flatnonzero(among)[-1]))
    return block * _BLOCK + place
