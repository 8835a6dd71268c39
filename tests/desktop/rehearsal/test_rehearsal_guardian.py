"""A rented machine vanishes: the line comes back elsewhere, if only on another host, and nothing is paid twice.

It installs a real server twice a test, which takes minutes, so it runs only when it is asked for:
PERSONADESK_GUARDIAN=1 pytest tests/desktop/rehearsal/test_rehearsal_guardian.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from peers.sshd import free_port, missing
from peers.whole import rent
from personadesk.rehearsal import running
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.store import paths

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif("PERSONADESK_GUARDIAN" not in os.environ, reason="takes minutes"),
    pytest.mark.timeout(1200),
]
BACK_SECONDS = 600.0


def personadesk(*words: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "personadesk", *words, "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900,
    )  # fmt: skip
    answer: dict = json.loads(done.stdout.strip().splitlines()[-1])
    # On a busy computer the voice test may only warn.
    assert done.returncode == 0 or answer.get("verdict") == "warn", (
        words,
        done.stdout,
        done.stderr,
    )
    return answer


@pytest.fixture
async def cloud(monkeypatch):
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    found = await running.ensure(paths.folders(), words=("--speed", "20"))
    yield found
    personadesk("stop")
    await running.stop(paths.folders())


async def test_a_line_whose_machine_vanishes_comes_back_with_the_next_account(cloud):
    port = str(free_port())
    personadesk("deploy", "--account", "runpod", "--max-price", "2", "--port", port, "--line", "a")
    wish = ("--place", "account:runpod", "--place", "account:vast")
    personadesk("line", "wish", "a", *wish)
    before = personadesk("line", "show", "a")
    cloud.ask("POST", "/faults", Rule(Fault.NO_CAPACITY, provider="runpod").as_json())
    (machine,) = cloud.ask("GET", "/status")["providers"]["runpod"]["machines"]
    personadesk("rehearsal", "machine", "runpod", machine["id"], "lose")

    began = time.monotonic()
    while (line := personadesk("line", "show", "a"))["state"] != "up" or (
        line["server_id"] == before["server_id"]
    ):
        assert time.monotonic() - began < BACK_SECONDS, line
        time.sleep(2.0)
    print(f"back after {time.monotonic() - began:.0f} s")
    assert line["url"] == before["url"]
    deeds = [(each["deed"], each["place"], each["worked"]) for each in line["decisions"]]
    assert ("end-machine", "account:runpod", True) in deeds
    assert ("deploy", "account:runpod", False) in deeds
    assert ("deploy", "account:vast", True) in deeds
    told = cloud.ask("GET", "/status")["providers"]
    there = [name for name, each in told.items() for _ in each["machines"]]
    assert there == ["vast"], "the machine that broke is gone, and there is one other"


async def test_a_line_whose_host_breaks_comes_back_on_another_host_and_says_why(cloud):
    # Not run to its end yet: the computers that it was tried on were too busy for the first voice test. What it asks is
    # asked without bodies in test_rehearsal_memory.py.
    rent("vast", str(free_port()), "--max-price", "2")
    before = personadesk("line", "show", "a")
    (machine,) = cloud.ask("GET", "/status")["providers"]["vast"]["machines"]
    personadesk("rehearsal", "machine", "vast", machine["id"], "lose")

    began = time.monotonic()
    while (line := personadesk("line", "show", "a"))["state"] != "up" or (
        line["server_id"] == before["server_id"]
    ):
        assert time.monotonic() - began < BACK_SECONDS, line
        time.sleep(2.0)
    print(f"back after {time.monotonic() - began:.0f} s")
    assert line["url"] == before["url"]
    (other,) = cloud.ask("GET", "/status")["providers"]["vast"]["machines"]
    assert (other["kind"], other["region"]) != (machine["kind"], machine["region"])
    whys = [each["why"] for each in line["decisions"] if each["deed"] == "deploy"]
    assert "was passed over. Left alone until" in whys[-1]
    held = personadesk("memory")["held_against"]
    assert any(each["left_alone"] and each["kind"] == "broke" for each in held), held
    offers = personadesk("offers", "--account", "vast", "--min-memory-gb", "0")["offers"]
    assert offers[-1]["held_against"], "it is offered last, with the reason"
    assert personadesk("memory", "forget", "--all")["held_against"] == []
