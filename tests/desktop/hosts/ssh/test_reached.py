"""Whether a machine lets us in is found out each time: one that did a moment ago may have moved or hang now."""

from __future__ import annotations

from personadesk.domain.host import HostRecord, SshAddress
from personadesk.hosts.remote.servers import PlacedServers
from personadesk.hosts.ssh.connection import show_keys
from personadesk.hosts.ssh.directory import Hosts
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore, Placement
from personadesk.store.secrets import Secrets
from personadesk.store.servers import ServerStore


async def test_a_machine_that_was_reached_is_asked_again(own_sshd, tmp_path):
    database = await Database(tmp_path / "records.db").open()
    hosts = Hosts(HostStore(database), Secrets(), tmp_path / "ssh", tmp_path / "no_config")
    address = SshAddress(own_sshd.address, own_sshd.port, own_sshd.user.name)
    [key] = await show_keys(address)
    await hosts.add(
        HostRecord("box", address, key_file=str(own_sshd.key)), fingerprints=[key.fingerprint]
    )
    servers = PlacedServers(ServerStore(database), tmp_path / "logs", hosts)
    await hosts.store.place(Placement("pd-1", "box", "/folder/servers/pd-1", 1, 0.0))
    try:
        assert await servers.reached("pd-1") is True
        own_sshd.stop()
        assert await servers.reached("pd-1") is False
        own_sshd.start()
        assert await servers.reached("pd-1") is True
    finally:
        await hosts.close()
        await database.close()
