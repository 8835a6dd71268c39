from __future__ import annotations

import pytest

from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.host import HostKey, HostRecord, KeySource, SshAddress
from personadesk.store.hosts import HostStore, Placement

KEY = HostKey("ssh-ed25519", "AAAA", "SHA256:abc")
BOX = HostRecord(
    "box", SshAddress("10.0.0.1", 2222, "me"), KeySource.AGENT, "/k",
    (SshAddress("edge", 22, "you"),), "/data/pd", 5.0,
)  # fmt: skip


async def test_hosts_come_back_as_they_were_by_name(database):
    store = HostStore(database)
    other = HostRecord("a", SshAddress("10.0.0.2"))
    await store.add(BOX)
    await store.add(other)
    assert await store.all() == (other, BOX)
    assert await store.get("box") == BOX
    with pytest.raises(NotFound):
        await store.get("none")


async def test_a_name_is_taken_once(database):
    store = HostStore(database)
    await store.add(BOX)
    with pytest.raises(BadRequest, match="already"):
        await store.add(BOX)


@pytest.mark.parametrize("name", ["", " ", "x" * 41, "a\nb"])
async def test_odd_names_are_refused(database, name):
    with pytest.raises(BadRequest):
        await HostStore(database).add(HostRecord(name, SshAddress("h")))


async def test_a_key_goes_with_the_last_host_of_its_address(database):
    store = HostStore(database)
    twin = HostRecord("twin", BOX.address)
    await store.add(BOX)
    await store.add(twin)
    await store.pin(BOX.address.place, KEY)
    await store.remove("box", BOX.address.place)
    assert await store.pinned(BOX.address.place) == KEY
    await store.remove("twin", BOX.address.place)
    assert await store.pinned(BOX.address.place) is None


async def test_a_placement_is_remembered_until_it_is_gone(database):
    store = HostStore(database)
    first, second = (
        Placement("pd-1", "box", "/f", 9000, 1.0),
        Placement("pd-2", "box", "/g", 9001, 2.0),
    )
    await store.place(second)
    await store.place(first)
    assert await store.placements_on("box") == [first, second]
    assert await store.placement("pd-1") == first
    await store.displace("pd-1")
    assert await store.placement("pd-1") is None
