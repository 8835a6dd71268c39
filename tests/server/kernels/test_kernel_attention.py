"""Attention of the processor's own functions, against the same written plainly in double precision."""

from __future__ import annotations

import threading

import pytest
import torch

from personaplex_server.model.layers import attend_own, attends

HEADS = 3


def plainly(joint, memory, positions, turns):
    """Return what is answered, and what is remembered then; [rows, count, heads * width] and like `memory`."""
    rows, count, _ = joint.shape
    _, _, heads, window, width = memory.shape
    parts = joint.double().view(rows, count, 3, heads, width)
    keys, values = memory.double().clone()
    out = torch.empty(rows, count, heads, width, dtype=torch.float64)
    for row in range(rows):
        for head in range(heads):
            asked = []
            for new in range(count):
                query, key, value = parts[row, new, :, head]
                if turns is not None:
                    query, key = (
                        torch.view_as_real(
                            torch.view_as_complex(each.view(-1, 2).contiguous()) * turns[row, new]
                        ).flatten()
                        for each in (query, key)
                    )
                slot = (int(positions[row]) + new) % window
                keys[row, head, slot], values[row, head, slot] = key, value
                asked.append(query)
            for new, query in enumerate(asked):
                now = int(positions[row]) + new
                newest = int(positions[row]) + count - 1
                # The slot of a position that comes later in this step holds nothing that may be heard.
                heard = range(max(0, newest - window + 1), now + 1)
                slots = [p % window for p in heard]
                chances = torch.softmax(keys[row, head, slots] @ query * width**-0.5, 0)
                out[row, new, head] = chances @ values[row, head, slots]
    return out.flatten(2), torch.stack([keys, values])


def turning(rows, count, width):
    angles = torch.randn(rows, count, width // 2)
    return torch.complex(angles.cos(), angles.sin())


def given(rows, count, window, width, spare=0):
    joint = torch.randn(rows, count, 3 * HEADS * width) * 1.5
    memory = torch.randn(2, rows + spare, HEADS, window, width)
    return joint, memory


@pytest.mark.parametrize("width", [8, 16, 24, 40, 64, 128])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("turned", [True, False], ids=["turned", "not turned"])
def test_attention_is_the_plain_one(native, width, count, turned):
    for window in (4, 8, 13, 40):
        positions = torch.tensor([0, 1, 3, window - 1, window, 3 * window + 5, 10_000_019])
        joint, memory = given(len(positions), count, window, width)
        turns = turning(len(positions), count, width) if turned else None
        wanted, remembered = plainly(joint, memory, positions, turns)
        assert attends(memory)
        got = attend_own(joint, memory, positions, turns)
        torch.testing.assert_close(got.double(), wanted, atol=2e-6, rtol=2e-6)
        torch.testing.assert_close(memory.double(), remembered, atol=1e-6, rtol=1e-6)


def test_a_row_is_the_same_to_the_last_bit_alone_and_in_any_company(native):
    positions = torch.tensor([0, 5, 12, 13, 100])
    joint, memory = given(5, 2, 13, 32)
    turns = turning(5, 2, 32)
    alone = [
        attend_own(
            joint[row : row + 1].clone(),
            memory[:, row : row + 1].clone(),
            positions[row : row + 1],
            turns[row : row + 1].clone(),
        )
        for row in range(5)
    ]
    assert torch.equal(attend_own(joint, memory, positions, turns), torch.cat(alone))


def test_rows_that_do_not_take_part_are_left_alone(native):
    joint, memory = given(2, 1, 6, 16, spare=2)
    before = memory.clone()
    attend_own(joint, memory, torch.tensor([2, 9]))
    assert torch.equal(memory[:, 2:], before[:, 2:])
    assert attend_own(joint[:0], memory, torch.tensor([], dtype=torch.int64)).shape == (0, 1, 48)


def test_slots_that_were_never_written_are_not_read(native):
    joint, memory = given(1, 1, 20, 16)
    memory.fill_(float("nan"))
    for position in range(20):
        got = attend_own(joint.clone(), memory, torch.tensor([position]))
        assert got.isfinite().all()


def test_what_is_no_number_is_heard_by_its_own_row_alone(native):
    joint, memory = given(3, 1, 9, 16)
    joint[1, 0, 2] = float("nan")
    got = attend_own(joint, memory, torch.tensor([4, 4, 4]))
    assert got[0].isfinite().all()
    assert got[1, 0, :16].isnan().all()
    assert got[1, 0, 16:].isfinite().all()
    assert got[2].isfinite().all()


def test_scores_as_large_as_they_come(native):
    """One position is far likelier than the others: the largest score is taken off before powers are."""
    joint, memory = given(1, 1, 9, 16)
    joint[:, :, : HEADS * 16] = 1e4
    wanted, _ = plainly(joint, memory, torch.tensor([30]), None)
    got = attend_own(joint, memory, torch.tensor([30]))
    torch.testing.assert_close(got.double(), wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("width", [2, 6, 12, 20])
def test_heads_that_fit_no_vector_are_left_to_torch(native, width):
    assert not attends(torch.zeros(2, 1, 1, 4, width))


def test_memories_elsewhere_are_left_to_torch(native):
    assert not attends(torch.zeros(2, 1, 1, 4, 16, dtype=torch.bfloat16))
    assert not attends(torch.zeros(2, 1, 1, 4, 16, device="meta"))


def test_many_threads_attend_at_once(native):
    work = []
    for width in (16, 48, 56):
        joint, memory = given(4, 1, 30, width)
        positions = torch.tensor([3, 29, 30, 80])
        wanted = plainly(joint, memory, positions, None)[0]
        work.append((joint, memory, positions, wanted))
    wrong = []

    def run(joint, memory, positions, wanted):
        for _ in range(200):
            got = attend_own(joint, memory, positions)
            if (got - wanted).abs().max() > 1e-5:
                wrong.append(1)

    threads = [threading.Thread(target=run, args=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
