"""The process of the pretend providers: it outlives who started it, and nothing is lost or left when it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest

from peers.sshd import make_key, missing
from personadesk.domain.errors import BadRequest
from personadesk.rehearsal import running
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.rehearsal.running import Running, folder_of
from personadesk.store import paths

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
WORDS = ("--simulator", "peers.nimbus:Nimbus", "--speed", "50")


@pytest.fixture
async def folders(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    folders = paths.folders()
    yield folders
    await running.stop(folders)


@pytest.fixture
def public_key(tmp_path):
    return make_key(tmp_path / "key").with_suffix(".pub").read_text()


async def start(folders) -> Running:
    return await running.ensure(folders, words=WORDS)


def api(found: Running) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{found.ports['nimbus']}/v1",
        headers={"Authorization": "Bearer rehearsal-nimbus"},
    )


async def rented(client: httpx.Client, key: str) -> dict:
    client.post("/machines", json={"kind": "n1-h100", "name": "pd-1", "keys": [key]})
    return await until(client, "running")


async def until(client: httpx.Client, state: str) -> dict:
    for _ in range(200):
        (machine,) = client.get("/machines").json()["machines"]
        if machine["state"] == state:
            return machine
        await asyncio.sleep(0.03)
    raise AssertionError(f"never {state}: {machine}")


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def gone(found: Running) -> None:
    for _ in range(200):
        if (
            not psutil.pid_exists(found.pid)
            or psutil.Process(found.pid).status() == psutil.STATUS_ZOMBIE
        ):
            return
        time.sleep(0.02)
    raise AssertionError("it did not end")


async def test_a_killed_rehearsal_goes_on_with_the_same_machines_and_ends_without_a_trace(
    folders, public_key
):
    first = await start(folders)
    with api(first) as client:
        machine = await rented(client, public_key)
        assert answers(machine["ip"], first.ssh_port)
    os.kill(first.pid, signal.SIGKILL)
    gone(first)
    assert answers(machine["ip"], first.ssh_port)
    assert running.find(folder_of(folders)) is None
    second = await start(folders)
    assert second.ports["nimbus"] == first.ports["nimbus"]
    with api(second) as client:
        assert client.get("/machines").json()["machines"] == [machine]
    assert answers(machine["ip"], second.ssh_port)
    os.kill(second.pid, signal.SIGKILL)
    gone(second)
    assert await running.stop(folders)
    assert not answers(machine["ip"], first.ssh_port)
    assert not folder_of(folders).exists()
    assert not await running.stop(folders)


async def test_a_signal_suspends_it_and_the_next_start_brings_machines_back(folders, public_key):
    first = await start(folders)
    with api(first) as client:
        machine = await rented(client, public_key)
    os.kill(first.pid, signal.SIGTERM)
    gone(first)
    assert not answers(machine["ip"], first.ssh_port)
    second = await start(folders)
    assert answers(machine["ip"], second.ssh_port)
    assert await running.stop(folders)
    assert not answers(machine["ip"], first.ssh_port)


async def test_it_is_started_once_however_often_it_is_wanted(folders):
    found = await asyncio.gather(*(start(folders) for _ in range(3)))
    assert len({each.pid for each in found}) == 1
    assert await start(folders) == found[0]


async def test_it_is_directed_by_its_door(folders, public_key):
    found = await start(folders)
    rule = found.ask("POST", "/faults", Rule(Fault.NO_CAPACITY, times=1).as_json())
    with api(found) as client:
        refused = client.post("/machines", json={"kind": "n1-h100"})
        assert refused.json()["error"]["code"] == "no-capacity"
        assert found.ask("GET", "/status")["faults"] == []
        machine = await rented(client, public_key)
        moved = found.ask("POST", f"/machines/nimbus/{machine['id']}/move")
        assert moved["host"] != machine["ip"]
        await until(client, "running")
        found.ask("POST", f"/machines/nimbus/{machine['id']}/lose")
        await until(client, "lost")
        found.ask("POST", "/stock/nimbus", {"kind": "n1-l4", "region": "eu", "free": 0})
        order = {"kind": "n1-l4", "region": "eu"}
        assert client.post("/machines", json=order).status_code == 409
        found.ask("POST", "/accounts/nimbus", {"rights": ["see"]})
        assert client.post("/machines", json=order).status_code == 403
        found.ask("POST", "/accounts/nimbus", {"expired": True})
        assert client.get("/machines").json()["error"]["code"] == "expired"
    told = found.ask("GET", "/ledger")["nimbus"]
    assert told["present"] == [["machine", machine["id"]]]
    assert {entry["name"] for entry in told["entries"]} == {"pd-1"}
    for method, path, values in (
        ("POST", "/faults", {"fault": "rain"}), ("DELETE", f"/faults/{rule['id']}", None),
        ("POST", "/machines/nimbus/none/lose", None), ("POST", "/stock/mars", {}),
        ("POST", "/accounts/nimbus", {"balance": "much"}),
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            found.ask(method, path, values)


async def test_its_door_is_closed_to_who_has_no_token(folders):
    found = await start(folders)
    door = f"http://127.0.0.1:{found.ports['control']}"
    assert httpx.post(f"{door}/stop").status_code == 401
    assert httpx.get(f"{door}/status", headers={"Authorization": "Bearer x"}).status_code == 401
    assert found.token not in repr(found)
