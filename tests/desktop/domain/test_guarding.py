"""The guardian's rules: a table of failures, and random sequences of them."""

# ruff: noqa: E501 - one failure a row

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from personadesk.domain import guarding, sparing
from personadesk.domain.budget import UNLIMITED, Allowance
from personadesk.domain.guarding import Box, Deed, Done, Observed, Spare, Voice, Work, decide
from personadesk.domain.hours import last_edge, parse
from personadesk.domain.plan import LOCAL, RENT, Plan, RentWish
from personadesk.domain.sparing import SpareSeen
from personadesk.domain.text import NOTHING, T, Text
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish, plan_for, wish_of

NOW = 1_000_000.0
CLOUD = Place(RENT, RentWish(account="cloud", max_price=1.0))
OTHER = Place(RENT, RentWish(account="other"))
SERVER = Place("host:box")
HERE = Place(LOCAL)

RENTED = Wish("a", places=(CLOUD,), max_price=1.0)
TWO = replace(RENTED, places=(CLOUD, OTHER))
OWN = Wish("a", places=(SERVER,))
LONG_AGO = NOW - 10_000


def seen(voice: Voice = Voice.DEAD, place: str = "account:cloud", **more) -> Observed:
    values = {"since": LONG_AGO, "box": Box.RUNNING, "reached": True, "tunnel": True} | more
    return Observed(voice, place, **values)


def own(voice: Voice = Voice.DEAD, **more) -> Observed:
    return seen(voice, "host:box", **({"box": Box.OURS} | more))


def past(
    *deeds: Deed | tuple[Deed, bool],
    place: str = "account:cloud",
    ago: float = 3600.0,
    why: Text = NOTHING,
):
    pairs = [deed if isinstance(deed, tuple) else (deed, True) for deed in deeds]
    return [
        Done(NOW - ago + n, deed, place, worked, why=why) for n, (deed, worked) in enumerate(pairs)
    ]  # fmt: skip


SLOW = decide(RENTED, seen(Voice.SLOW), [], NOW).why
SPARE = {"spare": Spare.READY}
MAKING = {"spare": Spare.MAKING}
SERVICE = Deed.RESTART_SERVICE
FETCH = Deed.FETCH_MODEL
ALL_MILD = (SERVICE, SERVICE, Deed.RESTART_MACHINE)

TABLE = [
    # name, wish, observed, past, deed, place
    ("all is well", RENTED, seen(Voice.UP), [], Deed.NOTHING, None),
    ("the server died", RENTED, seen(), [], SERVICE, None),
    ("the server is stuck", RENTED, seen(Voice.MUTE), [], SERVICE, None),
    ("nothing answers", RENTED, seen(Voice.SILENT), [], SERVICE, None),
    ("the model does not load", RENTED, seen(Voice.FAILED), [], SERVICE, None),
    ("weights are missing", RENTED, seen(Voice.NO_MODEL), [], FETCH, None),
    ("weights stay missing", RENTED, seen(Voice.NO_MODEL), past(FETCH, (FETCH, False)), Deed.END_MACHINE, None),
    ("weights are missing, and the tunnel is down", RENTED, seen(Voice.NO_MODEL, tunnel=False), [], Deed.RECONNECT, None),
    ("weights stay missing here", OWN, own(Voice.NO_MODEL), past(FETCH, FETCH, place="host:box"), Deed.DEPLOY, SERVER),
    ("it is slow, and somebody talks", RENTED, seen(Voice.SLOW, calls=1), [], Deed.WAIT, None),
    ("it is slow", RENTED, seen(Voice.SLOW), [], SERVICE, None),
    ("it is slow, and was restarted for something else", RENTED, seen(Voice.SLOW), past(SERVICE, SERVICE, Deed.RESTART_MACHINE, Deed.NOTHING), SERVICE, None),
    ("it is slow again", RENTED, seen(Voice.SLOW), past(SERVICE, Deed.NOTHING, why=SLOW), Deed.RESTART_MACHINE, None),
    ("it stays slow", RENTED, seen(Voice.SLOW), past(SERVICE, Deed.NOTHING, Deed.RESTART_MACHINE, Deed.NOTHING, why=SLOW), Deed.END_MACHINE, None),
    ("it stays slow, nothing may be rented", replace(RENTED, max_price=None), seen(Voice.SLOW), past(SERVICE, Deed.NOTHING, Deed.RESTART_MACHINE, why=SLOW), Deed.WAIT, None),
    ("a server of one's own stays slow", OWN, own(Voice.SLOW), past(SERVICE, Deed.NOTHING, place="host:box", why=SLOW), Deed.WAIT, None),
    ("it stays slow, there is another place", replace(OWN, places=(SERVER, HERE)), own(Voice.SLOW), past(SERVICE, Deed.NOTHING, place="host:box", why=SLOW), Deed.DEPLOY, HERE),
    ("it loads", RENTED, seen(Voice.STARTING, since=NOW - 60), [], Deed.WAIT, None),
    ("it loads, and its machine breaks", RENTED, seen(Voice.STARTING, since=NOW - 60, box=Box.BROKEN), [], Deed.END_MACHINE, None),
    ("it loads for ever", RENTED, seen(Voice.STARTING), [], SERVICE, None),
    ("the tunnel is down", RENTED, seen(tunnel=False), [], Deed.RECONNECT, None),
    ("the tunnel stays down", RENTED, seen(tunnel=False), past(*[Deed.RECONNECT] * 3), SERVICE, None),
    ("its address changed", RENTED, seen(Voice.SILENT, reached=False), [], Deed.RECONNECT, None),
    ("the network broke just now", RENTED, seen(reached=False, since=NOW - 60),
     past(*[Deed.RECONNECT] * 3, ago=1000), Deed.WAIT, None),
    ("the machine hangs", RENTED, seen(reached=False), past(*[Deed.RECONNECT] * 3), Deed.RESTART_MACHINE, None),
    ("restarting the service twice did not help", RENTED, seen(), past(SERVICE, SERVICE), Deed.RESTART_MACHINE, None),
    ("nothing mild helped", RENTED, seen(), past(*ALL_MILD), Deed.END_MACHINE, None),
    ("the machine is stopped", RENTED, seen(box=Box.STOPPED), [], Deed.START, None),
    ("it does not start", RENTED, seen(box=Box.STOPPED), past(*[(Deed.START, False)] * 2), Deed.END_MACHINE, None),
    ("it has no GPU", RENTED, seen(box=Box.NO_GPU), [], Deed.END_MACHINE, None),
    ("it is broken", RENTED, seen(box=Box.BROKEN), [], Deed.END_MACHINE, None),
    ("it is broken, nothing may be rented", replace(RENTED, max_price=None), seen(box=Box.BROKEN), [], Deed.WAIT, None),
    ("it is changing", RENTED, seen(box=Box.CHANGING), [], Deed.WAIT, None),
    ("the provider is silent", RENTED, seen(Voice.SILENT, box=Box.UNKNOWN), [], Deed.WAIT, None),
    ("the machine is gone", RENTED, seen(box=Box.GONE), [], Deed.DEPLOY, CLOUD),
    ("it was ended for another", RENTED, Observed(Voice.ABSENT), past(Deed.END_MACHINE), Deed.DEPLOY, CLOUD),
    ("it is gone, without a price limit", replace(RENTED, max_price=None), seen(box=Box.GONE), [], Deed.WAIT, None),
    ("it is gone, the money is spent", replace(RENTED, spend_limit=5.0), seen(box=Box.GONE, spent=5.0), [], Deed.WAIT, None),
    ("it is gone, three were rented today", RENTED, seen(box=Box.GONE),
     past(Deed.DEPLOY, Deed.NOTHING, Deed.DEPLOY, Deed.NOTHING, Deed.DEPLOY, Deed.NOTHING), Deed.WAIT, None),
    ("it is gone, the place is sold out", TWO, seen(box=Box.GONE), past((Deed.DEPLOY, False)), Deed.DEPLOY, OTHER),
    ("the only place is sold out", RENTED, seen(box=Box.GONE), past((Deed.DEPLOY, False)), Deed.WAIT, None),
    ("a bad place is good again after hours", RENTED, seen(box=Box.GONE), past((Deed.DEPLOY, False), ago=7 * 3600), Deed.DEPLOY, CLOUD),
    ("a try has just failed", RENTED, seen(), past(SERVICE, ago=2), Deed.WAIT, None),
    ("a person deploys", RENTED, seen(box=Box.GONE, work=Work.RUNNING), [], Deed.WAIT, None),
    ("a person's deploy was cut off", RENTED, seen(box=Box.GONE, work=Work.LEFT), [], Deed.WAIT, None),
    ("a recovery was cut off", RENTED, seen(box=Box.GONE, work=Work.OURS_LEFT), [], Deed.CLEAN_UP, None),
    ("a recovery was cut off after it was up", RENTED, seen(Voice.UP, work=Work.OURS_LEFT), [], Deed.CLEAN_UP, None),
    ("a person took the voice away", RENTED, Observed(Voice.ABSENT), [], Deed.WAIT, None),
    ("a person stopped it", replace(RENTED, rest=Rest.STOPPED), seen(Voice.STOPPED, box=Box.STOPPED, waiting=3), [], Deed.NOTHING, None),
    ("it is not guarded", replace(RENTED, guarded=False), seen(box=Box.GONE), [], Deed.NOTHING, None),
    ("it sleeps", replace(RENTED, rest=Rest.ASLEEP), seen(Voice.STOPPED, box=Box.STOPPED), [], Deed.NOTHING, None),
    ("it sleeps and is called", replace(RENTED, rest=Rest.ASLEEP), seen(Voice.STOPPED, box=Box.STOPPED, waiting=1), [], Deed.START, None),
    ("it sleeps here and is called", replace(OWN, rest=Rest.ASLEEP), own(Voice.STOPPED, tunnel=False, waiting=1), [], Deed.START, None),
    ("it sleeps without a machine and is called", replace(RENTED, rest=Rest.ASLEEP), Observed(Voice.ABSENT, waiting=1), [], Deed.DEPLOY, CLOUD),
    ("it sleeps and may not be woken", replace(RENTED, rest=Rest.ASLEEP, wake_on_connect=False), seen(Voice.STOPPED, waiting=1), [], Deed.NOTHING, None),
    ("it sleeps, is called, the money is spent", replace(RENTED, rest=Rest.ASLEEP, spend_limit=1.0),
     seen(Voice.STOPPED, box=Box.STOPPED, waiting=1, spent=2.0), [], Deed.WAIT, None),
    ("a server of one's own lost its voice", OWN, own(), [], SERVICE, None),
    ("a server of one's own needs a new installation", OWN, own(), past(SERVICE, SERVICE, place="host:box"), Deed.DEPLOY, SERVER),
    ("a server of one's own is away", OWN, own(reached=False), past(*[Deed.RECONNECT] * 3, place="host:box"), Deed.WAIT, None),
    ("it is away, there is another place", replace(OWN, places=(SERVER, HERE)), own(reached=False),
     past(*[Deed.RECONNECT] * 3, place="host:box"), Deed.DEPLOY, HERE),
    ("the server died, a spare stands by", TWO, seen(**SPARE), [], Deed.SWITCH, None),
    ("the server is stuck, a spare stands by", TWO, seen(Voice.MUTE, **SPARE), [], Deed.SWITCH, None),
    ("weights are missing, a spare stands by", TWO, seen(Voice.NO_MODEL, **SPARE), [], Deed.SWITCH, None),
    ("it loads, a spare stands by", TWO, seen(Voice.STARTING, since=NOW - 1, **SPARE), [], Deed.SWITCH, None),
    ("it is slow, a spare stands by", TWO, seen(Voice.SLOW, **SPARE), [], Deed.SWITCH, None),
    ("it is slow and talked to, a spare stands by", TWO, seen(Voice.SLOW, calls=1, **SPARE), [], Deed.WAIT, None),
    ("the machine is gone, a spare stands by", TWO, seen(box=Box.GONE, **SPARE), [], Deed.SWITCH, None),
    ("the provider is silent, a spare stands by", TWO, seen(box=Box.UNKNOWN, **SPARE), [], Deed.SWITCH, None),
    ("it is changing, a spare stands by", TWO, seen(box=Box.CHANGING, **SPARE), [], Deed.SWITCH, None),
    ("its machine was ended, a spare stands by", TWO, Observed(Voice.ABSENT, **SPARE), past(Deed.END_MACHINE, ago=1), Deed.SWITCH, None),
    ("the tunnel is down, a spare stands by", TWO, seen(tunnel=False, **SPARE), [], Deed.RECONNECT, None),
    ("the tunnel stays down, a spare stands by", TWO, seen(tunnel=False, **SPARE), past(Deed.RECONNECT, ago=1), Deed.SWITCH, None),
    ("it is not reached, a spare stands by", TWO, seen(reached=False, **SPARE), [], Deed.SWITCH, None),
    ("a call may come back, a spare stands by", TWO, seen(reached=False, since=NOW - 5, calls=1, **SPARE), [], Deed.WAIT, None),
    ("the call does not come back", TWO, seen(reached=False, since=NOW - 11, calls=1, **SPARE), [], Deed.SWITCH, None),
    ("a person took the voice away, a spare stands by", TWO, Observed(Voice.ABSENT, **SPARE), [], Deed.WAIT, None),
    ("a person stopped the voice, a spare stands by", TWO, seen(Voice.STOPPED, **SPARE), [], Deed.WAIT, None),
    ("a person deploys, a spare stands by", TWO, seen(work=Work.RUNNING, **SPARE), [], Deed.WAIT, None),
    ("a recovery was cut off, a spare stands by", TWO, seen(work=Work.OURS_LEFT, **SPARE), [], Deed.CLEAN_UP, None),
    ("it sleeps, a spare is still there", replace(TWO, rest=Rest.ASLEEP), seen(Voice.STOPPED, box=Box.STOPPED, **SPARE), [], Deed.NOTHING, None),
    ("it is not guarded, a spare is still there", replace(TWO, guarded=False), seen(**SPARE), [], Deed.NOTHING, None),
    ("the server died, a spare is being made", TWO, seen(**MAKING), [], SERVICE, None),
    ("the machine is gone, a spare is being made", TWO, seen(box=Box.GONE, **MAKING), [], Deed.WAIT, None),
    ("the machine is broken, a spare is being made", TWO, seen(box=Box.BROKEN, **MAKING), [], Deed.WAIT, None),
    ("making a spare failed, which is not the line's trouble", RENTED, seen(box=Box.GONE),
     past((Deed.MAKE_SPARE, False), Deed.MEND_SPARE, Deed.END_SPARE, ago=3), Deed.DEPLOY, CLOUD),
    ("it is gone, three with spares were rented today", RENTED, seen(box=Box.GONE),
     past(Deed.DEPLOY, Deed.NOTHING, Deed.MAKE_SPARE, Deed.MAKE_SPARE), Deed.WAIT, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "observed", "before", "deed", "place"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_each_failure_has_its_deed(wish, observed, before, deed, place):
    decision = decide(wish, observed, before, NOW)
    assert (decision.deed, decision.place) == (deed, place), str(decision.why)
    assert str(decision.why).endswith(".")


def test_a_voice_that_is_slow_is_never_said_to_be_of_no_use():
    for before in ([], past(SERVICE, Deed.NOTHING, place="host:box", why=SLOW)):
        decision = decide(OWN, own(Voice.SLOW), before, NOW)
        assert not decision.stuck
        assert "too slow" in str(decision.why)


def test_the_pause_doubles_up_to_a_quarter_of_an_hour():
    ends = [guarding.pause_ends([Done(0.0, SERVICE)] * count) for count in range(1, 12)]
    assert ends[:4] == [5, 10, 20, 40]
    assert ends[-1] == 900
    assert guarding.pause_ends([]) == 0


def test_a_deploy_to_a_named_place_keeps_the_wish_and_one_elsewhere_replaces_it():
    rent = RentWish(account="cloud", max_price=0.8, spend_limit=9.0)
    first = wish_of(Plan("pd-1", "a", place=RENT, rent=rent))
    assert (first.max_price, first.spend_limit, first.places) == (0.8, 9.0, (Place(RENT, rent),))
    kept = wish_of(Plan("pd-2", "a", place=LOCAL), replace(first, places=(*first.places, HERE)))
    assert (kept.places, kept.max_price, kept.made_of) == ((*first.places, HERE), 0.8, "pd-2")
    moved = wish_of(Plan("pd-3", "a", place="host:box"), kept)
    assert (moved.places, moved.max_price, moved.spend_limit) == ((SERVER,), None, None)
    spared = wish_of(Plan("pd-4", "a", place=LOCAL), replace(moved, spare="host:box"))
    assert spared.spare == ANY_SPARE, "wherever there is room: the place it named is none of these"


def test_a_plan_never_allows_more_than_the_wish_has_left():
    wish = replace(RENTED, max_price=0.7, spend_limit=10.0, lease_hours=2.0)
    plan = plan_for(wish, CLOUD, "pd-9", 9000, spent=8.5)
    assert plan.rent is not None
    assert (plan.rent.max_price, plan.rent.spend_limit, plan.rent.hold_failed) == (0.7, 1.5, False)
    assert (plan.line, plan.port, plan.place, plan.lease_hours) == ("a", 9000, RENT, 2.0)
    assert plan_for(wish, HERE, "pd-9", 9000, spent=0.0).lease_hours is None


@dataclass
class Lot:
    """One machine."""

    account: str
    box: Box = Box.RUNNING
    service: bool = True
    tunnel: bool = True
    reached: bool = True
    weights: bool = True
    slow: bool = False
    doomed: bool = False
    """Nothing but another machine helps."""


@dataclass
class World:
    """A line with its machines and money, in which deeds do what they say."""

    now: float = NOW
    machines: list[Lot] = field(default_factory=lambda: [Lot("cloud")])
    spent: float = 0.0
    sold_out: set[str] = field(default_factory=set)
    provider_silent: bool = False
    since: float = LONG_AGO
    rented: int = 0
    calls: int = 0
    waiting: int = 0
    budget: float | None = None
    """What the budgets still allow, None for no budget."""
    spare: Lot | None = None


class Failures(RuleBasedStateMachine):
    """Random failures; between them the guardian looks, and time passes."""

    @initialize(
        limit=st.sampled_from([None, 3.0, 50.0]),
        places=st.sampled_from([(CLOUD,), (CLOUD, OTHER)]),
        hours=st.sampled_from([None, None, "mon-fri 08:30-18:00", "daily 22:00-06:00"]),
        budget=st.sampled_from([None, None, 4.0]),
        spare=st.sampled_from(["", ANY_SPARE]),
    )
    def begin(self, limit, places, hours, budget, spare):
        self.wish = replace(
            RENTED, places=places, spend_limit=limit, spare=spare,
            hours=parse(hours, "Europe/Amsterdam") if hours else None,
        )  # fmt: skip
        self.world = World(budget=budget)
        self.past: list[Done] = []
        self.most = 1
        self.last = None

    def observe(self) -> Observed:
        world = self.world
        seen_now = self._observed()
        left = world.budget
        return replace(
            seen_now, calls=world.calls if seen_now.voice in {Voice.UP, Voice.SLOW} else 0,
            waiting=world.waiting,
            allowance=Allowance(
                max(0.0, left - world.spent), T("used up"), near=world.spent >= left * 0.8
            ) if left else UNLIMITED,
            spare=sparing.ready(self.found(), self.past),
        )  # fmt: skip

    @staticmethod
    def works(machine: Lot) -> bool:
        return (
            machine.box is Box.RUNNING
            and machine.service
            and machine.tunnel
            and machine.reached
            and machine.weights
            and not machine.doomed
        )

    def _observed(self) -> Observed:
        world = self.world
        machine = world.machines[-1] if world.machines else None
        if machine is None:
            ended = bool(self.past) and self.past[-1].deed in {Deed.END_MACHINE, Deed.DEPLOY}
            if ended or (self.past and guarding.since_up(self.past)):
                return Observed(Voice.ABSENT, since=world.since, spent=world.spent)
            return Observed(
                Voice.SILENT, "account:cloud", world.since,
                Box.UNKNOWN if world.provider_silent else Box.GONE, spent=world.spent,
            )  # fmt: skip
        running = machine.box is Box.RUNNING
        up = self.works(machine)
        voice = Voice.SLOW if machine.slow else Voice.UP
        if self.wish.rest is not Rest.UP:
            voice, up = Voice.STOPPED, False
        if not up and self.wish.rest is Rest.UP:
            lost = running and machine.reached and machine.tunnel and not machine.weights
            voice = Voice.NO_MODEL if lost else Voice.SILENT
        box = Box.UNKNOWN if world.provider_silent else machine.box
        return Observed(
            voice, f"account:{machine.account}", world.since, box,
            machine.reached if running else None, machine.tunnel if running else None,
            spent=world.spent,
        )  # fmt: skip

    def found(self) -> SpareSeen:
        lot = self.world.spare
        if lot is None:
            return SpareSeen()
        up = self.works(lot) and not lot.slow
        box = Box.UNKNOWN if self.world.provider_silent else lot.box
        place = f"account:{lot.account}"
        return SpareSeen("pd-s", place, Voice.UP if up else Voice.SILENT, self.world.since, box)

    def look_at_spare(self):
        seen_now = self.observe()
        decision = sparing.decide(self.wish, seen_now, self.found(), self.past, self.world.now)
        if decision is None or decision.deed is Deed.NO_SPARE:
            assert decision is None or str(decision.why).endswith(".")
            return
        world, worked = self.world, True
        if decision.deed is Deed.MAKE_SPARE:
            assert world.spare is None, "a second spare is never rented beside the first"
            assert self.wish.spare
            assert seen_now.voice is Voice.UP, "a spare is made for a line that is up"
            limits = [x for x in (self.wish.spend_limit, world.budget) if x is not None]
            assert all(world.spent < x * 0.8 for x in limits), "the last part is the line's own"
            account = decision.place.rent.account
            worked = account not in world.sold_out and not world.provider_silent
            if worked:
                world.spare = Lot(account)
                world.rented += 1
        elif decision.deed is Deed.END_SPARE:
            world.spare = None
        elif decision.deed is Deed.MEND_SPARE:
            lot = world.spare
            worked = lot.box in {Box.RUNNING, Box.STOPPED}
            if worked:
                lot.box = Box.RUNNING
                lot.service = lot.tunnel = True
                lot.slow = False
        place = decision.place.key if decision.place else self.found().place
        self.past.append(Done(world.now, decision.deed, place, worked, why=decision.why))

    def step(self):
        self.look_at_spare()
        seen_now = self.observe()
        self.last = decision = decide(self.wish, seen_now, self.past, self.world.now)
        if decision.deed is Deed.WAIT:
            return
        if decision.deed is Deed.NOTHING:
            if guarding.since_up(self.past):
                self.past.append(Done(self.world.now, Deed.NOTHING))
            return
        worked = self.act(decision)
        place = decision.place.key if decision.place else seen_now.place
        self.past.append(Done(self.world.now, decision.deed, place, worked, why=decision.why))

    def act(self, decision) -> bool:
        world = self.world
        if decision.deed in {Deed.DEPLOY, Deed.START, Deed.RESTART_MACHINE}:
            assert self.wish.spend_limit is None or world.spent < self.wish.spend_limit
            assert world.budget is None or world.spent < world.budget
        if decision.deed in {Deed.DEPLOY, Deed.START}:
            self.wish = replace(self.wish, rest=Rest.UP, rest_at=world.now)
        if decision.deed is Deed.SLEEP:
            assert not world.calls or world.now >= last_edge(self.wish.hours, world.now).at + 3600
            world.calls = 0
            world.spare = None
            self.wish = replace(self.wish, rest=Rest.ASLEEP, rest_at=world.now)
            for machine in world.machines:
                machine.box = Box.STOPPED if machine.box is Box.RUNNING else machine.box
            return True
        if decision.deed is Deed.DEPLOY:
            assert not world.machines, "a second machine is never rented beside the first"
            assert self.wish.max_price is not None
            account = decision.place.rent.account
            if account in world.sold_out or world.provider_silent:
                return False
            world.machines.append(Lot(account))
            world.rented += 1
            return True
        if decision.deed is Deed.SWITCH:
            assert world.spare is not None
            assert self.works(world.spare), "a line goes over to what answers"
            old = world.machines[-1] if world.machines else Lot("cloud", box=Box.GONE)
            world.machines, world.spare = [world.spare], old
            return True
        machine = world.machines[-1]
        if decision.deed is Deed.END_MACHINE:
            world.machines.clear()
        elif decision.deed is Deed.RECONNECT:
            machine.tunnel = machine.tunnel or machine.reached
        elif decision.deed is Deed.RESTART_SERVICE:
            talks = self.observe().voice is Voice.SLOW and world.calls
            assert not talks, "a slow voice is worth more than none"
            machine.service = machine.tunnel = True
            machine.slow = machine.slow and machine.doomed
        elif decision.deed is Deed.FETCH_MODEL:
            machine.weights = machine.service = True
        elif decision.deed is Deed.START:
            machine.box = Box.RUNNING
            machine.service = machine.tunnel = machine.reached = True
        elif decision.deed is Deed.RESTART_MACHINE:
            machine.service = machine.tunnel = machine.reached = True
            machine.slow = False
        return True

    def pass_time(self, seconds):
        world = self.world
        rented = [*world.machines, *([world.spare] if world.spare else [])]
        world.spent += seconds / 3600 * sum(m.box in {Box.RUNNING, Box.NO_GPU} for m in rented)
        world.now += seconds
        limits = [each for each in (self.wish.spend_limit, world.budget) if each is not None]
        if any(world.spent >= each for each in limits):
            # The limits' own loop puts it to sleep, whatever the guardian does.
            world.spare = None
            for machine in world.machines:
                machine.box = Box.STOPPED

    def hurt(self):
        self.world.since = self.world.now

    @rule(what=st.sampled_from(["service", "tunnel", "reached", "weights"]))
    def something_breaks(self, what):
        for machine in self.world.machines:
            setattr(machine, what, False)
        self.hurt()

    @rule(
        change=st.sampled_from(
            [{"service": False}, {"reached": False}, {"doomed": True}, {"box": Box.STOPPED},
             {"box": Box.BROKEN}, {"box": Box.GONE}]
        )
    )  # fmt: skip
    def the_spare_breaks(self, change):
        for name, value in change.items():
            if self.world.spare is not None:
                setattr(self.world.spare, name, value)

    @rule(spare=st.sampled_from(["", ANY_SPARE]))
    def a_spare_is_wished_or_not(self, spare):
        self.wish = replace(self.wish, spare=spare)

    @rule()
    def it_becomes_slow(self):
        for machine in self.world.machines:
            machine.slow = True

    @rule(calls=st.integers(0, 2), waiting=st.integers(0, 1))
    def people_come_and_go(self, calls, waiting):
        self.world.calls, self.world.waiting = calls, waiting

    @rule(box=st.sampled_from([Box.STOPPED, Box.NO_GPU, Box.BROKEN]))
    def the_provider_takes_something(self, box):
        for machine in self.world.machines:
            machine.box = box
        self.hurt()

    @rule()
    def the_machine_vanishes(self):
        self.world.machines.clear()
        self.hurt()

    @rule()
    def nothing_on_it_works_any_more(self):
        for machine in self.world.machines:
            machine.doomed = True
        self.hurt()

    @rule(account=st.sampled_from(["cloud", "other"]), sold_out=st.booleans())
    def stock_changes(self, account, sold_out):
        change = self.world.sold_out.add if sold_out else self.world.sold_out.discard
        change(account)

    @rule(silent=st.booleans())
    def the_provider_answers_or_not(self, silent):
        self.world.provider_silent = silent

    @rule(seconds=st.sampled_from([1, 30, 600, 4000]), looks=st.integers(1, 4))
    def time_passes(self, seconds, looks):
        for _ in range(looks):
            self.pass_time(seconds)
            self.step()

    @invariant()
    def never_more_machines_than_wished(self):
        if hasattr(self, "world"):
            assert len(self.world.machines) <= 1
            assert (
                sum(
                    lot.box is not Box.GONE
                    for lot in [
                        *self.world.machines,
                        *([self.world.spare] if self.world.spare else []),
                    ]
                )
                <= 2
            )
            days = (self.world.now - NOW) / guarding.DAY_SECONDS + 1
            assert (
                self.world.rented <= guarding.MOST_RENTED_A_DAY * days + guarding.MOST_RENTED_A_DAY
            )

    def teardown(self):
        """In the end, when nothing fails any more, it is up or says why not."""
        if not hasattr(self, "world"):
            return
        self.world.provider_silent = False
        self.world.calls = 0
        for _ in range(60):
            self.pass_time(900)
            self.step()
            if self.observe().voice is Voice.UP:
                break
        if not self.wish.spare:
            assert self.world.spare is None, "one that is not wished is gone"
        found = self.observe()
        if found.voice is Voice.SLOW or self.wish.rest is not Rest.UP:
            # It talks as well as it can here, or sleeps as it shall; either is said.
            assert str(self.last.why)
        elif found.voice is not Voice.UP:
            assert self.last.stuck, (self.last, found)
            assert str(self.last.why)


TestRandomFailures = Failures.TestCase
TestRandomFailures.settings = settings(
    max_examples=200, stateful_step_count=12, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


# -- budgets ------------------------------------------------------------------------------------------------------

EMPTY = Allowance(0.0, T("The budget of $5.00 a day for everything is used up."))
LITTLE = Allowance(0.3, T("used up"), price=0.5)
ASLEEP = replace(RENTED, rest=Rest.ASLEEP)


@pytest.mark.parametrize(
    ("name", "wish", "observed", "words"),
    [
        ("down, and nothing is left", RENTED, seen(allowance=EMPTY), "used up"),
        ("gone, and nothing is left", TWO, seen(box=Box.GONE, allowance=EMPTY), "used up"),
        ("a caller wakes it, and nothing is left", ASLEEP,
         seen(Voice.STOPPED, box=Box.STOPPED, waiting=1, allowance=EMPTY), "used up"),
        ("a caller wakes it, and an hour costs more than is left", ASLEEP,
         seen(Voice.STOPPED, box=Box.STOPPED, waiting=1, allowance=LITTLE),
         "stopped. $0.30 are left"),
        ("fail over, and an hour may cost more than is left", TWO,
         seen(box=Box.GONE, allowance=LITTLE), "an hour may cost $1.00"),
        ("nothing behind it, and nothing is left", ASLEEP,
         Observed(Voice.ABSENT, waiting=1, allowance=EMPTY), "used up"),
    ],
)  # fmt: skip
def test_nothing_is_started_that_would_break_a_budget_and_callers_are_told(
    name, wish, observed, words
):
    decision = decide(wish, observed, [], NOW)
    assert (decision.deed, decision.stuck) == (Deed.WAIT, True), name
    assert words in str(decision.why)


def test_a_budget_holds_nothing_back_that_costs_no_rent():
    voice = Observed(Voice.ABSENT, waiting=1, allowance=EMPTY)
    both = replace(ASLEEP, places=(CLOUD, SERVER))
    assert decide(both, voice, [], NOW).place == SERVER
    assert decide(OWN, own(allowance=EMPTY), [], NOW).deed is SERVICE
    assert (
        decide(RENTED, Observed(Voice.UP, "account:cloud", allowance=EMPTY), [], NOW).deed
        is Deed.NOTHING
    )
    assert decide(RENTED, seen(allowance=LITTLE), [], NOW).deed is SERVICE, "it runs already"
    enough = seen(Voice.STOPPED, box=Box.STOPPED, waiting=1, allowance=replace(LITTLE, left=0.6))
    assert decide(ASLEEP, enough, [], NOW).deed is Deed.START
