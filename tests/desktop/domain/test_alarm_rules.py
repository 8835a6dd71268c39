"""Rules by a clock of the test's own: when an alarm begins, when it ends, and what not knowing does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personadesk.domain.alarm import RULES, Quantity, Rule, Standing, step, told
from personadesk.domain.text import T

BY = {rule.quantity: rule for rule in RULES}


def _walk(rule: Rule, values: list[float | None], every_s: float = 1.0) -> list[bool]:
    """How the rule stands after each look."""
    standing, found = Standing(), []
    for number, value in enumerate(values):
        standing = step(rule, standing, value, 1000.0 + number * every_s)
        found.append(standing.on)
    return found


def test_a_slow_tick_is_an_alarm_after_half_a_minute_and_not_before():
    found = _walk(BY[Quantity.TICK], [95.0] * 40)
    assert found.index(True) == 30


def test_one_good_second_begins_the_half_minute_anew():
    found = _walk(BY[Quantity.TICK], [95.0] * 29 + [60.0] + [95.0] * 31)
    assert not any(found[:60])
    assert found[-1]


def test_between_the_limits_an_alarm_stays_and_none_begins():
    assert not any(_walk(BY[Quantity.TICK], [78.0] * 100))
    assert all(_walk(BY[Quantity.TICK], [95.0] * 31 + [78.0] * 100)[30:])


def test_it_is_fine_again_after_it_was_fine_for_a_while():
    found = _walk(BY[Quantity.TICK], [95.0] * 31 + [60.0] * 20)
    assert found[30 : 31 + 15] == [True] * 16 or found.index(False, 30) == 31 + 15


def test_not_knowing_begins_nothing_and_ends_nothing():
    rule = BY[Quantity.TEMPERATURE]
    assert not any(_walk(rule, [None] * 100))
    assert all(_walk(rule, [90.0] * 16 + [None] * 100)[15:])
    # And it is no part of the time that something lasts.
    assert not any(_walk(rule, [90.0] * 14 + [None] + [90.0] * 14))


def test_a_figure_at_its_limit_is_no_alarm():
    for rule in RULES:
        assert not any(_walk(rule, [rule.above] * 5, every_s=60.0))


def test_a_clock_that_was_set_back_does_not_hold_an_alarm_up_for_ever():
    rule = BY[Quantity.TEMPERATURE]
    standing = step(rule, Standing(), 90.0, 10_000.0)
    standing = step(rule, standing, 90.0, 500.0)
    assert step(rule, standing, 90.0, 515.0).on


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.quantity))
def test_each_rule_rings_and_ends_and_says_so(rule: Rule):
    bad = [rule.above + 1.0] * (int(rule.for_s) + 2)
    good = [rule.below] * (int(rule.fine_s) + 2)
    found = _walk(rule, bad + good)
    assert found[len(bad) - 1]
    assert not found[-1]
    for on in (True, False):
        alarm = told(rule, "box", "0", Standing(on, 1.0, None, 1234.0), label=T("My box"))
        assert "My box" in str(alarm.text)
        assert "{" not in str(alarm.text)


@given(st.lists(st.one_of(st.none(), st.floats(0, 200)), max_size=60))
def test_an_alarm_changes_only_on_a_figure_beyond_the_limit_of_its_state(values: list):
    rule = BY[Quantity.MEMORY]
    standing = Standing()
    for number, value in enumerate(values):
        after = step(rule, standing, value, float(number))
        if after.on != standing.on:
            assert value is not None
            assert value > rule.above if after.on else value <= rule.below
        standing = after
