"""Sums of money: parts equal the whole, days have the hours that they have, and what is not told is not zero."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personadesk.domain import money
from personadesk.domain.budget import (
    ALL,
    Act,
    Allowance,
    Budget,
    Level,
    Period,
    Spent,
    allowance,
    standings,
    worst,
)
from personadesk.domain.elsewhere import alternatives
from personadesk.domain.forecast import forecast
from personadesk.domain.money import Amount, Item, Kind, Rate, Span
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.proof import Left, proof
from personadesk.domain.provider import Estimate
from personadesk.domain.text import NOTHING, T

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "America/Havana", "Asia/Kathmandu",
         "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo"]  # fmt: skip


def at(text: str, zone: ZoneInfo = AMSTERDAM) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def span(began: float, ended: float, price: float | None = 1.0, **more) -> Span:
    values = {"account": "acc", "thing": "m-1", "tag": "pd-1", "line": "desk", "kind": Kind.RUNNING}
    return Span(**(values | more), began=began, ended=ended, price=price)


spans_strategy = st.lists(
    st.builds(
        lambda began, length, price, account, line, kind, guessed: Span(
            account, f"m-{line}", "pd-1", line, kind, began, began + length, price, guessed
        ),
        st.integers(1_500_000_000, 1_900_000_000),
        st.integers(0, 10 * 86_400),
        st.none() | st.floats(0, 50),
        st.sampled_from(["a", "b"]), st.sampled_from(["", "x", "y"]), st.sampled_from(Kind),
        st.booleans(),
    ), max_size=12,
)  # fmt: skip


@given(spans_strategy, st.integers(1_500_000_000, 1_900_000_000), st.integers(1, 40 * 86_400),
       st.sampled_from(ZONES))  # fmt: skip
def test_the_sum_of_the_parts_is_the_whole_by_day_line_account_and_kind(spans, since, length, zone):
    until = since + length
    whole = money.total(spans, since, until)
    parts = [
        money.totals(spans, since, until, lambda each: each.line),
        money.totals(spans, since, until, lambda each: each.account),
        money.totals(spans, since, until, lambda each: each.kind),
        money.per_day(spans, since, until, ZoneInfo(zone)),
    ]
    for part in parts:
        added = sum(part.values(), Amount())
        assert added.dollars == pytest.approx(whole.dollars, abs=1e-6)
        assert added.untold == pytest.approx(whole.untold, abs=1e-3)
        assert added.guessed == whole.guessed


@given(
    st.integers(1_300_000_000, 1_900_000_000), st.integers(1, 30 * 86_400), st.sampled_from(ZONES)
)
def test_days_follow_each_other_without_a_gap_in_every_time_zone(began, length, zone):
    place = ZoneInfo(zone)
    parts = money.by_day(began, began + length, place)
    assert sum(seconds for _, seconds in parts) == pytest.approx(length)
    days = [day for day, _ in parts]
    assert days == sorted(set(days))
    moment = float(began)
    for day, seconds in parts:
        assert money.day_of(moment, place) == day
        moment += seconds
        assert seconds > 0


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_a_day_on_which_clocks_are_set_has_23_or_25_hours(day, hours):
    start, end = money.day_bounds(at(f"{day}T12:00"), AMSTERDAM)
    assert (end - start) / 3600 == hours
    spent = money.per_day([span(start - 9000, end + 9000)], start, end, AMSTERDAM)
    assert spent == {date.fromisoformat(day): Amount(pytest.approx(hours))}


def test_a_month_turns_at_midnight_of_the_time_zone_not_of_utc():
    late = at("2026-10-31T23:30")
    first = at("2026-11-01T00:00")
    assert money.month_bounds(late, AMSTERDAM)[1] == first
    assert money.month_bounds(first, AMSTERDAM)[0] == first
    assert money.day_of(late, ZoneInfo("UTC")).month == 10
    both = [span(late, first + 1800)]
    assert money.total(both, *money.month_bounds(late, AMSTERDAM)).dollars == pytest.approx(0.5)
    assert money.total(both, *money.month_bounds(first, AMSTERDAM)).dollars == pytest.approx(0.5)
    assert money.month_bounds(at("2026-12-15T10:00"), AMSTERDAM)[1] == at("2027-01-01T00:00")


def test_a_price_that_changes_in_mid_day_counts_from_when_it_changed():
    start, end = money.day_bounds(at("2026-11-03T12:00"), AMSTERDAM)
    noon = start + 12 * 3600
    spent = money.total([span(start, noon, 0.5), span(noon, end, 1.5)], start, end)
    assert spent.dollars == pytest.approx(24.0)


def test_a_stopped_machine_is_billed_for_its_disk_and_told_apart():
    day = money.day_bounds(at("2026-11-03T12:00"), AMSTERDAM)
    spans = [
        span(day[0], day[0] + 3600, 1.0),
        span(day[0] + 3600, day[1], 0.01, kind=Kind.KEPT),
    ]
    found = money.totals(spans, *day, lambda each: each.kind)
    assert found[Kind.RUNNING].dollars == pytest.approx(1.0)
    assert found[Kind.KEPT].dollars == pytest.approx(0.23)


def test_what_is_not_told_is_named_and_never_zero():
    amount = money.total([span(0, 7200, None), span(7200, 10_800, 2.0)], 0, 10_800)
    assert amount == Amount(2.0, untold=7200.0)
    told = money.rate([Item("a", "1", price=None), Item("a", "2", price=0.5, guessed=True)])
    assert told == Rate(0.5, guessed=True, untold=1)
    assert not money.rate([Item("a", "1", price=0.0, guessed=True)]).guessed


# -- budgets ------------------------------------------------------------------------------------------------------


def standing_of(budget: Budget, day: float, month: float, now: float = 0.0):
    return worst(standings(budget, Spent(Amount(day), Amount(month)), now))


def test_a_budget_warns_at_its_share_and_is_reached_at_its_limit():
    budget = Budget("desk", per_day=10.0, per_month=100.0)
    assert standing_of(budget, 7.9, 20).level is Level.FINE
    assert standing_of(budget, 8.0, 20).level is Level.NEAR
    found = standing_of(budget, 8.0, 100.0)
    assert (found.level, found.period) == (Level.REACHED, Period.MONTH)
    assert str(found.why) == "The budget of $100.00 a month for “desk” is used up."
    everything = standing_of(Budget(ALL, per_day=1.0), 1.0, 1.0)
    assert str(everything.why) == "The budget of $1.00 a day for everything is used up."


def test_what_was_allowed_beyond_a_budget_ends_with_the_day_and_the_month():
    budget = Budget("desk", per_day=10.0, per_month=20.0).lifted(5.0, 100.0, 1000.0, 9000.0)
    assert budget.limits(999.0) == {Period.DAY: 15.0, Period.MONTH: 25.0}
    assert budget.limits(1000.0) == {Period.DAY: 10.0, Period.MONTH: 25.0}
    assert budget.limits(9000.0) == {Period.DAY: 10.0, Period.MONTH: 20.0}
    again = budget.lifted(2.0, 500.0, 1000.0, 9000.0)
    assert again.limits(600.0)[Period.DAY] == 17.0
    later = budget.lifted(2.0, 1500.0, 2000.0, 9000.0)
    assert later.limits(1600.0) == {Period.DAY: 12.0, Period.MONTH: 27.0}


@given(st.floats(0.01, 1000), st.floats(0, 2000), st.floats(0.001, 100))
def test_nothing_is_started_that_would_cost_more_within_the_hour_than_is_left(limit, spent, price):
    left = allowance(standings(Budget("x", per_day=limit), Spent(Amount(spent)), 0.0))
    refused = left.refuses(price)
    assert (refused is None) == (spent < limit and price <= left.left)
    assert left.left == pytest.approx(max(0.0, limit - spent))


def test_a_budget_that_only_warns_holds_nothing_back_and_the_tightest_counts():
    warn = standings(Budget(ALL, per_day=1.0, act=Act.WARN), Spent(Amount(5.0)), 0.0)
    assert allowance(warn) == Allowance()
    assert Allowance().refuses(1000.0) is None
    wide = standings(Budget(ALL, per_month=50.0), Spent(Amount(5.0), Amount(20.0)), 0.0)
    tight = standings(Budget("x", per_day=6.0), Spent(Amount(5.5), Amount(20.0)), 0.0)
    left = allowance([*warn, *wide, *tight])
    assert left.left == pytest.approx(0.5)
    assert str(left.refuses(0.75)) == "$0.50 are left in the budget, and an hour may cost $0.75."


# -- forecast -----------------------------------------------------------------------------------------------------


def test_a_month_goes_on_as_it_is_unless_lines_sleep_and_some_days_tell_how_often():
    month, rate, ten_days = Amount(10.0), Rate(0.5), 10 * 86_400.0
    steady = forecast(month, 0.0, ten_days, rate, [Amount(3.0)] * 5, sleeps=False)
    assert steady.amount.dollars == pytest.approx(10 + 120)
    assert "as it is" in str(steady.how)
    sleepy = forecast(
        month, 0.0, ten_days, rate, [Amount(2.0), Amount(4.0), Amount(3.0)], sleeps=True
    )
    assert sleepy.amount.dollars == pytest.approx(10 + 30)
    assert "the last 3" in str(sleepy.how)
    young = forecast(month, 0.0, ten_days, rate, [Amount(3.0)], sleeps=True)
    assert young.amount.dollars == steady.amount.dollars
    assert steady.amount.guessed


def test_nothing_that_costs_is_no_estimate_and_an_untold_price_stays_untold():
    quiet = forecast(Amount(4.0), 0.0, 86_400.0, Rate(), [], sleeps=False)
    assert quiet.amount == Amount(4.0)
    assert "nothing costs now" in str(quiet.how)
    assert forecast(Amount(), 0.0, 3600.0, Rate(untold=2), [], sleeps=False).amount.untold == 7200.0


# -- what is left -------------------------------------------------------------------------------------------------


def test_only_an_answer_of_the_provider_proves_that_nothing_is_left():
    item = Item("acc", "m-1", "pd-1", "pd-1", "desk", Kind.RUNNING, 0.5)
    disk = Item("acc", "volume:v", "model", kind=Kind.KEPT, price=0.01)
    assert proof("acc", [], 5.0, NOTHING, ()).left is Left.NOTHING
    assert proof("acc", [], None, NOTHING, ()).left is Left.UNCONFIRMED
    away = proof("acc", [], 5.0, T("It is away."), ())
    assert away.left is Left.UNCONFIRMED
    assert str(away.text) == "acc: not confirmed. It is away."
    assert proof("acc", [item, disk], 5.0, NOTHING, ()).left is Left.RUNNING
    kept = proof("acc", [disk, Item("other", "m-2")], 5.0, NOTHING, ())
    assert (kept.left, kept.items) == (Left.KEPT, (disk,))
    assert "kept, at $0.010 an hour: model" in str(kept.text)
    doubt = proof("acc", [], 5.0, NOTHING, ["m-7"])
    assert doubt.left is Left.UNCONFIRMED
    assert "m-7" in str(doubt.text)
    assert proof("acc", [replace_kind(disk)], 5.0, NOTHING, ()).left is Left.RUNNING


def replace_kind(item: Item) -> Item:
    return Item(item.account, item.thing, item.name, kind=Kind.FORGOTTEN, price=item.price)


def test_where_there_is_no_account_the_table_tells_and_says_how_old_it_is():
    offers = [
        Offer("mine", "runpod", "a", "A5000", 24, price=0.4, stock=Stock.LOW, asked=9.0),
        Offer("mine", "runpod", "b", "L4", 24, price=0.3, disk_price=0.2, stock=Stock.HIGH),
    ]
    tables = {"lambda": Estimate(0.35, "A10", "2026-01-02")}
    table, live = alternatives(offers, tables, 0.5)
    assert (table.provider, table.estimated, table.date, table.account) == (
        "lambda", True, "2026-01-02", "",
    )  # fmt: skip
    assert (live.gpu, live.price, live.asked) == ("A5000", 0.4, 9.0)
    assert table.per_month == pytest.approx(-0.15 * 730)
    assert alternatives(offers, {}, None)[0].per_hour is None


def test_utc_is_a_time_zone_like_any_other():
    assert money.day_of(0.0, UTC) == date(1970, 1, 1)
