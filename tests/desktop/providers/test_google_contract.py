"""The judge of Google's contract refuses what Google refuses."""

from __future__ import annotations

import json

import pytest

from peers.discovery import discovery

PATH = "/compute/v1/projects/mine/zones/us-central1-a/instances"
GOOD = {
    "name": "pd-1", "machineType": "zones/us-central1-a/machineTypes/g2-standard-8",
    "disks": [{"boot": True, "initializeParams": {"diskSizeGb": "60"}}], "labels": {"personadesk": "pd-1"},
    "networkInterfaces": [{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
}  # fmt: skip


def judged(body: object, *, path: str = PATH, query: str = "", verb: str = "POST") -> list[str]:
    data = b"" if body is None else json.dumps(body).encode()
    return discovery("google-compute-v1.discovery.json").judge_request(verb, path, query, data)


def test_a_sound_request_passes():
    assert judged(GOOD, query="requestId=1") == []
    assert judged(None, path=f"{PATH}/pd-1/start") == []
    assert judged(None, path="/compute/v1/projects/mine", verb="GET") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Bad_Name"}, "body.name"), ({"gpus": 1}, "body.gpus is unknown"),
        ({"labels": {"a": 1}}, "body.labels.a"), ({"status": "RUNNING"}, "told by Google"),
        ({"disks": [{"initializeParams": {"diskSizeGb": 60}}]}, "diskSizeGb is int"),
        ({"disks": [{"initializeParams": {"diskSizeGb": "much"}}]}, "no number"),
        ({"networkInterfaces": [{"accessConfigs": [{"type": "NAT"}]}]}, "cannot be 'NAT'"),
        ({"canIpForward": "yes"}, "not boolean"), ({"disks": {}}, "not array"),
    ],
)  # fmt: skip
def test_an_unsound_body_is_refused(change, said):
    (wrong,) = judged({**GOOD, **change})
    assert said in wrong


def test_unsound_paths_parameters_and_bodies_where_none_is_wanted_are_refused():
    assert judged(GOOD, path="/compute/v1/projects/mine/instances") == [
        "there is no such method and path"
    ]
    assert judged(GOOD, query="request=1") == ["there is no parameter request"]
    assert judged(GOOD, path=PATH.replace("us-central1-a", "US")) == [
        "the parameter zone cannot be 'US'"
    ]
    assert judged({}, path=f"{PATH}/pd-1/start") == ["there is a body, and none is wanted"]
    many = judged(None, path=PATH, verb="GET", query="maxResults=many")
    assert many == ["the parameter maxResults cannot be 'many'"]


def test_answers_are_judged_by_what_the_method_gives():
    contract = discovery("google-compute-v1.discovery.json")
    good = json.dumps({"name": "pd-1", "status": "RUNNING"}).encode()
    assert contract.judge_answer("GET", f"{PATH}/pd-1", good) == []
    bad = json.dumps({"name": "pd-1", "status": "FINE"}).encode()
    assert contract.judge_answer("GET", f"{PATH}/pd-1", bad) == ["answer.status cannot be 'FINE'"]
