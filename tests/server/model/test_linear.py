"""A product with fixed weights is torch's, whoever computes it; where no function of ours serves, torch does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from personaplex_server.kernels import machine
from personaplex_server.model.linear import Linear


@pytest.mark.parametrize("shape", [(1, 40), (3, 40), (2, 5, 40), (300, 40), (0, 40)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_torchs(computed_by, shape, bias):
    weight = torch.randn(24, 40)
    offset = torch.randn(24) if bias else None
    x, total = torch.randn(shape), torch.randn(*shape[:-1], 24)
    linear = Linear(weight, offset)
    assert (linear.own is not None) == (computed_by != "torch")
    wanted = F.linear(x, weight, offset)
    torch.testing.assert_close(linear(x), wanted, atol=1e-5, rtol=1e-5)
    summed = total + wanted
    torch.testing.assert_close(linear.onto(total, x), summed, atol=1e-5, rtol=1e-5)


def test_inputs_may_have_gaps(computed_by):
    weight, x = torch.randn(8, 6), torch.randn(5, 12)
    torch.testing.assert_close(Linear(weight)(x[:, ::2]), F.linear(x[:, ::2], weight))
    windows = x.view(-1).as_strided((4, 6), (2, 1))
    torch.testing.assert_close(Linear(weight)(windows), F.linear(windows, weight))


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(64, 32, dtype=torch.bfloat16),
        torch.zeros(64, 32, device="meta"),
        torch.zeros(64, 32, device="meta", dtype=torch.bfloat16),
    ],
)
def test_what_torch_multiplies(weight):
    plain = Linear(weight)
    assert plain.own is None
    assert plain.weight is weight
    assert plain(weight.new_empty(3, 32)).shape == (3, 64)


def test_weights_are_kept_once():
    if machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")
    linear = Linear(torch.randn(64, 32), torch.randn(64))
    assert linear.weight.numel() == 0
    assert linear.bias is None
