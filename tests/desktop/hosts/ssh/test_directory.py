from __future__ import annotations

import pytest

from peers.sshd import make_key
from personadesk.domain.errors import AuthFailed, BadRequest, NotFound
from personadesk.domain.host import HostRecord, KeySource, SshAddress
from personadesk.hosts.ssh.connection import show_keys
from personadesk.hosts.ssh.directory import Hosts
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore, Placement


class Kept(dict):
    """Secrets in memory."""

    async def get(self, name, default=None):
        return dict.get(self, name, default)

    async def put(self, name, value):
        self[name] = value

    async def delete(self, name):
        self.pop(name, None)


@pytest.fixture
async def hosts(tmp_path):
    database = await Database(tmp_path / "records.db").open()
    made = Hosts(HostStore(database), Kept(), tmp_path / "ssh", tmp_path / "ssh_config")
    yield made
    await made.close()
    await database.close()


def _record(sshd, name="box", **more):
    more.setdefault("key_file", str(sshd.key))
    return HostRecord(name, SshAddress(sshd.address, sshd.port, sshd.user.name), **more)


async def _fingerprint(sshd):
    return (await show_keys(SshAddress(sshd.address, sshd.port)))[0].fingerprint


async def test_an_unknown_machine_is_refused_with_its_fingerprint_and_not_remembered(
    shared_sshd, hosts
):
    with pytest.raises(BadRequest) as caught:
        await hosts.add(_record(shared_sshd))
    assert caught.value.cause == "host_key_unknown"
    assert await _fingerprint(shared_sshd) in str(caught.value.what)
    assert await hosts.store.all() == ()


async def test_a_confirmed_machine_is_added_and_used_without_another_question(shared_sshd, hosts):
    await hosts.add(_record(shared_sshd), fingerprints=[await _fingerprint(shared_sshd)])
    host = await hosts.host("box")
    assert await host.home() == str(shared_sshd.user.home)
    assert await hosts.host("box") is host
    assert (await hosts.pinned("box")).fingerprint == await _fingerprint(shared_sshd)


async def test_a_wrong_fingerprint_is_refused(shared_sshd, hosts):
    with pytest.raises(AuthFailed) as caught:
        await hosts.add(_record(shared_sshd), fingerprints=["SHA256:" + "A" * 43])
    assert caught.value.cause == "wrong_fingerprint"
    assert await hosts.store.all() == ()


async def test_a_fingerprint_of_its_other_key_is_as_good(make_sshd, hosts, tmp_path):
    make_key(tmp_path / "rsa", kind="rsa")
    sshd = make_sshd(f"HostKey {tmp_path / 'rsa'}")
    found = await show_keys(SshAddress(sshd.address, sshd.port), every_kind=True)
    [rsa] = [key for key in found if key.kind == "ssh-rsa"]
    await hosts.add(_record(sshd), fingerprints=[rsa.fingerprint])
    assert await (await hosts.host("box")).home()
    assert (await hosts.pinned("box")).kind == "ssh-rsa"


async def test_a_login_that_is_refused_leaves_nothing(shared_sshd, hosts, tmp_path):
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(AuthFailed):
        await hosts.add(
            _record(shared_sshd, key_file=str(stranger)),
            fingerprints=[await _fingerprint(shared_sshd)],
        )
    assert await hosts.store.all() == ()


async def test_a_passphrase_is_asked_for_once_and_kept_by_the_keyring(own_sshd, hosts, tmp_path):
    locked = make_key(tmp_path / "locked", passphrase="sesame")
    with own_sshd.authorized_keys.open("a") as file:
        file.write((tmp_path / "locked.pub").read_text())
    record = _record(own_sshd, key_file=str(locked))
    fingerprints = [await _fingerprint(own_sshd)]
    with pytest.raises(AuthFailed) as caught:
        await hosts.add(record, fingerprints=fingerprints)
    assert caught.value.cause == "passphrase_needed"
    await hosts.add(record, fingerprints=fingerprints, passphrase="sesame")
    assert await (await hosts.host("box")).home()
    database = (tmp_path / "records.db").read_bytes()
    assert b"sesame" not in database


async def test_a_password_installs_our_key_once_and_is_not_kept(
    user_sshd, session_user, hosts, tmp_path
):
    user_sshd.authorized_keys.write_text("# nobody yet")
    record = _record(user_sshd, key_file="")
    fingerprints = [await _fingerprint(user_sshd)]
    with pytest.raises(AuthFailed) as caught:
        await hosts.add(record, fingerprints=fingerprints, password="wrong")
    assert caught.value.cause == "password_refused"
    added = await hosts.add(record, fingerprints=fingerprints, password=session_user.password)
    assert added.key_source is KeySource.OURS
    lines = user_sshd.authorized_keys.read_text().splitlines()
    assert lines[0] == "# nobody yet"
    assert lines[1].startswith("ssh-ed25519 ")
    assert lines[1].endswith(" personadesk")
    assert (await (await hosts.host("box")).run(["id", "-un"], limit_s=10)).lines == (
        session_user.name,
    )
    await hosts.add(_record(user_sshd, "again", key_file=""), password=session_user.password)
    assert len(user_sshd.authorized_keys.read_text().splitlines()) == 2
    kept = (tmp_path / "records.db").read_bytes()
    assert session_user.password.encode() not in kept


async def test_an_alias_and_a_way_through_another_machine(make_sshd, hosts, tmp_path):
    edge, inner = make_sshd(), make_sshd()
    inner.authorized_keys.write_text(edge.authorized_keys.read_text())
    (tmp_path / "ssh_config").write_text(
        f"Host deep\n HostName 127.0.0.1\n Port {inner.port}\n User {inner.user.name}\n"
        f" IdentityFile {edge.key}\n ProxyJump {edge.user.name}@127.0.0.1:{edge.port}\n"
    )
    record = HostRecord("deep", SshAddress("deep"))
    with pytest.raises(BadRequest) as caught:
        await hosts.add(record)
    assert str(edge.port) in str(caught.value.what)
    both = [await _fingerprint(edge), await _fingerprint(inner)]
    with pytest.raises(AuthFailed) as wrong:
        await hosts.add(record, fingerprints=both[:1])
    assert str(inner.port) in str(wrong.value.what)
    await hosts.add(record, fingerprints=both)
    assert await (await hosts.host("deep")).home() == str(inner.user.home)


async def test_a_machine_is_forgotten_with_its_key_unless_something_of_ours_is_on_it(
    shared_sshd, hosts
):
    await hosts.add(_record(shared_sshd), fingerprints=[await _fingerprint(shared_sshd)])
    await hosts.store.place(Placement("pd-1", "box", "/x", 9000))
    with pytest.raises(BadRequest) as caught:
        await hosts.remove("box")
    assert caught.value.cause == "in_use"
    await hosts.store.displace("pd-1")
    await hosts.remove("box")
    assert await hosts.store.all() == ()
    with pytest.raises(BadRequest):
        await hosts.add(_record(shared_sshd))
    with pytest.raises(NotFound):
        await hosts.remove("box")
