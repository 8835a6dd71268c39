"""Azure's refusals in our words, each code of its page, and that no secret comes out."""

from __future__ import annotations

import json

import httpx
import pytest

from personadesk.domain.account import Account
from personadesk.domain.errors import PersonaDeskError, ProviderFault
from personadesk.domain.machine import Action, Machine, MachineState
from personadesk.providers.azure import failures, prices, reading, wire
from personadesk.providers.azure.calls import Azure, _may
from personadesk.rehearsal import azure

SECRET = "s3cret~value.of-the-client"
TOKEN = "eyJ-very-secret-token"
READY = azure.Azure.ready


def provider(handle) -> Azure:
    async def no_wait(seconds: float) -> None:
        return None

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "login.microsoftonline.com":
            return httpx.Response(200, json={"access_token": TOKEN, "expires_in": "3599"})
        return handle(request)

    account = Account("work", "azure", settings=READY.settings)
    transport = httpx.MockTransport(answer)
    return Azure(account, {"client_secret": SECRET}, transport=transport, sleep=no_wait)


async def refused(status: int, body: object) -> PersonaDeskError:
    there = provider(
        lambda request: httpx.Response(status, json=body, headers={"x-ms-request-id": "r-9"})
    )
    try:
        with pytest.raises(PersonaDeskError) as found:
            await there.machine("pd-1/pd-1")
    finally:
        await there.aclose()
    return found.value


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "cause"),
    [
        (409, "SkuNotAvailable", "not here", "NoCapacity", "sold_out"),
        (409, "AllocationFailed", "full", "NoCapacity", "sold_out"),
        (409, "ZonalAllocationFailed", "full", "NoCapacity", "sold_out"),
        (409, "OverconstrainedAllocationRequest", "full", "NoCapacity", "sold_out"),
        (409, "OperationNotAllowed", "exceeding approved Total Regional Cores quota", "QuotaExceeded", "quota"),
        (409, "QuotaExceeded", "too many", "QuotaExceeded", "quota"),
        (409, "OperationNotAllowed", "the machine is being changed", "BadRequest", "wrong_state"),
        (401, "InvalidAuthenticationToken", "no", "AuthFailed", "bad_key"),
        (403, "AuthorizationFailed", "perform action 'Microsoft.Compute/x/read' over", "AuthFailed", "missing_right"),
        (409, "ReadOnlyDisabledSubscription", "closed", "OutOfFunds", "no_money"),
        (404, "SubscriptionNotFound", "no", "AuthFailed", "bad_key"),
        (409, "MissingSubscriptionRegistration", "use namespace 'Microsoft.Compute'", "AuthFailed", "switched_off"),
        (404, "ResourceNotFound", "nothing", "NotFound", "gone"),
        (404, "ResourceGroupNotFound", "nothing", "NotFound", "gone"),
        (409, "Conflict", "busy", "BadRequest", "wrong_state"),
        (409, "AnotherOperationInProgress", "busy", "BadRequest", "wrong_state"),
        (429, "TooManyRequests", "slow down", "RateLimited", "rate"),
        (400, "InvalidParameter", "odd", "BadRequest", "refused"),
        (500, "InternalServerError", "ours", "ProviderFault", "fault"),
    ],
)  # fmt: skip
async def test_each_code_becomes_its_error(status, code, message, kind, cause):
    error = await refused(status, {"error": {"code": code, "message": message}})
    assert (error.type_name, error.cause, error.provider_status) == (kind, cause, status)
    assert (code in error.details, error.request_id) == (True, "r-9")


async def test_a_missing_right_and_a_service_that_is_off_are_called_by_their_names():
    said = "does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read'"
    error = await refused(403, {"error": {"code": "AuthorizationFailed", "message": said}})
    assert "“Microsoft.Compute/virtualMachines/read”" in str(error.next)
    said = "The subscription is not registered to use namespace 'Microsoft.Network'."
    error = await refused(
        409, {"error": {"code": "MissingSubscriptionRegistration", "message": said}}
    )
    assert "“Microsoft.Network”" in str(error.what)


async def test_the_finest_code_that_we_know_counts():
    details = [{"code": "SkuNotAvailable", "message": "not here"}]
    error = await refused(400, {"error": {"code": "Wrapped", "message": "x", "details": details}})
    assert error.type_name == "NoCapacity"


def test_an_operation_that_fails_later_says_why():
    told = wire.AsyncOperation("Failed", wire.Problem("ZonalAllocationFailed", "full"))
    assert failures.of_operation("work", told).type_name == "NoCapacity"
    told = wire.AsyncOperation("Canceled")
    assert failures.of_operation("work", told).type_name == "ProviderFault"
    told = wire.AsyncOperation("Failed", wire.Problem("OSProvisioningTimedOut", "late"))
    assert "OSProvisioningTimedOut" in failures.of_operation("work", told).details


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        (401, "AADSTS7000215: Invalid client secret provided.", "bad_key"),
        (401, "AADSTS7000222: The provided client secret keys are expired.", "expired_key"),
        (400, "AADSTS700016: Application was not found in the directory.", "bad_key"),
        (400, "AADSTS90002: Tenant not found.", "bad_key"),
    ],
)
async def test_a_refused_token_is_told(status, said, cause):
    body = {"error": "invalid_client", "error_description": said, "error_codes": [1]}
    transport = httpx.MockTransport(lambda request: httpx.Response(status, json=body))
    account = Account("work", "azure", settings=READY.settings)
    there = Azure(account, {"client_secret": SECRET}, transport=transport)
    with pytest.raises(PersonaDeskError) as found:
        await there.verify()
    assert (found.value.cause, said in found.value.details) == (cause, True)
    await there.aclose()


async def test_neither_secret_nor_token_is_ever_in_an_error():
    def handle(request: httpx.Request) -> httpx.Response:
        echo = f"{request.headers['authorization']} and {SECRET}"
        return httpx.Response(500, json={"error": {"code": "Odd", "message": echo}})

    there = provider(handle)
    with pytest.raises(ProviderFault) as found:
        await there.machines()
    shown = json.dumps(found.value.as_dict()) + repr(found.value)
    assert "•••" in found.value.details
    assert TOKEN not in shown
    assert SECRET not in shown
    await there.aclose()


async def test_the_price_list_is_not_shown_our_token():
    shown: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        shown.append((request.url.host, request.headers.get("authorization", "")))
        return httpx.Response(200, json={"Items": [], "value": []})

    there = provider(handle)
    from personadesk.domain.offer import Need

    assert await there.offers(Need()) == []
    assert ("prices.azure.com", "") in shown
    assert {token for host, token in shown if host == "management.azure.com"} == {f"Bearer {TOKEN}"}
    await there.aclose()


@pytest.mark.parametrize(
    ("provisioning", "power", "state"),
    [
        ("Creating", "", MachineState.PROVISIONING), ("Creating", "starting", MachineState.BOOTING),
        ("Succeeded", "running", MachineState.RUNNING), ("Updating", "starting", MachineState.STARTING),
        ("Succeeded", "stopping", MachineState.STOPPING), ("Succeeded", "stopped", MachineState.STOPPED),
        ("Succeeded", "deallocating", MachineState.STOPPING), ("Succeeded", "deallocated", MachineState.STOPPED),
        ("Deleting", "running", MachineState.ENDING), ("Failed", "", MachineState.FAILED),
        ("Failed", "running", MachineState.RUNNING), ("Failed", "deallocated", MachineState.STOPPED),
        ("Succeeded", "", MachineState.UNKNOWN), ("Succeeded", "dreaming", MachineState.UNKNOWN),
        ("Migrating", "", MachineState.UNKNOWN),
    ],
)  # fmt: skip
def test_each_state_has_our_word(provisioning, power, state):
    assert reading.state_of(provisioning, power) is state


def told(power: str, **more: object) -> Machine:
    raw = {
        "id": "/subscriptions/s/resourceGroups/LAB/providers/Microsoft.Compute/virtualMachines/Box",
        "name": "Box", "location": "moon", "tags": None, "new": {},
        "properties": {
            "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_NC24ads_A100_v4"},
            "timeCreated": "2026-06-27T01:02:38.3138469+00:00", "storageProfile": {"osDisk": {"diskSizeGB": None}},
            "instanceView": {"statuses": [{"code": f"PowerState/{power}", "message": None}]}, **more,
        },
    }  # fmt: skip
    import msgspec

    found = msgspec.convert(raw, wire.VirtualMachine, strict=False)
    return reading.machine(found, "", {}, lambda host, user: pytest.fail("no address"))


def test_a_machine_that_is_off_and_still_billed_says_so_and_can_be_deallocated():
    machine = told("stopped")
    assert (machine.state, machine.price) == (MachineState.STOPPED, 3.7)
    assert "still billed" in str(machine.reason)
    assert Action.STOP in machine.actions


def test_unknown_fields_sizes_places_and_states_are_no_reason_to_fail():
    machine = told("dreaming", hardwareProfile={"vmSize": "Standard_X1"})
    assert (machine.id, machine.state, machine.gpu, machine.count) == (
        "lab/Box", MachineState.UNKNOWN, "", 0,
    )  # fmt: skip
    assert (machine.price, machine.ssh, machine.place, machine.tag) == (None, None, "", "")
    assert machine.created == pytest.approx(1782522158.313846)


def test_of_the_price_list_only_plain_hours_of_linux_count():
    def price(**more: object) -> wire.Price:
        values = {"arm_sku_name": "S", "arm_region_name": "eastus", "unit_of_measure": "1 Hour"}
        return wire.Price(**{**values, "product_name": "P", "sku_name": "S", "retail_price": 2.0, **more})  # fmt: skip

    found = prices.live(
        [
            price(), price(product_name="P Windows", retail_price=1.0), price(sku_name="S Low Priority"),
            price(sku_name="S Spot", retail_price=0.5), price(unit_of_measure="1/Month", retail_price=0.1),
            price(retail_price=0.0),
        ]
    )  # fmt: skip
    assert found == {("S", "eastus", False): 2.0, ("S", "eastus", True): 0.5}


def test_roles_allow_by_pattern_and_take_away_by_pattern():
    contributor = wire.Permission(["*"], ["Microsoft.Authorization/*/Write"])
    assert _may([contributor], "Microsoft.Compute/virtualMachines/write")
    assert not _may([contributor], "Microsoft.Authorization/roles/write")
    reader = wire.Permission(["*/read"])
    assert not _may([reader], "Microsoft.Compute/virtualMachines/write")
    assert _may([reader, contributor], "Microsoft.Compute/virtualMachines/write")
    assert not _may([], "Microsoft.Compute/virtualMachines/read")
