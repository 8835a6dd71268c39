"""The hybrid prompt: a voice, silence, the role as text, silence; laid out call by call as the model was trained.

All of it is known before the first call, so it is turned into the inputs of whole positions here and computed in
one go (`Lm.prefill`), instead of being stepped through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from .config import LmConfig

SILENCE: Final = (948, 243, 1178, 546, 1736, 1030, 1978, 2008)
"""Codes of silence, which the model speaks during the prompt."""
SINE: Final = (430, 1268, 381, 1611, 1095, 1495, 56, 472)
"""Codes of a 440 Hz tone, which marks the caller's channel during the prompt."""
SILENCE_FRAMES: Final = 6
"""Half a second before and after the text."""
TAG: Final = "<system>"


@dataclass(frozen=True, slots=True)
class VoiceCodes:
    """A voice as the codec hears it.

    Attributes:
        codes: int64 [frames, own codebooks].
    """

    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VoiceEmbeddings:
    """A voice as the model's inputs, saved after it had been stepped through once.

    Attributes:
        embeddings: Summed input embeddings, one per position, [positions, dim].
        ring: Token ring after the last of them, int64 [streams, slots].
    """

    embeddings: Tensor
    ring: NDArray[np.int64]


class Embedder(Protocol):
    """What turns tokens into the model's inputs; the language model is one."""

    device: torch.device
    dtype: torch.dtype

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the summed embeddings of `tokens` [..., streams]: [..., dim]."""


class PromptError(ValueError):
    """A prompt that this model cannot take; the text is a sentence for a person."""


def wrap(text: str) -> str:
    """Return the role between the tags that the model was trained with."""
    text = text.strip()
    if text.startswith(TAG) and text.endswith(TAG):
        return text
    return f"{TAG} {text} {TAG}"


@dataclass(frozen=True, slots=True)
class PromptCalls:
    """What every call of a prompt gives.

    Attributes:
        tokens: int64 [calls - first, streams]: text, own audio, caller's audio.
        config: Sizes of the model.
        voice: The positions before call `first`, where they come as embeddings.
    """

    tokens: NDArray[np.int64]
    config: LmConfig
    voice: VoiceEmbeddings | None = None

    @property
    def first(self) -> int:
        """The call that the first row of `tokens` belongs to."""
        # Replaying embeddings uses up call 0 within the first of them.
        return 0 if self.voice is None else len(self.voice.embeddings) + 1

    @property
    def calls(self) -> int:
        """How many calls the prompt takes."""
        return self.first + len(self.tokens)

    def _value(self, position: int, stream: int) -> int | None:
        """Return the token of one stream at one position; None where the prompt gives none."""
        delay = self.config.delays[stream]
        if position <= delay:
            return self.config.card if stream else self.config.text_card
        call = position - delay
        if call >= self.calls:
            return None
        if call >= self.first:
            return int(self.tokens[call - self.first, stream])
        if self.voice is None:
            raise AssertionError("calls before the first exist only with a voice of embeddings")
        ring = self.voice.ring
        return int(ring[stream, position % ring.shape[1]])

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the tokens of positions `start` to `stop` - 1: int64 [stop - start, streams]."""
        out = np.zeros((stop - start, self.config.streams), np.int64)
        for stream, delay in enumerate(self.config.delays):
            # Most of it is one slice; what lies outside the given calls is looked up.
            first = min(max(start, delay + max(self.first, 1)), stop)
            out[first - start :, stream] = self.tokens[
                first - delay - self.first : stop - delay - self.first, stream
            ]
            for position in range(start, first):
                out[position - start, stream] = self._value(position, stream) or 0
        return out

    def inputs(self, lm: Embedder, start: int, stop: int) -> Tensor:
        """Return the summed input embeddings of positions `start` to `stop` - 1: [stop - start, dim]."""
        stored = 0 if self.voice is None else len(self.voice.embeddings)
        parts: list[Tensor] = []
        if self.voice is not None and start < stored:
            parts.append(self.voice.embeddings[start:stop].to(lm.device, lm.dtype))
        begin = max(start, stored)
        if begin < stop:
            rows = self.rows(begin, stop)
            parts.append(lm.embed(torch.from_numpy(rows).to(lm.device)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def tail(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the token ring after the prompt and which of its tokens are forced.

        Returns:
            int64 [streams, slots] and bool [1 + own, slots], slots = largest delay + 3.
        """
        config = self.config
        slots, own = config.max_delay + 3, 1 + config.own_codebooks
        ring = np.zeros((config.streams, slots), np.int64)
        forced = np.zeros((own, slots), np.bool_)
        following = max(self.calls, 1)
        for stream, delay in enumerate(config.delays):
            for position in range(max(following + delay - slots, 0), following + delay):
                value = self._value(position, stream)
                if value is not None:
                    ring[stream, position % slots] = value
                    if stream < own and position >= following:
                        forced[stream, position % slots] = True
        return torch.from_numpy(ring).to(device), torch.from_numpy(forced).to(device)


def _frames(
    codes: Sequence[int] | NDArray[np.int64], count: int, streams: int
) -> NDArray[np.int64]:
    return np.broadcast_to(np.asarray(codes, np.int64)[..., :streams], (count, streams))


def _calls(config: LmConfig, text: Sequence[int], own: NDArray[np.int64]) -> NDArray[np.int64]:
    caller = config.n_q - config.own_codebooks
    count = len(text)
    return np.concatenate(
        [np.asarray(text, np.int64).reshape(count, 1), own, _frames(SINE, count, caller)], axis=1
    )


def voice_calls(config: LmConfig, voice: VoiceCodes) -> PromptCalls:
    """Lay out the voice part of a prompt alone."""
    text = [config.padding_id] * len(voice.codes)
    return PromptCalls(_calls(config, text, voice.codes), config)


def build_prompt(
    config: LmConfig, voice: VoiceCodes | VoiceEmbeddings | None, text: Sequence[int]
) -> PromptCalls:
    """Lay out a prompt.

    Args:
        config: Sizes of the model.
        voice: Whose voice the model takes; None leaves the part out.
        text: Tokens of the wrapped role; empty leaves the part out. With neither part there is no prompt at all.

    Raises:
        PromptError: The model's codebooks are smaller than a prompt needs.
    """
    own = config.own_codebooks
    if voice is None and not text:
        return PromptCalls(np.zeros((0, config.streams), np.int64), config)
    if max(*SILENCE, *SINE) >= config.card:
        raise PromptError(
            f"This model's codebooks have {config.card} entries, too few for the frames of a prompt; "
            "it can only be used without voice and text."
        )
    parts: list[NDArray[np.int64]] = []
    if isinstance(voice, VoiceCodes):
        parts.append(voice_calls(config, voice).tokens)
    quiet = _calls(
        config, [config.padding_id] * SILENCE_FRAMES, _frames(SILENCE, SILENCE_FRAMES, own)
    )
    parts += [quiet, _calls(config, text, _frames(SILENCE, len(text), own)), quiet]
    return PromptCalls(
        np.concatenate(parts), config, voice if isinstance(voice, VoiceEmbeddings) else None
    )
