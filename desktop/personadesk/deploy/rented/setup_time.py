"""How long a new machine of a provider takes until its voice answers, by what was measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.progress import DeployState

if TYPE_CHECKING:
    from personadesk.deploy.rented.rentals import Rentals
    from personadesk.store.journal import Journal


async def last_setup(journal: Journal, rentals: Rentals, provider_id: str) -> float | None:
    """Return the seconds that the last finished deploy to a provider took; None where none is known."""
    for record in await journal.recent():
        if record.plan.rent is None or record.state is not DeployState.DONE:
            continue
        # Tries that were sold out are in the record too; the last that became a machine is the one that counts.
        made = [each for each in await rentals.store.of(record.plan.id) if each.machine_id]
        if made and made[-1].provider == provider_id:
            return record.worked_s
    return None
