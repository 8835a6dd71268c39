"""The processor's own functions keep to the memory that they are given.

What they read and write lies right before, and right behind, pages that nobody may touch: going too far ends the
process, which is one of its own therefore.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

GUARDED = """
import ctypes, math, mmap, sys, torch
from personaplex_server.kernels.machine import kernels
from personaplex_server.kernels.record import SAMPLE_BLOCK
from personaplex_server.kernels.weights import Weights

torch.set_num_threads(1)
torch.manual_seed(1)
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
kept = []

def between(tensor, *, end):
    '''Return a copy whose last number lies before a forbidden page, or whose first lies behind one.'''
    page = mmap.PAGESIZE
    size = tensor.numel() * tensor.element_size()
    room = page * max(1, math.ceil(size / page))
    area = mmap.mmap(-1, room + 2 * page)
    there = (ctypes.c_char * len(area)).from_buffer(area)
    kept.append(there)
    start = ctypes.addressof(there)
    for fence in (start, start + page + room):
        assert libc.mprotect(fence, page, 0) == 0
    offset = page + (room - size if end else 0)
    if not size:
        return tensor
    inside = torch.frombuffer(area, dtype=tensor.dtype, count=tensor.numel(), offset=offset)
    return inside.view(tensor.shape).copy_(tensor)

def fenced(weights, end):
    '''Put everything that describes weights between fences.'''
    whole = [between(each, end=end) for each in weights._kept]
    plan = weights._plan.clone()
    for index in range(len(plan)):
        for old, new in zip(weights._kept, whole):
            if int(plan[index]) == old.data_ptr():
                plan[index] = new.data_ptr()
    weights._kept, weights._plan = whole, between(plan, end=end)
    return weights

made = kernels()
for end in (True, False):
    for rows in (1, 2, 6, 7, 13):
        for inputs, outputs in ((1, 1), (5, 7), (300, 17), (256, 16), (9, 33), (20, 130)):
            for small in (False, True):
                weight = torch.randn(outputs, inputs)
                if small:
                    weight = (weight * 30).to(torch.int8)
                scale = torch.rand(outputs) if small else None
                bias = torch.randn(outputs)
                plain = Weights(made, weight, bias, scale=scale)
                x = torch.randn(rows, inputs)
                wanted = plain(x)
                ours = fenced(Weights(made, weight, bias, scale=scale), end)
                out = between(torch.zeros(rows, outputs), end=end)
                assert torch.equal(ours.onto(out, between(x, end=end)), wanted + 0.0)
                begins = between(torch.arange(rows) * inputs, end=end)
                assert torch.equal(ours.windows(between(x, end=end), begins, out), wanted)
from personaplex_server.model.layers import attend_own, embedded, gated, rms_norm
from personaplex_server.model.streams import elu_
for end in (True, False):
    for width in (1, 7, 8, 9, 16, 33):
        x, gain = torch.randn(3, width), torch.randn(width)
        assert torch.equal(rms_norm(between(x, end=end), between(gain, end=end)), rms_norm(x, gain))
        both = torch.randn(3, 2 * width)
        assert torch.equal(gated(between(both, end=end)), gated(both))
        out = between(torch.empty(3, width), end=end)
        wanted = torch.empty(3, width)
        elu_(x, wanted)
        elu_(between(x, end=end), out)
        assert torch.equal(out, wanted)
    for width in (8, 24, 64):
        for count, window in ((1, 4), (2, 8), (1, 13), (2, 40)):
            joint = torch.randn(3, count, 3 * 2 * width)
            memory = torch.randn(2, 3, 2, window, width)
            positions = torch.tensor([0, window - 1, 3 * window + 1])
            angles = torch.randn(3, count, width // 2)
            turns = torch.complex(angles.cos(), angles.sin())
            wanted = attend_own(joint.clone(), memory.clone(), positions, turns)
            got = attend_own(
                *(between(each, end=end) for each in (joint, memory, positions, turns))
            )
            assert torch.equal(got, wanted)
    for tokens in (1, 5, 64, 65, 650, 4200):
        logits, spins = torch.randn(3, tokens), torch.rand(3, 2)
        scale, last = torch.tensor([0.7, 0.0, 1.2]), torch.tensor([0, 0, min(30, tokens - 1)])
        room = torch.empty(-(-tokens // SAMPLE_BLOCK) * (2 * SAMPLE_BLOCK + 3) + 2 * SAMPLE_BLOCK)
        for held in (None, torch.tensor([-1, 0, -1])):
            drawn = []
            for place in (lambda each: each, lambda each: between(each, end=end)):
                mine = None if held is None else place(held)
                out = place(torch.zeros(3, dtype=torch.int64))
                given = [place(each) for each in (logits, scale, last, spins)]
                made.draw(*given, 2, mine, 1, out, place(room), 3, tokens)
                drawn.append(out.tolist())
            assert drawn[0] == drawn[1]
    for width in (1, 7, 8, 33):
        table, first = torch.randn(9, width), torch.randn(3, width)
        tokens = torch.tensor([[0, 5], [3, 8], [2, 6]])
        starts = torch.zeros(2, dtype=torch.int64)
        wanted = embedded(tokens, table, starts, first)
        given = [between(each, end=end) for each in (tokens, table, starts, first)]
        assert torch.equal(embedded(*given), wanted)
print("kept to it")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pages are fenced off by other means there")
def test_nothing_is_touched_that_was_not_given(native):
    done = subprocess.run(
        [sys.executable, "-c", GUARDED], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (0, "kept to it\n"), done.stderr[-2000:]
