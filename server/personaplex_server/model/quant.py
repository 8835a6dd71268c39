"""Weights of 8 bits for the language model: half the memory of bfloat16, and on a CPU several times the speed.

Each output has its own scale. On a CPU weights are widened in the processor's registers, so that a quarter is read from
memory. On a GPU torch's product of rounded weights is used for as many rows as a trial there finds it right and
quicker. Elsewhere, and where the trial fails, weights are widened as they are used.
"""

from __future__ import annotations

import logging
import statistics
import time
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from personaplex_server.kernels.machine import kernels, serves
from personaplex_server.kernels.weights import Weights

from .linear import Linear

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_LARGEST: Final = 127.0
_TOLERANCE: Final = 0.05
"""Relative error of a trial product; rounding both sides to 8 bits gives about 0.01."""
_ROWS_TRIED: Final = (1, 2, 4, 8, 16, 32)
_WIDTH_TRIED: Final = 4096
_TURNS: Final = 9


class Quant(StrEnum):
    """How the language model's matrices are kept."""

    NONE = "none"
    INT8 = "int8"


def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return `weight` [out, in] as int8 and the scale of each output, float32 [out]."""
    scale = weight.float().abs().amax(1).clamp(min=1e-12) / _LARGEST
    return torch.round(weight.float() / scale.unsqueeze(1)).to(torch.int8), scale


def _widened(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return F.linear(x, weight.to(x.dtype)) * scale


@lru_cache(maxsize=4)
def direct_rows(device: torch.device, dtype: torch.dtype, width: int = _WIDTH_TRIED) -> int:
    """Return up to how many rows torch's product of 8-bit weights serves better than widening them: 0 for never.

    Args:
        device: Where both are tried; their results must agree there.
        dtype: Of the inputs.
        width: Inputs and outputs of the trial.
    """

    def took_s(product: Callable[..., Tensor], *given: Tensor) -> float:
        turns: list[float] = []
        for _ in range(_TURNS):
            begin = time.perf_counter()
            product(*given)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            turns.append(time.perf_counter() - begin)
        return statistics.median(turns)

    luck = torch.Generator().manual_seed(1)
    weight, scale = rounded(torch.randn(width, width, generator=luck).to(device))
    scale = scale.to(dtype)
    most = 0
    for rows in _ROWS_TRIED:
        x = torch.randn(rows, width, generator=luck).to(device, dtype)
        try:
            got = torch._weight_int8pack_mm(x, weight, scale)
            wanted = _widened(x, weight, scale)
            right = bool((got - wanted).norm() < _TOLERANCE * wanted.norm())
            direct = took_s(torch._weight_int8pack_mm, x, weight, scale)
        except (AttributeError, NotImplementedError, RuntimeError) as error:
            log.warning("8-bit weights are widened when used: no product here (%s)", error)
            return 0
        if not right:
            log.warning("8-bit weights are widened when used: products came out wrong here")
            return 0
        if direct > took_s(_widened, x, weight, scale):
            break
        most = rows
    log.info("8-bit weights are multiplied as they are for up to %d rows, else widened", most)
    return most


class Int8Linear:
    """`x @ weight.T` with weights of 8 bits.

    Args:
        weight: [out, in], any floating type.

    Attributes:
        own: The weights as the CPU's own functions read them; None elsewhere.
        direct: Up to how many rows torch multiplies weights without widening them; not on a CPU.
    """

    __slots__ = ("direct", "inputs", "outputs", "own", "scale", "weight")

    def __init__(self, weight: Tensor) -> None:
        self.outputs, self.inputs = weight.shape
        self.direct = 0
        made = kernels() if serves(weight) else None
        self.weight, scale = rounded(weight)
        self.scale = scale.to(weight.dtype)
        self.own = None
        if made is not None:
            self.own = Weights(made, self.weight, scale=scale)
            self.weight = self.scale = weight.new_empty(0)
        elif weight.device.type == "cuda" and type(weight) is Tensor:
            self.direct = direct_rows(weight.device, weight.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return [..., out] for `x` [..., in]."""
        if self.own is not None:
            return self.own(x)
        if x.numel() <= self.direct * self.inputs:
            rows = torch._weight_int8pack_mm(x.reshape(-1, self.inputs), self.weight, self.scale)
            return rows.view(*x.shape[:-1], self.outputs)
        return _widened(x, self.weight, self.scale)

    def onto(self, total: Tensor, x: Tensor) -> Tensor:
        """Return `total` [..., out] plus the product with `x` [..., in]; `total` may be used up."""
        return total + self(x) if self.own is None else self.own.onto(total, x)


def maker(quant: Quant) -> Callable[[Tensor], Linear | Int8Linear]:
    """Return what makes the matrices of a language model, of a weight each."""
    return Linear if quant is Quant.NONE else Int8Linear
