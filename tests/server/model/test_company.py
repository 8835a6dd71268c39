"""However many callers share a tick on a CPU, and whatever the sizes, each is answered as alone, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.model.rehearsal import REHEARSAL

COUNT = 6
ROWS = 33
ODD = replace(
    REHEARSAL,
    lm=replace(REHEARSAL.lm, dim=48, num_heads=2, depth_dim=24, depth_heads=3),
    codec=replace(
        REHEARSAL.codec,
        dimension=40,
        n_filters=6,
        transformer_dim=24,
        transformer_heads=3,
        transformer_hidden=52,
    ),
)


@pytest.fixture(scope="module")
def sounds(parity):
    whole = frames(read_audio(parity.folder / "user.wav"))
    return [whole[row : row + COUNT] for row in range(ROWS)]


def persona(row):
    if row % 3 == 0:
        return Persona(sampling=Sampling.greedy())
    # Some draw from all tokens, the others from their own few.
    return Persona(sampling=Sampling(seed=row, text_top_k=row % 2 * 20, audio_top_k=row % 4 * 100))


def bits(answer):
    return answer.tokens, answer.text, None if answer.pcm is None else answer.pcm.tobytes()


def check(engine, sounds):
    wanted = {}

    def alone(row):
        if row not in wanted:
            engine.open(row, persona(row))
            wanted[row] = [bits(engine.tick({row: frame})[row]) for frame in sounds[row]]
            engine.close(row)
        return wanted[row]

    for count in (2, 7, ROWS):
        looked_at = {0, 1, count // 2, count - 1}
        for row in looked_at:
            alone(row)
        for row in range(count):
            engine.open(row, persona(row))
        for moment in range(COUNT):
            answers = engine.tick({row: sounds[row][moment] for row in range(count)})
            for row in looked_at:
                assert bits(answers[row]) == wanted[row][moment], (count, row, moment)
        for row in range(count):
            engine.close(row)
    assert any(pcm for _, _, pcm in wanted[0])


@pytest.mark.parametrize("quant", ["none", "int8"])
def test_any_number_of_callers(own_functions, parity, sounds, quant):
    engine = PersonaPlexEngine.load(
        parity.checkpoint, device="cpu", dtype="float32", quant=quant, rows=ROWS, threads=1
    )
    check(engine, sounds)


def test_sizes_that_fill_no_vector(own_functions, write_checkpoint, sounds):
    engine = PersonaPlexEngine.load(
        write_checkpoint(ODD), device="cpu", dtype="float32", rows=ROWS, threads=1
    )
    assert engine.describe()["exact"] is True
    check(engine, sounds)
