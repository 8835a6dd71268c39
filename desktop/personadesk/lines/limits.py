"""Holds what runs behind lines to what its user allowed: so much money, and no idle hours that cost.

Only the process that serves the lines does this, so that it is done once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.budget import Act
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.quantity import duration
from personadesk.domain.text import T, Text
from personadesk.domain.wish import Rest
from personadesk.hosts import health
from personadesk.lines.truth import ASKED, IDLE, SPENT
from personadesk.store.owed import Debt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from personadesk.domain.budget import Standing
    from personadesk.domain.line import Line
    from personadesk.domain.plan import RentWish
    from personadesk.lines.service import LineService
    from personadesk.store.journal import Journal
    from personadesk.store.owed import OwedStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
AGAIN_SECONDS = 120.0
"""So long a stop that was asked for is given until the machines are seen to be stopped; then it is asked again."""
RAREST_SECONDS = 600.0
"""Each further try waits twice as long, but never longer: the machine costs meanwhile."""
STALE_SECONDS = 1800.0
"""A machine that runs so long after its provider took the stop, while nobody looked, was started by somebody."""


class Sleeper(Protocol):
    """Puts a rented machine to sleep."""

    async def sleep(self, tag: str) -> bool:
        """Return whether it can be woken."""

    async def end(self, tag: str) -> None:
        """End it."""

    async def rests(self, tag: str, *, ended: bool = False) -> bool:
        """Return whether its provider says that it is stopped, or it ends; `ended`: stopped is not enough."""


class Limits:
    """Looks after lines whose voices run on rented machines.

    Attributes:
        own_call: Tells whether the call that an address has now is a test of ours, which is no use of it.
        rent_of: Returns what a line's wish says of an account now, which may be newer than its deploy.
        in_hours: Tells whether a line has its hours now; it then stays up, called or not.
        used_up: Returns the spending limit of a line once all its machines together have reached it.
    """

    def __init__(
        self,
        lines: LineService,
        journal: Journal,
        spent: Callable[[str], Awaitable[float]],
        machines: Sleeper,
        owed: OwedStore,
        *,
        due: Callable[[str], Awaitable[Standing | None]] | None = None,
        ask: Callable[[str], Awaitable[health.Health | None]] = health.ask,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is needed.

        Args:
            lines: The lines.
            journal: Knows what was allowed for each.
            spent: Returns the dollars that a deploy's machines have cost.
            machines: Puts them to sleep.
            owed: Remembers over a restart which machines must still stop.
            due: Returns the budget by which a line's machine must not run on; None where there are no budgets.
            ask: Asks a voice server how it is.
            clock: Unix time.
        """
        self._lines = lines
        self._journal = journal
        self._spent = spent
        self._machines = machines
        self._owed = owed
        self._due = due
        self._ask = ask
        self._clock = clock
        self._wishes: dict[str, RentWish | None] = {}
        self._busy_at: dict[str, float] = {}
        self._acted: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.own_call: Callable[[str], bool] = lambda _: False
        self.rent_of: Callable[[str, str], Awaitable[RentWish | None]] = _says_nothing
        self.in_hours: Callable[[str], Awaitable[bool]] = _has_none
        self.used_up: Callable[[str], Awaitable[float | None]] = _has_no_limit

    def start(self) -> None:
        """Look on and on until `stop`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="limits")

    async def stop(self) -> None:
        """End looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def look(self) -> None:
        """Look at every line once, put to sleep what must sleep, and see to it that what was put to sleep stops."""
        owed = {debt.tag for debt in await self._owed.all()}
        for line in self._lines.lines():
            try:
                await self._look_at(line, owed)
            except PersonaDeskError as error:
                # One provider that does not answer is no reason to let the others' machines cost on.
                log.warning(
                    "The limits of %s could not be held: %s %s",
                    line.name,
                    error.what,
                    error.details,
                )
        for debt in await self._owed.all():
            try:
                await self._pay(debt)
            except PersonaDeskError as error:
                log.warning(
                    "The machine behind %s must stop and its provider did not take it yet: %s %s",
                    debt.line,
                    error.what,
                    error.details,
                )

    async def _look_at(self, line: Line, owed: Container[str]) -> None:
        if await self._keep_budget(line) or line.target is None:
            return
        tag = line.target.server_id
        if tag in owed and line.state is not LineState.UP:
            return
        # The voice may be down: what counts is that its machine is billed.
        wish = await self._wish(tag) if line.state is not LineState.STOPPED else None
        reason = await self._reason(line, tag, wish) if wish is not None else None
        if reason:
            idle = reason.template == IDLE.template
            await self._sleep(line, tag, reason, Rest.ASLEEP if idle else Rest.STOPPED)

    async def _keep_budget(self, line: Line) -> bool:
        """Stop or end what runs behind a line whose budget is used up; returns whether that was so.

        The voice may be down: what counts is that its machine is billed.
        """
        if self._due is None or line.target is None:
            return False
        tag = line.target.server_id
        if await self._wish(tag) is None:
            return False
        due = await self._due(line.name)
        if due is None or self._clock() - self._acted.get(tag, 0.0) < AGAIN_SECONDS:
            return due is not None
        self._acted[tag] = self._clock()
        if due.budget.act is Act.END:
            await self._sleep(line, tag, due.why, Rest.STOPPED, ends=True)
        else:
            # Once there is money again, whoever calls wakes it.
            await self._sleep(line, tag, due.why, Rest.ASLEEP)
        return True

    async def sleep(self, name: str, rest: Rest = Rest.STOPPED, why: Text = ASKED) -> None:
        """Stop a line's voice and put its rented machine, if it has one, to sleep.

        Args:
            name: The line's.
            rest: `ASLEEP` lets a caller wake it.
            why: The reason, a sentence.

        Raises:
            NotFound: There is no such line.
            PersonaDeskError: The provider did not take it.
        """
        line = await self._lines.need(name)
        if line.target is None or await self._wish(line.target.server_id) is None:
            await self._lines.stop(name)
            await self._lines.rest(name, rest)
            if why != ASKED:
                await self._lines.tell(name, LineState.STOPPED, why)
        else:
            await self._sleep(line, line.target.server_id, why, rest)

    async def _run(self) -> None:
        while True:
            if self._lines.serving:
                try:
                    await self.look()
                except PersonaDeskError as error:
                    log.warning("The limits could not be held: %s %s", error.what, error.details)
            await asyncio.sleep(LOOK_SECONDS)

    async def _wish(self, tag: str) -> RentWish | None:
        if tag not in self._wishes:
            record = await self._journal.load(tag)
            self._wishes[tag] = record.plan.rent if record is not None else None
        return self._wishes[tag]

    async def _reason(self, line: Line, tag: str, wish: RentWish) -> Text | None:
        """Return why a line must sleep now, None when it may stay up."""
        if wish.spend_limit is not None and await self._spent(tag) >= wish.spend_limit:
            return T(SPENT.template, limit=f"{wish.spend_limit:.2f}")
        limit = await self.used_up(line.name)
        if limit is not None:
            return T(SPENT.template, limit=f"{limit:.2f}")
        if line.state is not LineState.UP:
            return None
        idle_minutes = (await self.rent_of(line.name, wish.account) or wish).idle_stop_minutes
        if idle_minutes is None or line.target is None:
            return None
        found = await self._ask(line.target.url)
        now = self._clock()
        # Calls before the first look are not known of, so that counts as one.
        since = self._busy_at.setdefault(tag, now)
        if found is not None and self.own_call(line.target.url):
            return None
        if found is None or health.is_busy(found.facts):
            # What does not answer is not known to be idle.
            self._busy_at[tag] = now
            return None
        if now - since < idle_minutes * 60 or await self.in_hours(line.name):
            return None
        return T(IDLE.template, time=duration(now - since))

    async def _pay(self, debt: Debt) -> None:
        """Forget what is owed once the provider says that the machine has stopped; else ask again, ever more rarely.

        Whoever wants the machine to run takes the debt away (`Rentals.wanted`).
        """
        waited = self._clock() - debt.asked
        due = waited >= min(AGAIN_SECONDS * 2.0 ** (debt.tries - 1), RAREST_SECONDS)
        if not due and waited >= AGAIN_SECONDS:
            return
        if await self._rests(debt):
            log.info("The machine behind %s has stopped, by its provider's word.", debt.line)
            await self._owed.forget(debt.tag)
            return
        if not due:
            return
        if debt.taken and waited >= STALE_SECONDS:
            log.info(
                "The machine behind %s was stopped and runs again; it is left alone.", debt.line
            )
            await self._owed.forget(debt.tag)
            return
        if self._lines.calls_of(debt.line) or self._lines.waiting(debt.line):
            # Somebody talks there, or is about to wake it; a limit that ends calls sees to that itself.
            return
        log.info(
            "The machine behind %s was to stop %s ago and runs still; that is asked for again. %s",
            debt.line,
            duration(self._clock() - debt.since),
            debt.why,
        )
        line = next((each for each in self._lines.lines() if _leads_to(each, debt.tag)), None)
        if line is not None:
            await self._sleep(line, debt.tag, debt.why, debt.rest, ends=debt.ends)
            return
        # The line is gone or leads elsewhere now, and is left as it is.
        debt = replace(debt, asked=self._clock(), tries=debt.tries + 1, taken=False)
        await self._owed.put(debt)
        await self._stop_machine(debt)

    async def _stop_voice(self, line: Line) -> None:
        try:
            await self._lines.stop(line.name)
        except PersonaDeskError as error:
            # The machine is stopped all the same; that is what saves the money.
            log.info("The voice behind %s could not be stopped first: %s", line.name, error.what)

    async def _sleep(
        self, line: Line, tag: str, reason: Text, rest: Rest, *, ends: bool = False
    ) -> None:
        log.info("The line %s is put to sleep. %s", line.name, reason)
        self._busy_at.pop(tag, None)
        # Before its voice goes: whoever is killed from here on finds it, and lets no machine run on for nobody.
        debt = await self._owe(line.name, tag, reason, rest, ends=ends)
        await self._stop_voice(line)
        # At once, for the provider takes its time and people and callers ask.
        await self._lines.tell(line.name, LineState.STOPPED, reason)
        try:
            wakes = await self._stop_machine(debt)
        except PersonaDeskError:
            # It is owed; whoever may wake the line may do so nevertheless.
            await self._lines.rest(line.name, rest)
            raise
        if not wakes:
            await self._lines.detach(line.name)
        await self._lines.rest(line.name, rest)
        await self._lines.tell(line.name, LineState.STOPPED, reason)

    async def _rests(self, debt: Debt) -> bool:
        try:
            return await self._machines.rests(debt.tag, ended=debt.ends)
        except PersonaDeskError as error:
            log.info("Whether the machine behind %s stopped is not told: %s", debt.line, error.what)
            return False

    async def _owe(self, name: str, tag: str, reason: Text, rest: Rest, *, ends: bool) -> Debt:
        """Write down that a machine must stop; a try that follows another goes on counting."""
        now = self._clock()
        before = next((debt for debt in await self._owed.all() if debt.tag == tag), None)
        since, tries = (before.since, before.tries + 1) if before is not None else (now, 1)
        debt = Debt(tag, name, reason, rest, ends, since, now, tries)
        await self._owed.put(debt)
        return debt

    async def _stop_machine(self, debt: Debt) -> bool:
        """Stop or end a machine; returns whether it can be woken."""
        wakes = False
        if debt.ends:
            await self._machines.end(debt.tag)
        else:
            wakes = await self._machines.sleep(debt.tag)
        await self._owed.take(debt.tag)
        return wakes


def _leads_to(line: Line, tag: str) -> bool:
    return line.target is not None and line.target.server_id == tag


async def _has_none(name: str) -> bool:
    del name
    return False


async def _has_no_limit(name: str) -> float | None:
    del name
    return None


async def _says_nothing(name: str, account: str) -> RentWish | None:
    del name, account
    return None
