"""Vast.ai's refusals in our words: `error` is a code, `msg` a sentence, and either may be missing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import ProviderFault
from personadesk.domain.text import T
from personadesk.providers import faults
from personadesk.providers.faults import Problem
from personadesk.providers.vast.facts import FACTS, INSTANCE_WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.providers.vast.wire import Done

RIGHTS = ("permission", "not authorized", "not allowed", "scope", "requires the", "forbidden")
MONEY = ("credit", "balance", "insufficient funds", "billing")
LIMIT = ("quota", "instance limit", "too many instances")
TAKEN = (
    "no_such_ask",
    "no longer available",
    "not available",
    "invalid_price",
    "no_capacity",
    "unavailable",
)
"""An offer that is gone, and a bid that is too low by now: the next offer may do."""
GONE = ("no_such_instance", "not_found", "instance not found")
KEY = ("invalid user key", "auth_error", "api key not provided")
_CONTRACT = re.compile(r'"new_contract"\s*:\s*(\d+)')


def read(values: Mapping[str, Any], problem: Problem) -> Problem:
    """Read a refusal; when it is too much, only `detail` is there."""
    message = values.get("msg") or values.get("detail") or values.get("error") or problem.message
    return replace(problem, code=str(values.get("error") or ""), message=str(message))


def refusal(account: str) -> Callable[[Problem], PersonaDeskError | None]:
    """Return how an account's refusals are told; what it does not know goes by its HTTP status."""

    def tell(problem: Problem) -> PersonaDeskError | None:
        if problem.status == 429:
            return None
        if problem.status in {401, 403} and problem.mentions("expired"):
            return faults.expired_key(FACTS, account, problem)
        # Before all else: a key that may not do a thing must never look like an offer that is gone.
        if problem.status == 403 or (problem.status == 401 and problem.mentions(*RIGHTS)):
            return faults.missing_right(FACTS, account, INSTANCE_WRITE, problem)
        # A search answers 404 to a wrong key.
        if problem.status == 401 or problem.mentions(*KEY):
            return faults.bad_key(FACTS, account, problem)
        # A gateway's own trouble ("Service Unavailable") says nothing of offers.
        return _by_words(problem) if (problem.status or 0) < 500 else None

    return tell


def said_no(done: Done, account: str) -> PersonaDeskError | None:
    """Return what an answer with status 200 refuses, None when it does not."""
    if done.success and not done.error:
        return None
    problem = Problem(status=200, code=done.error or "", message=done.msg or done.error or "")
    return refusal(account)(problem) or faults.bad_request(FACTS, problem)


def made_all_the_same(error: PersonaDeskError) -> int | None:
    """Return the number of an instance that a refusal names, None without: it exists, and its disk is billed."""
    found = _CONTRACT.search(error.details)
    return int(found[1]) if found else None


def half_made(contract: int, error: PersonaDeskError) -> PersonaDeskError:
    """An order was refused, made an instance, and that could not be taken back yet."""
    return ProviderFault(
        T(
            "Vast.ai refused the order, made instance {number} all the same, and did not take it back yet.",
            number=str(contract),
        ),
        T("It is found by its label and can be ended in the list of machines."),
        money=T("Its disk is billed until it is ended."),
        cause="half_made",
        details=error.details,
        retryable=False,
        provider_status=error.provider_status,
        request_id=error.request_id,
    )


def _by_words(problem: Problem) -> PersonaDeskError | None:
    if problem.mentions(*GONE):
        return faults.gone(FACTS, problem.message or FACTS.unit, problem)
    if problem.mentions(*TAKEN):
        return faults.no_capacity(FACTS, None, problem)
    if problem.mentions(*MONEY):
        return faults.out_of_funds(FACTS, problem)
    if problem.mentions(*LIMIT):
        return faults.quota(FACTS, problem)
    return None
