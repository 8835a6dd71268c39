"""EC2's refusals in our ten types, by AWS's own codes.

Codes: EC2's "Error codes for the Amazon EC2 API" and the common errors of AWS's other services. What is not known stays
what it is: refused with its reason, or a fault of AWS's own; never "no capacity".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import AuthFailed, BadRequest, OutOfFunds, PersonaDeskError
from personadesk.domain.text import T, Text
from personadesk.providers import faults
from personadesk.providers.aws.facts import ADDRESS_QUOTA, FACTS, QUOTA_PAGE
from personadesk.providers.faults import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.domain.offer import Offer

CAPACITY = frozenset(
    {
        "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity",
        "InsufficientReservedInstanceCapacity", "InsufficientCapacityOnHost", "InsufficientAddressCapacity",
        "InsufficientVolumeCapacity", "SpotMaxPriceTooLow", "ReservationCapacityExceeded",
    }
)  # fmt: skip
QUOTA = frozenset(
    {
        "VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded", "AddressLimitExceeded",
        "VolumeLimitExceeded", "MaxIOPSLimitExceeded", "SecurityGroupLimitExceeded", "SnapshotLimitExceeded",
        "SecurityGroupsPerInstanceLimitExceeded", "RulesPerSecurityGroupLimitExceeded",
        "NetworkInterfaceLimitExceeded", "ResourceLimitExceeded", "TagLimitExceeded", "KeyPairLimitExceeded",
        "ResourceCountLimitExceeded",
    }
)  # fmt: skip
WRONG_KEY = frozenset(
    {
        "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException",
        "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken", "InvalidAccessKeyId",
        "MissingAuthenticationTokenException", "IncompleteSignatureException",
    }
)  # fmt: skip
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
RIGHTS = frozenset(
    {
        "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedException",
        "OperationNotPermittedException", "AuthorizationError",
    }
)  # fmt: skip
NOT_SIGNED_UP = frozenset(
    {"OptInRequired", "SubscriptionRequiredException", "SubscriptionRequired"}
)
UNDER_REVIEW = frozenset(
    {"PendingVerification", "Blocked", "AccountDisabled", "PendingSnapshotLimitExceeded"}
)
RATE = frozenset(
    {
        "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
        "RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "SlowDown",
        "BandwidthLimitExceeded", "PriorRequestNotComplete", "ConcurrentTagAccess",
    }
)  # fmt: skip
WRONG_STATE = frozenset(
    {
        "IncorrectInstanceState", "IncorrectState", "IncorrectStateException", "InvalidState", "DependencyViolation",
        "IncorrectSpotRequestState", "VolumeInUse", "InvalidIPAddress.InUse", "Resource.AlreadyAssociated",
        "InvalidGroup.InUse", "ResourceInUse",
    }
)  # fmt: skip
UNSUPPORTED = frozenset(
    {"UnsupportedOperation", "UnsupportedOperationException", "UnsupportedInstanceAttribute"}
)
NO_NETWORK = frozenset({"VPCIdNotSpecified", "DefaultVpcDoesNotExist", "VPCResourceNotSpecified"})
FAULT = frozenset(
    {
        "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "ServerInternal",
        "ServiceUnavailable", "ServiceUnavailableException", "Unavailable", "ServiceException",
        "DependencyTimeout", "InvalidAMIID.Unavailable",
    }
)  # fmt: skip
CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})

_ACTION = re.compile(r"perform:? (?:\S+ )?([a-z0-9-]+:[A-Z][A-Za-z]+)")


def problem_of(error: Any, secrets: Iterable[str]) -> Problem:
    """Return what a botocore `ClientError` says, without secrets."""
    answer = error.response
    told = answer.get("Error", {})
    about = answer.get("ResponseMetadata", {})
    secrets = tuple(secrets)
    return Problem(
        status=about.get("HTTPStatusCode"),
        code=str(told.get("Code", "")),
        # An encoded explanation of a missing right is long and opaque; it belongs to nobody's screen.
        message=faults.redact(
            str(told.get("Message", "")).split(" Encoded authorization", 1)[0], secrets
        ),
        request_id=str(about.get("RequestId", "")),
        body=faults.redact(f"{error.operation_name}: {told}", secrets),
    )


def right_of(problem: Problem, operation: str) -> str:
    """Return which right is missing: as the message names it, else the operation that was refused."""
    named = _ACTION.search(problem.message)
    return named.group(1) if named else operation


def failure(
    problem: Problem,
    account: str,
    *,
    operation: str = "",
    region: str = "",
    offer: Offer | None = None,
    temporary: bool = False,
) -> PersonaDeskError:
    """Return the error for a refusal.

    Args:
        problem: What AWS said.
        account: Name of the account.
        operation: What was asked, as a policy names it: `ec2:RunInstances`.
        region: Where.
        offer: What was to be rented, where something was.
        temporary: Whether the key has a session token, which ends after some hours; EC2 calls that `RequestExpired`.
    """
    code = problem.code
    if code in CAPACITY:
        return faults.no_capacity(FACTS, offer, problem)
    if code == "Unsupported" and problem.mentions("zone", "not supported in your requested"):
        return faults.no_capacity(FACTS, offer, problem, cause="not_in_zone")
    if code in QUOTA or (code.endswith("LimitExceeded") and code not in RATE):
        page = ""
        if code == "AddressLimitExceeded":
            page = QUOTA_PAGE.format(quota=ADDRESS_QUOTA, region=region)
        return faults.quota(FACTS, problem, page=page)
    if problem.mentions("free tier", "free plan"):
        return _told(
            OutOfFunds,
            T("The AWS account of “{account}” is on the free plan, which has no GPUs.", account=account),
            T("Upgrade it to the paid plan there: {page}", page=FACTS.billing),
            "free_plan", problem,
        )  # fmt: skip
    ended = temporary and code == "RequestExpired"
    if ended or code in EXPIRED or (code in WRONG_KEY and problem.mentions("expired")):
        return faults.expired_key(FACTS, account, problem)
    if code in CLOCK:
        return _told(
            AuthFailed,
            T("The clock of this computer is wrong, so {provider} refuses its signature.", provider=FACTS.title),
            T("Set the clock, then try again."),
            "clock", problem,
        )  # fmt: skip
    if code in WRONG_KEY:
        return faults.bad_key(FACTS, account, problem)
    if code in RIGHTS:
        return faults.missing_right(FACTS, account, right_of(problem, operation), problem)
    if code in NOT_SIGNED_UP:
        return _told(
            AuthFailed,
            T("The AWS account of “{account}” isn't signed up for this service yet.", account=account),
            T("Finish signing up there (payment, telephone), then try again: {page}", page=FACTS.billing),
            "not_signed_up", problem,
        )  # fmt: skip
    if code in UNDER_REVIEW:
        return _told(
            AuthFailed,
            T("AWS holds the account of “{account}” back: {reason}", account=account, reason=problem.message or code),
            T("Wait until AWS has released it (often some hours), or write to its support."),
            "held_back", problem,
        )  # fmt: skip
    return _of_the_request(problem, account)


def _of_the_request(problem: Problem, account: str) -> PersonaDeskError:
    code = problem.code
    if code in RATE:
        return faults.rate_limited(FACTS, problem)
    if code.endswith((".NotFound", ".Malformed")) or code in {
        "ParameterNotFound", "InvalidAddress.NotFound", "NoSuchResourceException",
    }:  # fmt: skip
        return faults.gone(FACTS, _name_in(problem), problem)
    if code in WRONG_STATE:
        return faults.wrong_state(FACTS, problem)
    if code == "OperationNotPermitted":
        return _told(
            BadRequest,
            T("AWS doesn't let this instance go: {reason}", reason=problem.message),
            T("Switch its termination protection off in AWS's console, then try again."),
            "protected", problem,
        )  # fmt: skip
    if code in UNSUPPORTED:
        return faults.bad_request(FACTS, problem, cause="unsupported")
    if code in NO_NETWORK or problem.mentions("no default vpc"):
        return _told(
            BadRequest,
            T("The AWS account of “{account}” has no default network (VPC) in this region.", account=account),
            T("Make one in AWS's console (VPC, Actions, Create default VPC), or use another region."),
            "no_network", problem,
        )  # fmt: skip
    if code in FAULT:
        return faults.provider_fault(FACTS, problem)
    return faults.by_status(FACTS, account, problem)


def _told(
    kind: type[PersonaDeskError], what: Text, next_: Text, cause: str, problem: Problem
) -> PersonaDeskError:
    return kind(
        what, next_, cause=cause, details="\n".join(p for p in (problem.code, problem.body) if p),
        provider_status=problem.status, request_id=problem.request_id,
    )  # fmt: skip


def _name_in(problem: Problem) -> str:
    quoted = re.search(r"'([^']+)'", problem.message)
    return quoted.group(1) if quoted else problem.message or problem.code


def no_quota(vcpus: float, wanted: int, quota: str, region: str) -> PersonaDeskError:
    """Return that the account may not run this, told before anything was made."""
    told = f"quota {quota} in {region}: {vcpus:g} vCPUs, {wanted} wanted"
    page = QUOTA_PAGE.format(quota=quota, region=region)
    return faults.quota(FACTS, Problem(code="quota", message=told), page=page)
