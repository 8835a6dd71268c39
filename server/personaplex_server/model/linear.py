"""A matrix product with fixed weights, by the quickest way this machine has.

On a CPU torch re-lays float32 weights at every call; weights packed once for oneDNN are up to three times faster
where the matrix is big and several rows are served. The packing operators are private to torch, so they
are used only after a trial at start. A single row, or a small matrix, is quickest with the weights lying input
by input.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

log = logging.getLogger(__name__)

PACK_FROM: Final = 1_000_000
"""Multiply-adds per call above which the packed product wins over its higher cost per call."""

PACK_ROWS: Final = 2
"""Rows per call below which the packed product never wins."""

MANY: Final = 32
"""Rows in a call, such as a prompt, from which oneDNN is quicker with weights that are not packed, too."""


@lru_cache(maxsize=1)
def packing_works() -> bool:
    """Whether this torch can pack float32 weights and multiply with them correctly."""
    try:
        weight = torch.linspace(-1.0, 1.0, 40 * 24).view(40, 24)
        rows = torch.linspace(-1.0, 1.0, 3 * 24).view(3, 24)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 3)
        got = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
        right = torch.allclose(got, F.linear(rows, weight), atol=1e-4)
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        log.info("weights stay unpacked: this torch cannot pack them (%s)", error)
        return False
    if not right:
        log.warning("weights stay unpacked: packed products came out wrong on this machine")
    return right


class Linear:
    """`x @ weight.T + bias`.

    Args:
        weight: [out, in].
        bias: [out], or None.
        rows: How many rows a usual call brings; decides whether packing pays.
    """

    __slots__ = ("_across", "_on_cpu", "bias", "inputs", "outputs", "packed", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, rows: int = 1) -> None:
        self.outputs, self.inputs = weight.shape
        self.bias = bias
        on_cpu = (
            weight.device.type == "cpu" and type(weight) is Tensor and weight.dtype == torch.float32
        )
        self.packed = (
            on_cpu and rows >= PACK_ROWS and weight.numel() * rows >= PACK_FROM and packing_works()
        )
        self._on_cpu = on_cpu and packing_works()
        # Only one of the copies is kept.
        self._across: Tensor | None = None
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        elif on_cpu:
            self._across = weight.t().contiguous()
            self.weight = self._across.t()
        else:
            self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        """Return [..., out] for `x` [..., in]."""
        if self.packed or (self._on_cpu and x.numel() >= MANY * self.inputs):
            out: Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, "none", [], ""
            )
            return out
        if self._across is not None and self.bias is None and x.dim() == 2:
            # What `F.linear` comes to, without the views it makes on the way.
            return torch.mm(x, self._across)
        return F.linear(x, self.weight, self.bias)
