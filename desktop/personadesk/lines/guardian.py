"""Keeps lines up: looks, asks the rules (`domain/guarding.py`) for the next deed, writes it down, and does it.

Only the process that serves the lines does this. Each line has its own task, so that a deploy for one does not keep
the others waiting. What it does is in the log before it is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from personadesk.domain import sparing
from personadesk.domain.budget import UNLIMITED
from personadesk.domain.errors import NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.guarding import (
    OF_SPARES,
    Box,
    Deed,
    Observed,
    Spare,
    Voice,
    Work,
    by_hours,
    decide,
    since_up,
)
from personadesk.domain.line import LineState
from personadesk.domain.plan import RENT, new_plan_id
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import trouble_found
from personadesk.domain.sparing import SpareSeen
from personadesk.domain.text import T
from personadesk.domain.wish import Place, Rest, Wish, plan_for, wish_of
from personadesk.hosts import health
from personadesk.lines import causes
from personadesk.store.journal import Purpose
from personadesk.store.servers import ServerIntent
from personadesk.store.wishes import Entry
from personaplex_server.protocol import FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.domain.budget import Allowance
    from personadesk.domain.guarding import Decision, Done
    from personadesk.domain.line import Line
    from personadesk.domain.plan import Plan
    from personadesk.domain.reputation import Kind
    from personadesk.domain.text import Text
    from personadesk.hosts.servers import Servers
    from personadesk.lines.service import LineService
    from personadesk.lines.spares import Spares
    from personadesk.store.journal import Journal
    from personadesk.store.wishes import WishStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
PROVE_SECONDS = 300.0
"""A voice that nobody calls is called so often; more would look like use to whoever counts idle minutes."""
BUSY_SECONDS = 60.0
"""A voice that missed a call and is busy for so long, while nobody calls this line, counts as one that missed two."""
SLOW_SECONDS = 60.0
"""Ticks that took longer than a frame for so long are no hiccup any more."""
SLOW_LOOK_SECONDS = 10.0
WAY_SECONDS = 3.0
"""A machine that has not let us in by then is not reached, where a spare stands by."""
MONEY_SECONDS = 15.0
PAST = 200
_UNANSWERED = frozenset({Voice.SILENT, Voice.DEAD, Voice.STARTING})
"""Where the way to the voice may be what broke."""


class Machines(Protocol):
    """What the guardian needs of rented machines; they live beside it."""

    async def box(self, tag: str) -> Box:
        """Return how a deploy's machine stands."""

    async def blame(self, tag: str, kind: Kind | None) -> None:
        """Remember what was wrong with a deploy's machine; None where that is not known yet."""

    async def gone(self, tag: str) -> None:
        """Wait until the provider says that an ended machine is gone.

        Raises:
            PersonaDeskError: It does not say so.
        """

    async def restart(self, tag: str) -> None:
        """Restart it.

        Raises:
            PersonaDeskError: It did not come up.
        """


class Deploys(Protocol):
    """What the guardian needs of deploys; they live beside it."""

    async def unfinished(self, line: str) -> dict[str, bool]:
        """Return unfinished deploys for a line, and whether somebody works on each."""

    async def run(self, plan: Plan) -> None:
        """Run one to its end.

        Raises:
            PersonaDeskError: It failed.
        """

    async def fetch_model(self, plan_id: str) -> None:
        """Get what is missing of a deploy's model, where it runs.

        Raises:
            PersonaDeskError: It could not be had.
        """

    async def undo(self, plan_id: str) -> None:
        """Remove what one left.

        Raises:
            PersonaDeskError: Something would not go.
        """


@dataclass(slots=True)
class _Pace:
    """How quick a voice is.

    Attributes:
        looked: Unix time of the last look at its ticks.
        since: Unix time since when they have been slow, None when they are not.
        slow: Whether that is for long enough to be a fault.
    """

    looked: float = 0.0
    since: float | None = None
    slow: bool = False


class Guardian:
    """Looks after all lines that have a wish; a line gets one from its first finished deploy."""

    def __init__(
        self,
        lines: LineService,
        wishes: WishStore,
        servers: Servers,
        journal: Journal,
        machines: Machines,
        deploys: Deploys,
        spent: Callable[[str], Awaitable[float]],
        sleep: Callable[[str, Rest, Text], Awaitable[None]],
        *,
        prove: Callable[[str], Awaitable[None]],
        spares: Spares | None = None,
        allowed: Callable[[str], Awaitable[Allowance]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is needed.

        Args:
            lines: The lines.
            wishes: What they shall be, and the log.
            servers: The voice servers.
            journal: The deploys that were made.
            machines: Rented machines.
            deploys: Makes new ones.
            spent: Returns the dollars that a line has cost.
            sleep: Puts a line's voice and machine to sleep, and says why.
            prove: Calls a voice, hears a frame of it and hangs up.
            spares: Keeps second voices that stand by; None where there are none.
            allowed: Returns what the budgets let a line still spend; None where there are no budgets.
            clock: Unix time.
        """
        self._lines = lines
        self._wishes = wishes
        self._servers = servers
        self._journal = journal
        self._machines = machines
        self._deploys = deploys
        self._spent = spent
        self._spares = spares
        self._allowed = allowed
        self._sleep = sleep
        self._prove = prove
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._proven: dict[str, float] = {}
        self._mute: dict[str, int] = {}
        self._missed_at: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._paces: dict[str, _Pace] = {}
        self._left: dict[str, tuple[float, float, Allowance]] = {}

    # -- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look on and on until `stop`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="guardian")

    async def stop(self) -> None:
        """End looking; a deed that is under way is cut off, and the log says so."""
        tasks = [*self._busy.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._spares is not None:
            await self._spares.stop()
        self._busy.clear()
        self._task = None

    async def _run(self) -> None:
        while True:
            if self._lines.serving:
                self._busy = {name: task for name, task in self._busy.items() if not task.done()}
                for line in self._lines.lines():
                    if line.name not in self._busy:
                        self._busy[line.name] = asyncio.create_task(
                            self._guard(line), name=f"guardian {line.name}"
                        )
                await self._sweep()
            await asyncio.sleep(LOOK_SECONDS)

    async def _sweep(self) -> None:
        if self._spares is not None:
            try:
                await self._spares.sweep()
            except PersonaDeskError as error:
                log.warning("Spares were not looked for: %s %s", error.what, error.details)

    async def _guard(self, line: Line) -> None:
        try:
            await self.look(line)
        except PersonaDeskError as error:
            # Nothing was done; the next look tries again.
            log.warning(
                "The line %s was not looked after: %s %s", line.name, error.what, error.details
            )

    # -- one step ---------------------------------------------------------------------------------------------

    async def look(self, line: Line) -> Decision | None:
        """Look at a line once and do the one next deed; returns the decision, None for a line without a wish."""
        wish = await self.wish(line)
        if wish is None:
            self._lines.hold(line.name, None)
            return None
        entries = await self._wishes.log(line.name, PAST)
        past = [entry.done for entry in entries if entry.deed is not Deed.WAIT]
        found = await self._spares.find(line) if self._spares is not None else SpareSeen()
        seen = await self._see(line, wish, past, found)
        if self._spares is not None:
            await self._spares.tend(line, wish, seen, found, past)
        decision = decide(wish, seen, past, self._clock())
        held = (
            not decision.stuck
            and wish.guarded
            and (wish.rest is Rest.UP or (wish.rest is Rest.ASLEEP and wish.wake_on_connect))
        )
        self._lines.hold(line.name, str(decision.why) if held else None)
        last = next((each for each in reversed(entries) if each.deed not in OF_SPARES), None)
        if decision.deed is Deed.NOTHING:
            if seen.voice is Voice.UP and since_up(past):
                await self._note(line, decision, seen.place)
            return decision
        if decision.deed is Deed.WAIT:
            if last is None or last.deed is not Deed.WAIT or last.why != decision.why:
                await self._note(line, decision, seen.place)
            return decision
        await self._do(line, wish, seen, decision, found)
        return decision

    async def wish(self, line: Line) -> Wish | None:
        """Return what a line shall be, read from its newest finished deploy where that is news."""
        known = await self._wishes.get(line.name)
        tag = line.target.server_id if line.target is not None else ""
        if not tag or (known is not None and known.made_of == tag):
            return known
        record = await self._journal.load(tag)
        if (
            record is None
            or record.state is not DeployState.DONE
            or record.purpose is Purpose.DEMO
            or record.plan.line != line.name
        ):
            return known
        fresh = replace(wish_of(record.plan, known), rest_at=self._clock())
        await self._wishes.put(fresh)
        return fresh

    async def _see(
        self, line: Line, wish: Wish, past: Sequence[Done], found: SpareSeen
    ) -> Observed:
        work = await self._work(line.name)
        spare = sparing.ready(found, past)
        waiting = self._lines.waiting(line.name)
        if line.target is None:
            rentable = any(each.place == RENT for each in wish.places)
            return Observed(
                Voice.ABSENT, since=line.since, work=work, waiting=waiting,
                spent=await self._spent(line.name) if rentable else 0.0,
                allowance=await self._allowance(line.name), spare=spare,
            )  # fmt: skip
        tag = line.target.server_id
        voice = await self._voice(line)
        record = await self._journal.load(tag)
        plan = record.plan if record is not None else None
        place = Place(plan.place, plan.rent).key if plan is not None else ""
        edge = by_hours(wish, past, self._clock())
        wanted = wish.rest is Rest.UP or waiting or (edge is not None and edge.begins)
        calls = self._lines.calls_of(line.name)
        if voice is Voice.UP or not wanted or (voice is Voice.SLOW and calls):
            self._gone.pop(line.name, None)
            spent, allowance = 0.0, UNLIMITED
            if wish.spare or found.tag:
                spent, allowance = await self._money(line.name)
            return Observed(
                voice, place, line.since, work=work, waiting=waiting, calls=calls, spent=spent,
                allowance=allowance, spare=spare,
            )  # fmt: skip
        if spare is Spare.READY and work is Work.NONE and voice is not Voice.STOPPED:
            # Whoever calls waits for each question that is asked now.
            reached, tunnel = await self._way(tag) if voice in _UNANSWERED else (None, None)
            return Observed(
                voice, place, line.since, Box.UNKNOWN, reached, tunnel, work, waiting, calls,
                spare=spare,
            )  # fmt: skip
        rented = plan is not None and plan.place == RENT
        box = await self._box(line.name, tag) if rented else Box.OURS
        reached = tunnel = None
        if box in {Box.OURS, Box.RUNNING}:
            reached = await self._servers.reached(tag)
            if reached:
                status = await self._servers.status(tag)
                tunnel = status is not None and status.alive
        spent = await self._spent(line.name) if rented else 0.0
        return Observed(
            voice, place, line.since, box, reached, tunnel, work, waiting, spent=spent,
            allowance=await self._allowance(line.name), spare=spare,
        )  # fmt: skip

    async def _way(self, tag: str) -> tuple[bool | None, bool | None]:
        """Return whether a machine lets us in, and whether the tunnel to it is there; slow is no."""
        try:
            async with asyncio.timeout(WAY_SECONDS):
                reached = await self._servers.reached(tag)
        except TimeoutError:
            return False, None
        if not reached:
            return reached, None
        status = await self._servers.status(tag)
        return reached, status is not None and status.alive

    async def _money(self, name: str) -> tuple[float, Allowance]:
        """Return what a line has cost and may still cost, some seconds old: a month takes long to add up."""
        at, spent, allowance = self._left.get(name, (0.0, 0.0, UNLIMITED))
        if not 0.0 <= self._clock() - at < MONEY_SECONDS:
            spent, allowance = await self._spent(name), await self._allowance(name)
            self._left[name] = (self._clock(), spent, allowance)
        return spent, allowance

    async def _allowance(self, name: str) -> Allowance:
        return await self._allowed(name) if self._allowed is not None else UNLIMITED

    async def _box(self, name: str, tag: str) -> Box:
        """Return how the machine stands; that it is gone is believed when it is seen twice."""
        box = await self._machines.box(tag)
        if box is not Box.GONE:
            self._gone.pop(name, None)
            return box
        if name not in self._gone:
            self._gone[name] = self._clock()
            return Box.CHANGING
        return box

    async def is_deployed_to(self, name: str) -> bool:
        """Whether a deploy for a line is under way, or was interrupted."""
        return bool(await self._deploys.unfinished(name))

    async def _work(self, name: str) -> Work:
        unfinished = await self._deploys.unfinished(name)
        if not unfinished:
            return Work.NONE
        if any(unfinished.values()):
            return Work.RUNNING
        ours = {entry.plan_id for entry in await self._wishes.log(name, PAST)}
        return Work.OURS_LEFT if ours.issuperset(unfinished) else Work.LEFT

    async def _voice(self, line: Line) -> Voice:
        target = line.target
        if target is None:
            return Voice.ABSENT
        if line.state is LineState.UP:
            proven = await self._proof(line)
            slow = proven is Voice.UP and await self._is_slow(line)
            return Voice.SLOW if slow else proven
        self._paces.pop(line.name, None)
        self._mute.pop(line.name, None)
        if line.state is LineState.STARTING:
            return Voice.STARTING
        server = await self._servers.store.get(target.server_id)
        if server is not None and server.intent is ServerIntent.STOPPED:
            return Voice.STOPPED
        found = await health.ask(target.url)
        if found is not None:
            if found.takes_calls:
                return Voice.MUTE
            return Voice.NO_MODEL if found.cause == "model" else Voice.FAILED
        status = await self._servers.status(target.server_id)
        return Voice.DEAD if status is not None and not status.alive else Voice.SILENT

    async def _proof(self, line: Line) -> Voice:
        """Call a voice that is said to be up, now and then, when nobody else does; two misses count."""
        if self._lines.mute(line.name):
            return Voice.MUTE
        now = self._clock()
        missed = self._mute.get(line.name, 0)
        due = missed or now - self._proven.setdefault(line.name, now) >= PROVE_SECONDS
        if line.target is None or not due or self._lines.calls_of(line.name):
            return Voice.UP
        self._proven[line.name] = now
        try:
            await self._prove(line.target.url)
        except NoCapacity:
            # Somebody talks, or a voice that fell silent never let go of the one who called it first.
            missed += bool(missed) and now - self._missed_at.get(line.name, now) > BUSY_SECONDS
        except PersonaDeskError as error:
            missed += 1
            self._missed_at.setdefault(line.name, now)
            log.info("The line %s was called and did not answer: %s", line.name, error.what)
        else:
            missed = 0
        if not missed:
            self._missed_at.pop(line.name, None)
        self._mute[line.name] = missed
        return Voice.MUTE if missed > 1 else Voice.UP

    async def _is_slow(self, line: Line) -> bool:
        """Look at the ticks while somebody talks; only then there are any, and what was found counts until the next."""
        pace = self._paces.setdefault(line.name, _Pace())
        now = self._clock()
        if line.target is None or not self._lines.calls_of(line.name):
            pace.since = pace.since if pace.slow else None
            return pace.slow
        if now - pace.looked < SLOW_LOOK_SECONDS:
            return pace.slow
        pace.looked = now
        p99 = await health.tick_p99(line.target.url)
        if p99 is None or p99 <= FRAME_SECONDS * 1000:
            pace.slow, pace.since = False, None
            return False
        pace.since = now if pace.since is None else pace.since
        if not pace.slow and now - pace.since >= SLOW_SECONDS:
            log.info("The line %s is slow: 1 %% of its ticks take over %.0f ms", line.name, p99)
            pace.slow = True
        return pace.slow

    # -- deeds ------------------------------------------------------------------------------------------------

    async def _note(self, line: Line, decision: Decision, place: str) -> None:
        log.info("The line %s: %s. %s", line.name, decision.deed, decision.why)
        await self._wishes.begin(
            Entry(line.name, self._clock(), decision.deed, place, decision.why, worked=True)
        )

    async def _do(
        self, line: Line, wish: Wish, seen: Observed, decision: Decision, found: SpareSeen
    ) -> None:
        place = decision.place.key if decision.place is not None else seen.place
        if decision.deed is Deed.SWITCH:
            place = found.place
        plan = None
        if decision.deed is Deed.DEPLOY and decision.place is not None:
            plan = plan_for(wish, decision.place, new_plan_id(), line.port, spent=seen.spent)
        log.info("The line %s: %s at %s. %s", line.name, decision.deed, place, decision.why)
        began = time.monotonic()
        number = await self._wishes.begin(
            Entry(
                line.name, self._clock(), decision.deed, place, decision.why,
                plan_id=plan.id if plan is not None else "",
            )
        )  # fmt: skip
        outcome = ""
        if decision.deed is Deed.END_MACHINE or (plan is not None and seen.box is Box.GONE):
            # Before it ends: what was wrong with it counts when the next one is chosen.
            trouble = trouble_found(seen)
            if trouble is not None or seen.reached:
                await self._machines.blame(_tag(line), trouble)
        try:
            if decision.deed is Deed.SWITCH and self._spares is not None:
                await self._spares.take_over(line, found)
            else:
                await self._act(line, decision.deed, plan, decision.why)
        except PersonaDeskError as error:
            outcome = f"{error.what} {error.next}"
        self._mute.pop(line.name, None)
        self._missed_at.pop(line.name, None)
        self._paces.pop(line.name, None)
        await self._wishes.end(
            number, at=self._clock(), worked=not outcome, outcome=outcome,
            seconds=time.monotonic() - began, why=await causes.told(self._journal, plan, decision.why),
        )  # fmt: skip
        log.info("The line %s: %s %s", line.name, decision.deed, outcome or "done")

    async def _act(self, line: Line, deed: Deed, plan: Plan | None, why: Text) -> None:
        if plan is not None:
            await self._deploys.run(plan)
            await self._wishes.rest(line.name, Rest.UP, self._clock())
            return
        if deed is Deed.CLEAN_UP:
            for plan_id in await self._deploys.unfinished(line.name):
                await self._deploys.undo(plan_id)
            return
        tag = _tag(line)
        if deed is Deed.RECONNECT:
            await self._servers.reconnect(tag)
        elif deed is Deed.START:
            await self._lines.start(line.name)
        elif deed is Deed.SLEEP:
            await self._sleep(line.name, Rest.ASLEEP, why)
        elif deed is Deed.RESTART_SERVICE:
            await self._restart(line, tag)
        elif deed is Deed.FETCH_MODEL:
            await self._deploys.fetch_model(tag)
            await self._restart(line, tag)
        elif deed is Deed.RESTART_MACHINE:
            await self._machines.restart(tag)
            await self._lines.start(line.name)
        elif deed is Deed.END_MACHINE:
            await self._servers.dispose(tag)
            await self._machines.gone(tag)
            await self._lines.detach(line.name, rest=Rest.UP)

    async def _restart(self, line: Line, tag: str) -> None:
        status = await self._servers.status(tag)
        if status is None:
            raise NotFound(
                T("The voice server {name} no longer exists.", name=tag),
                T("Deploy it again."),
                cause="no_server",
            )
        if status.alive:
            # Said first: the process is then younger than the state, and gets the time that a start takes.
            await self._lines.tell(line.name, LineState.STARTING)
            await self._servers.restart(tag)
        else:
            # It may also need another port, which starting a line sees to.
            await self._lines.start(line.name)


def _tag(line: Line) -> str:
    return line.target.server_id if line.target is not None else ""
