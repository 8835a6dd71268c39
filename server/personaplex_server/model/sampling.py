"""How a token is drawn: temperature, top-k, or simply the likeliest; randomness belongs to the row it serves.

Random numbers are drawn outside the model's step, by one generator a row, and handed in as tensors. So a
row's conversation never depends on its neighbours, and the step itself stays free of generator calls. On a CPU
the drawing is done by `host`, which is several times quicker there; on a GPU by a few operators of fixed shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from .host import HostDraw

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
    """How all rows of one batch draw one kind of token in one tick, by operators of fixed shape.

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


AnyDraw = Draw | HostDraw


def _join(
    temperatures: Sequence[float], ks: Sequence[int], spins: Tensor, device: torch.device
) -> AnyDraw | None:
    """Return the draw of rows of which some may be greedy; None where all are."""
    drawing = [t > 0 for t in temperatures]
    if not any(drawing):
        return None
    scales = [1.0 / t if t > 0 else 1.0 for t in temperatures]
    if device.type == "cpu":
        return HostDraw.of(scales, ks, spins.numpy(), drawing)
    greedy = None if all(drawing) else torch.tensor([not each for each in drawing], device=device)
    return Draw(
        torch.tensor(scales, device=device).unsqueeze(1),
        torch.tensor(ks, device=device).unsqueeze(1) - 1,
        spins.to(device),
        greedy,
        max(k for k, draws in zip(ks, drawing, strict=True) if draws),
    )


def draws(
    samplers: Sequence[RowSampler], active: Sequence[bool], device: torch.device
) -> tuple[AnyDraw | None, AnyDraw | None]:
    """Return how a batch of rows draws text and audio in the next tick; None where every row is greedy."""
    spins = torch.stack(
        [sampler.spins(advance=on) for sampler, on in zip(samplers, active, strict=True)]
    )
    return (
        _join(
            [s.text_temperature for s in samplers],
            [s.text_k for s in samplers],
            spins[:, 0],
            device,
        ),
        _join(
            [s.audio_temperature for s in samplers],
            [s.audio_k for s in samplers],
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


def choose(logits: Tensor, draw: AnyDraw | None) -> Tensor:
    """Return one token a row.

    Args:
        logits: float32 [rows, tokens].
        draw: How to draw; None takes the likeliest everywhere.

    Returns:
        int64 [rows].
    """
    if draw is None:
        return logits.argmax(-1)
    if isinstance(draw, HostDraw):
        if logits.shape[1] >= _WIDE and draw.most <= _BLOCK_WIDTH:
            top, tokens = likeliest(logits, draw.most)
            rank = torch.from_numpy(draw.ranked(top.numpy()))
            return tokens.gather(1, rank.unsqueeze(1)).squeeze(1)
        return torch.from_numpy(draw.choose(logits.numpy()))
    top, tokens = likeliest(logits, draw.most)
    within = torch.arange(draw.most, device=logits.device) <= draw.last
    chances = ((top * draw.scale).softmax(-1) * within).cumsum(-1)
    below = chances <= draw.spins[:, :1] * chances[:, -1:]
    rank = torch.minimum(below.sum(-1, keepdim=True), draw.last)
    drawn = tokens.gather(-1, rank).squeeze(-1)
    if draw.greedy is None:
        return drawn
    return torch.where(draw.greedy, logits.argmax(-1), drawn)
