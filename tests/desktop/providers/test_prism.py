"""Every call of a provider's file against Prism, which nobody here wrote. Run with `-m prism`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import NoneType
from typing import NamedTuple

import pytest

from peers.prism import ToPrism, Ways, prism
from peers.simulated import transport
from personadesk.domain.account import Account
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    HostUnfit,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.machine import Action, Machine, Order, Resource, ResourceKind, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.providers import catalog
from personadesk.providers.base import Provider
from personadesk.rehearsal import catalog as rehearsal

pytestmark = pytest.mark.prism
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n-----END OPENSSH PRIVATE KEY-----\n"
)


class Case(NamedTuple):
    """One provider.

    Attributes:
        contract: Its contract.
        offer: What is rented.
        machine: The kind of id that its machines have.
        volume: The kind of id that its volumes have; "" where it has none.
        strip: The base path that Prism leaves out.
        codes: Refusals that its contract has.
    """

    contract: str
    offer: Offer
    machine: str
    volume: str = ""
    strip: str = ""
    codes: tuple[int, ...] = (401,)


CASES = {
    "runpod": Case(
        "runpod-api-v2.openapi.json",
        Offer(
            "mine", "runpod", "NVIDIA GeForce RTX 4090", "RTX 4090", 24, region="US-KS-2",
            data={"gpu": "NVIDIA GeForce RTX 4090", "cloud": "SECURE"},
        ),
        "7h9k2m4n6p", "agv6w2qcg7", codes=(401, 429),
    ),
    "vast": Case(
        "vast.openapi.json", Offer("mine", "vast", "12345678", "RTX 4090", 24), "883",
        codes=(401, 429),
    ),
    "lambda": Case(
        "lambda-cloud-1.8.3.openapi.json",
        Offer("mine", "lambda", "gpu_1x_a10", "A10", 24, region="us-east-1"),
        "0920582c7ff041399e34823a0be62549", "398578a2336b49079e74043f0bd2cfe8",
    ),
    "paperspace": Case(
        "paperspace-v1.openapi.json",
        Offer("mine", "paperspace", "A6000", "RTX A6000", 48, region="ny2"),
        "ps123abc", strip="/v1", codes=(),
    ),
    "digitalocean": Case(
        "digitalocean-v2.openapi.json",
        Offer("mine", "digitalocean", "gpu-l40sx1-48gb", "L40S", 48, region="tor1"),
        "3164444", "506f78a4-e098-11e5-ad9f-000f53306ae1", codes=(401, 429, 500),
    ),
}  # fmt: skip


FORCED = (400, 401, 403, 404, 409, 410, 422, 429, 500, 503)
"""Statuses that are asked for; Prism has those that the contract has for a call, or all where it has a default."""
TEN = {
    AuthFailed, BadRequest, HostUnfit, NoCapacity, NotFound, OutOfFunds, ProviderFault, QuotaExceeded,
    RateLimited, Unreachable,
}  # fmt: skip
KINDS = {401: AuthFailed, 429: RateLimited, 500: ProviderFault, 503: ProviderFault}
"""What a status is whatever was asked; of others it depends on what was."""


class EndlessList(PersonaDeskError):
    """An example's next page is the same page."""


async def without_end(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call, and tell an endless list from other faults."""
    try:
        await call()
    except ProviderFault as error:
        if "never ends" not in error.details:
            raise
        raise EndlessList(error.what) from error


async def failure_of(call: Callable[[], Awaitable[object]]) -> PersonaDeskError | None:
    """Return how a call fails, None when it works or its example never ends."""
    try:
        await without_end(call)
    except EndlessList:
        return None
    except PersonaDeskError as error:
        return error
    return None


async def at_once(seconds: float) -> None:
    return


@pytest.fixture(scope="module", params=sorted(CASES))
def running(request, tmp_path_factory):
    log = tmp_path_factory.mktemp("prism") / "log"
    with prism(CASES[request.param].contract, log) as address:
        yield request.param, address


@pytest.fixture
async def there(running) -> AsyncIterator[tuple[Case, Provider, ToPrism]]:
    name, address = running
    way = ToPrism(address, CASES[name].strip)
    # RunPod's GraphQL is in no contract; the simulator answers there.
    kind = rehearsal.kind(name)
    ways = Ways(lambda path: path != "/graphql", way, transport(rehearsal.make(kind)))
    provider = catalog.make(
        Account("mine", name), kind.ready.credentials, transport=ways, sleep=at_once
    )
    yield CASES[name], provider, way
    await provider.aclose()


def calls_of(case: Case, provider: Provider) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return every call that the provider can make, by name."""
    machine = Machine(case.machine, "mine", case.offer.provider, tag="pd-1")
    plain = Order("pd-1", case.offer, LINE)
    full = Order(
        "pd-1", case.offer, LINE, IDENTITY, volume=case.volume, static_address=bool(provider.facts.can.static_address)
    )  # fmt: skip
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "verify": provider.verify,
        "offers": lambda: provider.offers(Need(memory_gb=0)),
        "machines": provider.machines,
        "machine": lambda: provider.machine(case.machine),
        "create": lambda: provider.create(plain),
        "create in full": lambda: provider.create(full),
        "restart": lambda: provider.act(machine, Action.RESTART),
        "end": lambda: provider.end(machine),
    }
    if type(provider).leftovers is not Provider.leftovers:
        calls["leftovers"] = provider.leftovers
    if provider.facts.can.stop:
        calls["stop"] = lambda: provider.act(machine, Action.STOP)
    if provider.facts.can.start:
        calls["start"] = lambda: provider.act(machine, Action.START)
    if case.volume:
        calls["volume"] = lambda: provider.volume_for(case.offer, 60)
        volume = Resource(ResourceKind.VOLUME, case.volume, "mine")
        calls["remove"] = lambda: provider.remove(volume)
    return calls


async def test_every_request_is_one_that_the_contract_allows(there):
    case, provider, way = there
    for call in calls_of(case, provider).values():
        before = len(way.seen)
        # An example need not be of use: one may name no Ubuntu.
        with contextlib.suppress(BadRequest, EndlessList):
            await without_end(call)
        assert len(way.seen) > before
    assert way.broken == []


async def test_made_up_answers_of_the_right_shape_are_understood(there):
    case, provider, way = there
    way.prefer = "dynamic=true"
    unread = []
    for name, call in calls_of(case, provider).items():
        for _ in range(5):
            try:
                await without_end(call)
            except ProviderFault as error:
                # DigitalOcean's contract also has the answer for several Droplets, which are never asked for.
                if "unreadable" in error.details and "field `droplet`" not in error.details:
                    unread.append(f"{name}: {error.details}")
            except PersonaDeskError:
                continue  # What is made up need not make sense.
    assert unread == []
    assert way.broken == []


async def test_refusals_of_the_contract_are_told_in_our_words(there):
    case, provider, way = there
    for code in case.codes:
        way.prefer = f"code={code}"
        with pytest.raises(KINDS[code]) as refused:
            await provider.machines()
        assert refused.value.provider_status == code


async def test_every_refusal_of_every_request_is_one_of_the_ten(there):
    case, provider, way = there
    forced = set()
    for name, call in calls_of(case, provider).items():
        way.prefer, way.only = "", None
        before = len(way.seen)
        with contextlib.suppress(PersonaDeskError):
            await without_end(call)
        asked = [(verb, path.partition("?")[0]) for verb, path in way.seen[before:]]
        for way.only in dict.fromkeys(asked):
            for code in FORCED:
                way.prefer = f"code={code}"
                way.answers.clear()
                error = await failure_of(call)
                assert type(error) in TEN | {NoneType}, (name, way.only, code)
                if error is not None and error.provider_status == code in KINDS:
                    assert type(error) is KINDS[code], (name, way.only, code, error)
                if (*way.only, code) in way.answers:
                    forced.add((*way.only, code))
    assert {code for _, _, code in forced} >= set(case.codes)
    assert len(forced) > 20
    print(
        f"{case.contract}: {len(forced)} refusals of {len({each[:2] for each in forced})} requests"
    )
