from __future__ import annotations

import numpy as np
import pytest

from personadesk.voice import levels


def test_a_full_sine_is_three_decibels_below_full_scale() -> None:
    sine = np.sin(2 * np.pi * np.arange(24_000) / 24).astype(np.float32)
    assert levels.dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert levels.dbfs(sine / 10) == pytest.approx(-23.01, abs=0.01)


def test_nothing_and_silence_have_the_floor() -> None:
    assert levels.dbfs(np.zeros(0, np.float32)) == levels.FLOOR_DBFS
    assert levels.dbfs(np.zeros(99, np.float32)) == levels.FLOOR_DBFS


def test_each_window_has_its_own_level_and_a_rest_none() -> None:
    pcm = np.concatenate([np.zeros(960), np.full(960, 0.1), np.ones(100)]).astype(np.float32)
    assert levels.window_levels(pcm).tolist() == pytest.approx([-96.0, -20.0])
    assert levels.window_levels(pcm[:10]).size == 0


def test_peaks_are_the_tops_of_each_bar_and_keep_the_rest() -> None:
    pcm = np.zeros(960 + 10, np.float32)
    pcm[5], pcm[-1] = -0.5, 3.0
    assert levels.peaks(pcm) == (0.5, 1.0)
    assert levels.peaks(pcm[:0]) == ()
