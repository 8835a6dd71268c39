"""What the guardian does with what its rules say; the rules have a table of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from personadesk.domain.budget import Allowance
from personadesk.domain.errors import NoCapacity, ProviderFault, Unreachable
from personadesk.domain.guarding import Box, Deed
from personadesk.domain.hours import parse
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.plan import LOCAL, RENT, Plan, RentWish
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import Kind
from personadesk.domain.text import T
from personadesk.domain.wish import Rest
from personadesk.hosts import health
from personadesk.hosts.server_process import ServerStatus
from personadesk.lines import guardian as guardian_module
from personadesk.lines.guardian import Guardian
from personadesk.store.coding import text_to_json
from personadesk.store.database import Database
from personadesk.store.journal import DeployRecord, Purpose
from personadesk.store.wishes import Entry, WishStore

URL = "ws://127.0.0.1:9/api/chat"
RENTED = Plan("pd-1", "a", 9000, place=RENT, rent=RentWish(account="cloud", max_price=1.0))


@dataclass
class World:
    """Everything around the guardian; it writes down what is asked of it."""

    line: Line = field(
        default_factory=lambda: Line("a", 9000, Target(URL, "pd-1"), LineState.FAILED, 1.0)
    )
    now: float = 1_000_000.0
    box_now: Box = Box.RUNNING
    alive: bool = False
    spent_now: float = 0.0
    answer: Exception | None = None
    failure: Exception | None = None
    did: list[str] = field(default_factory=list)
    held: str | None = None
    calls: int = 0
    mute_now: bool = False
    waits: int = 0
    left: dict[str, bool] = field(default_factory=dict)
    blamed: list[tuple[str, Kind | None]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    records: dict[str, DeployRecord] = field(default_factory=dict)
    serving: bool = True

    @property
    def store(self):
        return self

    def lines(self):
        return (self.line,)

    def hold(self, name, reason):
        self.held = reason

    def waiting(self, name):
        return self.waits

    def mute(self, name):
        return self.mute_now

    def calls_of(self, name):
        return self.calls

    def _do(self, what):
        self.did.append(what)
        if self.failure is not None:
            raise self.failure

    async def start(self, name):
        self._do(f"start {name}")

    async def tell(self, name, state, reason=""):
        self.line = replace(self.line, state=state, reason=reason)

    async def detach(self, name, *, rest):
        self._do(f"detach {rest}")
        self.line = replace(self.line, target=None)

    async def put_to_sleep(self, name, rest, why):
        self._do(f"sleep {name} {rest}: {why}")

    async def get(self, server_id):
        return None

    async def status(self, server_id):
        return ServerStatus(alive=self.alive, state="running" if self.alive else "dead")

    async def reached(self, server_id):
        return True

    async def reconnect(self, server_id):
        self._do("reconnect")

    async def dispose(self, server_id):
        self._do(f"dispose {server_id}")

    async def box(self, tag):
        return self.box_now

    async def blame(self, tag, kind):
        self.blamed.append((tag, kind))

    async def gone(self, tag):
        self._do(f"gone {tag}")

    async def load(self, tag):
        return self.records.get(tag)

    async def unfinished(self, line):
        return self.left

    async def run(self, plan):
        self.plans.append(plan)
        self._do("deploy")

    async def fetch_model(self, plan_id):
        self._do(f"fetch {plan_id}")

    async def undo(self, plan_id):
        self._do(f"undo {plan_id}")

    async def restart(self, tag):
        self._do(f"restart {tag}")

    async def spent(self, line):
        return self.spent_now

    async def prove(self, url):
        self.did.append("prove")
        if self.answer is not None:
            raise self.answer


@pytest.fixture
async def wishes(tmp_path):
    database = await Database(tmp_path / "a.db").open()
    yield WishStore(database)
    await database.close()


@pytest.fixture
def world():
    made = World()
    made.records["pd-1"] = record()
    return made


@pytest.fixture
def guardian(world, wishes):
    return Guardian(
        world, wishes, world, world, world, world, world.spent, world.put_to_sleep,
        prove=world.prove, clock=lambda: world.now,
    )  # fmt: skip


def record(plan: Plan = RENTED, **changes) -> DeployRecord:
    values = {"purpose": Purpose.DEPLOY, "state": DeployState.DONE, "started": 0.0} | changes
    return DeployRecord(plan=plan, **values)


async def look(guardian, world, seconds=10_000.0):
    world.now += seconds
    decision = await guardian.look(world.line)
    return decision.deed if decision is not None else None


@pytest.mark.parametrize(
    "changes", [{"purpose": Purpose.DEMO}, {"state": DeployState.FAILED}, {"plan": replace(RENTED, line="b")}]
)  # fmt: skip
async def test_only_a_finished_deploy_for_this_line_makes_a_wish(guardian, world, changes):
    world.records["pd-1"] = record(**changes)
    assert await look(guardian, world) is None
    assert (world.did, world.held) == ([], None)


async def test_that_a_machine_is_gone_is_believed_when_it_is_seen_twice(guardian, world, wishes):
    world.box_now = Box.GONE
    world.spent_now = 2.0
    assert await look(guardian, world) is Deed.WAIT
    assert world.did == []
    assert await look(guardian, world) is Deed.DEPLOY
    (plan,) = world.plans
    assert plan.rent is not None
    assert (plan.line, plan.port, plan.rent.account, plan.rent.max_price) == (
        "a",
        9000,
        "cloud",
        1.0,
    )
    entry = (await wishes.log("a"))[-1]
    assert (entry.deed, entry.place, entry.plan_id) == (Deed.DEPLOY, "account:cloud", plan.id)
    assert (entry.worked, str(entry.why)) == (True, "The rented machine is gone.")


@pytest.mark.parametrize(
    ("box", "kind"),
    [(Box.NO_GPU, Kind.GPU_LOST), (Box.BROKEN, Kind.BROKE), (Box.GONE, Kind.VANISHED)],
)
async def test_what_was_wrong_with_a_machine_is_remembered_before_the_next_is_rented(
    guardian, world, box, kind
):
    world.box_now = box
    await look(guardian, world)
    await look(guardian, world)
    assert world.blamed == [("pd-1", kind)]
    assert len(world.plans) == 1


async def test_what_is_only_stopped_or_restarted_is_not_blamed(guardian, world):
    for box in (Box.STOPPED, Box.RUNNING, Box.UNKNOWN, Box.CHANGING):
        world.box_now = box
        await look(guardian, world)
    assert world.blamed == []


async def test_that_another_offer_was_taken_because_of_it_stands_in_the_log(
    guardian, world, wishes
):
    over = T("{offer} was passed over. {why}", offer="Toy, A10", why=T("It lost its GPU."))

    async def run(plan):
        world.records[plan.id] = replace(record(plan), facts={"passed_over": text_to_json(over)})

    world.run = run
    world.box_now = Box.BROKEN
    await look(guardian, world)
    await look(guardian, world)
    entry = (await wishes.log("a"))[-1]
    assert (entry.deed, entry.worked) == (Deed.DEPLOY, True)
    assert str(entry.why).endswith("Toy, A10 was passed over. It lost its GPU.")


async def test_a_provider_that_does_not_answer_moves_nobody(guardian, world):
    world.box_now = Box.UNKNOWN
    for _ in range(5):
        assert await look(guardian, world) is Deed.WAIT
    assert world.did == []
    assert world.held == "The provider does not say how the machine is; nothing is done on a guess."


async def test_the_same_wait_is_written_down_once(guardian, world, wishes):
    world.box_now = Box.UNKNOWN
    for _ in range(3):
        await look(guardian, world)
    assert [entry.deed for entry in await wishes.log("a")] == [Deed.WAIT]


async def test_a_deed_that_fails_is_written_down_with_its_words(guardian, world, wishes):
    world.failure = ProviderFault(T("It broke."), T("Mend it."))
    assert await look(guardian, world) is Deed.RECONNECT
    (entry,) = await wishes.log("a")
    assert (entry.worked, entry.outcome) == (False, "It broke. Mend it.")


async def test_a_machine_is_replaced_only_when_its_provider_says_that_it_is_gone(guardian, world):
    world.box_now = Box.BROKEN
    assert await look(guardian, world) is Deed.END_MACHINE
    assert world.did == ["dispose pd-1", "gone pd-1", f"detach {Rest.UP}"]
    assert await look(guardian, world) is Deed.DEPLOY
    assert len(world.plans) == 1


async def test_a_machine_that_does_not_end_keeps_the_next_one_from_being_rented(guardian, world):
    world.box_now = Box.BROKEN

    async def gone(tag):
        raise ProviderFault(T("The provider does not say that the machine is gone."))

    world.gone = gone
    assert await look(guardian, world) is Deed.END_MACHINE
    world.box_now = Box.CHANGING
    assert await look(guardian, world) is Deed.WAIT
    assert world.plans == []


async def test_a_voice_that_misses_two_calls_is_restarted(guardian, world):
    world.line = replace(world.line, state=LineState.UP)
    world.alive = True
    world.answer = Unreachable(T("It does not answer."))
    assert await look(guardian, world) is Deed.NOTHING
    assert await look(guardian, world, 301) is Deed.NOTHING
    assert await look(guardian, world, 2) is Deed.RESTART_SERVICE
    assert world.did == ["prove", "prove", "restart pd-1"]
    assert world.line.state is LineState.STARTING


@pytest.mark.parametrize("answer", [None, NoCapacity(T("Somebody talks."))])
async def test_a_voice_that_answers_or_is_busy_is_left_alone(guardian, world, answer):
    world.line = replace(world.line, state=LineState.UP)
    world.answer = answer
    for _ in range(4):
        assert await look(guardian, world, 301) is Deed.NOTHING
    assert world.did == ["prove"] * 3


async def test_a_voice_that_missed_a_call_and_is_busy_for_ever_is_restarted(guardian, world):
    world.line = replace(world.line, state=LineState.UP)
    world.alive = True
    await look(guardian, world)
    world.answer = Unreachable(T("It does not answer."))
    assert await look(guardian, world, 301) is Deed.NOTHING
    world.answer = NoCapacity(T("Somebody talks."))
    assert await look(guardian, world, 30) is Deed.NOTHING
    assert await look(guardian, world, 31) is Deed.RESTART_SERVICE


async def test_a_voice_that_says_nothing_to_its_caller_is_restarted(guardian, world):
    world.line = replace(world.line, state=LineState.UP)
    world.alive, world.calls, world.mute_now = True, 1, True
    assert await look(guardian, world, 1) is Deed.RESTART_SERVICE
    assert world.did == ["restart pd-1"]


async def test_a_voice_that_is_slow_for_a_minute_is_restarted_when_nobody_talks(
    guardian, world, monkeypatch
):
    ticks = [95.0]

    async def tick_p99(url):
        return ticks[0]

    monkeypatch.setattr(guardian_module.health, "tick_p99", tick_p99)
    world.line = replace(world.line, state=LineState.UP)
    world.alive, world.calls = True, 1
    looks = [await look(guardian, world, 10) for _ in range(6)]
    assert set(looks) == {Deed.NOTHING}, "a hiccup is no fault"
    assert await look(guardian, world, 10) is Deed.WAIT
    ticks[0] = 40.0
    assert await look(guardian, world, 10) is Deed.NOTHING, "it is quick again"
    ticks[0] = 95.0
    for _ in range(7):
        await look(guardian, world, 10)
    world.calls = 0
    ticks[0] = 0.0
    assert await look(guardian, world, 1) is Deed.RESTART_SERVICE, "what was found is not forgotten"
    assert world.did == ["restart pd-1"]
    world.line = replace(world.line, state=LineState.UP)
    assert await look(guardian, world, 1) is Deed.NOTHING


async def test_files_of_the_model_that_are_missing_are_fetched_again(guardian, world, monkeypatch):
    async def ask(url):
        return health.Health("failed", None, "", "It is missing.", "model", {})

    monkeypatch.setattr(guardian_module.health, "ask", ask)
    world.alive = True
    assert await look(guardian, world) is Deed.FETCH_MODEL
    assert world.did == ["fetch pd-1", "restart pd-1"]
    assert world.line.state is LineState.STARTING


async def test_a_voice_in_a_call_is_not_called(guardian, world):
    world.line = replace(world.line, state=LineState.UP)
    world.calls = 1
    for _ in range(4):
        assert await look(guardian, world, 301) is Deed.NOTHING
    assert world.did == []


async def test_what_a_recovery_of_its_own_left_is_removed_and_a_persons_is_not(
    guardian, world, wishes
):
    world.left = {"pd-9": False}
    assert await look(guardian, world) is Deed.WAIT
    assert world.held is None, "waiting alone will not help"
    await wishes.begin(Entry("a", world.now, Deed.DEPLOY, LOCAL, T("Why."), plan_id="pd-9"))
    assert await look(guardian, world) is Deed.CLEAN_UP
    assert world.did == ["undo pd-9"]
    world.left = {"pd-9": True}
    assert await look(guardian, world) is Deed.WAIT


async def test_when_it_is_up_again_the_log_says_so_once(guardian, world, wishes):
    await look(guardian, world)
    world.line = replace(world.line, state=LineState.UP)
    for _ in range(3):
        await look(guardian, world, 1)
    assert [entry.deed for entry in await wishes.log("a")] == [Deed.RECONNECT, Deed.NOTHING]


async def test_a_stopped_line_is_left_alone_and_its_callers_are_not_held(guardian, world, wishes):
    await look(guardian, world)
    world.did.clear()
    await wishes.rest("a", Rest.STOPPED)
    world.waits = 1
    assert await look(guardian, world) is Deed.NOTHING
    assert (world.did, world.held) == ([], None)


async def test_it_looks_by_itself_until_it_is_stopped(guardian, world):
    guardian.start()
    async with asyncio.timeout(5):
        while not world.did:
            await asyncio.sleep(0.01)
    await guardian.stop()
    assert world.did == ["reconnect"], "its tunnel was down"


async def test_a_day_of_a_line_with_hours(guardian, world, wishes):
    """Started before its hours, never while it shall sleep, put to sleep when the last call is over."""
    begin = datetime(2026, 11, 26, 8, 30, tzinfo=UTC).timestamp()
    world.line = replace(world.line, state=LineState.UP)
    await guardian.look(world.line)
    wish = await guardian.wish(world.line)
    assert wish.rest_at == world.now
    hours = parse("mon-fri 08:30-18:00", "UTC")
    world.now = begin - 3600
    await wishes.put(replace(wish, hours=hours, rest=Rest.ASLEEP, rest_at=begin - 50_000))
    world.line = replace(world.line, state=LineState.STOPPED)
    world.box_now = Box.STOPPED
    assert await look(guardian, world, 0) is Deed.NOTHING
    assert await look(guardian, world, 3600 - 290) is Deed.START
    await wishes.rest("a", Rest.UP, world.now)
    world.line = replace(world.line, state=LineState.UP)
    assert await look(guardian, world, 400) is Deed.NOTHING
    world.now, world.calls = begin + 9.5 * 3600 + 60, 1
    assert await look(guardian, world, 0) is Deed.NOTHING
    world.calls = 0
    assert await look(guardian, world, 60) is Deed.SLEEP
    assert world.did[-1] == "sleep a asleep: Its hours ended at 18:00."
    assert [str(entry.why) for entry in await wishes.log("a", 9)][-3:] == [
        "Its hours begin at 08:30.", "The voice answers.", "Its hours ended at 18:00.",
    ]  # fmt: skip


async def test_a_budget_keeps_it_from_renting_and_callers_are_told_why(world, wishes):
    allowed = Allowance(0.0, T("The budget of $5.00 a day for everything is used up."))
    asked: list[str] = []

    async def allowance(line: str) -> Allowance:
        asked.append(line)
        return allowed

    guardian = Guardian(
        world, wishes, world, world, world, world, world.spent, world.put_to_sleep,
        prove=world.prove, allowed=allowance, clock=lambda: world.now,
    )  # fmt: skip
    world.box_now = Box.GONE
    for _ in range(3):
        decision = await guardian.look(world.line)
        world.now += 60
    assert decision is not None
    assert (decision.deed, decision.stuck) == (Deed.WAIT, True)
    assert "used up" in str(decision.why)
    assert (world.plans, set(asked)) == ([], {"a"})
    # One that cannot be helped by waiting is not held.
    assert world.held is None
    entries = await wishes.log("a", 10)
    assert str(entries[-1].why) == str(decision.why)
    allowed = Allowance(2.0, allowed.why)
    await guardian.look(world.line)
    assert len(world.plans) == 1
