"""Norm, gate and ELU of the processor's own functions: how exact they are, and what they make of odd numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personaplex_server.model.layers import NORM_EPSILON, gated, gelu, rms_norm
from personaplex_server.model.streams import Memory, StreamState, elu_

NAN, INF = float("nan"), float("inf")


def places(got, wanted):
    """Return by how many units in the last place `got` differs from `wanted`, float64, at most."""
    step = np.spacing(np.abs(wanted).astype(np.float32)).astype(np.float64)
    return np.max(np.abs(got.numpy().astype(np.float64) - wanted) / step)


def numbers(low, high, count=20_000):
    """Return numbers of both signs, evenly spread over their magnitudes."""
    sizes = np.exp(np.random.default_rng(3).uniform(np.log(low), np.log(high), count))
    return torch.from_numpy(np.concatenate([-sizes, sizes]).astype(np.float32))


def elu(x):
    out = torch.empty_like(x)
    elu_(x[None], out[None])
    return out


def silu(x):
    return gated(torch.cat([x, torch.ones_like(x)]))


def test_elu_is_exact_to_the_last_place(made):
    for x in (numbers(1e-30, 80.0), torch.linspace(-87.0, 1.0, 40_001)):
        exact = x.numpy().astype(np.float64)
        assert places(elu(x), np.where(exact > 0, exact, np.expm1(np.minimum(exact, 0)))) < 1.0


def test_silu_is_exact_to_three_units_in_the_last_place(made):
    for x in (numbers(1e-30, 80.0), torch.linspace(-87.0, 90.0, 40_001)):
        exact = x.numpy().astype(np.float64)
        assert places(silu(x), exact / (1 + np.exp(-exact))) < 3.0


def test_gelu_is_right_to_a_millionth(made):
    for x in (numbers(1e-30, 30.0), torch.linspace(-9.0, 9.0, 40_003)):
        exact = torch.nn.functional.gelu(x.double())
        assert ((gelu(x) - exact).abs() <= 1e-6 * exact.abs().clamp(max=1.0) + 4e-7).all()
    odd = gelu(torch.tensor([NAN, INF, 3e38, -3e38, 0.0, -20.0]))
    torch.testing.assert_close(odd, torch.tensor([NAN, INF, 3e38, 0.0, 0.0, 0.0]), equal_nan=True)


@pytest.mark.parametrize("lonely", [False, True], ids=["in vectors", "one by one"])
def test_odd_numbers(made, lonely):
    odd = torch.tensor(
        [NAN, INF, -INF, 3e38, -3e38, 1e-42, -1e-42, 0.0, 88.4, -88.4, 100.0, -100.0]
    )
    if lonely:
        bent, gates = (torch.cat([work(each[None]) for each in odd]) for work in (elu, silu))
    else:
        whole = odd.repeat_interleave(16)
        bent, gates = (work(whole)[::16] for work in (elu, silu))
    torch.testing.assert_close(
        bent,
        torch.tensor([NAN, INF, -1.0, 3e38, -1.0, 1e-42, -1e-42, 0.0, 88.4, -1.0, 100.0, -1.0]),
        equal_nan=True, rtol=1e-6, atol=0.0,
    )  # fmt: skip
    torch.testing.assert_close(
        gates,
        torch.tensor([NAN, INF, NAN, 3e38, 0.0, 5e-43, -5e-43, 0.0, 88.4, 0.0, 100.0, 0.0]),
        equal_nan=True, rtol=1e-6, atol=1e-35,
    )  # fmt: skip


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 16, 31, 64, 100, 513])
def test_norm_gate_and_elu_of_all_widths(made, width):
    for rows in (0, 1, 2, 5):
        x, gain = torch.randn(rows, width) * 3, torch.randn(width)
        exact = x.double()
        share = (exact.square().mean(-1, keepdim=True) + NORM_EPSILON).rsqrt()
        got = rms_norm(x, gain)
        assert ((got - exact * share * gain).abs() <= 1e-6 * (exact * share * gain).abs()).all()
        both = torch.randn(rows, 2 * width) * 3
        first, second = both.double().chunk(2, -1)
        torch.testing.assert_close(gated(both), (first * first.sigmoid() * second).float())
        out = torch.empty_like(x)
        elu_(x, out)
        torch.testing.assert_close(out, torch.nn.functional.elu(exact).float())


def test_a_row_is_the_same_to_the_last_bit_alone_and_in_any_company(made):
    for width in (5, 40, 129):
        x, gain = torch.randn(9, 2 * width), torch.randn(2 * width)
        out = torch.empty_like(x)
        elu_(x, out)
        normed, gates = rms_norm(x, gain), gated(x)
        for row in range(9):
            one = x[row : row + 1]
            assert torch.equal(rms_norm(one, gain)[0], normed[row])
            assert torch.equal(gated(one)[0], gates[row])
            assert torch.equal(elu(x[row]), out[row])


def test_norms_of_nothing_and_of_what_is_no_number(made):
    x = torch.zeros(3, 20)
    x[1, 4] = NAN
    x[2, 4] = 1e-30
    got = rms_norm(x, torch.ones(20))
    assert (got[0] == 0).all()
    assert got[1].isnan().all()
    assert got[2].isfinite().all()


def test_elu_in_its_own_place_and_between_gaps(made):
    room = torch.randn(3, 50)
    wanted = torch.nn.functional.elu(room[:, 3:40])
    before = room.clone()
    elu_(room[:, 3:40], room[:, 3:40])
    torch.testing.assert_close(room[:, 3:40], wanted)
    assert torch.equal(room[:, :3], before[:, :3])
    assert torch.equal(room[:, 40:], before[:, 40:])


@pytest.mark.parametrize("elu_first", [False, True])
@pytest.mark.parametrize("everybody", [False, True])
def test_a_convolution_remembers_what_came_before(made, everybody, elu_first):
    """Against the same, done by cutting and joining; rows that sit a step out remember what they did."""
    for steps, channels, time in ((0, 3, 4), (1, 1, 1), (2, 5, 3), (6, 7, 2), (3, 16, 8)):
        shapes = []
        memory = Memory(shapes, steps, channels)
        state = StreamState.fresh(shapes, 4, torch.device("cpu"))
        past = torch.zeros(4, steps, channels)
        for moment in range(4):
            x = torch.randn(3, time, channels)
            x[0, 0, 0] = NAN if moment == 2 else 1.0
            active = None if everybody else torch.tensor([True, moment % 2 == 0, False])
            joined = memory.extend(x, state, active, elu=elu_first)
            fresh = torch.nn.functional.elu(x.double()).float() if elu_first else x
            wanted = torch.cat([past[:3], fresh], 1)
            torch.testing.assert_close(joined, wanted, equal_nan=True)
            for row in range(3):
                if steps and (active is None or active[row]):
                    past[row] = wanted[row, -steps:]
            if steps:
                torch.testing.assert_close(state.past[0], past, equal_nan=True)
