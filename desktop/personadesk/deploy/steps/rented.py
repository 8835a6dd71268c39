"""The two steps that come first where the machine is to be rented: rent it, and wait until it lets us in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.deploy.rented.renting import END_SECONDS, Tried
from personadesk.deploy.step import Context, Step
from personadesk.deploy.words import with_details
from personadesk.domain.errors import PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.machine import MachineState
from personadesk.domain.plan import RENT
from personadesk.domain.progress import RENTED_STEPS, DeployState, StepName
from personadesk.domain.reputation import Kind, trouble_of, trouble_seen
from personadesk.domain.text import T, Text
from personadesk.providers import catalog
from personadesk.store.rentals import OPEN_STATES, RentalState

if TYPE_CHECKING:
    from personadesk.deploy.rented.renting import Renting
    from personadesk.domain.plan import Plan
    from personadesk.store.rentals import Rental

RENT_LIMIT_SECONDS = 15 * 60.0
BOOT_LIMIT_SECONDS = 2 * 3600.0
"""Each machine has its own, shorter limit from its provider; several may be tried."""


class RentStep(Step):
    """Rents a machine; undoing ends it."""

    name = StepName.RENT
    title = T("Rent GPU")
    limit_s = RENT_LIMIT_SECONDS
    expected_s = 5.0

    def __init__(self, renting: Renting) -> None:
        self._renting = renting

    def applies(self, plan: Plan) -> bool:
        """Only where something is to be rented."""
        return plan.place == RENT

    async def run(self, context: Context) -> Text:
        """Rent the first offer that can be had, or find the machine that is there already."""
        return told(await self._renting.rent(context))

    async def settle(self, context: Context) -> None:
        """Remember that this machine did well."""
        await self._renting.rentals.praise(context.plan.id)

    async def undo(self, context: Context) -> bool:
        """End what was rented, or keep it for half an hour: where the plan says so and it failed, or on request."""
        rentals = self._renting.rentals
        tag = context.plan.id
        if not any(each.state in OPEN_STATES for each in await rentals.store.of(tag)):
            return False
        trouble = await self._trouble(context)
        if trouble is not None:
            await rentals.blame(tag, trouble)
        wish = context.plan.rent
        failed = context.ending is DeployState.FAILED
        if failed and wish is not None and wish.hold_failed:
            await rentals.hold(tag)
        current = await rentals.current(tag)
        # Whoever stops a deploy may have asked for the same a moment ago; going on takes that back.
        stopped = context.ending in {DeployState.FAILED, DeployState.CANCELLED}
        if stopped and current is not None and current.hold_until is not None:
            context.log(self.name, T("The machine is kept for 30 minutes, then ended."), True)
            return False
        if not await rentals.wait_until_ended(tag, END_SECONDS):
            context.log(
                self.name,
                T("The provider has not confirmed yet that it is gone; it is asked until it does."),
                True,
            )
        return True

    async def _trouble(self, context: Context) -> Kind | None:
        """Return what was wrong with the machine of a deploy that failed; None where it is not to blame."""
        if context.ending is not DeployState.FAILED or context.failure is None:
            return None
        step, error = context.failure
        if step in RENTED_STEPS:
            # Whoever waits for a machine has said so already.
            return None
        known = trouble_of(step, error)
        rental = await self._renting.rentals.current(context.plan.id)
        if known is not None or rental is None or rental.state is not RentalState.MADE:
            return known
        try:
            machine = await self._renting.rentals.find(rental)
        except PersonaDeskError as failure:
            told = T("How the machine is cannot be told: {what}", what=failure.what)
            context.log(self.name, told, False)
            return None
        return trouble_seen(machine) if machine is not None else Kind.VANISHED


class BootStep(Step):
    """Waits for the machine; one that does not come up is ended, and the next offer is taken."""

    name = StepName.BOOT
    title = T("Wait for machine")
    limit_s = BOOT_LIMIT_SECONDS
    expected_s = 90.0

    def __init__(self, renting: Renting) -> None:
        self._renting = renting

    def applies(self, plan: Plan) -> bool:
        """Only where something is to be rented."""
        return plan.place == RENT

    async def run(self, context: Context) -> Text:
        """Wait until we can log in."""
        refused: list[Tried] = []
        while True:
            rental = await self._renting.rent(context, tuple(refused))
            try:
                machine = await self._renting.wait(context, rental)
            except (ProviderFault, Unreachable) as error:
                if error.cause not in {"hopeless", "boot_timeout"}:
                    raise
                known = error.details in str(error.what)
                context.log(self.name, error.what if known else with_details(error), True)
                wish = context.plan.rent
                if wish is not None and wish.hold_failed and await self._is_there(rental):
                    # The next offer would be a second bill; undoing keeps this machine.
                    raise _kept(error, rental) from error
                await self._give_up(context, rental, error)
                refused.append(Tried(rental.offer, error))
            else:
                address = machine.ssh
                where = address.place if address is not None else ""
                return T("{machine} lets us in at {address}", machine=machine.name or machine.id,
                         address=where)  # fmt: skip

    async def _is_there(self, rental: Rental) -> bool:
        try:
            machine = await self._renting.rentals.find(rental)
        except PersonaDeskError:
            # A provider that cannot be asked has not said that it is gone.
            return True
        return machine is not None and machine.state not in {
            MachineState.ENDING,
            MachineState.ENDED,
        }

    async def _give_up(self, context: Context, rental: Rental, error: PersonaDeskError) -> None:
        """End a machine that will not come up; the next is taken only when that is certain."""
        rentals = self._renting.rentals
        gone = await rentals.wait_until_ended(context.plan.id, END_SECONDS)
        wish = context.plan.rent
        if not gone or wish is None or not wish.next_best:
            raise error
        states = {each.state for each in await rentals.store.of(context.plan.id)}
        if states & {RentalState.ASKED, RentalState.MADE, RentalState.ENDING}:
            raise error


def _kept(error: PersonaDeskError, rental: Rental) -> PersonaDeskError:
    """Return why a machine did not come up, with what happens to one that is kept for a look."""
    price = f"${rental.price:.2f} /h" if rental.price is not None else "?"
    return type(error)(
        error.what,
        T("Look at it under Instances. Go on with it, or end it now."),
        money=T("The machine is kept for 30 minutes, then ended. It costs {price}.", price=price),
        cause=error.cause,
        details=error.details,
    )


def told(rental: Rental) -> Text:
    """Return what was rented, in one line."""
    offer = rental.offer
    price = f"${rental.price:.2f} /h" if rental.price is not None else "?"
    return T(
        "{gpu}, {provider}, {place}, {price}",
        gpu=offer.gpu,
        provider=catalog.facts(offer.provider).title,
        place=offer.place or offer.region or offer.provider,
        price=f"≈ {price}" if offer.estimated else price,
    )
