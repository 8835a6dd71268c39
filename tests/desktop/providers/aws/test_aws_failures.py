"""Each of AWS's codes in one of the ten types, and never in a wrong one."""

from __future__ import annotations

import pytest

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    OutOfFunds,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
)
from personadesk.providers.aws.failures import failure, right_of
from personadesk.providers.faults import Problem

CODES = {
    NoCapacity: (
        "InsufficientInstanceCapacity", "InsufficientHostCapacity", "SpotMaxPriceTooLow",
        "InsufficientReservedInstanceCapacity",
    ),
    QuotaExceeded: (
        "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded", "AddressLimitExceeded",
        "VolumeLimitExceeded", "SomethingNewLimitExceeded",
    ),
    AuthFailed: (
        "AuthFailure", "UnauthorizedOperation", "InvalidClientTokenId", "ExpiredToken", "OptInRequired",
        "SignatureDoesNotMatch", "AccessDenied", "AccessDeniedException", "UnrecognizedClientException",
        "PendingVerification", "Blocked", "RequestExpired",
    ),
    RateLimited: ("RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException"),
    NotFound: (
        "InvalidInstanceID.NotFound", "InvalidAllocationID.NotFound", "InvalidAMIID.NotFound", "ParameterNotFound",
        "InvalidInstanceID.Malformed",
    ),
    BadRequest: (
        "IncorrectInstanceState", "DependencyViolation", "UnsupportedOperation", "OperationNotPermitted",
        "InvalidParameterValue", "VPCIdNotSpecified", "IdempotentParameterMismatch",
    ),
    ProviderFault: ("InternalError", "ServiceUnavailable", "Unavailable"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind, codes in CODES.items() for code in codes]
)
def test_each_code_is_one_of_the_ten(kind, code):
    status = 500 if kind is ProviderFault else 400
    error = failure(Problem(status, code, "Because."), "mine", operation="ec2:RunInstances")
    assert type(error) is kind
    assert code in error.details
    assert str(error.what)
    assert str(error.next)


@pytest.mark.parametrize(
    ("code", "message", "kind", "cause"),
    [
        ("Unsupported", "The requested configuration is currently not supported.", BadRequest, "refused"),
        ("Unsupported", "not supported in your requested Availability Zone", NoCapacity, "not_in_zone"),
        ("AuthFailure", "The token has expired", AuthFailed, "expired_key"),
        ("InvalidParameterCombination", "The type is not eligible for Free Tier.", OutOfFunds, "free_plan"),
        ("SomethingNew", "What?", BadRequest, "refused"),
        ("IncorrectInstanceState", "It is pending", BadRequest, "wrong_state"),
    ],
)  # fmt: skip
def test_codes_of_several_meanings_are_told_by_their_message(code, message, kind, cause):
    error = failure(Problem(400, code, message), "mine")
    assert (type(error), error.cause) == (kind, cause)


@pytest.mark.parametrize(
    ("message", "right"),
    [
        ("User: arn:x is not authorized to perform: ec2:StopInstances on resource: y", "ec2:StopInstances"),
        ("User is not authorized to perform this operation", "ec2:Asked"),
        ("is not authorized to perform: sts:Some", "sts:Some"),
    ],
)  # fmt: skip
def test_a_missing_right_is_named_as_the_message_does_else_as_asked(message, right):
    assert right_of(Problem(message=message), "ec2:Asked") == right


async def test_a_fault_that_passes_is_waited_out(aws, door):
    door.refuse("DescribeInstances", "Unavailable", status=503, times=1)
    assert await aws.machines() == []


async def test_an_answer_that_nobody_can_read_is_the_providers_fault(aws, door):
    door.change("DescribeInstances", "<DescribeInstancesResponse.*", "<html>busy")
    with pytest.raises(ProviderFault):
        await aws._session.call("ec2", "DescribeInstances", "us-east-1", tries=1)


async def test_a_page_of_a_busy_gateway_is_asked_past(aws, door):
    door.change(
        "DescribeInstances", "<DescribeInstancesResponse.*", "<!doctype html><title>busy", 1
    )
    assert await aws.machines() == []


@pytest.mark.parametrize(("temporary", "cause"), [(True, "expired_key"), (False, "clock")])
def test_a_request_that_expired_is_the_key_where_that_ends_by_itself_else_the_clock(
    temporary, cause
):
    problem = Problem(400, code="RequestExpired", message="Request has expired.")
    assert failure(problem, "mine", temporary=temporary).cause == cause
