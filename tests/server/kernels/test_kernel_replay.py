"""Work that was written down is done again on other numbers, and anew when there are more rows or fewer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from personaplex_server.kernels.record import Replay
from personaplex_server.model.layers import embedded, gated, rms_norm
from personaplex_server.model.linear import Linear
from personaplex_server.model.sampling import Draw, choose

LUCK = torch.Generator().manual_seed(1)
TABLE, ALPHA = torch.randn(10, 24, generator=LUCK), torch.rand(24, generator=LUCK)
WIDEN, HEAD = (torch.randn(shape, generator=LUCK) / 5 for shape in ((64, 24), (70, 32)))
STARTS = torch.tensor([0, 5])


@pytest.fixture
def speak(made):
    widen, head = Linear(WIDEN), Linear(HEAD)

    def work(tokens, scale, last, spins):
        x = rms_norm(embedded(tokens, TABLE, STARTS), ALPHA)
        logits = head(gated(widen(x)))
        return logits, choose(logits, Draw(scale, last, spins, None, 1))

    return work


def given(rows):
    return (
        torch.randint(5, (rows, 2), generator=LUCK),
        torch.full((rows, 1), 1.5),
        torch.full((rows, 1), 9),
        torch.rand(rows, 2, generator=LUCK),
    )


def test_a_replay_is_the_work_itself_for_any_rows(made, speak):
    written = []

    def work(*tensors):
        written.append(len(tensors[0]))
        return speak(*tensors)

    replay = Replay(made.run, work)
    for rows in (3, 3, 3, 1, 1, 4, 4, 3):
        tensors = given(rows)
        logits, tokens = replay(*tensors)
        expected = speak(*tensors)
        assert torch.equal(logits, expected[0])
        assert torch.equal(tokens, expected[1])
    assert written == [3, 1, 4, 3]


def test_replays_written_down_by_one_thread_are_done_by_others_at_once(made, speak):
    replays = [Replay(made.run, speak) for _ in range(2)]
    tensors = [given(8) for _ in replays]
    expected = [replay(*each)[0].clone() for replay, each in zip(replays, tensors, strict=True)]

    def again(which):
        return [
            torch.equal(replays[which](*tensors[which])[0], expected[which])
            and replays[which](*tensors[which])[1].tolist() == tokens[which]
            for _ in range(300)
        ]

    tokens = [replay(*each)[1].tolist() for replay, each in zip(replays, tensors, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        assert all(map(all, pool.map(again, range(2))))


def test_work_that_fails_is_written_down_the_next_time(made, speak):
    broken = True

    def work(*tensors):
        spoken = speak(*tensors)
        if broken:
            raise RuntimeError("no more")
        return spoken

    replay = Replay(made.run, work)
    tensors = given(2)
    with pytest.raises(RuntimeError):
        replay(*tensors)
    broken = False
    for _ in range(3):
        tensors = given(2)
        assert torch.equal(replay(*tensors)[0], speak(*tensors)[0])


def test_a_line_is_the_sum_of_its_streams(made):
    tokens = torch.randint(5, (7, 2), generator=LUCK)
    first = torch.randn(7, 3, 24, generator=LUCK)[:, 1]
    wanted = TABLE[tokens[:, 0]] + TABLE[5 + tokens[:, 1]]
    assert torch.allclose(embedded(tokens, TABLE, STARTS), wanted, atol=1e-6)
    assert torch.allclose(embedded(tokens.int(), TABLE, STARTS, first), first + wanted, atol=1e-6)
    alone = embedded(tokens[:, :1], TABLE, first=first)
    assert torch.equal(alone, first + TABLE[tokens[:, 0]])


@pytest.mark.parametrize("tokens", [5, 64, 650, 2048])
def test_tokens_are_drawn_from_the_likeliest(made, tokens):
    rows = 60
    logits = 0.3 * torch.randn(rows, tokens, generator=LUCK)
    ks = torch.tensor([1 + row % min(30, tokens) for row in range(rows)]).unsqueeze(1)
    scale = torch.full((rows, 1), 1.25)
    scale[::7] = 0.0
    drawn = choose(
        logits, Draw(scale, ks - 1, torch.rand(rows, 2, generator=LUCK), None, 30)
    ).unsqueeze(1)
    rank = (logits > logits.gather(1, drawn)).sum(1, keepdim=True)
    assert (rank < ks).all()
    assert (rank[::7] == 0).all()
