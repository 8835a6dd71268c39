"""Google's refusals in our words, each code of its page, and that nothing of the key comes out."""

from __future__ import annotations

import json

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from google.auth import jwt

from personadesk.domain.account import Account
from personadesk.domain.errors import AuthFailed, PersonaDeskError, ProviderFault
from personadesk.providers.google import failures, wire
from personadesk.providers.google.calls import Google
from personadesk.rehearsal import google

KEY_FILE = google.key_file()
KEY = json.loads(KEY_FILE)
TOKEN = "ya29.very-secret-token"
ACTIVATE = (
    "https://console.developers.google.com/apis/api/compute.googleapis.com/overview?project=1"
)


def provider(handle, credentials: str = KEY_FILE, **settings: str) -> Google:
    async def no_wait(seconds: float) -> None:
        return None

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "oauth2.googleapis.com":
            return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 3599})
        return handle(request)

    account = Account("lab", "google", settings=settings)
    transport = httpx.MockTransport(answer)
    return Google(account, {"api_key": credentials}, transport=transport, sleep=no_wait)


async def refused(status: int, body: object, call: str = "machines") -> PersonaDeskError:
    there = provider(lambda request: httpx.Response(status, json=body))
    try:
        with pytest.raises(PersonaDeskError) as found:
            await getattr(there, call)()
    finally:
        await there.aclose()
    return found.value


def said(reason: str, message: str = "no", status: str = "X", **more: object) -> dict[str, object]:
    errors = [{"reason": reason, "domain": "global", "message": message}]
    return {"error": {"code": 1, "message": message, "status": status, "errors": errors, **more}}


@pytest.mark.parametrize(
    ("status", "reason", "message", "kind", "cause"),
    [
        (401, "authError", "Invalid Credentials", "AuthFailed", "bad_key"),
        (403, "forbidden", "Required 'compute.instances.list' permission", "AuthFailed", "missing_right"),
        (403, "accessNotConfigured", "off", "AuthFailed", "switched_off"),
        (403, "BILLING_DISABLED", "This API method requires billing to be enabled", "OutOfFunds", "no_money"),
        (403, "accountDisabled", "closed", "OutOfFunds", "no_money"),
        (403, "rateLimitExceeded", "Rate Limit Exceeded", "RateLimited", "rate"),
        (403, "quotaExceeded", "Quota 'NVIDIA_L4_GPUS' exceeded.", "QuotaExceeded", "quota"),
        (400, "invalid", "Quota 'GPUS_ALL_REGIONS' exceeded. Limit: 0.0 globally.", "QuotaExceeded", "quota"),
        (503, "backendError", "does not have enough resources available to fulfill", "NoCapacity", "sold_out"),
        (503, "backendError", "try later", "ProviderFault", "fault"),
        (404, "notFound", "nothing", "NotFound", "gone"),
        (400, "resourceInUseByAnotherResource", "in use", "BadRequest", "wrong_state"),
        (400, "resourceNotReady", "not ready", "BadRequest", "wrong_state"),
        (400, "invalid", "odd", "BadRequest", "refused"),
    ],
)  # fmt: skip
async def test_each_code_becomes_its_error(status, reason, message, kind, cause):
    error = await refused(status, said(reason, message))
    assert (error.type_name, error.cause, error.provider_status) == (kind, cause, status)
    assert message in error.details


async def test_a_missing_right_is_called_by_its_name():
    message = "Required 'compute.instances.list' permission for 'projects/p'"
    error = await refused(403, said("forbidden", message))
    assert "“compute.instances.list”" in str(error.next)


async def test_an_api_that_is_switched_off_comes_with_the_page_that_switches_it_on():
    message = f"Compute Engine API has not been used in project 1 before. Enable it by visiting {ACTIVATE} then retry."
    details = [{"@type": "ErrorInfo", "reason": "SERVICE_DISABLED", "metadata": {}}]
    error = await refused(403, said("accessNotConfigured", message, details=details), "verify")
    assert ACTIVATE in str(error.next)
    assert "Compute Engine API" in str(error.what)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ZONE_RESOURCE_POOL_EXHAUSTED", "NoCapacity"), ("STOCKOUT", "NoCapacity"),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "NoCapacity"), ("QUOTA_EXCEEDED", "QuotaExceeded"),
        ("RESOURCE_NOT_FOUND", "NotFound"), ("INTERNAL_ERROR", "ProviderFault"),
    ],
)  # fmt: skip
def test_an_operation_that_fails_later_says_why(code, kind):
    problem = wire.OperationProblem(code=code, message="so it is")
    operation = wire.Operation(name="operation-7", error=wire.OperationProblems(errors=[problem]))
    error = failures.of_operation("lab", operation)
    assert (error.type_name, error.request_id) == (kind, "operation-7")
    assert code in error.details


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, "bad_key"),
        ({"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, "bad_key"),
        ({"error": "invalid_grant", "error_description": "The key has expired"}, "expired_key"),
        ({"error": "invalid_grant", "error_description": "Check your iat and exp values"}, "clock"),
    ],
)  # fmt: skip
async def test_a_refused_token_is_told(body, cause):
    account = Account("lab", "google")
    transport = httpx.MockTransport(lambda request: httpx.Response(400, json=body))
    there = Google(account, {"api_key": KEY_FILE}, transport=transport)
    with pytest.raises(PersonaDeskError) as found:
        await there.verify()
    assert found.value.cause == cause
    await there.aclose()


async def test_the_claim_is_signed_for_the_place_that_gives_the_token():
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"access_token": TOKEN})

    there = Google(
        Account("lab", "google"), {"api_key": KEY_FILE}, transport=httpx.MockTransport(handle)
    )
    await there.machines()
    form = dict(httpx.QueryParams(asked[0].content.decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    private = load_pem_private_key(KEY["private_key"].encode(), None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # Google's own library on the other side: signature, time and place.
    place = "https://oauth2.googleapis.com/token"
    claims = jwt.decode(form["assertion"], certs=public, audience=place)
    assert jwt.decode_header(form["assertion"])["kid"] == KEY["private_key_id"]
    assert claims["iss"] == KEY["client_email"]
    assert claims["exp"] - claims["iat"] == 3600
    assert asked[1].headers["authorization"] == f"Bearer {TOKEN}"
    await there.aclose()


@pytest.mark.parametrize(
    "text",
    [
        "not json at all",
        "{}",
        "[1]",
        json.dumps({**KEY, "private_key": "nonsense-but-long-enough"}),
    ],
)
async def test_what_is_no_key_file_is_refused_and_not_quoted(text):
    there = provider(lambda request: httpx.Response(200, json={}), text)
    with pytest.raises(AuthFailed) as found:
        await there.verify()
    assert found.value.cause == "bad_key"
    assert text not in json.dumps(found.value.as_dict())
    await there.aclose()


async def test_neither_key_nor_token_is_ever_in_an_error():
    lines = KEY["private_key"].splitlines()

    def handle(request: httpx.Request) -> httpx.Response:
        echo = f"{request.headers['authorization']} {KEY['private_key']} {lines[3]} {KEY_FILE}"
        return httpx.Response(500, json=said("odd", echo))

    there = provider(handle)
    with pytest.raises(ProviderFault) as found:
        await there.machines()
    shown = json.dumps(found.value.as_dict()) + repr(found.value)
    assert "•••" in found.value.details
    for secret in (TOKEN, *lines[1:-1]):
        assert secret not in shown
    await there.aclose()


async def test_another_project_than_the_keys_own_can_be_named():
    paths: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json={})

    there = provider(handle, project="other-one")
    assert await there.machines() == []
    assert paths == ["/compute/v1/projects/other-one/aggregated/instances"]
    await there.aclose()
