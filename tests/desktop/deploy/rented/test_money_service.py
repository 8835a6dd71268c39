"""Money over a provider in memory: what costs, what was spent, what budgets allow, and what is left after a stop."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from personadesk.deploy.rented import standby
from personadesk.deploy.rented.keeping import RentedMachines
from personadesk.deploy.rented.money import MoneyService
from personadesk.domain import money_csv
from personadesk.domain.account import Account
from personadesk.domain.budget import ALL, Act, Budget, Level
from personadesk.domain.errors import BadRequest, NotFound, Unreachable
from personadesk.domain.hours import parse
from personadesk.domain.machine import Action, MachineState, Order, Resource, ResourceKind
from personadesk.domain.money import Kind
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.proof import Left
from personadesk.domain.provider import Ability
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Wish
from personadesk.store.budgets import BudgetStore
from personadesk.store.journal import Journal, Purpose
from personadesk.store.spending import SpendingStore
from personadesk.store.wishes import WishStore

UTC = ZoneInfo("UTC")
NOON = 1_699_963_200.0
"""2023-11-14, 12:00 UTC."""


def order(tag: str, **more) -> Order:
    offer = Offer("acc", "toy", "small", "A10", 24, price=0.5, stock=Stock.HIGH)
    return Order(tag, replace(offer, **more), "ssh-ed25519 AAAA me")


@pytest.fixture
async def money(world):
    world.clock.now = NOON
    journal = Journal(world.database)
    for tag, line in (("pd-1", "desk"), ("pd-2", "shop")):
        await journal.begin(Plan(tag, line, place=RENT, rent=RentWish()), Purpose.DEPLOY, 1.0)
    service = MoneyService(
        world.fleet, SpendingStore(world.database), BudgetStore(world.database), journal,
        WishStore(world.database),
        clock=world.clock, zone=UTC,
    )  # fmt: skip
    world.rentals.may_start = service.check
    return service


async def passed(world, hours: float, step: float = 0.2) -> None:
    """Let time pass while the fleet looks, as the window does."""
    end = world.clock.now + hours * 3600
    while world.clock.now < end - 1:
        world.clock.now = min(end, world.clock.now + step * 3600)
        await world.fleet.refresh()


async def test_running_and_kept_and_forgotten_are_told_apart_and_sum_up(world, money):
    _, runs = await world.rentals.make(order("pd-1"))
    _, rests = await world.rentals.make(order("pd-2"))
    world.cloud.machines[rests.id] = replace(rests, state=MachineState.STOPPED, price=0.01)
    stray = world.cloud.make(order("pd-9"), world.clock())
    world.cloud.make(order(""), world.clock())
    world.cloud.leftovers = [
        Resource(ResourceKind.VOLUME, "v-1", "acc", name="model", price=0.02),
        Resource(ResourceKind.ADDRESS, "ip-1", "acc", "pd-7", price=0.005),
        Resource(ResourceKind.KEY, "k", "acc", "pd-1"),
    ]
    await world.fleet.refresh()
    await passed(world, 2)
    found = await money.look()
    kinds = {share.name: share for share in found.kinds}
    assert kinds[Kind.RUNNING].rate.dollars == pytest.approx(0.5)
    assert kinds[Kind.KEPT].rate.dollars == pytest.approx(0.03)
    assert kinds[Kind.FORGOTTEN].rate.dollars == pytest.approx(0.505)
    assert {item.thing for item in found.items} == {
        runs.id, rests.id, stray.id, "volume:v-1", "address:ip-1",
    }  # fmt: skip
    assert found.all.month.dollars == pytest.approx(2 * 1.035)
    assert not found.all.month.guessed
    for shares in (found.kinds, found.lines, found.accounts):
        assert sum(each.month.dollars for each in shares) == pytest.approx(2.07)
        assert sum(each.rate.dollars for each in shares) == pytest.approx(found.all.rate.dollars)
    assert {share.name for share in found.lines} == {"desk", "shop", ""}
    assert sum(day.dollars for day in found.days.values()) == pytest.approx(2.07)


async def test_hours_in_which_nobody_looked_are_an_estimate_and_prices_not_told_are_named(
    world, money
):
    _, machine = await world.rentals.make(order("pd-1"))
    await world.fleet.refresh()
    world.clock.now += 3600
    await world.fleet.refresh()
    spent = (await money.look()).all.today
    assert (spent.dollars, spent.guessed) == (pytest.approx(0.5), True)
    world.cloud.machines[machine.id] = replace(
        machine, price=None, running_price=None, state=MachineState.STOPPED
    )
    await passed(world, 1)
    found = await money.look()
    assert found.all.rate.untold == 1
    assert found.all.month.untold == pytest.approx(3600)
    assert found.all.month.dollars == pytest.approx(0.5)


async def test_a_price_that_changes_counts_from_the_look_that_saw_it(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    await passed(world, 1)
    world.cloud.machines[machine.id] = replace(machine, price=2.0)
    await passed(world, 1)
    assert (await money.look()).all.month.dollars == pytest.approx(0.5 + 2.0)
    [first, second] = await money.spans(0, world.clock.now)
    assert first.ended == second.began


async def test_a_price_from_our_table_is_shown_as_an_estimate(world, money):
    await world.rentals.make(order("pd-1", estimated=True))
    await passed(world, 0.2)
    found = await money.look()
    assert found.all.rate.guessed
    assert found.all.today.guessed


async def test_a_line_with_hours_is_forecast_by_them_asleep_or_up(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    await passed(world, 0.2)
    always = (await money.look()).forecast
    assert "day and night" in str(always.how)
    hours = parse("mon-fri 09:00-17:00", "UTC")
    await WishStore(world.database).put(Wish("desk", hours=hours))
    up = (await money.look()).forecast
    assert "their hours" in str(up.how)
    assert up.amount.dollars == pytest.approx(always.amount.dollars * 40 / 168, rel=0.05)
    world.cloud.machines[machine.id] = replace(machine, state=MachineState.STOPPED, price=0.01)
    await world.fleet.refresh()
    assert (await money.look()).forecast.amount.dollars == pytest.approx(
        up.amount.dollars, rel=0.01
    )


async def test_a_budget_refuses_what_it_does_not_pay_for_until_it_is_lifted(world, money):
    await money.set_budget(Budget("desk", per_day=0.8))
    await world.rentals.make(order("pd-1"))
    await passed(world, 1)
    with pytest.raises(BadRequest, match=r"\$0.30 are left .* \$0.50"):
        await world.rentals.make(order("pd-1"))
    assert [each.attempt for each in await world.rentals.store.of("pd-1")] == [1]
    await passed(world, 1)
    with pytest.raises(BadRequest, match="used up"):
        await world.rentals.make(order("pd-1"))
    assert (await money.standing("desk")).level is Level.REACHED
    await world.rentals.make(order("pd-2"))
    await money.lift("desk", 5.0)
    assert (await money.standing("desk")).level is Level.FINE
    await world.rentals.make(order("pd-1"))
    with pytest.raises(NotFound):
        await money.lift("shop", 1.0)


async def test_a_stopped_machine_is_not_woken_for_a_budget_that_is_used_up(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    await passed(world, 2)
    world.cloud.machines[machine.id] = replace(machine, state=MachineState.STOPPED, price=0.01)
    await world.fleet.refresh()
    await money.set_budget(Budget(ALL, per_month=1.2))
    allowed = await money.allowance("desk")
    assert (allowed.left, allowed.price) == (pytest.approx(0.2), 0.5)
    with pytest.raises(BadRequest, match=r"\$0.20 are left"):
        await RentedMachines(world.rentals, world.hosts).wake("pd-1")
    assert (await money.allowance("shop")).left == pytest.approx(0.2)


async def test_a_person_starts_nothing_past_a_budget_either(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    await passed(world, 2)
    world.cloud.machines[machine.id] = stopped = replace(
        machine, state=MachineState.STOPPED, price=0.01, actions=frozenset({Action.START})
    )
    await money.set_budget(Budget("desk", per_day=1.2))
    with pytest.raises(BadRequest, match=r"\$0.20 are left"):
        await world.fleet.act(stopped, Action.START)
    await money.lift("desk", 1.0)
    await world.fleet.act(stopped, Action.START)


async def test_what_is_due_is_what_runs_behind_a_line_whose_budget_is_reached(world, money):
    await world.rentals.make(order("pd-1"))
    await passed(world, 2)
    assert await money.due("desk") is None
    await money.set_budget(Budget("desk", per_day=0.9, act=Act.WARN))
    assert await money.due("desk") is None
    assert await money.near("pd-1") == pytest.approx(1 / 0.9)
    assert await money.near("pd-2") is None
    await money.set_budget(Budget(ALL, per_day=0.9))
    await money.set_budget(Budget("desk", per_day=0.9, act=Act.END))
    due = await money.due("desk")
    assert due.budget.act is Act.END
    assert await money.due("shop") is None


async def test_what_a_budget_would_stop_is_said_beforehand(world, money, monkeypatch):
    facts = type(await world.accounts.provider("acc")).facts
    await world.rentals.make(order("pd-1"))
    world.cloud.make(order("pd-9"), world.clock())
    await world.fleet.refresh()
    told = [str(each) for each in await money.consequences(Budget("desk", per_day=1.0))]
    assert told == ["“desk” stops, and pd-1 is ended. "]
    stops = replace(facts, can=replace(facts.can, stop=Ability(can=True)), stop_costs=T("A cent."))
    monkeypatch.setattr(type(await world.accounts.provider("acc")), "facts", stops)
    told = [str(each) for each in await money.consequences(Budget("desk", per_day=1.0))]
    assert told == ["“desk” goes to sleep, and pd-1 is stopped. A cent."]
    assert [str(x) for x in await money.consequences(Budget("x", per_day=1.0))] == [
        "Nothing runs now that it would stop."
    ]
    assert "only said" in str((await money.consequences(Budget(ALL, 1.0, act=Act.WARN)))[0])


@pytest.mark.parametrize(
    "budget", [Budget("x"), Budget("x", per_day=0.0), Budget("x", per_month=float("inf")),
               Budget("x", per_day=1.0, warn=0.0), Budget("x", per_day=1.0, warn=80.0)],
)  # fmt: skip
async def test_a_budget_that_makes_no_sense_is_refused(money, budget):
    with pytest.raises(BadRequest):
        await money.set_budget(budget)
    assert await money.budgets.all() == []


async def test_a_budget_is_kept_as_it_was_said(money):
    budget = Budget("desk", 1.0, 20.0, 0.5, Act.END)
    await money.set_budget(budget)
    assert await money.budgets.get("desk") == budget
    assert await money.budgets.remove("desk")
    assert not await money.budgets.remove("desk")


async def test_after_an_end_the_provider_is_asked_whether_anything_is_left(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    await world.fleet.refresh()
    [still] = await money.prove()
    assert still.left is Left.RUNNING
    assert [item.name for item in still.items] == ["pd-1"]
    await world.fleet.act(await world.fleet.machine(machine.id), Action.END)
    [zero] = await money.prove(["acc"])
    assert (zero.left, zero.seen) == (Left.NOTHING, world.clock())
    world.cloud.leftovers = [Resource(ResourceKind.VOLUME, "v-1", "acc", price=0.02)]
    [kept] = await money.prove()
    assert kept.left is Left.KEPT
    world.cloud.broken = Unreachable("The provider is away.")
    [away] = await money.prove()
    assert away.left is Left.UNCONFIRMED
    assert "away" in str(away.text)


async def test_an_order_without_an_answer_is_no_verified_zero(world, money):
    world.cloud.broken = None
    world.cloud.after = [Unreachable("cut off")]
    kept = world.cloud.make

    def lost(order, now):
        machine = kept(order, now)
        del world.cloud.machines[machine.id]
        return machine

    world.cloud.make = lost
    with pytest.raises(Unreachable):
        await world.rentals.make(order("pd-1"))
    [doubt] = await money.prove()
    assert doubt.left is Left.UNCONFIRMED
    assert "pd-1" in str(doubt.text)


async def test_elsewhere_compares_live_offers_and_tables_for_who_has_no_account(world, money):
    await world.accounts.store.add(Account("second", "toy"))
    await world.rentals.make(order("pd-1"))
    world.cloud.offers = [
        Offer("", "toy", "a", "L4", 24, price=0.3, disk_price=0.02, stock=Stock.HIGH, asked=7.0),
        Offer("", "toy", "b", "L4", 24, price=0.1, stock=Stock.NONE),
        Offer("", "toy", "c", "L4", 24, price=None, stock=Stock.HIGH),
    ]
    await world.fleet.refresh()
    found = await money.elsewhere("desk")
    assert found.here == 0.5
    live = [each for each in found.places if each.account]
    assert [(each.account, each.price, each.asked) for each in live] == [
        ("acc", pytest.approx(0.32), 7.0), ("second", pytest.approx(0.32), 7.0),
    ]  # fmt: skip
    assert live[0].per_hour == pytest.approx(-0.18)
    assert live[0].per_month == pytest.approx(-0.18 * 730)
    # What the line runs decides what fits: a card that is too small for the 7B is enough for the rehearsal model.
    world.cloud.offers.append(Offer("", "toy", "d", "T4", 16, price=0.2, stock=Stock.HIGH))
    assert (await money.elsewhere("desk")).places[0].gpu == "L4"
    await WishStore(world.database).put(Wish("desk"))
    assert (await money.elsewhere("desk")).places[0].gpu == "T4"


async def test_the_table_for_other_programs_is_what_the_sums_are_made_of(world, money):
    _, machine = await world.rentals.make(order("pd-1"))
    world.lines["pd-1"] = 'Desk, "front"'
    await passed(world, 30)
    text = money_csv.table(await money.spans(0, world.clock()), 0, world.clock(), UTC)
    assert text.endswith("\r\n")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert sum(float(row["dollars"]) for row in rows) == pytest.approx(15.0, abs=1e-4)
    assert {row["line"] for row in rows} == {'Desk, "front"'}
    assert [row["day_local"] for row in rows] == sorted(row["day_local"] for row in rows)
    assert rows[0]["from_utc"] == "2023-11-14T12:00:00Z"
    assert rows[0]["to_utc"] == rows[1]["from_utc"] == "2023-11-15T00:00:00Z"
    assert {row["machine"] for row in rows} == {machine.id}
    nobody = money_csv.table([replace((await money.spans(0, 9e9))[0], price=None)], 0, 9e9, UTC)
    assert ",," in nobody.splitlines()[1]


async def test_what_the_lines_need_themselves_until_a_limit_begins_anew_is_not_for_a_spare(
    world, money
):
    journal, wishes = Journal(world.database), WishStore(world.database)
    await journal.begin(Plan("pd-3", "desk", place=RENT, rent=RentWish()), Purpose.SPARE, 1.0)
    for tag in ("pd-1", "pd-3"):
        await world.rentals.make(order(tag))
    await passed(world, 0.2)
    await money.set_budget(Budget("desk", per_day=10.0))
    # Two machines of $0.50 for 0.2 h; the line itself is up for 11.8 h of the day still, its spare is not counted.
    left = await money.allowance("desk")
    assert left.left == pytest.approx(9.8)
    assert left.beyond == pytest.approx(9.8 - 11.8 * 0.5)
    assert not left.near
    await wishes.put(Wish("desk", hours=parse("daily 08:00-18:00", "UTC")))
    assert (await money.allowance("desk")).beyond == pytest.approx(9.8 - 5.8 * 0.5)
    await money.set_budget(Budget(ALL, per_day=0.22))
    everything = await money.allowance("desk")
    assert everything.near
    assert everything.beyond == pytest.approx(0.02 - 5.8 * 0.5)
    await money.set_budget(Budget(ALL, per_day=0.22, act=Act.WARN))
    await money.set_budget(Budget("desk", per_day=10.0, act=Act.WARN))
    assert (await money.allowance("desk")).beyond is None


async def test_a_spare_is_quoted_by_what_its_account_offers_now(world):
    cloud, home = Place(RENT, RentWish(account="acc")), Place("host:box")
    wish = Wish("desk", places=(home, cloud), max_price=0.6, spare=ANY_SPARE)

    async def quote(wish: Wish, here: str) -> tuple[str | None, float | None, float | None]:
        found = await standby.quote(world.accounts, wish, here)
        return found.place and found.place.key, found.price, found.most

    world.cloud.offered = [order("x").offer]
    assert await quote(wish, "host:box") == ("account:acc", 0.5, 0.6)
    assert await quote(wish, "account:acc") == ("host:box", 0.0, 0.0)
    assert await quote(replace(wish, places=(home,)), "") == (None, None, None)
    assert await quote(replace(wish, max_price=None), "host:box") == ("account:acc", None, None)
    assert await quote(replace(wish, max_price=0.4), "host:box") == ("account:acc", None, 0.4)
    nobody = replace(wish, places=(home, Place(RENT, RentWish(account="nobody"))))
    with pytest.raises(NotFound):
        await quote(nobody, "host:box")
