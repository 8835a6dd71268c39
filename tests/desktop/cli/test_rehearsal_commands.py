"""`personadesk rehearsal …` and `personadesk --rehearsal …` as somebody types them."""

from __future__ import annotations

import json

import pytest

from peers.sshd import missing
from personadesk.__main__ import main
from personadesk.cli import rehearsing
from personadesk.rehearsal import catalog
from personadesk.rehearsal.faults import Fault
from personadesk.store import paths

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture
def type_(capsys, monkeypatch):
    """Types a command; returns its exit status and its last line as JSON."""
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "0")

    def type_(*words: str):
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    yield type_
    main(["rehearsal", "stop"])


def test_the_parser_knows_every_fault():
    assert set(rehearsing.FAULTS) == set(Fault)


def test_a_rehearsal_is_started_looked_at_disturbed_and_ended(type_, personadesk_home):
    assert type_("rehearsal", "status") == (0, {"running": False})
    code, answer = type_("rehearsal", "ledger")
    assert (code, answer["error"]["type"]) == (1, "NotFound")
    code, answer = type_("rehearsal", "start")
    assert (code, set(answer["accounts"])) == (0, set(catalog.ids()))
    code, answer = type_("rehearsal", "fault", "add", "wrong-key", "--provider", "runpod")
    assert (code, answer["fault"]) == (0, "wrong-key")
    assert type_("rehearsal", "fault", "list")[1]["faults"] == [answer]
    code, answer = type_("--rehearsal", "offers", "--account", "runpod")
    assert (code, answer["error"]["type"]) == (1, "AuthFailed")
    assert type_("rehearsal", "fault", "clear")[0] == 0
    code, answer = type_("--rehearsal", "offers", "--account", "runpod")
    assert code == 0
    assert answer["offers"]
    status = type_("rehearsal", "status")[1]
    assert set(status["providers"]) == set(catalog.ids())
    assert type_("rehearsal", "stop") == (0, {"running": False, "ended": True})
    assert not list(personadesk_home.rglob("cloud*"))


def test_a_rehearsal_is_one_however_it_is_abbreviated(type_):
    code, answer = type_("--rehears", "accounts", "list")
    assert code == 0
    assert {each["name"] for each in answer["accounts"]} == set(catalog.ids())


def test_a_rehearsal_leaves_the_real_accounts_alone(type_, monkeypatch):
    type_("rehearsal", "start")
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "0")
    assert type_("accounts", "list")[1] == {"accounts": []}
