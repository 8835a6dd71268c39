"""Azure's file against Prism, which plays compute from its contract. Run with `-m prism`.

The contract of the network is too deep for Prism (it answers 500, "schema too complex"), so openapi-core judges there
as in the other tests. Groups, roles, tokens and prices are in no contract. For all of these the simulator answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from peers.azure_judge import COMPUTE, AzureJudge, is_compute
from peers.contracts import spec
from peers.prism import ToPrism, Ways, part_of, prism
from peers.simulated import Clock, transport
from personadesk.domain.account import Account
from personadesk.domain.errors import BadRequest, PersonaDeskError, ProviderFault
from personadesk.domain.machine import Action, Machine, Order, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.providers.azure.calls import Azure
from personadesk.rehearsal import azure, catalog

pytestmark = pytest.mark.prism
READY = azure.Azure.ready
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n-----END OPENSSH PRIVATE KEY-----\n"
# Of the sizes that the contract still names; it says itself that its list is out of date.
OFFER = Offer("mine", "azure", "Standard_NC24s_v3", "V100 16GB", 16, region="eastus")
MACHINE = Machine("pd-1/pd-1", "mine", "azure", name="pd-1", tag="pd-1")
THEIRS = Machine("lab/box", "mine", "azure", name="box")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prism")
    contract = part_of(spec(COMPUTE), ("virtualMachines", "skus", "usages"), folder)
    with prism(contract, folder / "log") as address:
        yield address


@pytest.fixture
async def ways(running) -> Ways:
    simulator = catalog.make(azure.Azure, clock=Clock())
    return Ways(is_compute, ToPrism(running), AzureJudge(transport(simulator)))


@pytest.fixture
async def there(ways) -> AsyncIterator[Azure]:
    clock = Clock()
    made = Azure(
        Account("mine", "azure", settings=READY.settings), READY.credentials, transport=ways,
        clock=clock, sleep=clock.sleep,
    )  # fmt: skip
    yield made
    await made.aclose()


def calls(there: Azure):
    """Return every call that is made of Azure's own words, by name."""
    full = Order("pd-1", OFFER, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ me", SshIdentity(KEY))
    spot = Offer("mine", "azure", "Standard_NC24s_v3", "V100 16GB", 16, region="eastus", spot=True)
    return {
        "offers": lambda: there.offers(Need(memory_gb=0)),
        "machines": there.machines,
        "machine": lambda: there.machine("pd-1/pd-1"),
        "create": lambda: there.create(full),
        "create spot": lambda: there.create(Order("pd-2", spot, full.public_key)),
        "leftovers": there.leftovers,
        "start": lambda: there.act(MACHINE, Action.START),
        "stop": lambda: there.act(MACHINE, Action.STOP),
        "restart": lambda: there.act(MACHINE, Action.RESTART),
        "end another's": lambda: there.end(THEIRS),
    }


async def test_every_request_is_one_that_the_contracts_allow(there, ways):
    for call in calls(there).values():
        before = len(ways.judged.seen)
        with contextlib.suppress(BadRequest, ProviderFault):
            await call()  # An example may have a next page elsewhere.
        assert len(ways.judged.seen) > before
    assert ways.judged.broken == []
    assert [
        path for verb, path in ways.judged.seen if verb == "PUT" and "virtualMachines/pd-1" in path
    ]
    puts = {
        path.split("/")[7] for verb, path in ways.rest.seen if verb == "PUT" and "Network" in path
    }
    assert puts == {
        "networkSecurityGroups", "virtualNetworks", "publicIPAddresses", "networkInterfaces",
    }  # fmt: skip


async def test_made_up_answers_of_the_right_shape_are_understood(there, ways):
    ways.judged.prefer = "dynamic=true"
    unread = []
    for name, call in calls(there).items():
        for _ in range(2):
            try:
                await call()
            except ProviderFault as error:
                if "unreadable" in error.details:
                    unread.append(f"{name}: {error.details}")
            except PersonaDeskError:
                continue  # What is made up need not make sense.
    assert unread == []


async def test_another_version_of_the_contract_is_refused(ways):
    path = "/subscriptions/s/providers/Microsoft.Compute/virtualMachines?api-version=2019-01-01"
    async with httpx.AsyncClient(transport=ways) as client:
        answer = await client.get(
            f"https://management.azure.com{path}", headers={"Authorization": "Bearer x"}
        )
    assert answer.status_code == 422
    assert "must be equal to one of the allowed values: 2026-03-01" in ways.judged.broken[0]
