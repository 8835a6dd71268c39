"""The depth transformer: from one frame's thought to its 8 audio tokens, one codebook after the other.

Only the steps of the model's own codebooks are loaded and run. The released file holds as many again for the
caller's audio, which a server always overrides; leaving them out saves half of the time and changes no token.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from .config import CheckpointError
from .layers import attend_own, attends, embedded, gated, rms_norm
from .quant import Quant, maker
from .sampling import Draw, choose

if TYPE_CHECKING:
    from torch import Tensor

    from .config import LmConfig
    from .linear import Linear
    from .quant import Int8Linear
    from .weights import TensorFile


class _Layer:
    """One layer: norms shared by all steps, everything else per step."""

    def __init__(self, file: TensorFile, config: LmConfig, index: int, quant: Quant) -> None:
        make = maker(quant)
        steps, dim = config.own_codebooks, config.depth_dim
        name = f"depformer.layers.{index}."
        self.norm1 = file.take(f"{name}norm1.alpha", (1, 1, dim), dtype=torch.float32).view(dim)
        self.norm2 = file.take(f"{name}norm2.alpha", (1, 1, dim), dtype=torch.float32).view(dim)
        self.attend_in = _blocks(
            file, f"{name}self_attn.in_proj_weight", (steps, 3 * dim, dim), quant
        )
        self.attend_out = _blocks(
            file, f"{name}self_attn.out_proj.weight", (steps, dim, dim), quant
        )
        self.gate_in: list[Linear | Int8Linear] = []
        self.gate_out: list[Linear | Int8Linear] = []
        for step in range(steps):
            gating = f"{name}gating.{step}."
            hidden = file.columns(f"{gating}linear_out.weight")
            self.gate_in.append(make(file.take(f"{gating}linear_in.weight", (2 * hidden, dim))))
            self.gate_out.append(make(file.take(f"{gating}linear_out.weight", (dim, hidden))))


def _blocks(
    file: TensorFile, key: str, sizes: tuple[int, int, int], quant: Quant
) -> list[Linear | Int8Linear]:
    """Return the first blocks of a tensor that stacks one per step; `sizes` are (steps, outputs, inputs)."""
    steps, outputs, inputs = sizes
    make = maker(quant)
    shape = file.shape(key)
    stacked = shape[0] // outputs if len(shape) == 2 else 0
    if stacked < steps or shape != (stacked * outputs, inputs):
        raise CheckpointError(
            f"{file.path.name}: “{key}” has the shape {list(shape)}; {steps} or more blocks of "
            f"{[outputs, inputs]} are expected."
        )
    whole = file.take(key, shape, rows=steps * outputs)
    return [make(block) for block in whole.view(steps, outputs, inputs).unbind()]


class Depth:
    """The depth transformer of one model.

    Args:
        file: Where the weights are.
        config: Sizes.
        quant: How matrices are kept.

    Raises:
        CheckpointError: A weight is missing or has another shape.
    """

    def __init__(self, file: TensorFile, config: LmConfig, quant: Quant = Quant.NONE) -> None:
        make = maker(quant)
        self.steps, self.dim = config.own_codebooks, config.depth_dim
        self.heads = config.depth_heads
        self.width = self.dim // self.heads
        dim = self.dim
        self.inputs = make(
            torch.cat(
                [
                    file.take(f"depformer_in.{step}.weight", (dim, config.dim))
                    for step in range(self.steps)
                ]
            ),
        )
        self.embeddings = [file.take("depformer_text_emb.weight", (config.text_card + 1, dim))]
        self.embeddings += [
            file.take(f"depformer_emb.{step}.weight", (config.card + 1, dim))
            for step in range(self.steps - 1)
        ]
        self.layers = [_Layer(file, config, index, quant) for index in range(config.depth_layers)]
        self.heads_out = [
            make(file.take(f"linears.{step}.weight", (config.card, dim)))
            for step in range(self.steps)
        ]

    def __call__(
        self,
        thought: Tensor,
        text: Tensor,
        draw: Draw | None,
        kept: Tensor | None = None,
    ) -> list[Tensor]:
        """Speak one frame.

        Args:
            thought: Output of the temporal transformer, [rows, dim].
            text: Text token of the frame, int64 [rows].
            draw: How audio tokens are drawn, with random numbers for each step; None is greedy.
            kept: Tokens of codebooks that are not to be drawn, int64 [rows, steps]; -1 where one is.

        Returns:
            The token of each codebook, int64 [rows].
        """
        rows = thought.shape[0]
        inputs = self.inputs(thought).view(rows, self.steps, self.dim)
        cache = thought.new_empty(len(self.layers), 2, rows, self.heads, self.steps, self.width)
        previous = text
        tokens: list[Tensor] = []
        for step in range(self.steps):
            x = embedded(previous.unsqueeze(1), self.embeddings[step], first=inputs[:, step])
            for index, layer in enumerate(self.layers):
                mixed = self._attend(layer, step, cache[index], rms_norm(x, layer.norm1))
                x = layer.attend_out[step].onto(x, mixed)
                gates = gated(layer.gate_in[step](rms_norm(x, layer.norm2)))
                x = layer.gate_out[step].onto(x, gates)
            previous = choose(
                self.heads_out[step](x).float(),
                None if draw is None else draw.at(step),
                None if kept is None else kept[:, step],
            )
            tokens.append(previous)
        return tokens

    def _attend(self, layer: _Layer, step: int, cache: Tensor, x: Tensor) -> Tensor:
        rows = x.shape[0]
        joint = layer.attend_in[step](x)
        if attends(cache):
            return attend_own(joint.unsqueeze(1), cache, _everywhere(rows, step)).squeeze(1)
        joint = joint.view(rows, 3, self.heads, self.width)
        if step == 0 and self.steps > 1:
            cache[:, :, :, 0] = joint[:, 1:].transpose(0, 1)
        if step == 0:
            # With a single key attention returns its value.
            return joint[:, 2].reshape(rows, self.dim)
        cache[:, :, :, step] = joint[:, 1:].transpose(0, 1)
        keys, values = cache[0, :, :, : step + 1], cache[1, :, :, : step + 1]
        mixed = F.scaled_dot_product_attention(joint[:, 0].unsqueeze(2), keys, values)
        return mixed.reshape(rows, self.dim)


@lru_cache(maxsize=1024)
def _everywhere(rows: int, step: int) -> Tensor:
    return torch.full((rows,), step)
