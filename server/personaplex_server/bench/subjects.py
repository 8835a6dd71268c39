"""What is measured: our parts and the reference's with the same random weights, each as one function to call.

Random weights cost what trained ones cost. Both sides draw tokens with the usual temperatures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from personaplex_server.model.codec import Codec
from personaplex_server.model.config import FRAME_SAMPLES, CodecConfig, LmConfig
from personaplex_server.model.lm import Lm
from personaplex_server.model.prompt import PromptCalls
from personaplex_server.model.quant import Quant
from personaplex_server.model.rehearsal import codec_tensors, lm_tensors
from personaplex_server.model.sampling import RowSampler, draws
from personaplex_server.model.weights import TensorFile

from . import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CPU: Final = torch.device("cpu")
EARLY: Final = 300
"""Position of rows early in a call: a prompt and some seconds."""
SIZES: Final = {
    "tiny": LmConfig(
        dim=128, num_heads=4, num_layers=2, depth_dim=64, depth_heads=2, depth_layers=2
    ),
    "mid": LmConfig(
        dim=1024, num_heads=8, num_layers=8, depth_dim=512, depth_heads=8, depth_layers=4
    ),
}
CODEC: Final = CodecConfig()


class MemoryFile(TensorFile):
    """Weights that lie in memory instead of a file."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.path, self.device, self.dtype = Path("memory"), CPU, torch.float32
        self._tensors = tensors

    def has(self, key: str) -> bool:
        """Whether there is such a tensor."""
        return key in self._tensors

    def shape(self, key: str) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return tuple(self._tensors[key].shape)

    def take(
        self, key: str, shape: Any, *, rows: int | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Return a copy of a tensor, or of its first rows."""
        return self._tensors[key][:rows].clone()


class Language:
    """One language model of ours, rows side by side.

    Args:
        config: Sizes.
        weights: Under their names in the released file.
        rows: How many rows.
        quant: How the matrices are kept.
    """

    def __init__(
        self, config: LmConfig, weights: dict[str, Tensor], rows: int, quant: Quant = Quant.NONE
    ) -> None:
        self.lm = Lm(MemoryFile(weights), config, quant)
        self.config, self.rows = config, rows
        self.state = self.lm.state(rows)
        self.samplers = [
            RowSampler(
                (0.7, 25),
                (0.8, 250),
                text_card=config.text_card,
                card=config.card,
                codebooks=config.own_codebooks,
                seed=row,
            )
            for row in range(rows)
        ]
        self.user = torch.randint(config.card, (rows, config.n_q - config.own_codebooks))
        self.position = EARLY

    def step(self) -> Tensor:
        """Think and speak one frame at the position that is set; return tokens [rows, 9]."""
        self.state.call.fill_(self.position)
        text, audio = draws(self.samplers, [True] * self.rows, CPU)
        return self.lm.step(
            self.state,
            self.user,
            None,
            prefix=min(self.position, self.lm.window),
            full=True,
            forcing=False,
            text_draw=text,
            audio_draw=audio,
        ).tokens

    def full_step(self) -> Tensor:
        """As `step`, with the whole context in sight."""
        self.position = self.config.context + EARLY
        try:
            return self.step()
        finally:
            self.position = EARLY

    def prefill(self, positions: int = 200) -> None:
        """Compute a prompt."""
        tokens = np.random.default_rng(1).integers(self.config.card, size=(positions + 1, 17))
        for _ in self.lm.prefill(PromptCalls(tokens, self.config)):
            pass


class Sound:
    """One codec of ours, rows side by side, their attention full."""

    def __init__(self, weights: dict[str, Tensor], rows: int, config: CodecConfig = CODEC) -> None:
        self.codec = Codec(MemoryFile(weights), config, 8)
        self.hearing, self.speaking = self.codec.encoding(rows), self.codec.decoding(rows)
        self.pcm = 0.1 * torch.randn(rows, FRAME_SAMPLES)
        self.codes = torch.randint(config.bins, (rows, 8))
        self.window = self.hearing.attention.window

    def encode(self) -> Tensor:
        """Return the codes of one frame per row."""
        return self.codec.encode(self.pcm, self.hearing, None, prefix=self.window)

    def decode(self) -> Tensor:
        """Return the samples of one frame per row."""
        return self.codec.decode(self.codes, self.speaking, None, prefix=self.window)


def lm_weights(config: LmConfig) -> dict[str, Tensor]:
    """Return random weights with the 8 depth steps that the reference has."""
    return lm_tensors(config, torch.Generator().manual_seed(1), config.own_codebooks)


def codec_weights(config: CodecConfig = CODEC) -> dict[str, Tensor]:
    """Return random weights of a codec."""
    return codec_tensors(config, torch.Generator().manual_seed(1))


def reference_step(config: LmConfig, weights: dict[str, Tensor], rows: int) -> Callable[[], object]:
    """Return a step of the reference; its attention always covers the whole context."""
    generator = reference.language_model(config, weights, rows)
    user = torch.randint(config.card, (rows, 8, 1))
    return lambda: generator.step(user)


def reference_codec(
    weights: dict[str, Tensor], rows: int, config: CodecConfig = CODEC
) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Return the reference's encoding and decoding of one frame per row."""
    codec = reference.codec(config, weights, rows)
    pcm = 0.1 * torch.randn(rows, 1, FRAME_SAMPLES)
    codes = torch.randint(config.bins, (rows, 8, 1))
    return lambda: codec.encode(pcm), lambda: codec.decode(codes)
