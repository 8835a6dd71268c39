"""One moto a test session, empty again for each test, behind a door that judges what we ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from peers.moto import Door, door_to, moto_server
from personadesk.domain.account import Account
from personadesk.domain.host import HostKey
from personadesk.domain.machine import Order, SshIdentity
from personadesk.domain.offer import Offer
from personadesk.providers.aws.calls import Aws

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0sP8C0RZ2G1M4R1Y1h5N5n5iQe2cW0kQ0mGd1m9m1K us"
SECRETS = {
    "access_key_id": "AKIAVERYSECRETKEYID1",
    "secret_access_key": "verysecretverysecretverysecret",
}
SETTINGS = {"region": "us-east-1"}


class Clock:
    """A time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="session")
def _moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def _door(_moto: str) -> Iterator[Door]:
    with door_to(_moto) as door:
        yield door


@pytest.fixture
def door(_door: Door) -> Iterator[Door]:
    """The door to an empty moto; the test fails when we asked what AWS's contract does not have."""
    _door.reset()
    yield _door
    assert _door.broken == []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(door: Door, clock: Clock) -> AsyncIterator[Callable[..., Aws]]:
    """Makes providers, which are closed at the end."""
    made: list[Aws] = []

    def work(secrets: dict[str, str] | None = None, **settings: str) -> Aws:
        account = Account("mine", "aws", settings={**SETTINGS, **settings}, base_url=door.url)
        made.append(Aws(account, secrets or SECRETS, clock=clock, sleep=clock.sleep))
        return made[-1]

    yield work
    for each in made:
        await each.aclose()


@pytest.fixture
def aws(make: Callable[..., Aws]) -> Aws:
    return make()


def offer(**values: Any) -> Offer:
    """An offer as `offers` gives it, without asking for it."""
    usual: dict[str, Any] = {
        "account": "mine", "provider": "aws", "ref": "g5.xlarge", "gpu": "A10G", "memory_gb": 24.0,
        "region": "us-east-1", "price": 1.006, "data": {"zones": "us-east-1a us-east-1b", "vcpus": "4"},
    }  # fmt: skip
    return Offer(**{**usual, **values})


def order(tag: str = "pd-1", **values: Any) -> Order:
    """An order with everything that EC2 can be given."""
    host_key = HostKey("ssh-ed25519", "AAAAhost", "SHA256:x")
    identity = SshIdentity("PRIVATE HOST KEY\n", "ssh-ed25519 AAAAhost", host_key)
    usual: dict[str, Any] = {
        "offer": offer(), "public_key": KEY, "identity": identity, "token": f"{tag}-1",
    }  # fmt: skip
    return Order(tag, **{**usual, **values})
