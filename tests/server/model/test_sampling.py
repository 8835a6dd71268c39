"""Tokens are drawn as often as their probability says, and by each row's own luck."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personaplex_server.model import host, sampling
from personaplex_server.model.host import HostDraw
from personaplex_server.model.sampling import Draw, RowSampler, choose, draws, likeliest

CPU = torch.device("cpu")


def for_gpu(draw):
    """The draw that a GPU would be given."""
    return Draw(
        torch.from_numpy(draw.scale),
        torch.from_numpy(draw.k).unsqueeze(1) - 1,
        torch.from_numpy(draw.spins),
        None if draw.greedy is None else torch.from_numpy(draw.greedy),
        draw.most,
    )


def sampler(seed=1, text=(1.0, 0), audio=(1.0, 0), text_card=6, card=5, codebooks=2):
    return RowSampler(text, audio, text_card=text_card, card=card, codebooks=codebooks, seed=seed)


@pytest.mark.parametrize("way", ["cpu", "gpu", "wide"])
@pytest.mark.parametrize(
    ("temperature", "top_k"), [(1.0, 0), (0.5, 0), (1.0, 3), (2.0, 4), (0.7, 1)]
)
def test_frequencies_are_the_probabilities(temperature, top_k, way, monkeypatch):
    count = 20_000
    if way == "wide":
        monkeypatch.setattr(sampling, "_WIDE", 6)
    logits = torch.tensor([0.3, 2.0, -1.0, 1.1, 1.9, 0.0])
    generator = np.random.default_rng(5)
    draw = HostDraw.of(
        [1 / temperature] * count,
        [top_k or 6] * count,
        generator.random((count, 2), np.float32),
        [True] * count,
    )
    rows = for_gpu(draw) if way == "gpu" else draw
    drawn = torch.bincount(choose(logits.repeat(count, 1), rows), minlength=6) / count
    wanted = (logits / temperature).softmax(0)
    if top_k:
        wanted[wanted < wanted.topk(top_k).values[-1]] = 0.0
        wanted /= wanted.sum()
    # Four standard deviations of the least certain frequency.
    assert (drawn - wanted).abs().max() < 4 * 0.5 / count**0.5
    assert torch.equal(drawn > 0, wanted > 0)


@pytest.mark.parametrize("tokens", [2048, 2049, 32000])
def test_the_most_extreme_luck_stays_among_the_likeliest(tokens):
    logits = 4 * torch.randn(3, tokens, generator=torch.Generator().manual_seed(1))
    logits[1, 100:] = -1e30
    for spin in (0.0, 1.0 - 2.0**-24):
        draw = HostDraw.of(
            [1.25, 1.25, 50.0], [25, 25, 3], np.full((3, 2), spin, np.float32), [True] * 3
        )
        for each in (draw, for_gpu(draw)):
            for row, token in enumerate(choose(logits, each).tolist()):
                k = int(draw.k[row])
                assert token in logits[row].topk(k).indices.tolist()


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


@pytest.mark.parametrize("tokens", [5, 64, 2048])
def test_a_row_alone_is_spun_by_the_same_sums(tokens):
    luck = np.random.default_rng(tokens)
    chances = luck.random((300, tokens), np.float32)
    chances[luck.random(chances.shape) < 0.6] = 0.0
    chances[:, 0] += np.float32(1e-3)
    spins = luck.random(300, np.float32)
    spins[:4] = 0.0, 1.0 - 2**-24, 0.5, 2**-24
    alone = [int(host._spin(chances[row : row + 1], spins[row : row + 1])[0]) for row in range(300)]
    assert host._spin(chances, spins).tolist() == alone
    assert (chances[np.arange(300), alone] > 0).all()


def test_a_row_that_sits_out_keeps_its_luck():
    def run(pauses):
        one, out = sampler(4), []
        for tick in range(40):
            active = tick not in pauses
            text, _ = draws([one], [active], CPU)
            if active:
                out.append(torch.from_numpy(text.spins))
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
