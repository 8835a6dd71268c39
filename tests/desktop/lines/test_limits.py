"""What costs more than was allowed, or idles, is put to sleep; what does not answer is not called idle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.domain.budget import Act, Budget, Level, Period, Standing
from personadesk.domain.errors import Unreachable
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.money import Amount
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.text import NOTHING, Text
from personadesk.domain.wish import Rest
from personadesk.hosts.health import Health
from personadesk.lines.limits import RAREST_SECONDS, STALE_SECONDS, Limits
from personadesk.store.owed import Debt

URL = "ws://127.0.0.1:1/api/chat"


class FakeLines:
    serving = True

    def __init__(self, *lines: Line) -> None:
        self.all = {line.name: line for line in lines}
        self.did: list[str] = []
        self.rests: dict[str, Rest] = {}
        self.calls = self.held = 0

    def calls_of(self, name: str) -> int:
        return self.calls

    def waiting(self, name: str) -> int:
        return self.held

    def lines(self) -> tuple[Line, ...]:
        return tuple(self.all.values())

    async def need(self, name: str) -> Line:
        return self.all[name]

    async def stop(self, name: str) -> None:
        self.did.append(f"stop {name}")

    async def detach(self, name: str) -> None:
        self.did.append(f"detach {name}")

    async def rest(self, name: str, rest: Rest) -> None:
        self.rests[name] = rest

    async def tell(self, name: str, state: LineState, reason: Text = NOTHING) -> None:
        self.all[name] = replace(self.all[name], state=state, reason=reason)


class FakeJournal:
    def __init__(self, wish: RentWish | None) -> None:
        self.wish = wish

    async def load(self, tag: str):
        class Record:
            plan = Plan(tag, place=RENT, rent=self.wish)

        return Record()


class FakeOwed:
    """What is owed, kept where a restart finds it."""

    def __init__(self) -> None:
        self.debts: dict[str, Debt] = {}

    async def all(self) -> tuple[Debt, ...]:
        return tuple(self.debts.values())

    async def put(self, debt: Debt) -> None:
        self.debts[debt.tag] = debt

    async def take(self, tag: str) -> None:
        if tag in self.debts:
            self.debts[tag] = replace(self.debts[tag], taken=True)

    async def forget(self, tag: str) -> None:
        self.debts.pop(tag, None)


class World:
    def __init__(self, wish: RentWish | None, *, can_stop: bool = True) -> None:
        self.now = 10_000.0
        self.spent = 0.0
        self.facts: dict[str, object] | None = {"slots": 1, "free": 1, "queue": 0}
        self.can_stop = can_stop
        self.slept: list[str] = []
        self.asked = self.refuses = self.ignores = 0
        self.running = {"pd-1", "pd-2"}
        self.wish = wish
        self.owed = FakeOwed()
        self.lines = FakeLines(Line("a", 9000, Target(URL, "pd-1"), LineState.UP, since=self.now))
        self.restart()

    def restart(self) -> None:
        """Forget what a process keeps in memory."""
        self.limits = Limits(
            self.lines, FakeJournal(self.wish), self._spent, self, self.owed, ask=self._ask,
            clock=lambda: self.now,
        )  # fmt: skip

    async def _spent(self, tag: str) -> float:
        return self.spent

    async def _ask(self, url: str) -> Health | None:
        return None if self.facts is None else Health("ready", None, "", "", "", self.facts)

    async def sleep(self, tag: str) -> bool:
        self.asked += 1
        if self.asked <= self.refuses:
            raise Unreachable("The provider does not answer.")
        self.slept.append(tag)
        if self.asked > self.ignores:
            self.running.discard(tag)
        return self.can_stop

    async def rests(self, tag: str, *, ended: bool = False) -> bool:
        return tag not in self.running

    async def look_after(self, seconds: float) -> LineState:
        self.now += seconds
        await self.limits.look()
        return self.lines.all["a"].state


async def test_a_line_that_nobody_calls_is_put_to_sleep_and_says_why():
    world = World(RentWish(idle_stop_minutes=20))
    assert await world.look_after(0) is LineState.UP
    assert await world.look_after(1190) is LineState.UP
    assert await world.look_after(20) is LineState.STOPPED
    assert world.slept == ["pd-1"]
    assert world.lines.did == ["stop a"]
    assert str(world.lines.all["a"].reason) == "Nobody called for 20 min."
    assert world.lines.rests == {"a": Rest.ASLEEP}, "a caller may wake it"


@pytest.mark.parametrize(
    "facts", [{"slots": 1, "free": 0}, {"slots": 1, "free": 1, "queue": 2}, None]
)
async def test_calls_waiting_callers_and_silence_keep_it_awake(facts):
    world = World(RentWish(idle_stop_minutes=20))
    world.facts = facts
    for _ in range(10):
        assert await world.look_after(600) is LineState.UP
    world.facts = {"slots": 1, "free": 1, "queue": 0}
    assert await world.look_after(1190) is LineState.UP
    assert await world.look_after(20) is LineState.STOPPED


async def test_whoever_begins_to_look_gives_a_line_its_whole_time():
    world = World(RentWish(idle_stop_minutes=20))
    # Calls before the first look are not known of.
    assert await world.look_after(100_000) is LineState.UP
    assert await world.look_after(1210) is LineState.STOPPED


async def test_spent_is_spent_whoever_talks():
    world = World(RentWish(idle_stop_minutes=None, spend_limit=5.0))
    world.facts = {"slots": 1, "free": 0}
    world.spent = 4.99
    assert await world.look_after(60) is LineState.UP
    world.spent = 5.0
    assert await world.look_after(60) is LineState.STOPPED
    assert str(world.lines.all["a"].reason) == "The limit of $5.00 is reached."
    assert world.lines.rests == {"a": Rest.STOPPED}, "no caller may spend more"


@pytest.mark.parametrize("state", [LineState.FAILED, LineState.STARTING, LineState.UNKNOWN])
async def test_what_is_spent_counts_while_the_voice_is_down_and_idling_does_not(state):
    world = World(RentWish(spend_limit=2.0, idle_stop_minutes=1))
    world.lines.all["a"] = replace(world.lines.all["a"], state=state)
    assert await world.look_after(600) is state
    assert await world.look_after(600) is state
    world.spent = 2.0
    assert await world.look_after(10) is LineState.STOPPED
    assert world.slept == ["pd-1"]


async def test_a_machine_that_is_not_reached_and_cannot_be_stopped_is_asked_with_growing_pauses(
    caplog,
):
    world = World(RentWish(spend_limit=2.0))
    world.spent, world.refuses = 2.0, 99
    for _ in range(6):
        # Its voice could not be stopped, so that it still looks like one that comes up.
        world.lines.all["a"] = replace(world.lines.all["a"], state=LineState.STARTING)
        await world.look_after(1)
    assert world.asked == 1
    assert caplog.text.count("could not be held") == 1


async def test_where_nothing_can_be_stopped_the_line_keeps_its_address_without_a_voice():
    world = World(RentWish(spend_limit=1.0), can_stop=False)
    world.spent = 2.0
    assert await world.look_after(1) is LineState.STOPPED
    assert world.lines.did == ["stop a", "detach a"]


async def test_what_was_not_rented_has_no_limits():
    world = World(None)
    world.spent = 1e6
    assert await world.look_after(1e6) is LineState.UP


async def test_a_person_puts_a_line_to_sleep_whatever_its_limits():
    world = World(RentWish(idle_stop_minutes=None))
    await world.limits.sleep("a")
    assert world.slept == ["pd-1"]
    assert (world.lines.did, str(world.lines.all["a"].reason)) == (["stop a"], "You stopped it.")


async def test_a_line_without_a_voice_has_no_machine_to_put_to_sleep():
    world = World(None)
    world.lines.all["a"] = Line("a", 9000)
    await world.limits.sleep("a")
    assert (world.slept, world.lines.did) == ([], ["stop a"])


async def test_a_test_call_of_our_own_is_no_use_of_the_voice():
    world = World(RentWish(idle_stop_minutes=20))
    assert await world.look_after(0) is LineState.UP
    world.facts = {"slots": 1, "free": 0}
    world.limits.own_call = lambda url: url == world.lines.all["a"].target.url
    assert await world.look_after(1000) is LineState.UP
    world.facts = {"slots": 1, "free": 1, "queue": 0}
    world.limits.own_call = lambda _: False
    assert await world.look_after(210) is LineState.STOPPED


def used_up(act: Act) -> Standing:
    budget = Budget("a", per_day=5.0, act=act)
    return Standing(budget, Level.REACHED, Period.DAY, Amount(5.0), 5.0)


class BudgetWorld(World):
    """A line with a budget; `due` is what its standing is."""

    def __init__(self, *, can_stop: bool = True) -> None:
        super().__init__(RentWish(idle_stop_minutes=None), can_stop=can_stop)
        self.due: Standing | None = None
        self.ended: list[str] = []
        self.limits = Limits(
            self.lines, FakeJournal(RentWish(idle_stop_minutes=None)), self._spent, self,
            self.owed, due=self._due, ask=self._ask, clock=lambda: self.now,
        )  # fmt: skip

    async def _due(self, line: str) -> Standing | None:
        return self.due

    async def end(self, tag: str) -> None:
        self.ended.append(tag)
        self.running.discard(tag)


async def test_a_budget_that_is_used_up_puts_the_line_to_sleep_and_says_why():
    world = BudgetWorld()
    assert await world.look_after(60) is LineState.UP
    world.due = used_up(Act.STOP)
    assert await world.look_after(60) is LineState.STOPPED
    assert (world.slept, world.ended) == (["pd-1"], [])
    assert str(world.lines.all["a"].reason) == "The budget of $5.00 a day for “a” is used up."
    assert world.lines.rests == {"a": Rest.ASLEEP}, "tomorrow a caller may wake it"
    # Its machine is given time until it is seen to be stopped.
    await world.look_after(60)
    assert world.slept == ["pd-1"]
    await world.look_after(120)
    assert world.slept == ["pd-1", "pd-1"]


async def test_a_budget_ends_the_machine_where_that_was_chosen():
    world = BudgetWorld()
    world.due = used_up(Act.END)
    assert await world.look_after(60) is LineState.STOPPED
    assert (world.slept, world.ended) == ([], ["pd-1"])
    assert world.lines.did == ["stop a", "detach a"]
    assert world.lines.rests == {"a": Rest.STOPPED}


async def test_a_machine_that_is_billed_while_its_voice_is_down_counts_as_well():
    world = BudgetWorld()
    await world.lines.tell("a", LineState.FAILED)
    world.due = used_up(Act.STOP)
    await world.look_after(60)
    assert world.slept == ["pd-1"]


async def test_hours_and_a_newer_wish_count_more_than_what_was_deployed():
    world = World(RentWish(account="cloud", idle_stop_minutes=20))
    inside = True

    async def in_hours(name):
        return inside

    async def rent_of(name, account):
        return RentWish(account=account, idle_stop_minutes=60)

    world.limits.in_hours, world.limits.rent_of = in_hours, rent_of
    assert await world.look_after(0) is LineState.UP
    assert await world.look_after(30 * 60) is LineState.UP
    assert await world.look_after(90 * 60) is LineState.UP
    inside = False
    assert await world.look_after(1) is LineState.STOPPED


async def test_what_all_machines_of_a_line_cost_together_counts_against_its_limit():
    world = World(RentWish(idle_stop_minutes=None, spend_limit=5.0))
    reached: list[float] = []

    async def used_up(line: str) -> float | None:
        assert line == "a"
        return reached[0] if reached else None

    world.limits.used_up = used_up
    assert await world.look_after(60) is LineState.UP
    reached.append(9.0)
    # Its own machine has cost nothing; that which stood by has.
    assert await world.look_after(60) is LineState.STOPPED
    assert str(world.lines.all["a"].reason) == "The limit of $9.00 is reached."
    assert world.lines.rests == {"a": Rest.STOPPED}


async def test_what_a_provider_did_not_take_is_asked_for_again_until_it_does(caplog):
    world = World(RentWish(idle_stop_minutes=20))
    world.refuses = 2
    await world.look_after(0)
    assert await world.look_after(1210) is LineState.STOPPED, "the voice is down"
    assert world.slept == []
    assert "could not be held" in caplog.text
    assert world.lines.rests == {"a": Rest.ASLEEP}, "a caller may wake it nevertheless"
    await world.look_after(60)
    assert world.asked == 1, "not at once again"
    await world.look_after(60)
    assert world.asked == 2
    assert "did not take it yet" in caplog.text
    await world.look_after(120)
    assert world.asked == 2, "and more and more rarely"
    await world.look_after(120)
    assert (world.asked, world.slept) == (3, ["pd-1"])
    assert str(world.lines.all["a"].reason) == "Nobody called for 20 min."
    assert world.lines.rests == {"a": Rest.ASLEEP}
    await world.look_after(1000)
    assert world.asked == 3


async def test_who_wants_the_machine_meanwhile_is_not_put_to_sleep_by_what_was_owed(caplog):
    world = World(RentWish(idle_stop_minutes=20))
    world.refuses = 1
    await world.look_after(0)
    await world.look_after(1210)
    # As `Rentals.wanted` does it when a line is started.
    await world.owed.forget("pd-1")
    await world.lines.tell("a", LineState.UP)
    assert await world.look_after(200) is LineState.UP
    assert world.slept == []


async def test_a_refused_stop_is_asked_for_again_after_a_restart(caplog):
    world = World(RentWish(idle_stop_minutes=20))
    world.refuses = 1
    await world.look_after(0)
    await world.look_after(1210)
    world.restart()
    await world.look_after(120)
    assert world.slept == ["pd-1"]
    assert str(world.lines.all["a"].reason) == "Nobody called for 20 min."
    await world.look_after(1000)
    assert (world.asked, world.owed.debts) == (2, {})


@pytest.mark.parametrize("before", ["the voice stopped", "the machine stopped"])
async def test_whoever_is_killed_while_a_line_goes_to_sleep_owes_the_stop(
    before, monkeypatch, caplog
):
    world = World(RentWish(idle_stop_minutes=None))

    async def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((world.lines, "stop") if "voice" in before else (world, "sleep")), killed)
        with pytest.raises(KeyboardInterrupt):
            await world.limits.sleep("a", Rest.ASLEEP)
    world.restart()
    await world.look_after(60)
    assert world.slept == [], "it may be another process that is at it"
    caplog.set_level("INFO")
    assert await world.look_after(60) is LineState.STOPPED
    assert (world.slept, world.lines.rests) == (["pd-1"], {"a": Rest.ASLEEP})
    assert "was to stop 2 min ago and runs still" in caplog.text
    await world.look_after(0)
    assert "has stopped, by its provider's word" in caplog.text
    assert world.owed.debts == {}


async def test_a_stop_that_was_taken_and_not_done_is_asked_for_again():
    world = World(RentWish(idle_stop_minutes=None))
    world.ignores = 1
    await world.limits.sleep("a")
    await world.look_after(60)
    assert world.asked == 1
    await world.look_after(60)
    assert world.asked == 2
    await world.look_after(0)
    assert (world.running, world.owed.debts) == ({"pd-2"}, {})


async def test_a_machine_that_somebody_started_while_nobody_looked_is_left_alone():
    world = World(RentWish(idle_stop_minutes=None))
    await world.limits.sleep("a")
    world.running.add("pd-1")
    world.restart()
    await world.look_after(STALE_SECONDS)
    assert (world.asked, world.owed.debts) == (1, {})
    await world.look_after(1000)
    assert world.asked == 1


@pytest.mark.parametrize("who", ["calls", "held"])
async def test_nothing_is_stopped_under_who_calls_or_waits(who, caplog):
    world = World(RentWish(idle_stop_minutes=None))
    world.refuses = 1
    with pytest.raises(Unreachable):
        await world.limits.sleep("a", Rest.ASLEEP)
    setattr(world.lines, who, 1)
    await world.look_after(RAREST_SECONDS)
    assert world.asked == 1
    setattr(world.lines, who, 0)
    await world.look_after(1)
    assert world.slept == ["pd-1"]


async def test_a_machine_that_no_line_leads_to_any_more_is_stopped_and_no_line_touched(caplog):
    world = World(RentWish(idle_stop_minutes=None))
    world.refuses = 1
    with pytest.raises(Unreachable):
        await world.limits.sleep("a")
    world.lines.all["a"] = Line("a", 9000, Target(URL, "pd-9"), LineState.UP, since=world.now)
    assert await world.look_after(120) is LineState.UP
    assert (world.slept, world.lines.did) == (["pd-1"], ["stop a"])


async def test_an_end_that_is_owed_is_no_mere_stop(monkeypatch, caplog):
    world = BudgetWorld()
    world.due = used_up(Act.END)

    async def refused(tag):
        raise Unreachable("The provider does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(world, "end", refused)
        await world.look_after(0)
    # The next day has money again; what was decided is done all the same.
    world.due = None
    await world.look_after(120)
    assert (world.slept, world.ended) == ([], ["pd-1"])
    assert "detach a" in world.lines.did


async def test_a_provider_that_does_not_answer_keeps_no_other_line_from_its_limits(caplog):
    world = World(RentWish(idle_stop_minutes=20))
    world.lines.all["b"] = Line("b", 9001, Target(URL, "pd-2"), LineState.UP, since=world.now)
    world.refuses = 1
    await world.look_after(0)
    await world.look_after(1210)
    assert world.slept == ["pd-2"], "the first one's provider refused"
