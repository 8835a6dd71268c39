"""DigitalOcean's refusals in our words. It has few codes; what a 422 means stands in its sentence alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.providers import faults
from personadesk.providers.digitalocean.facts import FACTS

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.providers.faults import Problem


def refusal(problem: Problem) -> PersonaDeskError | None:
    """Return the error that a refusal is, None where its HTTP status says it all."""
    if problem.status not in {403, 409, 422}:
        return None
    if problem.mentions("payment", "billing", "account is locked", "verify your account"):
        return faults.account_closed(FACTS, problem)
    if problem.status == 403:
        return None
    if problem.mentions("limit"):
        return faults.quota(FACTS, problem)
    if problem.mentions(
        "pending event", "is locked", "currently off", "currently on", "still attached"
    ):
        return faults.wrong_state(FACTS, problem)
    if problem.mentions("not available", "unavailable", "sold out", "capacity"):
        return faults.no_capacity(FACTS, None, problem)
    return None
