"""The whole way at EC2, by the terminal: rent, boot, push, install, talk, end, and nothing is left.

moto is EC2. Its Elastic IPs lie in 127/8, so that a real SSH daemon stands in for the booted instance at the very
address that EC2 told; what cloud-init would do with the user data, the test does: the host key, our public key.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import pytest

from peers.moto import Door
from peers.sshd import Sshd, User, free_port, missing

from .conftest import SECRETS

SYSTEM = "/usr/local/bin:/usr/bin:/bin"
SECONDS = 240
PATIENCE = 3


def _personadesk(*words: str) -> tuple[int, dict, str]:
    variables = {**os.environ, **{name.upper(): value for name, value in SECRETS.items()}}
    child = subprocess.Popen(
        [sys.executable, "-m", "personadesk", *words, "--json"], env=variables,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, told = child.communicate(timeout=SECONDS)
    last = out.strip().splitlines()[-1] if out.strip() else "{}"
    return child.returncode, json.loads(last), told


class Boots:
    """Boots what is launched: as soon as an instance has its Elastic IP, a daemon answers there."""

    def __init__(self, ec2, folder: Path) -> None:
        self.ec2 = ec2
        self.sshd: Sshd | None = None
        self.failure: Exception | None = None
        self._folder = folder
        self._booted: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boots")

    def __enter__(self) -> Boots:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()
        self._power_off()

    def _run(self) -> None:
        try:
            while not self._over.wait(0.2):
                for address in self.ec2.describe_addresses()["Addresses"]:
                    instance = address.get("InstanceId", "")
                    if instance and instance not in self._booted:
                        self._booted.add(instance)
                        self._boot(instance, address["PublicIp"], self._folder / instance)
        except Exception as error:  # it is looked at by the test
            self.failure = error

    def _power_off(self) -> None:
        """End everything on the machine, as EC2 does; the voice server there has left the daemon's sessions."""
        if self.sshd is None:
            return
        self.sshd.stop()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if os.fsencode(self.sshd.user.home) in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def _boot(self, instance: str, address: str, folder: Path) -> None:
        self._power_off()
        told = self.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
        text = base64.b64decode(told["UserData"]["Value"]).decode()
        wishes = json.loads(text.removeprefix("#cloud-config\n"))
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        (home / ".ssh" / "authorized_keys").write_text(
            "\n".join(wishes["ssh_authorized_keys"]) + "\n"
        )
        daemon = folder / "sshd"
        daemon.mkdir()
        (daemon / "host_ed25519").write_text(wishes["ssh_keys"]["ed25519_private"])
        (daemon / "host_ed25519").chmod(0o600)
        (daemon / "host_ed25519.pub").write_text(wishes["ssh_keys"]["ed25519_public"])
        me = pwd.getpwuid(os.geteuid()).pw_name
        path = f"{Path(sys.executable).parent}:{SYSTEM}"
        sshd = Sshd(daemon, User(me, home), address=address, path=path)
        sshd.start()
        self.sshd = sshd
        where = [{"Key": "personadesk-ssh", "Value": f"{me}:{sshd.port}"}]
        self.ec2.create_tags(Resources=[instance], Tags=where)


@pytest.fixture
def ec2(door: Door):
    client = boto3.client(
        "ec2", region_name="us-east-1", endpoint_url=door.moto, aws_access_key_id="x", aws_secret_access_key="x"
    )  # fmt: skip
    yield client
    client.close()


def _states(ec2) -> list[str]:
    groups = ec2.describe_instances()["Reservations"]
    return [each["State"]["Name"] for group in groups for each in group["Instances"]]


@pytest.mark.real_time
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="127/8 is wholly this machine on Linux only")
def test_a_voice_is_rented_talks_at_its_fixed_address_and_nothing_of_it_is_left(
    door, ec2, tmp_path
):
    if why := missing():
        pytest.skip(why)
    code, told, errors = _personadesk(
        "accounts", "add", "aws", "cloud", "--base-url", door.url, "--credential", "region=us-east-1",
        "--credential", "access_key_id=@ACCESS_KEY_ID",
        "--credential", "secret_access_key=@SECRET_ACCESS_KEY",
    )  # fmt: skip
    assert code == 0, (told, errors)
    port = str(free_port())
    try:
        with Boots(ec2, tmp_path) as boots:
            for _ in range(PATIENCE):
                code, answer, errors = _personadesk(
                    "deploy", "--account", "cloud", "--model", "rehearsal", "--port", port, "--keep-address",
                    "--lease", "5", "--max-price", "1",
                )  # fmt: skip
                # A test machine that is busy with other things is too slow to talk with, and that is then the truth.
                if (answer.get("error") or {}).get("cause") != "voice_slow":
                    break
            assert boots.failure is None
            assert answer.get("verdict") in {"pass", "warn"}, (answer.get("error"), errors)
            assert boots.sshd.address.startswith("127.")
            assert _states(ec2).count("running") == 1
            assert (boots.sshd.user.home / ".personadesk" / "current").is_symlink()
            code, listed, errors = _personadesk("instances", "--account", "cloud")
            [machine] = [each for each in listed["instances"] if each["state"] != "ended"]
            assert machine["state"] == "running", (listed, errors)
            code, ended, errors = _personadesk("terminate", machine["id"])
            assert code == 0, (ended, errors)
            assert set(_states(ec2)) == {"terminated"}
    finally:
        _personadesk("stop")
    # The last of it: no address, disk, key or firewall of ours, and no machine that could be billed.
    ours = [{"Name": "tag-key", "Values": ["personadesk"]}]
    assert ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_volumes(Filters=ours)["Volumes"] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert ec2.describe_security_groups(Filters=ours)["SecurityGroups"] == []
    code, listed, _ = _personadesk("instances", "--account", "cloud")
    assert {each["state"] for each in listed["instances"]} <= {"ended"}
