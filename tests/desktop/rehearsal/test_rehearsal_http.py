"""A simulator's way from a request to an answer, in-process and on a socket."""

from __future__ import annotations

import json

import httpx
import pytest

from peers.nimbus import Nimbus
from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.serving import Served

KEY = {"Authorization": "Bearer rehearsal-nimbus"}


@pytest.fixture
def served(nimbus: Nimbus):
    server = Served(nimbus.answer)
    yield server
    server.close()


def test_a_key_is_asked_for_except_where_anybody_may_call(nimbus):
    assert nimbus.answer("GET", "/v1/health")[0] == 200
    assert nimbus.answer("GET", "/v1/machines")[0] == 401
    assert nimbus.answer("GET", "/v1/machines", headers=KEY)[0] == 200


def test_a_weak_key_may_look_and_not_rent(nimbus):
    nimbus.world.add_account("guest", "weak", rights=frozenset({Right.SEE}))
    weak = {"authorization": "Bearer weak"}
    assert nimbus.answer("GET", "/v1/machines", headers=weak)[0] == 200
    status, _, body = nimbus.answer("POST", "/v1/machines", headers=weak, body=b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (403, "missing-right")


def test_unknown_paths_methods_and_bodies_are_refused_in_the_providers_words(nimbus):
    assert nimbus.answer("GET", "/v2/machines", headers=KEY)[0] == 404
    assert nimbus.answer("PUT", "/v1/machines", headers=KEY)[0] == 404
    assert nimbus.answer("POST", "/v1/machines", headers=KEY, body=b"[1]")[0] == 400
    assert nimbus.answer("POST", "/v1/machines", headers=KEY, body=b"{")[0] == 400


def test_every_answer_has_a_request_id_of_its_own(nimbus):
    ids = {nimbus.answer("GET", "/v1/health")[1]["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_whole_life_over_a_socket(nimbus, served, clock):
    with httpx.Client(base_url=served.url, headers=KEY) as client:
        created = client.post("/v1/machines", json={"kind": "n1-h100", "name": "pd-1"})
        assert (created.status_code, created.json()["state"]) == (201, "queued")
        clock.pass_s(5)
        (machine,) = client.get("/v1/machines").json()["machines"]
        assert (machine["state"], machine["name"]) == ("running", "pd-1")
        path = f"/v1/machines/{machine['id']}"
        assert client.post(f"{path}/stop").json()["state"] == "stopping"
        assert client.delete(path).status_code == 204
        clock.pass_s(2)
        (machine,) = client.get("/v1/machines").json()["machines"]
        assert machine["state"] == "deleted"


def test_a_dropped_connection_ends_without_an_answer(nimbus, served):
    nimbus.world.faults.add(Fault.DROP_AFTER, times=1)
    with httpx.Client(base_url=served.url, headers=KEY) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/machines", json={"kind": "n1-h100"})
        assert len(client.get("/v1/machines").json()["machines"]) == 1


def test_keys_are_read_from_user_data_however_it_is_written():
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB==\n-----END OPENSSH PRIVATE KEY-----"
    indented = "\n".join(f"      {line}" for line in private.splitlines())
    yaml = (
        "#cloud-config\nssh_authorized_keys:\n  - ssh-ed25519 AAAAC3user me\n"
        f"ssh_keys:\n  ed25519_private: |\n{indented}\n  ed25519_public: ssh-ed25519 AAAAC3host\n"
    )
    for text in (
        yaml,
        "#cloud-config\n"
        + json.dumps(
            {
                "ssh_authorized_keys": ["ssh-ed25519 AAAAC3user me"],
                "ssh_keys": {"ed25519_private": private, "ed25519_public": "ssh-ed25519 AAAAC3host"},
            }
        ),
    ):  # fmt: skip
        assert user_data.read(text) == (private + "\n", ("ssh-ed25519 AAAAC3user",))
    assert user_data.read("") == ("", ())
