"""How many calls are held: what is measured, what is left behind, and what fits into memory."""

from __future__ import annotations

import pytest

from personaplex_server import capacity, checkpoint, gpu
from personaplex_server.scheduler import Scheduler
from personaplex_server.status import State


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def busy(scripted):
    """An engine whose tick takes so many seconds a row, by a clock of its own."""

    def make(rows: int, seconds_a_row: float):
        clock = Clock()

        class Busy(scripted):
            def tick(self, frames):
                clock.now += seconds_a_row * len(frames)
                return super().tick(frames)

        return Busy(rows), clock

    return make


@pytest.mark.parametrize(
    ("seconds_a_row", "seats"), [(0.001, 16), (0.005, 8), (0.012, 4), (0.02, 3), (0.2, 1)]
)
def test_seats_are_given_while_a_tick_is_in_time(busy, seconds_a_row, seats):
    engine, clock = busy(16, seconds_a_row)
    found = capacity.measure(engine, clock)
    assert found.seats == seats
    assert found.tick_ms[1] == pytest.approx(seconds_a_row * 1000)
    assert sorted(engine.closed) == sorted(row for rows in found.tick_ms for row in range(rows))


def test_a_first_slow_tick_is_no_measure(scripted):
    clock = Clock()

    class Cold(scripted):
        def tick(self, frames):
            clock.now += 3.0 if len(self.heard[0]) == 0 else 0.001
            return super().tick(frames)

    assert capacity.measure(Cold(4), clock).seats == 4


def test_rows_are_closed_when_a_tick_fails(scripted):
    engine = scripted(2)
    engine.tick_error = RuntimeError("no device")
    with pytest.raises(RuntimeError, match="no device"):
        capacity.measure(engine)
    assert engine.closed == [0]


def test_the_scheduler_seats_and_tells_what_was_measured(busy):
    engine, clock = busy(8, 0.02)
    scheduler = Scheduler(
        "scripted", lambda report: engine, capacity=lambda each: capacity.measure(each, clock)
    )
    scheduler.start()
    while (status := scheduler.status()).state is State.LOADING:
        pass
    scheduler.stop()
    scheduler.join()
    assert status.slots == status.free == 3
    assert status.facts["capacity"] == {
        "seats": 3,
        "limit_ms": 63.5,
        "tick_ms": {"1": 20.0, "2": 40.0, "3": 60.0, "4": 80.0},
    }


def test_rows_fit_into_free_memory(tmp_path, monkeypatch):
    checkpoint.make_rehearsal(tmp_path / "model")
    fits = []
    for free_mib in (600, 1_500, 64_000):
        told = {"cpu": {"memory_free_mib": free_mib}}
        monkeypatch.setattr(gpu, "readings", lambda told=told: told)
        fits.append(capacity.rows_that_fit(tmp_path / "model", "cpu", "auto"))
    assert fits[0] == 1
    assert 1 < fits[1] < 64
    assert fits[2] == 64
    monkeypatch.setattr(gpu, "readings", lambda: {"cpu": {}})
    assert capacity.rows_that_fit(tmp_path / "model", "cpu", "auto") == 1
