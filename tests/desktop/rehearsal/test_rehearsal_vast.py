"""The pretend Vast.ai takes what Vast.ai's own client sends, which is not all as the contract has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from peers.simulated import Clock
from personadesk.rehearsal import catalog
from personadesk.rehearsal.http import Simulator

SEARCH = {
    "verified": {"eq": True}, "external": {"eq": False}, "rentable": {"eq": True}, "rented": {"eq": False},
    "num_gpus": {"eq": "1"}, "gpu_ram": {"gte": 40000.0}, "order": [["score", "desc"]],
    "type": "ondemand", "allocated_storage": 5.0,
}  # fmt: skip
ORDER = {
    "image": "vastai/base-image",
    "disk": 60.0,
    "label": None,
    "onstart": None,
    "price": None,
    "args": None,
}


@pytest.fixture
def vast(clock: Clock) -> Simulator:
    return catalog.make(catalog.kind("vast"), clock=clock)


def ask(vast: Simulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {vast.ready.key}"}
    status, _, answer = vast.answer(method, path, "", headers, json.dumps(body).encode())
    return status, json.loads(answer)


def test_numbers_may_be_texts_in_a_search(vast: Simulator):
    status, found = ask(vast, "POST", "/api/v0/bundles/", SEARCH)
    assert status == 200
    assert {each["gpu_name"] for each in found["offers"]} == {
        "RTX A6000",
        "L40S",
        "A100 SXM4",
        "H100 SXM",
    }


def test_what_is_left_out_of_an_order_may_be_null(vast: Simulator):
    status, made = ask(vast, "PUT", "/api/v0/asks/1000008/", ORDER)
    assert status == 200
    status, found = ask(vast, "GET", f"/api/v0/instances/{made['new_contract']}/", {})
    assert (status, found["instances"]["label"]) == (200, None)


@pytest.mark.parametrize(
    "wish",
    [
        {"taste": {"eq": 1}},
        {"num_gpus": {"near": 1}},
        {"num_gpus": {"eq": "one"}},
        {"order": [["taste", "asc"]]},
    ],
)
def test_words_that_vast_does_not_know_are_refused(vast: Simulator, wish: dict[str, Any]):
    status, refused = ask(vast, "POST", "/api/v0/bundles/", wish)
    assert (status, refused["error"]) == (400, "invalid_request")
