"""Deploys to rented machines, killed at random moments while all fails at random: nothing is forgotten.

The providers' APIs fail before and after taking effect; machines fail, vanish, are stopped and move to other addresses.
At the end the pretend providers hold exactly what the record says. A few rounds always run; many when it is asked for:
PERSONADESK_CHAOS=100 pytest tests/desktop/rehearsal/test_rehearsal_chaos.py
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time

import pytest

from peers.sshd import free_port, missing
from peers.whole import personadesk
from personadesk.domain.errors import BadRequest
from personadesk.domain.machine import TAG_PREFIX
from personadesk.rehearsal import running
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.store import paths
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore
from personadesk.store.rentals import Rental, RentalStore

ROUNDS = int(os.environ.get("PERSONADESK_CHAOS", "0"))
SEED = int(os.environ.get("PERSONADESK_CHAOS_SEED", str(ROUNDS)))
FEW = 2
SPEED = "20"
SETTLE_SECONDS = 90.0
SHAKEN = 0.6
"""In so many rounds one machine is stopped, started, restarted or moved, where there is one."""
TAG_LENGTH = len("pd-00000000")
CHANGES = "^(POST|PUT|PATCH|DELETE) "
WEATHER = (
    Rule(Fault.FAIL_BEFORE, calls=CHANGES, probability=0.1),
    Rule(Fault.FAIL_AFTER, calls=CHANGES, probability=0.15),
    Rule(Fault.DROP_AFTER, calls=CHANGES, probability=0.15),
    Rule(Fault.DROP_BEFORE, probability=0.03),
    Rule(Fault.RATE_LIMIT, probability=0.02),
    Rule(Fault.NO_CAPACITY, probability=0.1),
    Rule(Fault.BOOT_FAILS, probability=0.1),
    Rule(Fault.ADDRESS_CHANGES, probability=0.5),
    Rule(Fault.MACHINE_VANISHES, probability=0.05),
)

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(0 if ROUNDS else 300),
]


def killed_after(seconds: float, *words: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "personadesk", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    process.wait()


async def record() -> tuple[list[Rental], dict[str, tuple[str, int]]]:
    """What the record says may be there, and where each deploy's machine is reached, by the deploy's tag."""
    database = Database(paths.folders().data / "personadesk.db")
    await database.open()
    try:
        hosts = [each for each in await HostStore(database).all() if each.account]
        places = {each.name: (each.address.host, each.address.port) for each in hosts}
        return await RentalStore(database).open(), places
    finally:
        await database.close()


class Addresses:
    """Counts how often a machine was seen at another address than before."""

    def __init__(self, cloud) -> None:
        self._cloud = cloud
        self._last: dict[tuple[str, str], str] = {}
        self.changes = 0

    def look(self) -> list[tuple[str, str]]:
        """Return the provider and id of each machine that is there."""
        told = self._cloud.ask("GET", "/status")["providers"]
        there = {(name, m["id"]): m["host"] for name, p in told.items() for m in p["machines"]}
        for machine, host in there.items():
            self.changes += self._last.get(machine, host) not in {"", host}
        self._last |= there
        return sorted(there)


def shaken(cloud, chance: random.Random, machines: list[tuple[str, str]]) -> None:
    """Let somebody stop, start or restart a machine, or its provider move it to another address."""
    provider, machine = chance.choice(machines)
    deed = chance.choice(("move", "move", "stop", "start", "restart"))
    print(f"  {deed} {provider}/{machine}", flush=True)
    if deed == "move":
        # One that does not run yet, or any more, stays where it is.
        with contextlib.suppress(BadRequest):
            cloud.ask("POST", f"/machines/{provider}/{machine}/move")
    else:
        killed_after(chance.uniform(1.0, 8.0), deed, f"{provider}/{machine}")


@pytest.fixture
async def cloud(monkeypatch):
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    found = await running.ensure(paths.folders(), words=("--speed", SPEED, "--seed", str(SEED)))
    assert personadesk("rehearsal", "start")[0] == 0
    yield found
    personadesk("stop")
    await running.stop(paths.folders())


async def test_at_the_end_the_providers_hold_exactly_what_the_record_says(cloud):
    chance = random.Random(SEED)
    accounts = sorted(set(cloud.ports) - {"control"})
    for rule in WEATHER:
        cloud.ask("POST", "/faults", rule.as_json())
    port = str(free_port())
    addresses = Addresses(cloud)
    for number in range(ROUNDS or FEW):
        account = chance.choice(accounts)
        print(f"round {number + 1}: {account}", flush=True)
        killed_after(chance.uniform(1.0, 14.0), "deploy", "--account", account, "--port", port)
        there = addresses.look()
        if there and chance.random() < SHAKEN:
            shaken(cloud, chance, there)
            addresses.look()
        for left in personadesk("status")[1]["interrupted"]:
            way = chance.choice(("undo", "undo", "killed undo", "killed resume", "later"))
            if way == "undo":
                personadesk("deploy", "--undo", left["id"])
            elif way != "later":
                seconds = chance.uniform(0.8, 12.0)
                killed_after(seconds, "deploy", f"--{way.removeprefix('killed ')}", left["id"])
    cloud.ask("DELETE", "/faults")
    await settled_and_equal(cloud)
    addresses.look()
    for left in personadesk("status")[1]["interrupted"]:
        assert personadesk("deploy", "--undo", left["id"])[0] == 0
    for rental in (await record())[0]:
        if rental.machine_id:
            personadesk("terminate", f"{rental.account}/{rental.machine_id}")
    await settled_and_equal(cloud, empty=True)
    made = [
        entry
        for provider in cloud.ask("GET", "/ledger").values()
        for entry in provider["entries"]
        if (entry["kind"], entry["what"]) == ("machine", "made")
    ]
    print(f"{len(made)} machines were made, {addresses.changes} moved, and all are gone")
    assert made
    assert addresses.changes or not ROUNDS


async def settled_and_equal(cloud, *, empty: bool = False) -> None:
    """Hold accounts against the record, as PersonaDesk does by itself, until both say the same."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        assert personadesk("instances", "--reconcile")[0] == 0
        rentals, places = await record()
        said = {(each.account, each.machine_id) for each in rentals if each.machine_id}
        told = cloud.ask("GET", "/status")["providers"]
        there = {(name, each["id"]) for name, p in told.items() for each in p["machines"]}
        # Groups, addresses and disks of one machine carry its tag; volumes for all of them do not.
        tagged = {
            (each["name"][:TAG_LENGTH], name, each["kind"])
            for name, p in told.items()
            for each in p["things"]
            if each["name"].startswith(TAG_PREFIX)
        }
        known = {each.tag for each in rentals}
        unknown = {each for each in tagged if each[0] not in known}
        elsewhere = {
            (each.tag, places[each.tag], (m["host"], m["port"]))
            for each in rentals
            for m in told[each.provider]["machines"]
            if m["id"] == each.machine_id and m["state"] == "running" and each.tag in places
            and places[each.tag] != (m["host"], m["port"])
        }  # fmt: skip
        if said == there and not unknown and not elsewhere and not (empty and there):
            return
        assert time.monotonic() < until, {
            "record": said, "there": there, "unknown": unknown, "elsewhere": elsewhere,
        }  # fmt: skip
