"""Money in one place: what costs now, what was spent, budgets, the forecast, and what is left after a stop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.deploy.rented import elsewhere
from personadesk.domain import money, statement
from personadesk.domain.budget import (
    ALL,
    UNLIMITED,
    Act,
    Allowance,
    Budget,
    Level,
    Period,
    allowance,
    worst,
)
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.hours import seconds_up, share_up
from personadesk.domain.money import Item, Kind
from personadesk.domain.plan import ModelKind
from personadesk.domain.proof import Proof, proof
from personadesk.domain.statement import Outlook
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    from personadesk.deploy.rented.elsewhere import Elsewhere
    from personadesk.deploy.rented.fleet import Fleet
    from personadesk.deploy.rented.views import FleetView
    from personadesk.domain.budget import Standing
    from personadesk.domain.money import Span
    from personadesk.domain.plan import Plan
    from personadesk.domain.statement import Money
    from personadesk.store.budgets import BudgetStore
    from personadesk.store.journal import Journal
    from personadesk.store.spending import SpendingStore
    from personadesk.store.wishes import WishStore


class MoneyService:
    """Sums up what the fleet sees and the store remembers."""

    def __init__(
        self,
        fleet: Fleet,
        spending: SpendingStore,
        budgets: BudgetStore,
        journal: Journal,
        wishes: WishStore,
        *,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        """Take what is needed.

        Args:
            fleet: Sees what is billed.
            spending: Remembers what it cost.
            budgets: What may be spent.
            journal: Knows which line a deploy was for.
            wishes: Knows the hours of lines.
            clock: Unix time.
            zone: Whose days and months count; None for this computer's.
        """
        self.budgets = budgets
        self.zone = zone
        self._fleet = fleet
        self._spending = spending
        self._journal = journal
        self._wishes = wishes
        self._clock = clock
        self._plans: dict[str, Plan | None] = {}

    # -- what there is ----------------------------------------------------------------------------------------

    async def look(self, *, ask: bool = False) -> Money:
        """Return everything about money.

        Args:
            ask: Whether every provider is asked first; else it is as the fleet saw it last.
        """
        if ask:
            await self._fleet.refresh()
        now = self._clock()
        items = await self._items()
        spans = await self._spending.spans(statement.since(now, self.zone), now)
        # A month of many machines takes longer to add up than a window may stand still.
        return await asyncio.to_thread(
            statement.add_up, now, self.zone, items, spans, await self.budgets.all(),
            await self._outlook(items, now), self.proofs(self._fleet.view),
        )  # fmt: skip

    async def prove(self, only: Sequence[str] = ()) -> tuple[Proof, ...]:
        """Ask the providers what of ours is left, now; of some accounts or of all.

        What should have ended by now and is still there goes on being ended.
        """
        view = await self._fleet.reconcile(only)
        return tuple(each for each in self.proofs(view) if not only or each.account in only)

    @staticmethod
    def proofs(view: FleetView) -> tuple[Proof, ...]:
        """Return what is left at each account, as it was last seen."""
        return tuple(
            proof(
                name, view.items, account.seen,
                account.error.what if account.error is not None else NOTHING,
                view.doubts.get(name, ()),
            )
            for name, account in view.accounts.items()
        )  # fmt: skip

    async def elsewhere(self, line: str = ALL) -> Elsewhere:
        """Ask all accounts what the same would cost there.

        Args:
            line: For which line; `ALL` compares with the dearest machine that there is.
        """
        items = await self._items()
        wish = await self._wishes.get(line) if line else None
        # Without a line it is asked for the model that people rent GPUs for.
        model = wish.model.kind if wish is not None else ModelKind.PERSONAPLEX_7B
        return await elsewhere.look(self._fleet.accounts, items, line, model)

    async def spans(self, since: float, until: float) -> list[Span]:
        """Return what was spent in a time, piece by piece."""
        return await self._spending.spans(since, until)

    # -- budgets ----------------------------------------------------------------------------------------------

    async def standing(self, line: str) -> Standing | None:
        """Return how the budget of a line stands, by that of its limits which is nearest; everything's with `ALL`."""
        budget = await self.budgets.get(line)
        if budget is None:
            return None
        return worst(self._standings([budget], *await self._this_month()))

    async def allowance(self, line: str) -> Allowance:
        """Return what a line may still spend, by its own budget and that for everything."""
        found = [each for each in await self.budgets.all() if each.line in {line, ALL}]
        if not found:
            return UNLIMITED
        standings = self._standings(found, *await self._this_month())
        left = allowance(standings)
        stopped = [
            item.running_price
            for item in await self._items()
            if item.line == line and item.kind is Kind.KEPT and item.running_price is not None
        ]
        return replace(
            left, price=max(stopped, default=None), beyond=await self._beyond(standings)
        )  # fmt: skip

    async def near(self, tag: str) -> float | None:
        """Return the share of the fullest budget that a deploy's machine counts for; None while none is near."""
        line = self._fleet.view.lines.get(tag) or await self._line_of(tag)
        found = [each for each in await self.budgets.all() if each.line in {line, ALL}]
        if not found:
            return None
        tightest = worst(self._standings(found, *await self._this_month()))
        if tightest is None or tightest.level is Level.FINE:
            return None
        return tightest.share

    async def due(self, line: str) -> Standing | None:
        """Return the budget by which a line's machine must not run on; None when it may, or none runs."""
        found = [
            each for each in await self.budgets.all()
            if each.line in {line, ALL} and each.act is not Act.WARN
        ]  # fmt: skip
        if not found:
            return None
        if not any(i.line == line and i.kind is Kind.RUNNING for i in await self._items()):
            return None
        reached = [
            each for each in self._standings(found, *await self._this_month())
            if each.level is Level.REACHED
        ]  # fmt: skip
        # The harsher deed is what somebody asked for as well.
        return max(reached, key=lambda each: each.budget.act is Act.END, default=None)

    async def check(self, tag: str, price: float | None) -> None:
        """See to it that a machine of this price may be started for a deploy.

        Raises:
            BadRequest: A budget is used up, or would be within the hour.
        """
        line = await self._line_of(tag)
        refused = (await self.allowance(line)).refuses(price)
        if refused is not None:
            raise BadRequest(
                refused,
                T("Allow more on the Money page or with: personadesk budget lift"),
                money=T("Nothing was started."),
                cause="budget",
            )

    async def set_budget(self, budget: Budget) -> None:
        """Write a budget down; what was allowed beyond the one before stays allowed.

        Raises:
            BadRequest: A figure makes no sense, or there is no limit.
        """
        limits = [x for x in (budget.per_day, budget.per_month) if x is not None]
        if not limits or any(not 0.0 < limit < float("inf") for limit in limits):
            raise BadRequest(
                T("A budget is a number of dollars above 0, a day or a month."),
                T("Give one, or clear the budget."),
                cause="bad_budget",
            )
        if not 0.0 < budget.warn <= 1.0:
            raise BadRequest(
                T("The warning comes at a share between 1 and 100 %."),
                T("Give another."),
                cause="bad_budget",
            )
        before = await self.budgets.get(budget.line)
        if before is not None:
            budget = replace(
                budget, day_more=before.day_more, day_until=before.day_until,
                month_more=before.month_more, month_until=before.month_until,
            )  # fmt: skip
        await self.budgets.put(budget)

    async def lift(self, line: str, dollars: float) -> Budget:
        """Allow more than a budget, until the day and the month are over.

        Raises:
            NotFound: There is no such budget.
            BadRequest: That is no amount.
        """
        budget = await self.budgets.get(line)
        if budget is None:
            raise NotFound(
                T("There is no such budget."),
                T("Look at them with: personadesk budget list"),
                cause="no_budget",
            )
        if not 0.0 < dollars < float("inf"):
            raise BadRequest(
                T("That is no amount of dollars."), T("Give one above 0."), cause="bad_budget"
            )
        now = self._clock()
        day, month = money.day_bounds(now, self.zone)[1], money.month_bounds(now, self.zone)[1]
        lifted = budget.lifted(dollars, now, day, month)
        await self.budgets.put(lifted)
        return lifted

    async def consequences(self, budget: Budget) -> list[Text]:
        """Return what a budget would stop if it were used up now, and what it would not, a sentence each."""
        if budget.act is Act.WARN:
            return [T("Nothing is stopped; it is only said.")]
        told = []
        for item in await self._items():
            if item.kind is not Kind.RUNNING or ":" in item.thing:
                continue
            if budget.line not in {ALL, item.line}:
                continue
            told.append(await self._consequence(item, budget.act))
        return told or [T("Nothing runs now that it would stop.")]

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _consequence(self, item: Item, act: Act) -> Text:
        if not item.line:
            return T("{name} goes on: no line stands on it.", name=item.name)
        provider = await self._fleet.accounts.provider(item.account)
        if act is Act.END or not provider.facts.can.stop:
            return T(
                "“{line}” stops, and {name} is ended. {what}",
                line=item.line, name=item.name, what=provider.facts.end_destroys,
            )  # fmt: skip
        return T(
            "“{line}” goes to sleep, and {name} is stopped. {what}",
            line=item.line, name=item.name, what=provider.facts.stop_costs,
        )  # fmt: skip

    async def _this_month(self) -> tuple[list[Span], float]:
        now = self._clock()
        return await self._spending.spans(money.month_bounds(now, self.zone)[0], now), now

    def _standings(
        self, budgets: Iterable[Budget], spans: Sequence[Span], now: float
    ) -> list[Standing]:
        return statement.stand(budgets, spans, now, self.zone)

    async def _outlook(self, items: Sequence[Item], now: float) -> Outlook:
        expected, by_hours = [], False
        for item in items:
            wish = await self._wishes.get(item.line) if item.line and item.running_price else None
            if wish is None or wish.hours is None or not wish.guarded:
                expected.append(item)
                continue
            by_hours = True
            # Asleep or up now: by the end of the week it was both.
            share = share_up(wish.hours, now)
            expected.append(replace(item, price=(item.running_price or 0.0) * share, guessed=True))
        plans = [await self._plan(item.tag) for item in items if item.tag]
        sleeps = any(
            plan is not None and plan.rent is not None and plan.rent.idle_stop_minutes is not None
            for plan in plans
        )
        return Outlook(expected, sleeps, by_hours)

    async def _items(self) -> tuple[Item, ...]:
        return tuple(
            [
                item if item.line or not item.tag else replace(item, line=await self._line_of(item.tag))
                for item in self._fleet.view.items
            ]
        )  # fmt: skip

    async def _line_of(self, tag: str) -> str:
        plan = await self._plan(tag)
        return plan.line if plan is not None else ""

    async def _beyond(self, found: Sequence[Standing]) -> float | None:
        """Return the dollars that acting limits leave beyond what the lines' own voices need, spares not counted."""
        now = self._clock()
        spares = {record.plan.id for record in await self._journal.spares()}
        ends = {
            Period.DAY: money.day_bounds(now, self.zone)[1],
            Period.MONTH: money.month_bounds(now, self.zone)[1],
        }
        running = [
            item for item in await self._items()
            if item.kind is Kind.RUNNING and item.price and item.tag not in spares
        ]  # fmt: skip
        left = []
        for each in found:
            if each.budget.act is Act.WARN:
                continue
            needed = 0.0
            for item in running:
                if each.budget.line in {ALL, item.line}:
                    wish = await self._wishes.get(item.line) if item.line else None
                    week = wish.hours if wish is not None and wish.guarded else None
                    seconds = seconds_up(week, now, ends[each.period])
                    needed += (item.price or 0.0) * seconds / 3600.0
            left.append(each.left - needed)
        return min(left, default=None)

    async def _plan(self, tag: str) -> Plan | None:
        if self._plans.get(tag) is None:
            record = await self._journal.load(tag)
            self._plans[tag] = record.plan if record is not None else None
        return self._plans[tag]
