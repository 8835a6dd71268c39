"""At every provider a wrong, an expired, a weak and a penniless key are told apart, as far as the provider does."""

from __future__ import annotations

import pytest

from peers.simulated import Clock
from personadesk.cli.accounts import _in_words
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import AuthFailed, NoCapacity, OutOfFunds, PersonaDeskError
from personadesk.domain.machine import Order
from personadesk.domain.offer import Need
from personadesk.hosts.ssh import keys
from personadesk.providers import catalog as providers
from personadesk.rehearsal import catalog
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.serving import Served

SAME = {"lambda", "paperspace", "digitalocean"}
"""These answer an expired key as one that nobody has."""
SILENT = {"lambda", "paperspace", "digitalocean"}
"""These have no keys with fewer rights, or tell of them only when something is asked."""
BILLED_AFTERWARDS = {"lambda", "paperspace", "digitalocean", "aws", "google", "azure"}


class Pretend:
    """A pretend cloud with our file in front of it."""

    def __init__(self, provider_id: str) -> None:
        self.clock = Clock()
        self.simulator = catalog.make(catalog.kind(provider_id), clock=self.clock)
        self.world = self.simulator.world
        ready = self.simulator.ready
        self.ours = self.world.held.accounts[ready.key]
        self.served = Served(self.simulator.answer)
        account = Account(
            "mine", provider_id, {}, dict(ready.settings), f"{self.served.url}{ready.base_path}"
        )
        self.provider = providers.make(
            account, ready.credentials, clock=self.clock, sleep=self.clock.sleep
        )

    async def refused(self) -> PersonaDeskError:
        with pytest.raises(PersonaDeskError) as caught:
            await self.provider.verify()
        return caught.value


@pytest.fixture(params=catalog.ids())
async def cloud(request):
    made = Pretend(request.param)
    yield made
    await made.provider.aclose()
    made.served.close()


async def test_keys_and_refusals_are_told_apart_in_words_and_leave_nothing(cloud):
    name = cloud.provider.facts.id
    cloud.ours.rights = frozenset({Right.SEE})
    info = await cloud.provider.verify()
    assert bool(info.missing) is (name not in SILENT)
    assert all(str(each) in _in_words(info) for each in info.missing)
    cloud.ours.rights = frozenset(Right)
    if name not in BILLED_AFTERWARDS:
        cloud.ours.balance = 0.0
        info = await cloud.provider.verify()
        assert info.balance == 0.0
        assert "Nothing can be rented before money is put in there." in _in_words(info)
        cloud.ours.balance = 50.0
    rule = cloud.world.faults.add(Fault.WRONG_KEY)
    wrong = await cloud.refused()
    cloud.world.faults.remove(rule.id)
    cloud.clock.pass_s(7200)  # a token that was given before has run out
    cloud.ours.expired = True
    expired = await cloud.refused()
    assert isinstance(wrong, AuthFailed)
    assert (wrong.cause, expired.cause) == (
        "bad_key", "bad_key" if name in SAME else "expired_key",
    )  # fmt: skip
    assert (str(wrong.what) == str(expired.what)) is (name in SAME)
    assert str(wrong.next)
    assert str(expired.next)

    cloud.ours.expired = False
    offers = await cloud.provider.offers(Need())
    order = Order("pd-00000001", offers[0], (await keys.make_identity()).public, token="pd-1")
    for fault, kind in ((Fault.NO_MONEY, OutOfFunds), (Fault.NO_CAPACITY, NoCapacity)):
        rule = cloud.world.faults.add(fault)
        with pytest.raises(kind) as caught:
            await cloud.provider.create(order)
        assert str(caught.value.next)
        cloud.world.faults.remove(rule.id)
        assert not cloud.world.machines()
