"""A line's week by the clock on the wall: nights, weeks, turns of the clock; and what the guardian makes of it."""

from __future__ import annotations

import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personadesk.domain.errors import BadRequest
from personadesk.domain.guarding import Box, Deed, Done, Observed, Voice, decide, starts
from personadesk.domain.hours import (
    ALWAYS,
    GRACE_SECONDS,
    Hours,
    Span,
    last_edge,
    lead_of,
    next_edge,
    parse,
    written,
)
from personadesk.domain.wish import Place, Rest, Wish

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
WORK = parse("mon-fri 08:30-18:00", "Europe/Amsterdam")


def at(text: str, zone: ZoneInfo = AMSTERDAM) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("now", "begins", "since"),
    [
        ("2026-11-26 08:29", False, "2026-11-25 18:00"),
        ("2026-11-26 08:30", True, "2026-11-26 08:30"),
        ("2026-11-26 17:59", True, "2026-11-26 08:30"),
        ("2026-11-26 18:00", False, "2026-11-26 18:00"),
        ("2026-11-30 07:00", False, "2026-11-27 18:00"),  # Monday: since Friday
    ],
)
def test_a_working_week(now: str, begins: bool, since: str) -> None:
    edge = last_edge(WORK, at(now))
    assert (edge.begins, edge.at) == (begins, at(since))


def test_hours_that_reach_into_the_next_day() -> None:
    night = parse("fri,sat 22:00-04:00", "Europe/Amsterdam")
    assert last_edge(night, at("2026-11-29 03:59")).begins  # Sunday, from Saturday's
    assert not last_edge(night, at("2026-11-29 04:00")).begins
    assert not last_edge(night, at("2026-11-28 21:59")).begins
    whole = parse("sat 00:00-24:00; sun 00:00-00:00", "Europe/Amsterdam")
    assert last_edge(whole, at("2026-11-29 23:59")).at == at("2026-11-28 00:00")


def test_the_clock_on_the_wall_counts_when_it_is_turned() -> None:
    spring = last_edge(parse("daily 08:30-18:00", "Europe/Amsterdam"), at("2026-03-29 12:00"))
    assert spring.at == at("2026-03-29 08:30")
    before = last_edge(parse("daily 08:30-18:00", "Europe/Amsterdam"), at("2026-03-28 12:00"))
    assert spring.at - before.at == 23 * 3600
    # 02:30 does not exist on that night: the moment of the turn stands for it.
    left_out = parse("sun 02:30-05:00", "Europe/Amsterdam")
    assert last_edge(left_out, at("2026-03-29 04:00")).at == at("2026-03-29 03:00")
    assert last_edge(parse("sun 01:00-02:30", "Europe/Amsterdam"), at("2026-03-29 04:00")).at == at(
        "2026-03-29 03:00"
    )
    # 02:30 comes twice in autumn: begins at the first, ends at the second.
    twice = parse("sun 02:30-02:45", "Europe/Amsterdam")
    first = at("2026-10-25 02:30")
    assert last_edge(twice, first + 60).at == first
    end = last_edge(twice, at("2026-10-25 12:00"))
    assert (end.begins, end.at - first) == (False, 3600 + 900)


def test_a_turn_of_half_an_hour() -> None:
    there = ZoneInfo("Australia/Lord_Howe")
    hours = parse("sun 02:15-05:00", "Australia/Lord_Howe")
    assert last_edge(hours, at("2026-10-04 04:00", there)).at == at("2026-10-04 02:30", there)


def test_a_start_comes_early_enough() -> None:
    assert last_edge(WORK, at("2026-11-26 08:26"), lead=300).begins
    assert not last_edge(WORK, at("2026-11-26 08:24"), lead=300).begins
    assert last_edge(WORK, at("2026-11-26 08:26"), lead=300).clock == "08:30"
    # A gap that is shorter than the start is none.
    lunch = parse("daily 08:00-12:00; daily 12:04-17:00", "Europe/Amsterdam")
    assert last_edge(lunch, at("2026-11-26 12:01"), lead=300).at == at("2026-11-26 08:00") - 300
    assert lead_of([]) == 300
    assert lead_of([200.0, 100.0, 90_000.0]) == 200 * 1.25 + 60


def test_always_and_what_comes_next() -> None:
    assert last_edge(ALWAYS, at("2026-11-26 03:00")).begins
    assert last_edge(ALWAYS, at("2026-11-26 03:00")).at == 0.0
    assert next_edge(ALWAYS, at("2026-11-26 03:00")) is None
    following = next_edge(WORK, at("2026-11-27 19:00"))
    assert following is not None
    assert (following.at, following.begins) == (at("2026-11-30 08:30"), True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("mon-fri 8:30-18:00", "mon-fri 08:30-18:00"),
        ("SAT-MON 10:00-02:00", "mon,sat-sun 10:00-02:00"),
        ("mon 00:00-24:00;tue 10:00-11:00", "mon 00:00-24:00; tue 10:00-11:00"),
        ("always", "always"),
        ("never", "never"),
        ("daily 00:00-24:00", "always"),
    ],
)
def test_what_is_typed_is_read_and_told(typed: str, said: str) -> None:
    assert written(parse(typed, "Europe/Amsterdam")) == said


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("", "UTC"), ("mon", "UTC"), ("mon 9-17", "UTC"), ("noday 09:00-17:00", "UTC"),
        ("mon 09:00-09:00", "UTC"), ("mon 09:60-10:00", "UTC"), ("mon 24:00-10:00", "UTC"),
        ("mon 09:00-25:00", "UTC"), ("mon 09:00-17:00", "Mars/Base"), ("mon 09:00-17:00", "../etc"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(typed: str, zone: str) -> None:
    with pytest.raises(BadRequest):
        parse(typed, zone)


@given(
    st.lists(
        st.builds(
            Span,
            st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(
                lambda days: tuple(sorted(days))
            ),
            st.integers(0, 1439),
            st.integers(1, 1440),
        ).filter(lambda span: span.begin != span.end),
        min_size=1,
        max_size=3,
    ),
    st.integers(1_750_000_000, 1_850_000_000),
    st.sampled_from(["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_the_last_edge_and_the_next_always_agree(spans: list[Span], now: int, zone: str) -> None:
    hours = Hours(tuple(spans), zone)
    last, following = last_edge(hours, now), next_edge(hours, now)
    assert last.at <= now
    if following is not None:
        assert following.at > now
        assert following.begins is not last.begins
        assert last_edge(hours, following.at).begins is following.begins
    assert parse(written(hours), zone) == hours or hours.always


# -- the guardian's rules by the calendar -------------------------------------------------------------------

OWN = Wish("a", places=(Place("host:box"),), hours=WORK)
YESTERDAY = at("2026-11-25 18:00")


def stands(voice: Voice, **more: object) -> Observed:
    return Observed(voice, "host:box", box=Box.OURS, **more)


def test_a_sleeping_line_is_started_before_its_hours() -> None:
    asleep = replace(OWN, rest=Rest.ASLEEP, rest_at=YESTERDAY)
    sleeps = stands(Voice.STOPPED)
    assert decide(asleep, sleeps, [], at("2026-11-26 08:24")).deed is Deed.NOTHING
    due = decide(asleep, sleeps, [], at("2026-11-26 08:25"))
    assert (due.deed, str(due.why)) == (Deed.START, "Its hours begin at 08:30.")
    # Its last start took 12 minutes, so this one begins 16 minutes early.
    slow = [Done(1000.0, Deed.START, "host:box", seconds=5.0), Done(1715.0, Deed.NOTHING)]
    assert starts(slow) == [720.0]
    assert decide(asleep, sleeps, slow, at("2026-11-26 08:14")).deed is Deed.START


def test_who_puts_it_to_sleep_within_its_hours_is_not_overruled() -> None:
    asleep = replace(OWN, rest=Rest.ASLEEP, rest_at=at("2026-11-26 12:00"))
    assert decide(asleep, stands(Voice.STOPPED), [], at("2026-11-26 13:00")).deed is Deed.NOTHING
    assert decide(asleep, stands(Voice.STOPPED), [], at("2026-11-27 08:30")).deed is Deed.START
    stopped = replace(OWN, rest=Rest.STOPPED, rest_at=YESTERDAY)
    assert decide(stopped, stands(Voice.STOPPED), [], at("2026-11-26 13:00")).deed is Deed.NOTHING
    # Hours that were chosen just now count at once.
    fresh = replace(asleep, rest_at=0.0)
    assert decide(fresh, stands(Voice.STOPPED), [], at("2026-11-26 13:00")).deed is Deed.START


def test_it_sleeps_when_its_hours_are_over_and_nobody_talks() -> None:
    up = replace(OWN, rest_at=at("2026-11-26 08:25"))
    assert decide(up, stands(Voice.UP), [], at("2026-11-26 17:59")).deed is Deed.NOTHING
    talking = stands(Voice.UP, calls=1)
    assert decide(up, talking, [], at("2026-11-26 18:30")).deed is Deed.NOTHING
    over = decide(up, stands(Voice.UP), [], at("2026-11-26 18:30"))
    assert (over.deed, str(over.why)) == (Deed.SLEEP, "Its hours ended at 18:00.")
    late = at("2026-11-26 18:00") + GRACE_SECONDS
    assert decide(up, talking, [], late).deed is Deed.SLEEP
    failed = [Done(late, Deed.SLEEP, "host:box", worked=False)]
    assert decide(up, stands(Voice.UP), failed, late + 1).deed is Deed.NOTHING
    assert decide(up, stands(Voice.UP), failed, late + 60).deed is Deed.SLEEP
    # Woken in the evening, by a caller or by hand, it stays until its next hours are over.
    woken = replace(up, rest_at=at("2026-11-26 20:00"))
    assert decide(woken, stands(Voice.UP), [], at("2026-11-26 23:00")).deed is Deed.NOTHING


def test_always_is_woken_from_the_moment_it_is_chosen() -> None:
    asleep = replace(OWN, hours=ALWAYS, rest=Rest.ASLEEP)
    due = decide(asleep, stands(Voice.STOPPED), [], at("2026-11-26 03:00"))
    assert (due.deed, str(due.why)) == (Deed.START, "It shall be up always.")
