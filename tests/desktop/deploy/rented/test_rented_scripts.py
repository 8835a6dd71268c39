"""What Paperspace keeps for one machine goes with it, also when the end was cut off in the middle."""

from __future__ import annotations

import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.memory import Memory
from personadesk.deploy.rented.rentals import Rentals
from personadesk.domain.account import Account
from personadesk.domain.errors import ProviderFault
from personadesk.domain.machine import Order
from personadesk.domain.offer import Need, Stock
from personadesk.hosts.ssh.directory import Hosts
from personadesk.providers.accounts import Accounts
from personadesk.providers.paperspace import Paperspace
from personadesk.rehearsal.faults import Fault
from personadesk.store.accounts import AccountStore
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore
from personadesk.store.hosts import HostStore
from personadesk.store.rentals import RentalState, RentalStore
from personadesk.store.secrets import Secrets
from personadesk.store.spending import SpendingStore


async def test_a_startup_script_that_could_not_be_removed_goes_at_the_next_comparison(tmp_path):
    there = JudgedCloud(Paperspace, "paperspace-v1.openapi.json")
    database = await Database(tmp_path / "personadesk.db").open()
    hosts = Hosts(HostStore(database), Secrets(), tmp_path / "ssh")
    store = AccountStore(database)
    accounts = Accounts(store, Secrets(), lambda account, secrets: there.here)
    await store.add(Account("mine", "paperspace"))
    memory = Memory(ExperienceStore(database), clock=there.clock)
    rentals = Rentals(RentalStore(database), accounts, hosts, memory, clock=there.clock)
    fleet = Fleet(
        accounts, rentals, SpendingStore(database), hosts, dict, clock=there.clock
    )  # fmt: skip
    try:
        offers = await there.here.offers(Need())
        offer = next(each for each in offers if each.stock is not Stock.NONE)
        await rentals.make(Order("pd-00000001", offer, "ssh-ed25519 AAAA me"))
        there.world.faults.add(Fault.FAIL_BEFORE, calls="^DELETE /v1/startup-scripts")
        with pytest.raises(ProviderFault):
            await rentals.end("pd-00000001")
        there.world.faults.clear()
        assert there.world.things(None, "script")
        there.clock.pass_s(300)
        await fleet.reconcile()
        [rental] = await rentals.store.of("pd-00000001")
        assert rental.state is RentalState.ENDED
        assert there.world.present() == set()
    finally:
        await hosts.close()
        await accounts.close()
        await database.close()
