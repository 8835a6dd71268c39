"""The echo engine."""

from __future__ import annotations

import numpy as np
import pytest

from personaplex_server.engines.base import Persona
from personaplex_server.engines.echo import EchoEngine


def frame(value: float) -> np.ndarray:
    return np.full(1920, value, np.float32)


def test_the_voice_comes_back_after_the_delay():
    engine = EchoEngine(rows=2, delay_s=0.24)
    assert list(engine.opening(0, Persona())) == [1.0]
    out = [engine.tick({0: frame(n + 1)})[0].pcm[0] for n in range(6)]
    assert out == [0, 0, 0, 1, 2, 3]


def test_rows_do_not_hear_each_other_and_start_empty():
    engine = EchoEngine(rows=2, delay_s=0.08)
    assert list(engine.opening(0, Persona())) == [1.0]
    engine.tick({0: frame(1)})
    assert list(engine.opening(1, Persona())) == [1.0]
    assert engine.tick({0: frame(2), 1: frame(3)})[1].pcm[0] == 0
    engine.close(0)
    assert list(engine.opening(0, Persona())) == [1.0]
    assert engine.tick({0: frame(4)})[0].pcm[0] == 0


def test_without_delay_it_answers_at_once():
    engine = EchoEngine(delay_s=0)
    assert list(engine.opening(0, Persona())) == [1.0]
    assert engine.tick({0: frame(0.5)})[0].pcm[0] == 0.5


def test_a_negative_delay_is_refused():
    with pytest.raises(ValueError, match="negative"):
        EchoEngine(delay_s=-1)
