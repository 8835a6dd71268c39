"""Callers in parts: each is answered as alone, whichever thread ticks it, and callers are parted evenly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.parts import FEW
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, read_audio

COUNT = 8
ROWS = 3 * FEW


@pytest.fixture(scope="module")
def engine(parity):
    before = torch.get_num_threads()
    loaded = PersonaPlexEngine.load(
        parity.checkpoint, device="cpu", dtype="float32", rows=ROWS, threads=2
    )
    assert torch.get_num_threads() == 2
    # A part that is alone is ticked by all threads, which is slow where other programs want them.
    torch.set_num_threads(1)
    yield loaded
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def speech(parity):
    whole = frames(read_audio(parity.folder / "user.wav"))
    return [whole[start : start + COUNT] for start in range(0, 8 * ROWS, 8)]


def sizes(engine):
    return [len(part.order) for part in engine._parts.all]


def test_each_is_answered_as_alone_and_parts_fill_evenly(engine, speech):
    personas = [Persona(text="", sampling=Sampling(seed=seed)) for seed in range(ROWS)]
    expected = []
    for persona, sound in zip(personas, speech, strict=True):
        engine.open(0, persona)
        expected.append([engine.tick({0: frame})[0] for frame in sound])
        engine.close(0)
    seen = []
    for row, persona in enumerate(personas):
        engine.open(row, persona)
        seen.append(sizes(engine))
    assert seen[FEW - 1] == [FEW, 0]
    assert seen[2 * FEW - 1] == [FEW, FEW]
    assert seen[-1] == [ROWS // 2, ROWS // 2]
    heard = [[] for _ in personas]
    for moment in range(COUNT + 1):
        # Every third caller begins a frame later, so that both parts have some who sit out.
        ready = {
            row: speech[row][moment - (row % 3 == 0)]
            for row in range(ROWS)
            if 0 <= moment - (row % 3 == 0) < COUNT
        }
        answers = engine.tick(ready)
        assert sorted(answers) == sorted(ready)
        for row, answer in answers.items():
            heard[row].append(answer)
    for mine, alone in zip(heard, expected, strict=True):
        assert [each.tokens for each in mine] == [each.tokens for each in alone]
        for here, there in zip(mine, alone, strict=True):
            # Where torch multiplies, products of another width are summed in another order.
            np.testing.assert_allclose(here.pcm, there.pcm, atol=1e-5)
    assert engine.stage_s["depformer"] > 0
    for row in range(0, ROWS, 2):
        engine.close(row)
    assert sum(sizes(engine)) == ROWS // 2
    assert sorted(engine.tick({1: speech[1][0], ROWS - 1: speech[2][0]})) == [1, ROWS - 1]
    engine.tick({1: speech[1][1]})
    assert engine.stage_s == engine._parts[1].stage_s, "times of those who took part alone"
    for row in range(ROWS):
        engine.close(row)


def test_a_part_that_fails_fails_the_tick(engine, monkeypatch):
    for row in range(FEW + 1):
        engine.open(row, Persona())
    monkeypatch.setattr(engine._parts.all[1], "_tick", lambda *_: 1 / 0)
    silence = np.zeros(1920, np.float32)
    with pytest.raises(ZeroDivisionError):
        engine.tick(dict.fromkeys(range(FEW + 1), silence))
    for row in range(FEW + 1):
        engine.close(row)
