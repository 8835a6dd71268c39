"""The ways into a deploy from anywhere in the window: at once here, or by the wizard with what is known filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from personadesk.deploy.rented import market
from personadesk.domain.errors import NoCapacity
from personadesk.domain.offer import Stock, need_of
from personadesk.domain.plan import Plan, new_plan_id
from personadesk.domain.text import T
from personadesk.ui.deploy import flow, rent_draft
from personadesk.ui.i18n import tr
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.app import Services
    from personadesk.domain.line import Line
    from personadesk.domain.offer import Offer
    from personadesk.ui.deploy.jobs import Jobs
    from personadesk.ui.rented.model import Rented

__all__ = ["Ways"]


class Ways(QObject):
    """Begins deploys and opens the wizard.

    Signals:
        page_asked: The page of deploys is wanted.
    """

    page_asked = Signal()

    def __init__(
        self,
        ready: Callable[[], Awaitable[Services]],
        jobs: Jobs,
        rented: Rented,
        parent: QObject | None = None,
    ) -> None:
        """Take what is needed.

        Args:
            ready: Gives the services once they are open.
            jobs: Runs deploys, and keeps the draft of the wizard.
            rented: Knows the accounts.
        """
        super().__init__(parent)
        self._ready = ready
        self._jobs = jobs
        self._rented = rented

    def try_here(self) -> None:
        """Deploy the rehearsal model here at once: it is free, so nothing is asked."""
        if self._jobs.running:
            self._jobs.show(self._jobs.running[-1])
            self.page_asked.emit()
            return
        spawn(self._try_here(), "try it here", owner=self)

    def new_line(self) -> None:
        """Open the wizard."""
        self._jobs.show(None)
        self.page_asked.emit()

    def use_machine(self, name: str = "") -> None:
        """Open the wizard for a machine of one's own; with a name, for that one."""
        spawn(self._use_machine(name), "use my machine", owner=self)

    def rent_gpu(self, offer: Offer | None = None) -> None:
        """Open the wizard for a rented GPU; with an offer, for that one."""
        spawn(self._rent_gpu(offer), "rent a GPU", owner=self)

    def fill(self, line: Line) -> None:
        """Open the wizard for a line that waits for a voice, as after its rented machine has ended."""
        spawn(self._fill(line), f"a voice for {line.name}", owner=self)

    async def begin(self, plan: Plan) -> None:
        """Begin a deploy and show it."""
        await self._jobs.begin(plan)
        self.page_asked.emit()

    async def next_plan(self, plan: Plan) -> Plan:
        """Return the plan for the next offer after those of this plan that were no good.

        Raises:
            NoCapacity: There is none within the limits.
        """
        services = await self._ready()
        wish = plan.rent
        refused = [each.offer.key for each in await services.rentals.store.of(plan.id)]
        draft = rent_draft.rent_draft_of(wish) if wish is not None else rent_draft.RentDraft()
        found = await market.look(
            services.accounts, need_of(plan.model.kind), memory=services.rentals.memory
        )
        others = [
            offer.key
            for offer in found.offers
            if offer.stock is not Stock.NONE and rent_draft.suits(offer, draft)
        ]
        following = rent_draft.without(wish, refused, others) if wish is not None else None
        if following is None:
            raise NoCapacity(
                T("There is no other offer within your limits."),
                T("Raise the price limit, or connect another account."),
                money=T("Nothing was rented."),
                cause="all_tried",
            )
        return replace(plan, id=new_plan_id(), rent=following)

    async def _try_here(self) -> None:
        await self._ready()
        draft = self._fresh()
        await self.begin(Plan(new_plan_id(), draft.line, int(draft.port), any_port=True))

    async def _use_machine(self, name: str) -> None:
        await self._ready()
        draft = self._jobs.draft or self._fresh()
        chosen = replace(draft, where=flow.Where.MACHINE, machine=name or draft.machine)
        self._redraft(chosen, flow.Page.MACHINE)

    async def _rent_gpu(self, offer: Offer | None) -> None:
        await self._ready()
        await self._rented.ready()
        chosen = flow.renting(self._jobs.draft or self._fresh(), self._jobs.world)
        if offer is not None:
            chosen = replace(chosen, rent=rent_draft.choosing(chosen.rent, offer))
        page = flow.Page.ACCOUNT if chosen.rent.asks_account else flow.Page.GPU
        self._redraft(chosen, page)

    async def _fill(self, line: Line) -> None:
        draft = flow.fresh_draft(self._jobs.world, line.name)
        draft = replace(draft, line=line.name, port=str(line.port))
        await self._rented.ready()
        if self._rented.accounts:
            draft = flow.renting(draft, self._jobs.world)
        self._redraft(draft, flow.Page.WHERE)

    def _fresh(self) -> flow.Draft:
        return flow.fresh_draft(self._jobs.world, tr("My line"))

    def _redraft(self, draft: flow.Draft, page: flow.Page) -> None:
        self._jobs.redraft(draft, page)
        self.page_asked.emit()
