"""What the convolutions near the samples are made of on a CPU, against torch's operators."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from personaplex_server.kernels import machine
from personaplex_server.kernels.weights import Weights
from personaplex_server.model.layers import gelu
from personaplex_server.model.streams import Memory, StreamState


def numbers(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_nothing_is_written_beside_few_outputs(made):
    for outputs in range(1, made.lanes + 1):
        ours, x = Weights(made, numbers(outputs, 5)), numbers(20, 5)
        room = torch.full((20 * outputs + 2,), 7.0)
        out = room[1:-1].view(20, outputs)
        ours.windows(x, torch.arange(20) * 5, out)
        assert room[0] == room[-1] == 7.0
        assert torch.equal(out, ours(x))


@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize(("steps", "time", "channels"), [(2, 7, 3), (5, 2, 1), (0, 4, 5)])
def test_a_stream_remembers_its_end_where_the_row_took_part(made, elu, steps, time, channels):
    def run():
        shapes = []
        memory = Memory(shapes, steps, channels)
        state = StreamState.fresh(shapes, 5, torch.device("cpu"))
        seen = []
        for moment, active in enumerate((None, [True, False, True], None)):
            x = numbers(3, time, channels, seed=moment)
            mask = None if active is None else torch.tensor(active)
            seen.append(memory.extend(x, state, mask, elu=elu).clone())
        return seen, state.past

    mine, past = run()
    # The test's own `monkeypatch` is undone after `made`, and would undo what that did.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_made", lambda: None)
        machine.kernels.cache_clear()
        wanted, wanted_past = run()
    for got, each in zip([*mine, *past], [*wanted, *wanted_past], strict=True):
        torch.testing.assert_close(got, each, atol=1e-6, rtol=1e-6)
    if steps:
        assert past[0][0].any()
        assert not past[0][3:].any()


def test_gelu(made):
    x = torch.cat([torch.linspace(-12, 12, 10_001), torch.tensor([0.0, torch.inf, torch.nan])])
    got, wanted = gelu(x), F.gelu(x.double()).float()
    torch.testing.assert_close(got, wanted, atol=6e-7, rtol=1e-6, equal_nan=True)
    for start in range(5):
        assert torch.equal(gelu(x[start : start + 3]), got[start : start + 3])
