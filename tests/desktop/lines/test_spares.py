"""What is done for a line's spare, and how the line goes over to it; the rules have a table of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from personadesk.domain.errors import BadRequest, ProviderFault, Unreachable
from personadesk.domain.guarding import OF_SPARES, Box, Deed
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.progress import DeployState
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish
from personadesk.hosts import health
from personadesk.hosts.server_process import ServerStatus
from personadesk.lines import guardian as guardian_module
from personadesk.lines import spares as spares_module
from personadesk.lines.guardian import Guardian
from personadesk.lines.spares import Spares
from personadesk.store.database import Database
from personadesk.store.journal import Journal, Purpose
from personadesk.store.lines import LineStore
from personadesk.store.wishes import WishStore

FIRST, SECOND = (
    Place(RENT, RentWish(account=name, max_price=1.0)) for name in ("cloud", "other")
)  # fmt: skip
WISH = Wish("a", places=(FIRST, SECOND), max_price=1.0, made_of="pd-1", spare=ANY_SPARE)
READY = health.Health("ready", None, "", "", "", {})


def url_of(tag: str) -> str:
    return f"ws://{tag}/api/chat"


@dataclass
class World:
    """Everything around the guardian and its spares; the journal, the lines and the wishes are real."""

    journal: Journal
    table: LineStore
    wishes: WishStore
    now: float = 1_000_000.0
    up: set[str] = field(default_factory=set)
    boxes: dict[str, Box] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    serving: bool = True
    silent: bool = False
    holding: asyncio.Event | None = None
    calls: int = 0
    failure: Exception | None = None
    slow_ssh: bool = False
    cut: set[str] = field(default_factory=set)
    """Tunnels that are down."""
    line: Line = field(
        default_factory=lambda: Line("a", 9000, Target(url_of("pd-1"), "pd-1"), LineState.UP, 1.0)
    )
    held: str | None = None
    blamed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def store(self):
        return self

    # -- the lines

    def lines(self):
        return (self.line,)

    async def all(self):
        return self.lines()

    async def refresh(self):
        self.line = await self.table.get("a")

    def hold(self, name, reason):
        self.held = reason

    def waiting(self, name):
        return 0

    def mute(self, name):
        return False

    def calls_of(self, name):
        return self.calls

    async def start(self, server):
        self.did.append(f"start {server if isinstance(server, str) else server.id}")

    async def tell(self, name, state, reason=""):
        self.line = replace(self.line, state=state, reason=reason)
        await self.table.put(self.line)

    async def detach(self, name, *, rest):
        self.line = replace(self.line, target=None)
        await self.table.put(self.line)

    # -- servers

    async def get(self, tag):
        known = tag in self.boxes
        return SimpleNamespace(id=tag, url=url_of(tag), intent=None) if known else None

    async def status(self, tag):
        alive = tag not in self.cut
        return ServerStatus(alive=alive, state="running") if tag in self.boxes else None

    async def reached(self, tag):
        if self.slow_ssh:
            await asyncio.Event().wait()
        return self.boxes.get(tag) is Box.RUNNING

    async def reconnect(self, tag):
        self.did.append(f"reconnect {tag}")

    async def restart(self, tag):
        self.did.append(f"restart {tag}")

    async def dispose(self, tag):
        self.did.append(f"dispose {tag}")
        if self.failure is not None:
            raise self.failure
        self.boxes.pop(tag, None)
        self.up.discard(tag)

    # -- machines and deploys

    async def box(self, tag):
        return self.boxes.get(tag, Box.GONE)

    async def blame(self, tag, kind):
        self.blamed.append((tag, kind))

    async def end(self, tag):
        self.did.append(f"end {tag}")

    async def gone(self, tag):
        self.did.append(f"gone {tag}")
        if self.silent:
            raise ProviderFault(T("The provider does not say that the machine is gone."))

    async def unfinished(self, line):
        return {}

    async def unfinished_spares(self, line):
        found = await self.journal.spares(line)
        running = self.holding is not None
        return {r.plan.id: running for r in found if r.state is not DeployState.DONE}

    async def run(self, plan):
        raise AssertionError("the line itself was not to be deployed")

    async def make_spare(self, plan):
        self.did.append(f"make {Place(plan.place, plan.rent).key}")
        await self.journal.begin(plan, Purpose.SPARE, self.now)
        if self.holding is not None:
            await self.holding.wait()
            raise ProviderFault(T("The deploy was stopped before its end."))
        if self.failure is not None:
            await self.journal.set_state(plan.id, DeployState.FAILED)
            raise self.failure
        self.add(plan.id)
        await self.journal.set_state(plan.id, DeployState.DONE, ended=self.now)

    async def undo(self, tag):
        self.did.append(f"undo {tag}")
        await self.journal.set_state(tag, DeployState.UNDONE)
        if self.holding is not None:
            self.holding.set()

    async def fetch_model(self, tag):
        raise AssertionError(tag)

    # -- the rest

    def add(self, tag):
        self.up.add(tag)
        self.boxes[tag] = Box.RUNNING

    def kill(self, tag, box=Box.RUNNING):
        self.up.discard(tag)
        self.boxes[tag] = box
        if self.line.target and self.line.target.server_id == tag:
            self.line = replace(self.line, state=LineState.FAILED, since=self.now)

    async def ask(self, url):
        return READY if url in {url_of(tag) for tag in self.up} else None

    async def prove(self, url):
        if url not in {url_of(tag) for tag in self.up}:
            raise Unreachable(T("It does not answer."))

    async def spent(self, line):
        return 0.0

    async def sleep(self, name, rest, why):
        raise AssertionError(name)

    @property
    def voices(self):
        """What is made and not ended: this line's machines."""
        return set(self.boxes)


@pytest.fixture
async def world(tmp_path, monkeypatch):
    database = await Database(tmp_path / "a.db").open()
    made = World(Journal(database), LineStore(database), WishStore(database))
    await made.journal.begin(
        Plan("pd-1", "a", 9000, place=RENT, rent=FIRST.rent), Purpose.DEPLOY, 0
    )
    await made.journal.set_state("pd-1", DeployState.DONE)
    await made.table.put(made.line)
    await made.wishes.put(WISH)
    made.add("pd-1")
    for module in (guardian_module, spares_module):
        monkeypatch.setattr(module.health, "ask", made.ask)
    yield made
    await database.close()


@pytest.fixture
async def spares(world):
    made = Spares(
        world, world.wishes, world, world.journal, world, world, world.prove, lambda: world.now
    )
    yield made
    await made.stop()


@pytest.fixture
def guardian(world, spares):
    return Guardian(
        world, world.wishes, world, world.journal, world, world, world.spent, world.sleep,
        prove=world.prove, spares=spares, clock=lambda: world.now,
    )  # fmt: skip


async def look(guardian, world, spares, seconds=100.0):
    """Look once, and let what was begun for the spare come to its end."""
    world.now += seconds
    decision = await guardian.look(world.line)
    await settle(spares)
    return decision.deed


async def settle(spares):
    tasks = [*(each.task for each in spares._work.values()), *spares._ending.values()]
    tasks += [each.calling for each in spares._known.values() if each.calling is not None]
    await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def deeds(world):
    return [entry.deed for entry in await world.wishes.log("a")]


async def spare_of(world):
    (record,) = await world.journal.spares("a")
    return record.plan.id


async def with_spare(guardian, world, spares):
    await look(guardian, world, spares)
    await look(guardian, world, spares)
    return await spare_of(world)


async def test_a_line_that_is_up_gets_a_spare_at_its_next_place_and_leads_where_it_led(
    guardian, world, spares
):
    before = world.line
    assert await look(guardian, world, spares) is Deed.NOTHING
    assert world.did == ["make account:other"]
    for _ in range(3):
        assert await look(guardian, world, spares) is Deed.NOTHING
    assert await deeds(world) == [Deed.MAKE_SPARE, Deed.SPARE_READY]
    assert (world.line, await world.wishes.get("a")) == (before, WISH)
    assert world.voices == {"pd-1", await spare_of(world)}
    standing = await spares.standing(world.line)
    assert (standing.place, standing.making, standing.answers) == ("account:other", False, True)


async def test_when_the_voice_dies_the_line_goes_over_at_once_and_a_new_spare_is_made(
    guardian, world, spares
):
    tag = await with_spare(guardian, world, spares)
    world.kill("pd-1", Box.GONE)
    world.did.clear()

    assert await look(guardian, world, spares, 1) is Deed.SWITCH

    assert (world.line.target, world.line.state) == (Target(url_of(tag), tag), LineState.UP)
    assert world.did == [], "no provider was asked and nothing was begun before that"
    assert await spare_of(world) == "pd-1", "what is billed may not be forgotten"
    entry = (await world.wishes.log("a"))[-1]
    assert (entry.deed, entry.place, entry.worked) == (Deed.SWITCH, "account:other", True)
    assert str(entry.why).endswith("Its spare takes over.")
    for _ in range(6):
        assert await look(guardian, world, spares) is Deed.NOTHING
        assert len(world.voices) <= 2
    wish = await world.wishes.get("a")
    assert (wish.made_of, wish.places, wish.spare, wish.rest) == (
        tag, WISH.places, ANY_SPARE, Rest.UP,
    )  # fmt: skip
    assert world.did[:3] == ["dispose pd-1", "gone pd-1", "undo pd-1"]
    assert world.did[3:] == ["make account:cloud"]
    assert world.blamed == [("pd-1", "vanished")]
    assert world.voices == {tag, await spare_of(world)}


async def test_a_voice_that_failed_is_mended_where_it_can_be_and_stands_by_then(
    guardian, world, spares
):
    tag = await with_spare(guardian, world, spares)
    world.kill("pd-1")
    assert await look(guardian, world, spares, 1) is Deed.SWITCH
    world.did.clear()
    await look(guardian, world, spares, 1)
    assert world.did == ["restart pd-1"]
    world.up.add("pd-1")
    await look(guardian, world, spares)
    assert (await deeds(world))[-2:] == [Deed.MEND_SPARE, Deed.SPARE_READY]
    world.kill(tag)
    assert await look(guardian, world, spares, 1) is Deed.SWITCH
    assert world.line.target == Target(url_of("pd-1"), "pd-1")


async def test_a_machine_that_says_nothing_keeps_nobody_waiting(
    guardian, world, spares, monkeypatch
):
    monkeypatch.setattr(guardian_module, "WAY_SECONDS", 0.05)
    await with_spare(guardian, world, spares)
    world.kill("pd-1", Box.UNKNOWN)
    world.slow_ssh = True
    async with asyncio.timeout(10):
        assert await look(guardian, world, spares, 1) is Deed.SWITCH


async def test_a_spare_that_does_not_answer_takes_nothing_over_and_is_mended_then_replaced(
    guardian, world, spares
):
    tag = await with_spare(guardian, world, spares)
    world.kill(tag)
    world.did.clear()
    await look(guardian, world, spares, 1)
    assert world.did == [], "it is only late"
    for _ in range(3):
        assert await look(guardian, world, spares, 200) is Deed.NOTHING
    assert world.did == [f"restart {tag}"] * 2 + [f"dispose {tag}", f"gone {tag}", f"undo {tag}"]
    await look(guardian, world, spares, 200)
    assert world.did[-1] == "make account:other"
    assert world.line.target == Target(url_of("pd-1"), "pd-1")


async def test_without_an_answer_from_the_spare_the_line_is_mended_as_one_without(
    guardian, world, spares
):
    tag = await with_spare(guardian, world, spares)
    world.kill(tag)
    world.kill("pd-1")
    assert await look(guardian, world, spares, 1) is Deed.RESTART_SERVICE
    assert world.line.target == Target(url_of("pd-1"), "pd-1")


async def test_a_tunnel_is_made_anew_once_before_the_line_goes_over(guardian, world, spares):
    await with_spare(guardian, world, spares)
    world.kill("pd-1")
    world.cut.add("pd-1")
    assert await look(guardian, world, spares, 1) is Deed.RECONNECT
    assert await look(guardian, world, spares, 1) is Deed.SWITCH


async def test_it_ends_with_the_line_and_its_end_is_the_providers_word(guardian, world, spares):
    tag = await with_spare(guardian, world, spares)
    await world.wishes.rest("a", Rest.ASLEEP)
    world.silent = True
    await look(guardian, world, spares)
    entry = (await world.wishes.log("a"))[-1]
    assert (entry.deed, str(entry.why), entry.worked) == (
        Deed.END_SPARE, "The line sleeps.", False,
    )  # fmt: skip
    assert await spare_of(world) == tag, "until the provider says so it is not forgotten"
    world.silent = False
    await look(guardian, world, spares)
    assert await world.journal.spares("a") == []
    assert (await world.wishes.log("a"))[-1].worked


async def test_whoever_stops_a_line_ends_its_spare_without_a_guardian(guardian, world, spares):
    tag = await with_spare(guardian, world, spares)
    await spares.end_all("a", T("The line is stopped."))
    assert world.voices == {"pd-1"}
    assert world.did[-2:] == [f"dispose {tag}", f"end {tag}"]
    assert await world.journal.spares() == []
    await spares.end_all("a", T("The line is stopped."))
    assert (await deeds(world)).count(Deed.END_SPARE) == 1


async def test_one_that_is_being_made_is_stopped_and_its_place_is_as_good_as_before(
    guardian, world, spares
):
    world.holding = asyncio.Event()
    world.now += 100
    await guardian.look(world.line)
    async with asyncio.timeout(10):
        while not await world.journal.spares("a"):
            await asyncio.sleep(0.01)
    await world.wishes.put(replace(WISH, spare=""))
    world.now += 100
    await guardian.look(world.line)
    await settle(spares)
    assert [each for each in world.did if each.startswith("dispose")] == []
    assert await world.journal.spares("a") == []
    made = next(e for e in await world.wishes.log("a") if e.deed is Deed.MAKE_SPARE)
    assert made.worked
    assert "stopped" in made.outcome
    world.holding = None
    await world.wishes.put(WISH)
    await look(guardian, world, spares)
    assert world.did[-1] == "make account:other"


async def test_one_whose_making_was_cut_off_is_removed_by_the_next_start(guardian, world, spares):
    await world.journal.begin(
        Plan("pd-7", "a", 9000, place=RENT, rent=SECOND.rent), Purpose.SPARE, world.now
    )
    await look(guardian, world, spares)
    assert world.did == ["dispose pd-7", "gone pd-7", "undo pd-7"]
    assert str((await world.wishes.log("a"))[-1].why) == "The making of the spare was cut off."


async def test_that_of_a_line_which_is_gone_is_found_and_ended(world, spares):
    await world.journal.begin(
        Plan("pd-8", "gone", 9001, place=RENT, rent=SECOND.rent), Purpose.SPARE, world.now
    )
    await world.journal.set_state("pd-8", DeployState.DONE)
    await spares.sweep()
    await settle(spares)
    assert world.did == ["dispose pd-8", "gone pd-8", "undo pd-8"]
    assert await world.journal.spares() == []


async def test_why_there_is_none_is_said_once(guardian, world, spares):
    await world.wishes.put(replace(WISH, max_price=None))
    for _ in range(3):
        await look(guardian, world, spares)
    assert [(e.deed, str(e.why)) for e in await world.wishes.log("a")] == [
        (Deed.NO_SPARE, "No price limit was set, so nothing is rented unasked.")
    ]


async def test_a_place_that_has_none_is_left_for_the_next_and_the_line_is_not_disturbed(
    guardian, world, spares
):
    world.failure = ProviderFault(T("Sold out."), T("Later."))
    for _ in range(3):
        assert await look(guardian, world, spares) is Deed.NOTHING
    assert world.did == ["make account:other", "make account:cloud"]
    log = await world.wishes.log("a")
    assert [e.deed for e in log] == [Deed.MAKE_SPARE, Deed.MAKE_SPARE, Deed.NO_SPARE]
    assert log[0].outcome == "Sold out. Later."
    assert all(e.deed in OF_SPARES for e in log)


async def test_a_line_that_somebody_led_elsewhere_is_not_switched(guardian, world, spares):
    await with_spare(guardian, world, spares)
    found = await spares.find(world.line)
    await world.table.put(replace(world.line, target=Target(url_of("pd-9"), "pd-9")))
    with pytest.raises(BadRequest, match="elsewhere"):
        await spares.take_over(world.line, found)
    assert await spare_of(world) == found.tag


async def test_a_move_to_where_the_spare_stands_is_done_at_once_and_back_again(
    guardian, world, spares
):
    tag = await with_spare(guardian, world, spares)
    assert not await spares.move(world.line, "account:cloud")
    world.did.clear()
    assert await spares.move(world.line, "account:other")
    assert world.line.target == Target(url_of(tag), tag)
    for _ in range(3):
        assert await look(guardian, world, spares) is Deed.NOTHING
    assert world.did == [], "what stands by now is well, and its calls go on"
    assert (await world.wishes.get("a")).made_of == tag
    world.up.discard("pd-1")
    assert not await spares.move(world.line, "account:cloud"), "it does not answer"
    world.up.add("pd-1")
    assert await spares.move(world.line, "account:cloud")
    assert await spare_of(world) == tag


async def test_a_line_does_not_go_over_to_a_spare_that_is_being_ended(
    guardian, world, spares, monkeypatch
):
    await with_spare(guardian, world, spares)
    await world.wishes.put(replace(WISH, spare=""))
    asked, told = asyncio.Event(), asyncio.Event()

    async def gone(tag):
        asked.set()
        await told.wait()

    monkeypatch.setattr(world, "gone", gone)
    monkeypatch.setattr(world, "dispose", gone)
    world.now += 100
    await guardian.look(world.line)
    await asyncio.wait_for(asked.wait(), 20)
    world.kill("pd-1")
    world.now += 1
    decision = await guardian.look(world.line)
    assert decision.deed is Deed.RESTART_SERVICE
    told.set()
    await settle(spares)
    assert await world.journal.spares() == []
    assert world.line.target == Target(url_of("pd-1"), "pd-1")
