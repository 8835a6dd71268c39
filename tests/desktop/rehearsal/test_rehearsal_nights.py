"""What happens while nobody looks, with real machines: idle and spent limits fire, and a wake whose GPU was taken.

Each takes some minutes, so they run only when they are asked for:
PERSONADESK_WHOLE=1 pytest -s tests/desktop/rehearsal/test_rehearsal_nights.py
"""

from __future__ import annotations

import os
import time

import pytest

from peers.sshd import free_port, missing
from peers.whole import did, personadesk, rent, talks, until
from personadesk.rehearsal.faults import Fault, Rule

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif("PERSONADESK_WHOLE" not in os.environ, reason="takes minutes"),
    pytest.mark.timeout(1200),
]
LIMIT_SECONDS = 420.0


def states(played, provider: str) -> list[str]:
    return [
        each["state"] for each in played.ask("GET", "/status")["providers"][provider]["machines"]
    ]


def wait_for(what, seconds: float = LIMIT_SECONDS) -> None:
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, did("line", "show", "a")
        time.sleep(2.0)


async def test_a_line_that_nobody_calls_goes_to_sleep_and_its_gpu_is_found_taken(played):
    port = str(free_port())
    # It comes up ten times as slowly, and the deploy waits for it.
    played.ask("POST", "/faults", Rule(Fault.SLOW_BOOT, times=1).as_json())
    rent("runpod", port, "--idle-stop", "1")
    line = did("line", "show", "a")
    [running] = did("instances", "--account", "runpod")["instances"]
    wish = ("--place", "account:runpod", "--place", "account:vast", "--max-price", "2")
    did("line", "wish", "a", *wish)
    wait_for(lambda: states(played, "runpod") == ["stopped"])
    asleep = until("a", "stopped")
    assert asleep["url"] == line["url"]
    [stopped] = did("instances", "--account", "runpod")["instances"]
    assert stopped["price"] < running["price"]

    for fault in (Fault.GPU_GONE_AT_START, Fault.NO_CAPACITY):
        played.ask("POST", "/faults", Rule(fault, provider="runpod").as_json())
    # It says at once that the voice is not up yet; the guardian finds it another GPU.
    personadesk("line", "wake", "a")
    up = until("a", "up", LIMIT_SECONDS)
    assert up["url"] == line["url"]
    talks(up["url"])
    deeds = [(each["deed"], each["place"], each["worked"]) for each in up["decisions"]]
    assert ("deploy", "account:vast", True) in deeds
    there = {name: states(played, name) for name in ("runpod", "vast")}
    # Two GPUs are never paid for: the one that could not start is kept asleep or gone.
    assert there["vast"] == ["running"]
    assert "running" not in there["runpod"]


async def test_what_may_be_spent_is_spent_and_no_more(played):
    limit = 0.04
    rent("lambda", str(free_port()), "--spend-limit", str(limit), "--idle-stop", "0")
    # It cannot be stopped there, only ended.
    wait_for(lambda: states(played, "lambda") == [])
    line = did("line", "show", "a")
    assert line["state"] == "stopped"
    assert "$0.04" in line["reason"]
    assert did("instances", "--account", "lambda")["price_now"] == 0
