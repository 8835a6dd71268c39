"""How a token is drawn: temperature, top-k, or simply the likeliest; randomness belongs to the row it serves.

Random numbers are drawn outside the model's step, by one generator a row, and handed in as tensors. So a
row's conversation never depends on its neighbours, and the step itself stays free of generator calls. On a CPU a
function of `kernels.sampling` draws; elsewhere a few operators of fixed shape do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch

from personaplex_server.kernels.machine import kernels, serves
from personaplex_server.kernels.record import SAMPLE_BLOCK, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_BLOCK: Final = 16
"""Ticks whose random numbers are drawn at once; one call of the generator costs more than the numbers."""
_SPINS: Final = 2
"""Random numbers per token: one for a bold first try, one for the exact draw where that fails."""
_WIDE: Final = 8192
"""Tokens from which the likeliest are looked for in blocks first."""
_BLOCK_WIDTH: Final = 128


def _check(temperature: float, top_k: int, what: str) -> None:
    if not 0.0 <= temperature <= 100.0:
        raise ValueError(f"The {what} temperature should lie between 0 and 100, not {temperature}.")
    if top_k < 0:
        raise ValueError(f"The {what} top-k should be 0 (all) or more, not {top_k}.")


class RowSampler:
    """How one row draws, with its own source of randomness.

    Args:
        text: Temperature and top-k of text tokens; temperature 0 is greedy, top-k 0 means all.
        audio: The same for audio tokens.
        text_card: How many text tokens there are.
        card: How many audio tokens there are.
        codebooks: Audio tokens drawn per tick.
        seed: Makes the row repeatable; None draws a fresh one.

    Raises:
        ValueError: A temperature or top-k out of range; the text is for a person.
    """

    def __init__(
        self,
        text: tuple[float, int],
        audio: tuple[float, int],
        *,
        text_card: int,
        card: int,
        codebooks: int,
        seed: int | None = None,
    ) -> None:
        _check(*text, "text")
        _check(*audio, "audio")
        self.text_temperature, self.audio_temperature = text[0], audio[0]
        self.text_k = min(text[1] or text_card, text_card)
        self.audio_k = min(audio[1] or card, card)
        self._codebooks = codebooks
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed % (1 << 63))
        self._spins: list[Tensor] = []

    def spins(self, *, advance: bool = True) -> Tensor:
        """Return the random numbers of the next tick, in [0, 1): [1 + codebooks, 2], text first.

        Args:
            advance: Use them up; a row that sits a tick out keeps them for its own next tick.
        """
        if not self._spins:
            shape = (_BLOCK, 1 + self._codebooks, _SPINS)
            self._spins = list(torch.rand(shape, generator=self._generator).unbind())
        return self._spins.pop() if advance else self._spins[-1]


@dataclass(frozen=True, slots=True)
class Draw:
    """How all rows of one batch draw one kind of token in one tick.

    Attributes:
        scale: 1 / temperature, [rows, 1].
        last: Each row's own top-k, less one: int64 [rows, 1].
        spins: Random numbers, [rows, 2] or [rows, codebooks, 2].
        greedy: Which rows take the likeliest, [rows] bool; None where none does.
        most: The largest top-k.
    """

    scale: Tensor
    last: Tensor
    spins: Tensor
    greedy: Tensor | None
    most: int

    def at(self, codebook: int) -> Draw:
        """Return the draw of one codebook, for random numbers that have a codebook axis."""
        return Draw(self.scale, self.last, self.spins[:, codebook], self.greedy, self.most)

    def coldest(self) -> Draw:
        """Return the same draw with a scale of 0 where a row takes the likeliest, instead of `greedy`."""
        if self.greedy is None:
            return self
        scale = self.scale.masked_fill(self.greedy.unsqueeze(1), 0.0)
        return Draw(scale, self.last, self.spins, None, self.most)


@lru_cache(maxsize=64)
def nothing_drawn(rows: int, codebooks: int = 0) -> Draw:
    """Return a draw, as `coldest` does, in which every row takes the likeliest."""
    shape = (rows, codebooks, _SPINS) if codebooks else (rows, _SPINS)
    last = torch.zeros(rows, 1, dtype=torch.int64)
    return Draw(torch.zeros(rows, 1), last, torch.zeros(shape), None, 1)


@lru_cache(maxsize=64)
def _ways(
    temperatures: tuple[float, ...], ks: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor, Tensor | None, int] | None:
    """Return scale, last, greedy rows and largest top-k of a `Draw`; they stay the same over many ticks."""
    drawing = [t > 0 for t in temperatures]
    if not any(drawing):
        return None
    scales = [1.0 / t if t > 0 else 1.0 for t in temperatures]
    greedy = None if all(drawing) else torch.tensor([not each for each in drawing], device=device)
    return (
        torch.tensor(scales, device=device).unsqueeze(1),
        torch.tensor(ks, device=device).unsqueeze(1) - 1,
        greedy,
        max(k for k, draws in zip(ks, drawing, strict=True) if draws),
    )


def _join(
    temperatures: tuple[float, ...], ks: tuple[int, ...], spins: Tensor, device: torch.device
) -> Draw | None:
    """Return the draw of rows of which some may be greedy; None where all are."""
    ways = _ways(temperatures, ks, device)
    if ways is None:
        return None
    scale, last, greedy, most = ways
    return Draw(scale, last, spins.to(device), greedy, most)


def draws(
    samplers: Sequence[RowSampler], active: Sequence[bool], device: torch.device
) -> tuple[Draw | None, Draw | None]:
    """Return how a batch of rows draws text and audio in the next tick; None where every row is greedy."""
    spins = torch.stack(
        [sampler.spins(advance=on) for sampler, on in zip(samplers, active, strict=True)]
    )
    return (
        _join(
            tuple(s.text_temperature for s in samplers),
            tuple(s.text_k for s in samplers),
            spins[:, 0],
            device,
        ),
        _join(
            tuple(s.audio_temperature for s in samplers),
            tuple(s.audio_k for s in samplers),
            spins[:, 1:],
            device,
        ),
    )


def likeliest(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the `k` largest of each row of `logits` [rows, tokens], largest first, and which tokens they are."""
    rows, tokens = logits.shape
    if tokens < _WIDE or tokens % _BLOCK_WIDTH or k > tokens // _BLOCK_WIDTH:
        top, which = logits.topk(k, dim=-1)
        return top, which
    # They lie in the k blocks with the largest maxima, which are much quicker to find.
    blocks = logits.view(rows, -1, _BLOCK_WIDTH)
    chosen = blocks.amax(-1).topk(k, dim=-1, sorted=False).indices
    few = blocks.gather(1, chosen.unsqueeze(2).expand(rows, k, _BLOCK_WIDTH)).flatten(1)
    top, place = few.topk(k, dim=-1)
    which = chosen.gather(1, place // _BLOCK_WIDTH) * _BLOCK_WIDTH + place % _BLOCK_WIDTH
    return top, which


def choose(logits: Tensor, draw: Draw | None, kept: Tensor | None = None) -> Tensor:
    """Return one token a row.

    Args:
        logits: float32 [rows, tokens].
        draw: How to draw; None takes the likeliest everywhere.
        kept: Tokens that are not to be drawn, int64 [rows]; -1 where one is. None draws all.

    Returns:
        int64 [rows].
    """
    made = kernels() if serves(logits) else None
    if made is None:
        drawn = logits.argmax(-1) if draw is None else by_operators(logits, draw)
        return drawn if kept is None else torch.where(kept >= 0, kept, drawn)
    rows, tokens = logits.shape
    draw = (draw or nothing_drawn(rows)).coldest()
    out = torch.empty(rows, dtype=torch.int64)
    needed = -(-tokens // SAMPLE_BLOCK) * (2 * SAMPLE_BLOCK + 3) + 2 * SAMPLE_BLOCK
    made.draw(
        logits.contiguous(),
        draw.scale,
        draw.last,
        draw.spins,
        draw.spins.stride(0),
        kept,
        0 if kept is None else kept.stride(0),
        out,
        room(needed),
        rows,
        tokens,
    )
    return out


def by_operators(logits: Tensor, draw: Draw) -> Tensor:
    """Return one token a row, int64 [rows], by operators of fixed shape."""
    top, tokens = likeliest(logits, draw.most)
    within = torch.arange(draw.most, device=logits.device) <= draw.last
    chances = ((top * draw.scale).softmax(-1) * within).cumsum(-1)
    below = chances <= draw.spins[:, :1] * chances[:, -1:]
    rank = torch.minimum(below.sum(-1, keepdim=True), draw.last)
    drawn = tokens.gather(-1, rank).squeeze(-1)
    if draw.greedy is None:
        return drawn
    return torch.where(draw.greedy, logits.argmax(-1), drawn)
