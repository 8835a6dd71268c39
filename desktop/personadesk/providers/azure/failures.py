"""Azure's refusals in our words: of a request, of an operation that failed later, and of a token."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import NoCapacity, NotFound, PersonaDeskError
from personadesk.providers import faults
from personadesk.providers.azure.facts import FACTS
from personadesk.providers.faults import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.offer import Offer
    from personadesk.providers.azure import wire

_NO_STOCK = frozenset(
    {
        "SkuNotAvailable", "AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest",
        "OverconstrainedZonalAllocationRequest",
    }
)  # fmt: skip
_QUOTA = frozenset({"QuotaExceeded", "PublicIPCountLimitReached", "ResourceQuotaExceeded"})
_BUSY = frozenset(
    {
        "Conflict", "AnotherOperationInProgress", "ResourceGroupBeingDeleted", "RetryableError",
        "ReferencedResourceNotProvisioned",
    }
)  # fmt: skip
_NO_MONEY = frozenset({"ReadOnlyDisabledSubscription", "SubscriptionNotEnabled"})
_NOT_OURS = frozenset(
    {"SubscriptionNotFound", "InvalidSubscriptionId", "InvalidAuthenticationTokenTenant"}
)
_GONE = frozenset({"ResourceNotFound", "ResourceGroupNotFound", "NotFound"})
_RIGHTS = frozenset({"AuthorizationFailed", "LinkedAuthorizationFailed"})
_KNOWN = (
    _NO_STOCK | _QUOTA | _BUSY | _NO_MONEY | _NOT_OURS | _GONE | _RIGHTS
    | {"OperationNotAllowed", "MissingSubscriptionRegistration"}
)  # fmt: skip
_ACTION = re.compile(r"perform action '([^']+)'")
_SERVICE = re.compile(r"namespace '([^']+)'")
_REGISTER = "https://portal.azure.com/#view/Microsoft_Azure_Billing/SubscriptionsBladeV2"
_EXPIRED_SECRET = "AADSTS7000222"  # noqa: S105 - a code


def read(values: Mapping[str, Any], problem: Problem) -> Problem:
    """Read Azure's JSON for a refusal: the finest code that we know, and the sentence of the whole."""
    inner = values.get("error")
    if isinstance(inner, str):
        # The token's place: RFC 6749, 5.2.
        return replace(problem, code=inner, message=str(values.get("error_description") or inner))
    if not isinstance(inner, dict):
        return problem
    codes = [str(inner.get("code") or "")]
    codes += [
        str(each["code"])
        for each in inner.get("details") or ()
        if isinstance(each, dict) and each.get("code")
    ]
    code = next((each for each in codes if each in _KNOWN), codes[0])
    return replace(problem, code=code, message=str(inner.get("message") or problem.message))


def of_request(account: str, problem: Problem) -> PersonaDeskError | None:
    """Return the error for a refused request; None leaves it to its HTTP status."""
    code = problem.code
    if code in _NO_STOCK:
        return faults.no_capacity(FACTS, None, problem)
    if code in _QUOTA or (code == "OperationNotAllowed" and problem.mentions("quota", "cores")):
        return faults.quota(FACTS, problem)
    if code in _NO_MONEY:
        return faults.out_of_funds(FACTS, problem)
    if code in _NOT_OURS:
        return faults.bad_key(FACTS, account, problem)
    if code == "MissingSubscriptionRegistration":
        found = _SERVICE.search(problem.message)
        return faults.switched_off(
            FACTS, account, found[1] if found else "Microsoft.Compute", _REGISTER, problem
        )
    if code in _RIGHTS:
        action = _ACTION.search(problem.message)
        return faults.missing_right(FACTS, account, action[1] if action else "", problem)
    if code in _GONE:
        return faults.gone(FACTS, problem.message, problem)
    if code in _BUSY or code == "OperationNotAllowed":
        return faults.wrong_state(FACTS, problem)
    return None


def of_operation(account: str, told: wire.AsyncOperation) -> PersonaDeskError:
    """Return the error for an operation that Azure took and that failed afterwards."""
    error = told.error
    problem = Problem(
        code=error.code if error else told.status, message=error.message if error else told.status
    )
    return of_request(account, problem) or faults.provider_fault(FACTS, problem)


def of_creation(error: PersonaDeskError, offer: Offer) -> PersonaDeskError:
    """Return the error for a refused creation, with what was asked for."""
    if isinstance(error, NoCapacity):
        return faults.named(FACTS, offer, error)
    if isinstance(error, NotFound):
        # Not the machine: something that it is made of, such as the image.
        problem = Problem(error.provider_status, message=error.details, request_id=error.request_id)
        return faults.bad_request(FACTS, problem)
    return error


def of_token(account: str, problem: Problem) -> PersonaDeskError | None:
    """Return the error for a token that was refused (RFC 6749, 5.2, and Entra's own numbers)."""
    if problem.mentions(_EXPIRED_SECRET):
        return faults.expired_key(FACTS, account, problem)
    if problem.status in {400, 401}:
        return faults.bad_key(FACTS, account, problem)
    return None
