"""Lambda's refusals in our words, by its own codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.providers import faults
from personadesk.providers.lambda_cloud.facts import FACTS

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.providers.faults import Problem

SOLD_OUT = "instance-operations/launch/insufficient-capacity"


def refusal(account: str, problem: Problem) -> PersonaDeskError | None:
    """Return the error that a refusal is, None where its HTTP status says it all."""
    if problem.code == "global/invalid-api-key":
        return faults.bad_key(FACTS, account, problem)
    if problem.code in {"global/account-inactive", "global/invalid-address"}:
        return faults.account_closed(FACTS, problem)
    if problem.code == SOLD_OUT:
        return faults.no_capacity(FACTS, None, problem)
    if problem.code == "global/quota-exceeded":
        return faults.quota(FACTS, problem)
    if problem.code == "global/object-does-not-exist":
        return faults.gone(FACTS, FACTS.unit, problem)
    if problem.code == "filesystems/filesystem-in-use":
        return faults.wrong_state(FACTS, problem)
    return None
