"""RunPod's refusals in our words. It has no codes of its own: only the HTTP status and a sentence (RFC 9457)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.providers import faults
from personadesk.providers.runpod.facts import FACTS, READ_WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.providers.faults import Problem

MONEY = ("balance", "insufficient funds", "not enough funds", "not enough credit", "payment")
LIMIT = ("spend limit", "spending limit", "quota", "maximum number", "limit reached")
TAKEN = ("not enough free gpus", "host machine")
"""The answer to the start of a pod whose GPU somebody else has now."""
CAPACITY = (
    "no longer any instances", "no instances", "not enough", "capacity", "no resources",
    "cannot be placed", "could not be placed", "unavailable in", "out of stock", "sold out",
)  # fmt: skip
WRONG_STATE = ("not valid for", "current status", "current state", "is locked")


def read(values: Mapping[str, Any], problem: Problem) -> Problem:
    """Read a refusal: `title` and `detail`, and what is wrong with which field."""
    detail = values.get("detail") or values.get("title") or problem.message
    errors = values.get("errors")
    if isinstance(errors, list):
        detail = " ".join([str(detail), *(str(each) for each in errors)])
    return replace(problem, code=str(values.get("title") or ""), message=str(detail))


def refusal(account: str) -> Callable[[Problem], PersonaDeskError | None]:
    """Return how an account's refusals are told; what it does not know goes by its HTTP status."""

    def tell(problem: Problem) -> PersonaDeskError | None:
        if problem.status == 401 and problem.mentions("expired"):
            return faults.expired_key(FACTS, account, problem)
        if problem.status in {401, 429}:
            return None
        # A fault of RunPod's own may speak of a load balancer.
        if (problem.status or 0) < 500 and problem.mentions(*MONEY):
            return faults.out_of_funds(FACTS, problem)
        if problem.mentions(*LIMIT):
            return faults.quota(FACTS, problem)
        # Before capacity: a key that may not do a thing must never look like a GPU that is not there.
        if problem.status == 403:
            return faults.missing_right(FACTS, account, READ_WRITE, problem)
        if problem.mentions(*TAKEN):
            return faults.gpu_taken(FACTS, problem)
        if problem.mentions(*CAPACITY):
            return faults.no_capacity(FACTS, None, problem)
        if problem.status == 409 or problem.mentions(*WRONG_STATE):
            return faults.wrong_state(FACTS, problem)
        return None

    return tell
