"""What a new machine is told at its first start, carried out as cloud-init and a shell would."""

from __future__ import annotations

import json
import subprocess

from personadesk.domain.machine import Order, SshIdentity
from personadesk.domain.offer import Offer
from personadesk.providers.access import cloud_config, key_name, same_key, startup_script
from personadesk.providers.faults import redact

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n-----END OPENSSH PRIVATE KEY-----\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHOST",
)
OFFER = Offer("mine", "toy", "a", "A10", 24)


def test_one_key_is_one_key_whatever_is_said_of_it():
    assert same_key(LINE, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ  me@home\n")
    assert not same_key(LINE, LINE.replace("OKJ", "OKX"))
    assert key_name(LINE) == key_name(LINE + "2")
    assert key_name(LINE) != key_name(LINE.replace("OKJ", "OKX"))


def test_cloud_init_is_given_the_host_key_and_the_place_of_the_disk():
    order = Order("pd-1", OFFER, LINE, IDENTITY)
    head, _, body = cloud_config(order, keys=True, volume="/data", user="ubuntu").partition("\n")
    assert head == "#cloud-config"
    wishes = json.loads(body)
    assert wishes["ssh_keys"]["ed25519_private"] == IDENTITY.private
    assert wishes["ssh_authorized_keys"] == [LINE]
    assert wishes["runcmd"] == [
        ["ln", "-sfnT", "/data", "/workspace"],
        ["chown", "ubuntu", "/data/."],
    ]
    assert cloud_config(Order("pd-1", OFFER, LINE)) == ""
    mounted = json.loads(cloud_config(order, disk="/dev/x").partition("\n")[2])["mounts"]
    assert mounted[0][:3] == ["/dev/x", "/workspace", "ext4"]


def test_a_private_key_that_a_provider_quotes_is_not_passed_on():
    assert redact(f"bad user_data: {IDENTITY.private} sorry", ()) == "bad user_data: •••\n sorry"
    assert "b3" not in redact(json.dumps({"sent": IDENTITY.private}), ())


def test_the_script_lets_us_in_and_sets_the_host_key(tmp_path):
    home, etc, tools = tmp_path / "home", tmp_path / "etc", tmp_path / "bin"
    for each in (home, etc, tools):
        each.mkdir()
    (etc / "ssh_host_rsa_key").write_text("old")
    programs = {
        "getent": f'echo "u:x:1:1::{home}:/bin/sh"', "install": f'mkdir -p "{home}/.ssh"',
        "chown": ":", "systemctl": f'echo "$@" >>{tmp_path}/calls',
    }  # fmt: skip
    for name, body in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    text = startup_script(Order("pd-1", OFFER, LINE, IDENTITY), user="u")
    for _ in range(2):
        subprocess.run(
            ["bash", "-c", text.replace("/etc/ssh", str(etc))],
            check=True, env={"PATH": f"{tools}:/usr/bin:/bin"},
        )  # fmt: skip
    assert (home / ".ssh" / "authorized_keys").read_text() == f"{LINE}\n"
    assert sorted(each.name for each in etc.iterdir()) == [
        "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub",
    ]  # fmt: skip
    assert (etc / "ssh_host_ed25519_key").read_text() == IDENTITY.private
    assert (etc / "ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert "restart ssh" in (tmp_path / "calls").read_text()
