from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from personadesk.domain.errors import BadRequest
from personadesk.domain.host import SshAddress
from personadesk.hosts.ssh import config

TEXT = """
# the workshop
Host gpu gpu-*
    HostName 10.0.0.7
    Port 2222
    User worker
    IdentityFile ~/.ssh/%h_key

Host far
    HostName far.example.org
    ProxyJump edge,worker@gpu:2200

Host edge !inner
    HostName=edge.example.org

Match user nobody
    Port 9

Host *
    User everyone
    IdentityFile /keys/common
Include more/*.conf
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config"
    path.write_text(TEXT)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text('Host "late one" late\n  HostName 10.9.9.9\n')
    return path


def test_lists_names_but_no_patterns(file):
    assert config.aliases(file) == ["gpu", "far", "edge", "late one", "late"]


def test_an_alias_gets_its_name_port_user_and_keys(file):
    found = config.resolve(SshAddress("gpu"), file)
    assert found.address == SshAddress("10.0.0.7", 2222, "worker")
    assert found.key_files == (Path.home() / ".ssh" / "10.0.0.7_key", Path("/keys/common"))
    assert found.jumps == ()


def test_what_the_caller_gives_goes_first(file):
    found = config.resolve(SshAddress("gpu", 2022, "me"), file)
    assert found.address == SshAddress("10.0.0.7", 2022, "me")


def test_a_way_through_others_is_followed_in_order(file):
    found = config.resolve(SshAddress("far"), file)
    assert [jump.address for jump in found.jumps] == [
        SshAddress("edge.example.org", 22, "everyone"),
        SshAddress("10.0.0.7", 2200, "worker"),
    ]


def test_a_name_that_no_line_speaks_of_is_taken_as_it_is(tmp_path):
    found = config.resolve(SshAddress("1.2.3.4"), tmp_path / "absent")
    assert found.address == SshAddress("1.2.3.4", 22, getpass.getuser())


def test_a_circle_is_told(tmp_path):
    file = tmp_path / "config"
    file.write_text("Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(BadRequest, match="circle"):
        config.resolve(SshAddress("a"), file)


def test_a_proxy_command_is_refused_with_what_to_do(tmp_path):
    file = tmp_path / "config"
    file.write_text("Host a\n ProxyCommand nc %h %p\n")
    with pytest.raises(BadRequest) as caught:
        config.resolve(SshAddress("a"), file)
    assert "ProxyJump" in str(caught.value.next)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("box", SshAddress("box")),
        ("me@box:2200", SshAddress("box", 2200, "me")),
        ("ssh://me@box:2200/", SshAddress("box", 2200, "me")),
        ("[::1]:22", SshAddress("::1")),
        ("fe80::1", SshAddress("fe80::1")),
    ],
)
def test_addresses_are_read(text, address):
    assert config.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "@box", "box:0", "box:x", "box:70000", "-oEvil", "a b"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadRequest):
        config.parse_address(text)
