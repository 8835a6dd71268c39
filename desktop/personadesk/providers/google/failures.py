"""Google's refusals in our words: of a request, of an operation that failed later, and of a token."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import BadRequest, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.text import T
from personadesk.providers import faults
from personadesk.providers.google.facts import FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.offer import Offer
    from personadesk.providers.faults import Problem
    from personadesk.providers.google import wire

_SWITCHED_OFF = frozenset({"SERVICE_DISABLED", "accessNotConfigured"})
_NO_MONEY = frozenset(
    {"BILLING_DISABLED", "accountDisabled", "BILLING_NOT_ACTIVE", "billingNotActive"}
)
_OFTEN = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_QUOTA = frozenset({"QUOTA_EXCEEDED", "quotaExceeded", "LIMIT_EXCEEDED", "limitExceeded"})
_NO_STOCK = ("ZONE_RESOURCE_POOL_EXHAUSTED", "STOCKOUT", "RESOURCE_POOL_EXHAUSTED")
_BUSY = frozenset(
    {
        "resourceInUseByAnotherResource", "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "resourceNotReady",
        "RESOURCE_NOT_READY",
    }
)  # fmt: skip
_GONE = frozenset({"notFound", "RESOURCE_NOT_FOUND"})
_EXISTS = frozenset({"alreadyExists", "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"})
_RIGHT = re.compile(
    r"'([a-z]+(?:\.[A-Za-z]+)+)' permission|[Pp]ermission '?([a-z]+(?:\.[A-Za-z]+)+)'?"
)
_PAGE = re.compile(r"https://console\.(?:cloud|developers)\.google\.com/[^\s\"'\\]+")
_SERVICE = "Compute Engine API"


def read(values: Mapping[str, Any], problem: Problem) -> Problem:
    """Read Google's JSON for a refusal: the finest of its codes, and its sentence."""
    inner = values.get("error")
    if isinstance(inner, str):
        # The token's place: RFC 6749, 5.2.
        return replace(problem, code=inner, message=str(values.get("error_description") or inner))
    if not isinstance(inner, dict):
        return problem
    reasons = [
        str(each["reason"])
        for name in ("details", "errors")
        for each in inner.get(name) or ()
        if isinstance(each, dict) and each.get("reason")
    ]
    code = reasons[0] if reasons else str(inner.get("status") or inner.get("code") or "")
    return replace(problem, code=code, message=str(inner.get("message") or problem.message))


def of_request(account: str, problem: Problem) -> PersonaDeskError | None:
    """Return the error for a refused request; None leaves it to its HTTP status."""
    code = problem.code
    if code in _SWITCHED_OFF or "has not been used in project" in problem.message:
        found = _PAGE.search(problem.message) or _PAGE.search(problem.body)
        page = found[0].rstrip(".,") if found else FACTS.site
        return faults.switched_off(FACTS, account, _SERVICE, page, problem)
    if code in _NO_MONEY or (
        problem.status == 403 and problem.mentions("billing account", "billing to be")
    ):
        return faults.out_of_funds(FACTS, problem)
    if code in _OFTEN:
        return faults.rate_limited(FACTS, problem)
    if code in _QUOTA or problem.mentions("GPUS_ALL_REGIONS"):
        return faults.quota(FACTS, problem)
    if problem.mentions(*_NO_STOCK, "does not have enough resources available"):
        return faults.no_capacity(FACTS, None, problem)
    if code in _GONE:
        return faults.gone(FACTS, problem.message, problem)
    if code in _BUSY:
        return faults.wrong_state(FACTS, problem)
    if problem.status == 403:
        right = _RIGHT.search(problem.message)
        name = (right[1] or right[2]) if right else ""
        return faults.missing_right(FACTS, account, name, problem)
    return None


def exists(error: PersonaDeskError) -> bool:
    """Whether a creation was refused because there is one of that name already."""
    return error.provider_status == 409 and any(code in error.details for code in _EXISTS)


def of_creation(error: PersonaDeskError, offer: Offer) -> PersonaDeskError:
    """Return the error for a refused creation: with what was asked for, and what may be tried next."""
    if isinstance(error, NoCapacity):
        return faults.named(FACTS, offer, error)
    problem = faults.Problem(
        error.provider_status, message=error.details, request_id=error.request_id
    )
    if isinstance(error, (NotFound, BadRequest)):
        if "machineType" in error.details:
            # This zone has no such type (any more): another offer may do.
            return faults.no_capacity(FACTS, offer, problem, cause="not_here")
        if isinstance(error, NotFound):
            # Not the machine: something that it is made of, such as the network.
            return faults.bad_request(FACTS, problem)
    return error


def of_operation(
    account: str, operation: wire.Operation, offer: Offer | None = None
) -> PersonaDeskError:
    """Return the error for an operation that Google took and that failed afterwards."""
    first = operation.error.errors[0] if operation.error and operation.error.errors else None
    problem = faults.Problem(
        status=operation.http_error_status_code,
        code=first.code if first else "",
        message=first.message if first else operation.name,
        request_id=operation.name,
    )
    error = of_request(account, problem) or faults.by_status(FACTS, account, problem)
    return of_creation(error, offer) if offer is not None else error


def of_token(account: str, problem: Problem) -> PersonaDeskError | None:
    """Return the error for a token that was refused (RFC 6749, 5.2; RFC 7523, 3.1)."""
    if problem.mentions("reasonable timeframe", "iat and exp"):
        return BadRequest(
            T("The clock of this computer is wrong, so {provider} refuses its signature.",
              provider=FACTS.title),
            T("Set the clock, then try again."),
            cause="clock",
            details=f"{problem.code} {problem.message}",
            provider_status=problem.status,
        )  # fmt: skip
    if problem.mentions("expired"):
        return faults.expired_key(FACTS, account, problem)
    if problem.code in {
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
    }:
        return faults.bad_key(FACTS, account, problem)
    return None
