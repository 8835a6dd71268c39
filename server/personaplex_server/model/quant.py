"""Weights of 8 bits for the language model: half the memory of bfloat16, and on a CPU several times the speed.

Each output has its own scale. On a CPU inputs are rounded to 8 bits too, by operators that torch means to retire:
they are used only after a trial at start. On a GPU torch's product of rounded weights is used for as many rows as a
trial there finds it right and quicker. Elsewhere, and where the trial fails, weights are widened as they are used.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

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


def _pack(weight: Tensor) -> Any:
    """Return `weight` in the form that the CPU's 8-bit product takes."""
    scale = rounded(weight)[1].double()
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    with warnings.catch_warnings():
        # The operators' retirement is known; the trial finds out when they are gone.
        warnings.simplefilter("ignore")
        stored = torch.quantize_per_channel(weight.float(), scale, zeros, 0, torch.qint8)
        return torch.ops.quantized.linear_prepack(stored, None)


@lru_cache(maxsize=32)
def _edge(inputs: int) -> Tensor:
    """Return a row [1, in] that spans the range of all others."""
    edge = torch.zeros(1, inputs)
    edge[0, 0], edge[0, -1] = 1.0, -1.0
    return edge


def _product(x: Tensor, packed: Any, *, narrow: bool) -> Tensor:
    """Return the product for `x` [rows, in], each row rounded by its own size.

    Processors without VNNI add up pairs in 16 bits, which overflow unless inputs keep to 7 bits (`narrow`).

    The operator takes one range for all rows, so a caller would be rounded by how large its neighbours are. Rows
    are brought to the same size, and one more row makes the range the same in any company.
    """
    size = x.abs().amax(1, keepdim=True).clamp_(min=1e-12)
    spread = torch.cat([x / size, _edge(x.shape[1])])
    out: Tensor = torch.ops.quantized.linear_dynamic(spread, packed, narrow)
    return out[:-1].mul_(size)


@lru_cache(maxsize=1)
def input_bits() -> int:
    """Return to how many bits a CPU's product may round its inputs and be right: 8, 7, or 0 where there is none.

    Where many large numbers meet some processors overflow, so the trial has some.
    """
    weight = torch.linspace(-1.0, 1.0, 48 * 256).view(48, 256).sin()
    weight[:4] = 1.0
    x = torch.linspace(-2.0, 3.0, 5 * 256).view(5, 256)
    x[0] = 1.0
    wanted = F.linear(x, weight)
    try:
        packed = _pack(weight)
        for bits in (8, 7):
            got = _product(x, packed, narrow=bits < 8)
            if (got - wanted).norm() < _TOLERANCE * wanted.norm():
                return bits
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        log.info("8-bit weights are widened when used: no product for them here (%s)", error)
        return 0
    log.warning("8-bit weights are widened when used: products came out wrong on this machine")
    return 0


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
        direct: Up to how many rows weights are multiplied without widening them; not on a CPU.
    """

    __slots__ = ("direct", "inputs", "outputs", "packed", "scale", "weight")

    def __init__(self, weight: Tensor) -> None:
        self.outputs, self.inputs = weight.shape
        self.packed: Any = None
        self.direct = 0
        self.weight = self.scale = weight.new_empty(0)
        if weight.device.type == "cpu" and type(weight) is Tensor and input_bits():
            self.packed = _pack(weight)
        else:
            self.weight, scale = rounded(weight)
            self.scale = scale.to(weight.dtype)
            if weight.device.type == "cuda" and type(weight) is Tensor:
                self.direct = direct_rows(weight.device, weight.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return [..., out] for `x` [..., in]."""
        if self.packed is not None:
            rows = _product(x.reshape(-1, self.inputs), self.packed, narrow=input_bits() < 8)
            return rows.view(*x.shape[:-1], self.outputs)
        if x.numel() <= self.direct * self.inputs:
            rows = torch._weight_int8pack_mm(x.reshape(-1, self.inputs), self.weight, self.scale)
            return rows.view(*x.shape[:-1], self.outputs)
        return _widened(x, self.weight, self.scale)


def maker(quant: Quant) -> Callable[..., Linear | Int8Linear]:
    """Return what makes the matrices of a language model: called with a weight and `rows`, as `Linear`."""
    if quant is Quant.NONE:
        return Linear

    def make(weight: Tensor, *, rows: int = 1) -> Int8Linear:
        return Int8Linear(weight)

    return make
