"""How the machine of one deploy stands: where it is, what it costs, and what stopping or ending it means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.machine import MachineState
from personadesk.domain.stopping import stopping
from personadesk.ui.i18n import show, tr
from personadesk.ui.money import dollars
from personadesk.ui.rented import offer_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.deploy.rented.views import FleetView
    from personadesk.domain.machine import Machine
    from personadesk.domain.provider import ProviderFacts
    from personadesk.store.rentals import Rental
    from personadesk.store.spending import Cost

__all__ = ["Standing", "standing_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A rented machine as lines and deploys show it.

    Attributes:
        tag: The deploy that made it.
        provider: Id of its provider.
        gpu: Usual name of the GPU; "" when not told.
        place: For people; "" when not told.
        price: Dollars an hour in its present state, None when not told.
        running_price: Dollars an hour while it runs, None when not told.
        estimated: Whether the price is from a table of ours.
        price_date: ISO date of that table.
        spent: Dollars so far, by what was last added up.
        today: Dollars of today.
        seen: Unix time up to which that was added up; 0 for never.
        held_until: Unix time until which it is kept for a look, None when it is not; it is ended then.
    """

    tag: str
    provider: str
    gpu: str = ""
    place: str = ""
    price: float | None = None
    running_price: float | None = None
    estimated: bool = False
    price_date: str = ""
    spent: float = 0.0
    today: float = 0.0
    seen: float = 0.0
    held_until: float | None = None

    @property
    def held(self) -> bool:
        """Whether it is kept for a look."""
        return self.held_until is not None

    @property
    def facts(self) -> ProviderFacts:
        """Its provider as data."""
        from personadesk.providers import catalog

        return catalog.facts(self.provider)

    @property
    def about(self) -> str:
        """Where it is and what: `Lambda · A10 · Arizona`."""
        title = offer_words.provider_title(self.provider)
        return " · ".join(part for part in (title, self.gpu, self.place) if part)

    @property
    def title(self) -> str:
        """How its provider is called."""
        return offer_words.provider_title(self.provider)

    @property
    def hourly(self) -> str:
        """The price an hour now, in words."""
        return offer_words.per_hour(self.price, estimated=self.estimated, provider=self.title)

    def spent_until(self, now: float) -> str:
        """Return what it has cost up to now: what was added up, and the time since at the price of now."""
        return dollars(self.spent + self._since(now))

    def today_until(self, now: float) -> str:
        """Return what it has cost today, in the same way."""
        return dollars(self.today + self._since(now))

    def stopping(self, setup: float | None = None) -> str:
        """Return what stopping costs or destroys, in words.

        Args:
            setup: Seconds that a new machine there took the last time, None where none was measured.
        """
        return " ".join(show(each).strip() for each in stopping(self.facts, setup))

    def ending(self) -> str:
        """Return what ending destroys, in words."""
        return tr(
            "The machine at {provider} is ended, and costs nothing more. What that destroys: {sentence}",
            provider=self.title, sentence=show(self.facts.end_destroys),
        )  # fmt: skip

    def _since(self, now: float) -> float:
        if not self.seen or self.price is None:
            return 0.0
        return max(0.0, now - self.seen) / 3600.0 * self.price


def standing_of(rental: Rental, view: FleetView, costs: Iterable[Cost], today: str) -> Standing:
    """Return how a rental's machine stands.

    Args:
        rental: The record of it.
        view: The machines as they were last seen.
        costs: What machines cost this month.
        today: Today's date (ISO).
    """
    offer = rental.offer
    machine = _machine(rental, view)
    price = rental.price
    mine = [cost for cost in costs if cost.tag == rental.tag]
    spent = view.spent.get(rental.tag, sum(cost.dollars for cost in mine))
    # Without a look in this process nobody knows up to when it was added up; only a new one begins at its making.
    seen = 0.0 if mine else rental.made or 0.0
    if machine is not None:
        price = machine.price if machine.price is not None else price
        if machine.state is MachineState.ENDED:
            price = 0.0
        # Bills are added up at each look at the account.
        account = view.accounts.get(rental.account)
        seen = (account.seen if account is not None else None) or machine.seen or seen
    return Standing(
        rental.tag,
        rental.provider,
        offer.gpu,
        offer.place or offer.region,
        price,
        rental.price,
        offer.estimated,
        offer.price_date,
        spent,
        sum(cost.dollars for cost in mine if cost.day == today),
        seen,
        rental.hold_until,
    )


def _machine(rental: Rental, view: FleetView) -> Machine | None:
    return next(
        (m for m in view.machines if m.account == rental.account and m.id == rental.machine_id),
        None,
    )
