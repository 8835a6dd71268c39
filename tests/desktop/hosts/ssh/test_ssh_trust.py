from __future__ import annotations

import asyncio
import os

import pytest

from peers.sshd import free_port, make_key
from peers.tcp_proxy import TcpProxy
from personadesk.domain.errors import AuthFailed, BadRequest, NotFound, Unreachable
from personadesk.domain.host import SshAddress
from personadesk.hosts.ssh import keys
from personadesk.hosts.ssh.config import Resolved
from personadesk.hosts.ssh.connection import Link, Login, show_keys
from personadesk.hosts.ssh.host import SshHost


def _host(reach, login):
    host = SshHost("box", Link("box", login, reach.pins, limit_s=5))
    reach.hosts.append(host)
    return host


async def test_an_unknown_machine_is_not_entered_and_its_fingerprint_is_told(shared_sshd, reach):
    host = reach.host(shared_sshd)
    with pytest.raises(BadRequest) as caught:
        await host.home()
    [key] = await show_keys(reach.address(shared_sshd))
    assert caught.value.cause == "host_key_unknown"
    assert key.fingerprint in str(caught.value.what)
    assert key.fingerprint.startswith("SHA256:")
    assert f"{key.kind} {key.data}" == shared_sshd.host_key


async def test_a_machine_with_another_key_is_refused_in_plain_words(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    assert await host.home()
    own_sshd.stop()
    for name in ("host_ed25519", "host_ed25519.pub"):
        (own_sshd.folder / name).unlink()
    own_sshd.start()
    with pytest.raises(AuthFailed) as caught:
        await host.run(["true"], limit_s=10)
    assert caught.value.cause == "host_key_changed"
    assert "another key" in str(caught.value.what)


async def test_a_machine_that_lost_its_pinned_kind_of_key_is_refused_too(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    own_sshd.stop()
    make_key(own_sshd.folder / "host_ecdsa", kind="ecdsa")
    for name in ("host_ed25519", "host_ed25519.pub"):
        (own_sshd.folder / name).unlink()
        (own_sshd.folder / "host_ecdsa").with_suffix(
            ".pub" if name.endswith(".pub") else ""
        ).rename(own_sshd.folder / name)
    own_sshd.start()
    with pytest.raises(AuthFailed) as caught:
        await host.run(["true"], limit_s=10)
    assert caught.value.cause == "host_key_changed"


async def test_every_kind_of_key_can_be_asked_for(make_sshd, reach, tmp_path):
    make_key(tmp_path / "rsa", kind="rsa")
    sshd = make_sshd(f"HostKey {tmp_path / 'rsa'}")
    found = await show_keys(reach.address(sshd), every_kind=True)
    assert [key.kind for key in found] == ["ssh-ed25519", "ssh-rsa"]


async def test_a_wrong_key_is_told(shared_sshd, reach, tmp_path):
    await reach.trust(shared_sshd)
    path = make_key(tmp_path / "stranger")

    async def login() -> Login:
        return Login(Resolved(reach.address(shared_sshd)), [await keys.load(path)])

    with pytest.raises(AuthFailed) as caught:
        await _host(reach, login).home()
    assert caught.value.cause == "key_refused"


async def test_a_locked_key_asks_for_its_passphrase_and_opens_with_it(shared_sshd, reach, tmp_path):
    await reach.trust(shared_sshd)
    path = make_key(tmp_path / "locked", passphrase="open sesame")
    with shared_sshd.authorized_keys.open("a") as file:
        file.write((tmp_path / "locked.pub").read_text())
    with pytest.raises(AuthFailed) as caught:
        await keys.load(path)
    assert caught.value.cause == "passphrase_needed"
    with pytest.raises(AuthFailed) as caught:
        await keys.load(path, "guess")
    assert caught.value.cause == "wrong_passphrase"

    async def login() -> Login:
        key = await keys.load(path, "open sesame")
        return Login(Resolved(reach.address(shared_sshd)), [key])

    assert (await _host(reach, login).run(["echo", "in"], limit_s=10)).lines == ("in",)


async def test_files_that_are_no_private_keys_are_told(tmp_path):
    make_key(tmp_path / "key")
    (tmp_path / "junk").write_bytes(os.urandom(100))
    with pytest.raises(BadRequest, match="public key"):
        await keys.load(tmp_path / "key.pub")
    with pytest.raises(BadRequest, match="not a private key"):
        await keys.load(tmp_path / "junk")
    with pytest.raises(NotFound):
        await keys.load(tmp_path / "absent")


async def test_our_own_key_is_made_once_and_only_we_may_read_it(tmp_path):
    first = await keys.ours(tmp_path / "ssh")
    second = await keys.ours(tmp_path / "ssh")
    assert first.get_fingerprint() == second.get_fingerprint()
    assert (tmp_path / "ssh" / keys.OUR_KEY).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "ssh").iterdir()] == [keys.OUR_KEY]


async def test_nothing_listens_there(reach):
    address = SshAddress("127.0.0.1", free_port(), "nobody")
    with pytest.raises(Unreachable) as caught:
        await show_keys(address)
    assert caught.value.cause == "refused"


async def test_a_name_that_nobody_has(reach):
    with pytest.raises(NotFound) as caught:
        await show_keys(SshAddress("nowhere.invalid"))
    assert caught.value.cause == "unknown_name"


async def test_a_machine_that_does_not_answer_is_given_up_in_time(shared_sshd, reach):
    async with TcpProxy(shared_sshd.port) as proxy:
        proxy.weather.stalled = True
        with pytest.raises(Unreachable) as caught:
            await show_keys(SshAddress("127.0.0.1", proxy.port, "x"), limit_s=0.5)
    assert caught.value.cause == "timeout"


async def test_something_that_is_not_ssh_is_told(reach):
    async def greet(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(Unreachable):
            await show_keys(SshAddress("127.0.0.1", port, "x"), limit_s=3)


async def test_the_way_leads_through_a_machine_in_between(make_sshd, reach):
    edge, inner = make_sshd(), make_sshd()
    await reach.trust(inner)
    key = await keys.load(edge.key)
    inner.authorized_keys.write_text(edge.authorized_keys.read_text())

    async def login() -> Login:
        return Login(Resolved(reach.address(inner), jumps=(Resolved(reach.address(edge)),)), [key])

    host = _host(reach, login)
    with pytest.raises(BadRequest) as caught:
        await host.home()
    assert str(edge.port) in str(caught.value.what)
    await reach.trust(edge)
    assert await host.home() == str(inner.user.home)
    assert "Accepted publickey" in edge.log
