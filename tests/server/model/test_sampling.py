"""Tokens are drawn as often as their probability says, and by each row's own luck."""

from __future__ import annotations

import pytest
import torch

from personaplex_server.model.sampling import (
    Draw,
    RowSampler,
    by_operators,
    choose,
    draws,
    likeliest,
)

CPU = torch.device("cpu")


def drawing(temperatures, ks, spins, greedy=None):
    return Draw(
        1 / torch.tensor(temperatures).unsqueeze(1),
        torch.tensor(ks).unsqueeze(1) - 1,
        spins,
        greedy,
        max(ks),
    )


def sampler(seed=1, text=(1.0, 0), audio=(1.0, 0), text_card=6, card=5, codebooks=2):
    return RowSampler(text, audio, text_card=text_card, card=card, codebooks=codebooks, seed=seed)


@pytest.mark.parametrize("way", [choose, by_operators])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("temperature", "top_k"), [(1.0, 0), (0.5, 0), (1.0, 3), (2.0, 4), (0.7, 1)]
)
def test_frequencies_are_the_probabilities(temperature, top_k, wide, way):
    count = 20_000
    logits = torch.tensor([0.3, 2.0, -1.0, 1.1, 1.9, 0.0])
    if wide:
        # Spread over several blocks, among tokens that are never drawn.
        places = torch.tensor([3, 64, 70, 127, 128, 200])
        logits = torch.full((201,), float("-inf")).index_copy(0, places, logits)
    luck = torch.rand(count, 2, generator=torch.Generator().manual_seed(5))
    draw = drawing([temperature] * count, [top_k or 6] * count, luck)
    tokens = way(logits.repeat(count, 1), draw)
    drawn = torch.bincount(tokens, minlength=len(logits)) / count
    wanted = (logits / temperature).softmax(0)
    if top_k:
        wanted[wanted < wanted.topk(top_k).values[-1]] = 0.0
        wanted /= wanted.sum()
    # Four standard deviations of the least certain frequency.
    assert (drawn - wanted).abs().max() < 4 * 0.5 / count**0.5
    assert torch.equal(drawn > 0, wanted > 0)


@pytest.mark.parametrize("way", [choose, by_operators])
@pytest.mark.parametrize("tokens", [5, 64, 2048, 2049, 32000])
def test_the_most_extreme_luck_stays_among_the_likeliest(tokens, way):
    logits = 4 * torch.randn(4, tokens, generator=torch.Generator().manual_seed(1))
    logits[1, 4:] = -1e30
    logits[2] -= 1e6
    logits[3, 1:] = float("-inf")
    ks = [min(k, tokens) for k in (25, 25, 3, 1)]
    for spin in (0.0, 0.5, 1.0 - 2.0**-24):
        draw = drawing([0.8, 0.8, 0.02, 1.0], ks, torch.full((4, 2), spin))
        for row, token in enumerate(way(logits, draw).tolist()):
            assert token in logits[row].topk(ks[row]).indices.tolist()


@pytest.mark.parametrize("tokens", [64, 2048, 2500])
def test_the_exact_draw_is_from_the_likeliest_alone(tokens):
    luck = torch.Generator().manual_seed(tokens)
    rows = 200
    # Almost even chances: the first draw is hardly ever among the few likeliest.
    logits = 0.1 * torch.randn(rows, tokens, generator=luck) - 0.05
    ks = [1 + row % 30 for row in range(rows)]
    spins = torch.rand(rows, 2, generator=luck)
    for row, token in enumerate(choose(logits, drawing([1.0] * rows, ks, spins)).tolist()):
        assert logits[row].gt(logits[row, token]).sum() < ks[row]


def test_tokens_that_are_equally_likely_are_drawn_alike():
    logits = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0]).repeat(3000, 1)
    luck = torch.rand(3000, 2, generator=torch.Generator().manual_seed(6))
    counts = torch.bincount(choose(logits, drawing([1.0] * 3000, [3] * 3000, luck)), minlength=5)
    assert counts.tolist()[::3] == [0, 0]
    assert (counts[[1, 2, 4]] - 1000).abs().max() < 4 * 26


def test_numbers_that_are_none_give_a_token():
    logits = torch.randn(3, 100)
    logits[0] = float("nan")
    logits[1, 7] = float("inf")
    logits[2, 50:] = float("nan")
    drawn = choose(logits, drawing([1.0] * 3, [25] * 3, torch.rand(3, 2)))
    assert ((drawn >= 0) & (drawn < 100)).all()


@pytest.mark.parametrize("tokens", [5, 64, 2048])
def test_a_token_that_is_given_is_not_drawn(tokens):
    logits = torch.randn(4, tokens)
    kept = torch.tensor([[3, -1], [-1, 3], [4, -1], [-1, 0]])
    draw = drawing([0.5] * 4, [3] * 4, torch.rand(4, 2))
    free = choose(logits, draw).tolist()
    assert choose(logits, draw, kept[:, 0]).tolist() == [3, free[1], 4, free[3]]
    likeliest = logits.argmax(1).tolist()
    assert choose(logits, None, kept[:, 1]).tolist() == [likeliest[0], 3, likeliest[2], 0]


def test_the_likeliest_are_found_in_blocks():
    logits = torch.randn(3, 8192, generator=torch.Generator().manual_seed(2))
    top, which = likeliest(logits, 25)
    expected = logits.topk(25)
    assert torch.equal(top, expected.values)
    assert torch.equal(which, expected.indices)


def test_temperature_nought_is_greedy():
    text, audio = draws([sampler(text=(0.0, 25), audio=(0.0, 0))], [True], CPU)
    assert text is None
    assert audio is None
    assert choose(torch.tensor([[0.1, 3.0, 2.0]]), None).tolist() == [1]


def test_a_greedy_row_among_others_takes_the_first_likeliest():
    rows = [sampler(1), sampler(2, text=(0.0, 0)), sampler(3, text=(1.0, 2))]
    logits = torch.tensor([1.0, 7.0, 7.0, 0.0, 6.9, 6.8]).repeat(3, 1)
    seen = set()
    for _ in range(200):
        text, _ = draws(rows, [True] * 3, CPU)
        tokens = choose(logits, text).tolist()
        assert tokens[1] == 1
        assert tokens[2] in (1, 2)
        seen.add(tokens[0])
    assert len(seen) > 2


def test_a_row_draws_the_same_among_neighbours_of_any_kind():
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))

    def run(others):
        mine, said = sampler(9, text=(0.8, 3)), []
        for tick in range(60):
            text, audio = draws([*others, mine], [True] * (len(others) + 1), CPU)
            said.append(int(choose(logits[tick % 4].repeat(len(others) + 1, 1), text)[-1]))
            said.append(
                int(choose(logits[tick % 4, :5].repeat(len(others) + 1, 1), audio.at(1))[-1])
            )
        return said

    expected = run([])
    assert run([sampler(1)]) == expected
    assert run([sampler(1, text=(0.0, 0)), sampler(2, text=(3.0, 6), audio=(1.0, 1))]) == expected


@pytest.mark.parametrize("tokens", [5, 64, 2048, 32000])
def test_a_row_draws_the_same_alone_and_among_others(tokens):
    luck = torch.Generator().manual_seed(tokens)
    logits = 2 * torch.randn(64, tokens, generator=luck)
    ks = [min(tokens, 1 + 7 * row) for row in range(64)]
    draw = drawing([0.3 + 0.02 * row for row in range(64)], ks, torch.rand(64, 2, generator=luck))
    together = choose(logits, draw).tolist()
    for row in range(64):
        alone = slice(row, row + 1)
        own = Draw(draw.scale[alone], draw.last[alone], draw.spins[alone], None, ks[row])
        assert choose(logits[alone], own).tolist() == together[alone]


def test_a_row_that_sits_out_keeps_its_luck():
    def run(pauses):
        one, out = sampler(4), []
        for tick in range(40):
            active = tick not in pauses
            text, _ = draws([one], [active], CPU)
            if active:
                out.append(text.spins)
        return torch.stack(out)

    assert torch.equal(run({3, 4, 17}), run(set())[:37])


def test_seeds():
    def noise(seed):
        return torch.stack([sampler(seed).spins() for _ in range(3)])

    assert torch.equal(noise(5), noise(5))
    assert not torch.equal(noise(5), noise(6))
    assert not torch.equal(noise(None), noise(None))
    assert noise(-1).isfinite().all()
    assert noise(1 << 70).isfinite().all()


def test_codebooks_are_drawn_independently():
    _, audio = draws([sampler()], [True], CPU)
    assert audio.spins.shape == (1, 2, 2)
    assert (audio.at(0).spins != audio.at(1).spins).any()


@pytest.mark.parametrize(
    ("text", "audio", "said"),
    [
        ((-0.1, 0), (1.0, 0), "text temperature"),
        ((1.0, 0), (float("nan"), 0), "audio temperature"),
        ((float("inf"), 0), (1.0, 0), "text temperature"),
        ((1.0, -1), (1.0, 0), "text top-k"),
        ((1.0, 0), (1.0, -5), "audio top-k"),
    ],
)
def test_values_out_of_range(text, audio, said):
    with pytest.raises(ValueError, match=said):
        sampler(text=text, audio=audio)


def test_top_k_beyond_the_vocabulary_means_all():
    assert sampler(text=(1.0, 10_000)).text_k == 6
