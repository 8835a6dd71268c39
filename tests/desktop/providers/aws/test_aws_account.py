"""Who an AWS key is and what it may: right, wrong, expired, too weak, not signed up, all told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from personadesk.domain.account import Right
from personadesk.domain.errors import AuthFailed, PersonaDeskError, Unreachable
from personadesk.providers import catalog
from personadesk.providers.aws.calls import Aws
from personadesk.providers.aws.facts import FACTS, RIGHTS

from .conftest import SECRETS, order

DENIED = (
    "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/x is not authorized to"
    " perform: ec2:RunInstances on resource: arn:aws:ec2:us-east-1::image/ami-1 because no identity-based policy"
    " allows the ec2:RunInstances action. Encoded authorization failure message: 4a6fVERYLONG"
)  # fmt: skip


async def test_a_right_key_is_told_with_its_owner_rights_and_limits(aws, door):
    door.answer("GetServiceQuota", {"Quota": {"Value": 8.0}})
    told = await aws.verify()
    assert told.who == "user/moto (123456789012)"
    assert told.rights == {Right.SEE, Right.RENT, Right.END}
    assert told.missing == ()
    assert told.balance is None
    assert str(told.balance_reason)
    assert "us-east-1: 8 vCPUs of G, VT (on demand)" in [str(line) for line in told.limits]
    changes = [c for c in door.calls if c.action in {"RunInstances", "TerminateInstances"}]
    assert len(changes) == 2
    assert all(call.parameters["DryRun"] == "true" for call in changes)
    assert await aws.machines() == []


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("InvalidClientTokenId", "bad_key"), ("SignatureDoesNotMatch", "bad_key"),
        ("ExpiredToken", "expired_key"), ("RequestExpired", "clock"),
    ],
)  # fmt: skip
async def test_a_key_that_is_not_accepted_is_told_by_its_reason(aws, door, code, cause):
    door.refuse("GetCallerIdentity", code, status=403)
    with pytest.raises(AuthFailed) as told:
        await aws.verify()
    assert told.value.cause == cause
    assert told.value.provider_status == 403
    assert told.value.request_id == "req-1"


async def test_an_account_that_is_not_signed_up_is_told_apart_from_a_wrong_key(aws, door):
    door.refuse(
        "DescribeInstances", "OptInRequired", "You are not subscribed to this service.", status=401
    )
    with pytest.raises(AuthFailed) as told:
        await aws.verify()
    assert told.value.cause == "not_signed_up"
    assert FACTS.billing in str(told.value.next)


async def test_a_region_that_is_switched_off_is_not_called_a_wrong_key(make, door):
    door.refuse("DescribeInstances", "AuthFailure", when=lambda call: call.region == "eu-west-1")
    with pytest.raises(AuthFailed) as told:
        await make(region="us-east-1, eu-west-1").verify()
    assert told.value.cause == "region_off"
    assert "eu-west-1" in str(told.value)


async def test_missing_rights_are_named_one_by_one(aws, door):
    door.refuse("RunInstances", "UnauthorizedOperation", DENIED, status=403)
    door.refuse("TerminateInstances", "UnauthorizedOperation", "No.", status=403)
    told = await aws.verify()
    assert told.rights == {Right.SEE}
    assert [re.findall(r"ec2:\w+", str(each)) for each in told.missing] == [
        ["ec2:RunInstances"], ["ec2:TerminateInstances"],
    ]  # fmt: skip


async def test_without_the_right_to_find_the_image_renting_is_not_possible(aws, door):
    door.refuse("GetParameter", "AccessDeniedException", "No.")
    told = await aws.verify()
    assert Right.RENT not in told.rights
    assert "ssm:GetParameter" in str(told.missing[0])


async def test_a_key_that_may_not_even_look_is_refused(aws, door):
    door.refuse("DescribeInstances", "UnauthorizedOperation", DENIED, status=403)
    with pytest.raises(AuthFailed) as told:
        await aws.verify()
    assert told.value.cause == "missing_right"


async def test_a_mistake_in_rights_never_looks_like_no_capacity(aws, door):
    door.refuse("RunInstances", "UnauthorizedOperation", DENIED, status=403)
    with pytest.raises(AuthFailed) as told:
        await aws.create(order())
    assert "ec2:RunInstances" in str(told.value.next)
    assert "Encoded" not in json.dumps(told.value.as_dict()["message"])


async def test_no_secret_comes_out_with_an_error(aws, door):
    door.refuse("GetCallerIdentity", "InvalidClientTokenId", f"Who is {SECRETS['access_key_id']}?")
    with pytest.raises(PersonaDeskError) as told:
        await aws.verify()
    text = json.dumps(told.value.as_dict()) + repr(told.value) + str(told.value.__context__ and "")
    assert not [secret for secret in SECRETS.values() if secret in text]


async def test_a_session_token_goes_along(make, door):
    aws = make({**SECRETS, "session_token": "temporary-token"})
    await aws.verify()
    assert aws._credentials["session_token"] == "temporary-token"


async def test_nobody_there_is_told_as_unreachable_and_a_read_leaves_no_doubt(make):
    aws = make()
    aws._session._base = "http://127.0.0.1:9"
    with pytest.raises(Unreachable) as told:
        await aws._session.call("sts", "GetCallerIdentity", "us-east-1", tries=1)
    assert told.value.cause == "not_sent"


async def test_what_surely_did_not_arrive_and_what_may_have_are_told_apart(aws, door):
    door.lose("RunInstances", times=-1)
    wish = {"ImageId": "ami-dca37ea5", "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
    with pytest.raises(Unreachable) as told:
        await aws._session.call("ec2", "RunInstances", "us-east-1", tries=1, changes=True, **wish)
    assert told.value.cause == "maybe_done"
    aws._session._base = "http://127.0.0.1:9"
    aws._session._clients.clear()
    with pytest.raises(Unreachable) as told:
        await aws._session.call("ec2", "RunInstances", "us-east-1", tries=1, changes=True, **wish)
    assert told.value.cause == "not_sent"


async def test_a_call_has_a_deadline(aws, door):
    with pytest.raises(Unreachable) as told:
        await aws._session.call("sts", "GetCallerIdentity", "us-east-1", deadline_s=0.001)
    assert "0.001" in told.value.details


def test_a_region_field_takes_one_or_several_and_nothing_else():
    (field,) = [f for f in FACTS.fields if f.name == "region"]
    good = ("us-east-1", "us-east-1, eu-west-1", "ap-southeast-2,us-gov-west-1")
    assert all(re.fullmatch(field.pattern, text) for text in good)
    assert not [
        text for text in ("useast1", "us-east-1;x", "Virginia") if re.fullmatch(field.pattern, text)
    ]
    assert catalog.kind("aws") is Aws


def test_the_policy_in_the_help_has_every_right_that_is_asked_for_and_no_other():
    root = Path(__file__).parents[4]
    text = (root / "docs" / "providers.md").read_text(encoding="utf-8")
    policy = json.loads(re.search(r"```json\n(\{[^`]*ec2:[^`]*\})\n```", text).group(1))
    (statement,) = policy["Statement"]
    assert sorted(statement["Action"]) == sorted(RIGHTS)
    sources = (root / "desktop" / "personadesk" / "providers" / "aws").glob("*.py")
    asked = set()
    for path in sources:
        asked |= set(re.findall(r"\"([A-Z][A-Za-z]+)\"", path.read_text(encoding="utf-8")))
    named = {right.partition(":")[2] for right in RIGHTS} - {"CreateTags"}
    assert named <= asked
