"""Every provider from the first key to the last bill, with a real deploy: rent, talk, stop, start elsewhere, talk, end.

It installs a real server eight times, which takes minutes each, so it runs only when it is asked for:
PERSONADESK_WHOLE=1 pytest -s tests/desktop/rehearsal/test_rehearsal_whole.py   # -k azure for one provider
"""

from __future__ import annotations

import os
import time

import pytest

from peers.sshd import free_port, missing
from peers.whole import did, personadesk, rent, talks, until
from personadesk.providers import catalog
from personadesk.rehearsal.faults import Fault, Rule

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif("PERSONADESK_WHOLE" not in os.environ, reason="takes minutes"),
    pytest.mark.timeout(1200),
]
GONE_SECONDS = 60.0
KEEPS_ADDRESS = {"azure"}
"""Its machines always have an address that stays, and the fault cannot change that."""


@pytest.mark.parametrize("provider", catalog.ids())
async def test_a_voice_is_rented_stopped_started_under_another_address_and_ended(played, provider):
    assert "rent" in did("accounts", "check", provider)["rights"] or provider == "digitalocean"
    assert did("offers", "--account", provider)["offers"]
    port = str(free_port())
    rent(provider, port)
    line = did("line", "show", "a")
    talks(line["url"])
    [machine] = did("instances", "--account", provider)["instances"]
    assert (machine["state"], machine["line"], machine["ours"]) == ("running", "a", True)
    if catalog.facts(provider).can.stop:
        played.ask("POST", "/faults", Rule(Fault.ADDRESS_CHANGES).as_json())
        assert did("stop", machine["key"])["state"] in {"stopped", "stopping"}
        [stopped] = did("instances", "--account", provider)["instances"]
        assert stopped["price"] < machine["price"]
        [before] = played.ask("GET", "/status")["providers"][provider]["machines"]
        started = did("start", machine["key"])
        [after] = played.ask("GET", "/status")["providers"][provider]["machines"]
        moved = (before["host"], before["port"]) != (after["host"], after["port"])
        assert moved is (provider not in KEEPS_ADDRESS)
        assert started["id"] == machine["id"]
        again = until("a", "up")
        assert again["url"] == line["url"]
        talks(line["url"])
    else:
        code, refused = personadesk("stop", machine["key"])
        assert (code, refused["error"]["type"]) == (1, "BadRequest"), refused
    did("terminate", machine["key"])
    began = time.monotonic()
    while played.ask("GET", "/status")["providers"][provider]["machines"]:
        assert time.monotonic() - began < GONE_SECONDS
        time.sleep(1.0)
    # What is left costs nothing, or was asked to be kept: the disk with the model.
    left = did("instances", "--account", provider)["leftovers"]
    assert {each["kind"] for each in left if each["price"]} <= {"volume"}, left
    code, answer = personadesk("accounts", "check", provider)
    assert code == 0, answer
