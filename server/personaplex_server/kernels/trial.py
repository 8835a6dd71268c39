"""Trying what was compiled, before anybody relies on it: compilers err, and processors are not always what they say.

Each function works on a few small inputs whose sizes fit no vector, and is compared with torch in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses

from .record import SAMPLE_BLOCK, Replay
from .weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from .record import Function, Functions

_NEAR: Final = 1e-5
"""By how much a result may differ, as a share of the largest of its kind."""
_EXTREMES: Final = (-3e38, -1e4, -88.5, -87.0, -1.0, -1e-30, 0.0, 1e-30, 1.0, 88.5, 1e4, 3e38)
_SPECIAL: Final = (*_EXTREMES, float("inf"), float("nan"))
_WINDOW: Final = 11


class TrialError(RuntimeError):
    """A function's result is wrong on this computer."""


def check(made: Functions) -> None:
    """Try all functions but attention.

    Raises:
        TrialError: One of them is wrong.
    """
    luck = torch.Generator().manual_seed(1)
    for small in (False, True):
        _products(made, luck, small=small)
    _pointwise(made, luck)
    _draws(made, luck)
    _replays(made, luck)


def check_attention(attend: Function, width: int) -> None:
    """Try the attention of heads of `width`.

    Raises:
        TrialError: It is wrong.
    """
    luck = torch.Generator().manual_seed(width)
    heads, positions = 2, torch.tensor([0, 4, 30])
    for count, turned in ((1, False), (2, True)):
        joint = torch.randn(3, count, 3, heads, width, generator=luck)
        memory = torch.randn(2, 3, heads, _WINDOW, width, generator=luck)
        angles = torch.randn(3, count, width // 2, generator=luck)
        turns = torch.stack([angles.cos(), angles.sin()], -1)
        wanted = _attention(joint, memory, positions, turns if turned else None)
        out, scores = torch.empty(3, count, heads, width), torch.empty(_WINDOW + 8)
        keys, values = memory
        shape = (3, count, heads, _WINDOW)
        turning = turns if turned else None
        attend(joint, keys, values, turning, positions, scores, out, *shape)
        _compare(f"attention over heads of {width}", out, wanted)


def _compare(name: str, got: Tensor, wanted: Tensor) -> None:
    limit = _NEAR * wanted.nan_to_num(0.0, 0.0, 0.0).abs().clamp(min=1.0)
    if not torch.isclose(got.double(), wanted, rtol=0.0, atol=0.0, equal_nan=True).logical_or(
        (got.double() - wanted).abs() <= limit
    ).all():  # fmt: skip
        raise TrialError(f"{name} came out wrong")


def _products(made: Functions, luck: torch.Generator, *, small: bool) -> None:
    name = "the product of 8-bit weights" if small else "the product"
    panel = 2 * made.lanes
    shapes = [(1, 300, 5 * panel + 3), (2, 1, 3 * panel), (14, 270, panel + 3), (130, 5, panel)]
    for rows, inputs, outputs in [*shapes, *((14, 270, most - 1) for most in made.narrow)]:
        bias = torch.randn(outputs, generator=luck)
        if small:
            weight = torch.randint(-127, 128, (outputs, inputs), generator=luck).to(torch.int8)
            scale = torch.rand(outputs, generator=luck) / 127
            exact = weight.double() * scale.double().unsqueeze(1)
        else:
            weight, scale = torch.randn(outputs, inputs, generator=luck), None
            exact = weight.double()
        x = torch.randn(rows, inputs, generator=luck) / inputs**0.5
        total = torch.randn(rows, outputs, generator=luck)
        wanted = F.linear(x.double(), exact, bias.double())
        ours = Weights(made, weight, bias, scale=scale)
        got = ours(x)
        _compare(name, got, wanted)
        if not torch.equal(ours(x[-1:]), got[-1:]):
            raise TrialError(f"{name} differs for a row alone and among others")
        summed = total + wanted
        _compare(name, ours.onto(total, x), summed)
        if not small and inputs > panel:
            # Two pieces of inputs that lie apart, as those of a convolution do.
            taps = ((0, 20), (25, inputs - 20))
            parted = Weights(made, weight, bias, taps=taps)
            line = torch.randn(3 * rows + inputs + 5, generator=luck) / inputs**0.5
            begins = torch.arange(rows) * 3
            windows = line.unfold(0, inputs + 5, 3)[:rows].double()
            windows = torch.cat([windows[:, start : start + size] for start, size in taps], 1)
            got = parted.windows(line, begins, torch.empty(rows, outputs))
            _compare("the product of windows", got, F.linear(windows, exact, bias.double()))


def _draws(made: Functions, luck: torch.Generator) -> None:
    tokens, few = 10 * SAMPLE_BLOCK - 3, 80
    logits = torch.randn(6, tokens, generator=luck)
    likeliest = logits.argmax(1)
    most = torch.full((6, 1), tokens - 1)
    most[0], most[4:] = 0, few - 1
    scale = torch.tensor([[2.0], [0.0], [0.5], [0.5], [0.5], [0.5]])
    chances = (logits.double() * scale).softmax(1)
    among = chances * (logits >= logits.topk(few).values[:, -1:])

    def spin(chances: Tensor, token: int) -> float:
        """Return what draws a token from the middle of its share."""
        before = chances[:token].sum() + chances[token] / 2
        return float(before / chances.sum())

    first, low = int(among[4].nonzero()[few // 2]), int(logits[5].argmin())
    second = int(among[5].nonzero()[few // 3])
    spins = torch.tensor([0.9, 0.9, 0.9, spin(chances[3], 300), spin(chances[4], first), 0.0])
    spins = torch.stack([spins, torch.zeros(6)], 1)
    spins[0, 1] = 0.9
    # This row's first draw is none of the few; its second one is.
    spins[5, 0], spins[5, 1] = spin(chances[5], low), spin(among[5], second)
    kept = torch.tensor([-1, -1, 7, -1, -1, -1])
    got = torch.empty(6, dtype=torch.int64)
    room = torch.empty(10 * (2 * SAMPLE_BLOCK + 3) + 2 * SAMPLE_BLOCK)
    made.draw(logits, scale, most, spins, 2, kept, 1, got, room, 6, tokens)
    if got.tolist() != [int(likeliest[0]), int(likeliest[1]), 7, 300, first, second]:
        raise TrialError("the draw of a token came out wrong")


def _replays(made: Functions, luck: torch.Generator) -> None:
    ours = Weights(made, torch.randn(5, 9, generator=luck), torch.randn(5, generator=luck))
    replay = Replay(made.run, ours)
    first, second = torch.randn(2, 3, 9, generator=luck)
    replay(first)
    if not torch.equal(replay(second), ours(second)):
        raise TrialError("a call that is done again came out wrong")


def _pointwise(made: Functions, luck: torch.Generator) -> None:
    width = 2 * made.lanes + 5
    x, gain = torch.randn(2, width, generator=luck), torch.randn(width, generator=luck)
    out = torch.empty_like(x)
    made.norm(x, gain, out, 2, width)
    _compare("the norm", out, F.rms_norm(x.double(), (width,), gain.double(), 1e-8))
    table, starts = torch.randn(9, width, generator=luck), torch.tensor([0, 4])
    lines = torch.tensor([[3, 1], [0, 4]])
    made.embed(lines, 2, starts, 2, table, x, width, out, 2, width)
    _compare("the sum of embeddings", out, x.double() + table.double()[lines + starts].sum(1))
    numbers = torch.tensor([*_SPECIAL, *torch.linspace(-20.0, 20.0, 2 * made.lanes).tolist()])
    width = len(numbers)
    out = torch.empty(width)
    both = torch.cat([numbers, torch.ones(width)])
    made.gate(both, out, 1, width)
    _compare("the gate", out, F.silu(numbers.double()))
    made.elu(numbers, out, 1, width, width, width)
    bent = F.elu(numbers.double())
    _compare("ELU", out, bent)
    made.gelu(numbers, out, width)
    _compare("GELU", out, F.gelu(numbers.double()))
    active = torch.tensor([True, False])
    for extend, wanted in ((made.extend, numbers.double()), (made.extend_elu, bent)):
        past, joined = torch.randn(2, 3, generator=luck), torch.empty(2, 3 + width)
        joint = torch.cat([past.double(), wanted.expand(2, width)], 1)
        after = torch.stack([joint[0, -3:], joint[1, :3]])
        both = numbers.repeat(2)
        extend(both, past, joined, active, 2, width, 3)
        _compare("what a convolution remembers", joined, joint)
        _compare("what a convolution remembers", past, after)


def _attention(joint: Tensor, memory: Tensor, positions: Tensor, turns: Tensor | None) -> Tensor:
    """What attention gives, position by position; `joint` and `memory` stay as they are."""
    joint, (keys, values) = joint.double(), memory.double()
    if turns is not None:
        turning = joint[:, :, :2].contiguous()
        pairs = torch.view_as_complex(turning.view(*turning.shape[:-1], -1, 2))
        pairs = pairs * torch.view_as_complex(turns.double())[:, :, None, None]
        joint = torch.cat([torch.view_as_real(pairs).flatten(-2), joint[:, :, 2:]], 2)
    rows, count, _, heads, width = joint.shape
    out = joint.new_empty(rows, count, heads, width)
    for row, start in enumerate(positions.tolist()):
        slots = [(start + new) % _WINDOW for new in range(count)]
        keys[row, :, slots] = joint[row, :, 1].transpose(0, 1)
        values[row, :, slots] = joint[row, :, 2].transpose(0, 1)
        seen = min(start + count, _WINDOW)
        for new in range(count):
            scores = (keys[row, :, :seen] @ joint[row, new, 0].unsqueeze(-1)).squeeze(-1)
            scores[:, slots[new + 1 :]] = float("-inf")
            shares = torch.softmax(scores * width**-0.5, -1)
            out[row, new] = (shares.unsqueeze(1) @ values[row, :, :seen]).squeeze(1)
    return out
