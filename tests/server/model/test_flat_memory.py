"""Two hundred conversations with the model itself, one after the other and side by side: nothing of them stays."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from personaplex_server.bench.measure import resident_bytes
from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.protocol import FRAME_SAMPLES

ROWS = 3
PERSONAS = 12
MOST_GROWTH = 8 << 20


def test_two_hundred_conversations_leave_nothing_behind(parity):
    if resident_bytes() is None:
        pytest.skip("this system does not tell how much memory a process holds")
    engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32", rows=ROWS)
    sound = (0.1 * np.random.default_rng(1).standard_normal(FRAME_SAMPLES)).astype(np.float32)

    def talk(calls: int) -> None:
        for number in range(calls):
            row = number % ROWS
            # Those before go on; the oldest of them makes room.
            engine.close(row)
            persona = Persona(text=f"Role {number % PERSONAS}.", sampling=Sampling(seed=number))
            engine.open(row, persona)
            here = [each for each in range(ROWS) if each in engine._parts]
            engine.tick(dict.fromkeys(here, sound))

    # Until every persona is known and the rows' memory was touched.
    talk(3 * PERSONAS)
    gc.collect()
    before = resident_bytes()
    talk(200)
    gc.collect()
    assert resident_bytes() - before < MOST_GROWTH
    # And the empty one, with which the engine warmed up.
    assert engine.figures()["prompts_kept"] == PERSONAS + 1
