"""How a token is drawn: temperature, top-k, or simply the likeliest; randomness belongs to the row it serves.

Random numbers are drawn outside the model's step, by one generator a row, and handed in as tensors. So a
row's conversation never depends on its neighbours, and the step itself stays free of generator calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_BLOCK: Final = 16
"""Ticks whose noise is drawn at once; one call of the generator costs more than the numbers."""
_NEVER: Final = float("-inf")


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
        self._text: list[Tensor] = []
        self._audio: list[Tensor] = []

    def _gumbel(self, *shape: int) -> Tensor:
        return torch.empty(shape).exponential_(generator=self._generator).log_().neg_()

    def noise(self, *, advance: bool = True) -> tuple[Tensor | None, Tensor | None]:
        """Return the Gumbel noise of the next tick: [text_k] and [codebooks, audio_k]; None where greedy.

        Args:
            advance: Use it up; a row that sits a tick out keeps its noise for its own next tick.
        """
        text = audio = None
        if self.text_temperature > 0:
            if not self._text:
                self._text = list(self._gumbel(_BLOCK, self.text_k).unbind())
            text = self._text.pop() if advance else self._text[-1]
        if self.audio_temperature > 0:
            if not self._audio:
                self._audio = list(self._gumbel(_BLOCK, self._codebooks, self.audio_k).unbind())
            audio = self._audio.pop() if advance else self._audio[-1]
        return text, audio


@dataclass(frozen=True, slots=True)
class Draw:
    """How all rows of one batch draw one kind of token in one tick.

    Attributes:
        scale: 1 / temperature, [rows, 1].
        noise: Gumbel noise by rank, minus infinity beyond a row's own top-k: [rows, k] or
            [rows, codebooks, k].
        greedy: Which rows take the likeliest, [rows] bool; None where none does.
    """

    scale: Tensor
    noise: Tensor
    greedy: Tensor | None

    def at(self, codebook: int) -> Draw:
        """Return the draw of one codebook, for noise that has a codebook axis."""
        return Draw(self.scale, self.noise[:, codebook], self.greedy)


def _join(
    temperatures: Sequence[float], parts: Sequence[Tensor | None], device: torch.device
) -> Draw | None:
    """Return the draw of rows of which some may be greedy; None where all are."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len(given) == len(parts) and len({part.shape for part in given}) == 1:
        noise = torch.stack(given)
    else:
        widest = max(part.shape[-1] for part in given)
        noise = torch.full((len(parts), *given[0].shape[:-1], widest), _NEVER)
        for row, part in enumerate(parts):
            if part is not None:
                noise[row, ..., : part.shape[-1]] = part
            else:
                noise[row, ..., 0] = 0.0
    scale = torch.tensor([[1.0 / t if t > 0 else 1.0] for t in temperatures])
    greedy = torch.tensor([t <= 0 for t in temperatures]) if len(given) < len(parts) else None
    return Draw(
        scale.to(device), noise.to(device), greedy.to(device) if greedy is not None else None
    )


def draws(
    samplers: Sequence[RowSampler], active: Sequence[bool], device: torch.device
) -> tuple[Draw | None, Draw | None]:
    """Return how a batch of rows draws text and audio in the next tick; None where every row is greedy."""
    parts = [
        sampler.noise(advance=advance) for sampler, advance in zip(samplers, active, strict=True)
    ]
    return (
        _join([s.text_temperature for s in samplers], [p[0] for p in parts], device),
        _join([s.audio_temperature for s in samplers], [p[1] for p in parts], device),
    )


def choose(logits: Tensor, draw: Draw | None) -> Tensor:
    """Return one token a row.

    Args:
        logits: float32 [rows, tokens].
        draw: How to draw; None takes the likeliest everywhere.

    Returns:
        int64 [rows].
    """
    if draw is None:
        return logits.argmax(-1)
    top, tokens = logits.topk(draw.noise.shape[-1], dim=-1)
    # The largest of (log-probability + Gumbel noise) is a draw from the distribution itself.
    rank = torch.addcmul(draw.noise, top, draw.scale).argmax(-1, keepdim=True)
    drawn = tokens.gather(-1, rank).squeeze(-1)
    if draw.greedy is None:
        return drawn
    return torch.where(draw.greedy, logits.argmax(-1), drawn)
