"""The table by which window, terminal and guardian judge a voice."""

from __future__ import annotations

import math

import pytest

from personadesk.domain.report import (
    FURTHER_LIMITS,
    LIMITS,
    Limit,
    Verdict,
    conclude,
    format_value,
    judge,
    reason,
)
from personadesk.domain.text import T

GOOD = {
    "connect_s": 0.1, "handshake_s": 1.0, "first_audio_s": 0.3, "real_time_factor": 0.4, "late_percent": 0.0,
    "gap_p99_ms": 5.0, "gap_p50_ms": 0.1, "gap_p95_ms": 2.0, "level_dbfs": -22.0, "silence_percent": 60.0,
    "clean_close": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, Verdict.PASS), (2.0, Verdict.PASS), (2.01, Verdict.WARN), (2.99, Verdict.WARN),
     (3.0, Verdict.FAIL), (None, Verdict.FAIL), (math.nan, Verdict.FAIL)],
)  # fmt: skip
def test_over_by_less_than_half_is_a_warning(value: float | None, verdict: Verdict) -> None:
    assert Limit("x", T("X"), "s", T("Why."), most=2.0).judge(value) is verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(-10.0, Verdict.PASS), (-45.0, Verdict.PASS), (-60.0, Verdict.WARN), (-90.0, Verdict.FAIL)],
)
def test_a_least_value_is_judged_the_same_way(value: float, verdict: Verdict) -> None:
    assert Limit("x", T("X"), "dB", T("Why."), least=-45.0).judge(value) is verdict


def test_falling_behind_real_time_is_never_a_mere_warning() -> None:
    limit = next(limit for limit in LIMITS if limit.key == "real_time_factor")
    assert [limit.judge(value) for value in (0.9, 0.95, 1.05)] == [
        Verdict.PASS, Verdict.WARN, Verdict.FAIL,
    ]  # fmt: skip


def test_good_values_pass_every_limit() -> None:
    for limits in (LIMITS, FURTHER_LIMITS):
        assert {figure.verdict for figure in judge(GOOD, limits)} == {Verdict.PASS}


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_figure_that_was_not_measured_does_not_pass(missing: str) -> None:
    values = {key: value for key, value in GOOD.items() if key != missing}
    figures = (*judge(values), *judge(values, FURTHER_LIMITS))
    assert [f.limit.key for f in figures if f.verdict is not Verdict.PASS] == [missing]


def test_true_is_no_number_and_a_number_no_answer() -> None:
    assert judge(GOOD | {"connect_s": True})[0].value is None
    assert judge(GOOD | {"clean_close": 1.0}, FURTHER_LIMITS)[-1].value is None


def test_what_is_further_never_fails_a_test() -> None:
    bad = GOOD | {"level_dbfs": -95.0, "clean_close": False, "gap_p95_ms": 999.0}
    verdict, sentence = conclude(judge(bad), heard=True, further=judge(bad, FURTHER_LIMITS))
    assert verdict is Verdict.WARN
    assert str(sentence).startswith("It works, but not smoothly: Gap now and then is 999 ms")


def test_silence_and_a_broken_call_come_before_any_figure() -> None:
    figures = judge(GOOD | {"connect_s": 99.0})
    assert str(conclude(figures, heard=False)[1]) == "It runs, but no voice came back."
    assert conclude(figures, heard=False, failure=T("Gone."))[1] == T("Gone.")


def test_reasons_are_sentences() -> None:
    figures = judge(GOOD | {"connect_s": 2.5, "handshake_s": None})
    assert str(reason(figures[0])) == "Connected in is 2.50 s, the limit is 2.00 s."
    assert str(reason(figures[1])) == "Ready to talk after could not be measured."
    rude = judge(GOOD | {"clean_close": False}, FURTHER_LIMITS)[-1]
    assert str(reason(rude)) == "The server didn't hang up properly."


def test_values_are_written_as_people_read_them() -> None:
    assert [format_value(0.394, "s"), format_value(5.6, "ms"), format_value(0.04, "%"),
            format_value(0.5, "x"), format_value(1, "yes/no"), format_value(0, "yes/no")] == [
        "0.39 s", "6 ms", "0.0 %", "0.50", "yes", "no"]  # fmt: skip
