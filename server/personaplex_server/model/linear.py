"""A matrix product with fixed weights, by the quickest way this machine has: own functions on a CPU, else torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from personaplex_server.kernels.machine import kernels, serves
from personaplex_server.kernels.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Linear:
    """`x @ weight.T + bias`.

    Args:
        weight: [out, in].
        bias: [out], or None.
        taps: Where inputs lie, for `Weights.windows`.

    Attributes:
        own: The weights as the CPU's own functions read them; None where torch multiplies.
    """

    __slots__ = ("bias", "inputs", "outputs", "own", "weight")

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        taps: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.outputs, self.inputs = weight.shape
        made = kernels() if serves(weight) else None
        self.own = None if made is None else Weights(made, weight, bias, taps=taps)
        # Only one of the copies is kept.
        self.weight = weight.new_empty(0) if self.own else weight
        self.bias = None if self.own else bias

    def __call__(self, x: Tensor) -> Tensor:
        """Return [..., out] for `x` [..., in]."""
        if self.own is not None:
            return self.own(x)
        return F.linear(x, self.weight, self.bias)

    def onto(self, total: Tensor, x: Tensor) -> Tensor:
        """Return `total` [..., out] plus the product with `x` [..., in]; `total` may be used up."""
        if self.own is not None:
            return self.own.onto(total, x)
        return total + F.linear(x, self.weight, self.bias)
