"""The benchmark: what it prints, and how it compares."""

from __future__ import annotations

import argparse
import json
import subprocess
import time

import pytest
import torch

from personaplex_server.bench import calls, command, reference
from personaplex_server.bench.measure import Timing, interleaved, ratio


def bench(capsys, *words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    status = command.run(parser.parse_args([*words]))
    out, err = capsys.readouterr()
    return status, out, err


def test_figures_are_a_table_and_one_object(capsys):
    status, out, err = bench(
        capsys, "--alone", "--rounds", "1", "--rows", "1", "--sizes", "tiny", "--only", "prompt", "engine"
    )  # fmt: skip
    assert status == 0
    told = json.loads(out.splitlines()[-1])
    assert set(told["figures"]) == {"prompt_200_tiny", "engine"}
    assert told["figures"]["prompt_200_tiny"]["ms"] > 0
    assert told["ratios"] == {}
    assert told["reference"] is None
    assert "engine " in err


def test_a_reference_that_cannot_be_had_is_told(capsys, monkeypatch, tmp_path):
    def fails(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "no such package\n")

    monkeypatch.setattr(reference.subprocess, "run", fails)
    status, out, err = bench(
        capsys, "--reference-dir", str(tmp_path), "--rounds", "1", "--rows", "1", "--sizes", "tiny",
        "--only", "prompt",
    )  # fmt: skip
    assert status == 0
    assert "could not be installed for comparison (no such package)" in err
    assert json.loads(out)["figures"]["prompt_200_tiny"]["ratio"] is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--threads", "0"), "at least 1"),
        (
            ("--threads", "2", "--cpu-time"),
            "waits for the others. Leave out --threads, or --cpu-time",
        ),
    ],
)
def test_numbers_that_make_no_sense(capsys, words, why):
    status, _, err = bench(capsys, *words)
    assert status == 1
    assert why in err
    assert err.strip().endswith(".")


def test_turns_lie_side_by_side():
    called = []
    ticks = iter(range(10_000))
    timings = interleaved(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")},
        3,
        clock=lambda: float(next(ticks)),
    )
    assert "".join(called[6:]) == ("aaaa" + "bbbb") * 3
    assert timings["a"].rounds == [1000.0] * 3


def test_a_ratio_compares_turns_of_the_same_moment():
    # The second moment was busy for both.
    assert ratio(Timing([30.0, 300.0, 30.0]), Timing([10.0, 100.0, 10.0])) == 3.0


@pytest.fixture
def _a_mode_of_its_own():
    """The server's threads set the mode that they need, and this one must not lend them its own."""
    with torch.inference_mode(False):
        yield


@pytest.mark.usefixtures("_a_mode_of_its_own")
def test_calls_are_held_over_sockets_with_their_memory_full():
    found = calls.hold("tiny", 2, 0.4, clock=time.thread_time)
    # A computer that is kept busy by others drops frames, and says so.
    assert found["answered"] > 0 or found["dropped"] > 0
    assert (found["delay_p50_ms"] > 0) is (found["answered"] > 0)
    assert found["tick_p99_ms"] >= found["tick_p50_ms"] > 0
    assert found["sockets_ms"] > 0


@pytest.mark.parametrize(
    ("tick", "dropped", "answered", "alone", "right"),
    [
        (79.0, 0, 1.0, True, True),
        (80.0, 0, 1.0, True, False),
        (20.0, 1, 1.0, True, False),
        (20.0, 0, 0.9, True, False),
        (20.0, 9, 0.5, False, True),
    ],
)
def test_calls_are_held_when_ticks_are_in_time_and_nothing_is_lost(tick, dropped, answered, alone, right):  # fmt: skip
    figures = {"tick_p99_ms": tick, "dropped": dropped, "answered": answered}
    assert calls.held(figures, alone=alone) is right
