"""`personadesk rehearsal …` and `personadesk --rehearsal …` as somebody types them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import keyring
import pytest
from keyring.backends import fail

from peers.sshd import missing
from personadesk.__main__ import main
from personadesk.cli import rehearsing
from personadesk.providers.aws import facts as aws
from personadesk.providers.runpod.calls import RunPod
from personadesk.rehearsal import catalog, running
from personadesk.rehearsal.faults import Fault
from personadesk.store import paths
from personadesk.store.secrets import VAULT_VARIABLE

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
    code, answer = type_("rehearsal", "account", "runpod", "--expired", "--balance", "0")
    assert (code, answer["expired"], answer["balance"]) == (0, True, 0.0)
    code, answer = type_("--rehearsal", "instances", "--account", "runpod")
    assert (code, answer["error"]["cause"]) == (1, "expired_key")
    assert answer["failures"]["runpod"]["type"] == "AuthFailed"
    poor = ("rehearsal", "account", "runpod", "--no-expired", "--rights", "see,end")
    assert type_(*poor)[1]["rights"] == ["end", "see"]
    # A model that is nowhere is no reason to rent a machine.
    deploy = ("--rehearsal", "deploy", "--account", "vast", "--model", "nowhere/at/all")
    code, answer = type_(*deploy)
    assert (code, answer["error"]["cause"]) == (1, "model_missing")
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


def test_an_account_that_is_added_in_a_rehearsal_is_at_the_pretend_provider(type_, monkeypatch):
    monkeypatch.setenv("WRONG", "a-real-key-must-not-leave-1")
    monkeypatch.setenv("RIGHT", "rehearsal-runpod-key-1")
    add = ("--rehearsal", "accounts", "add", "runpod", "mine", "--credential")
    code, answer = type_(*add, "api_key=@WRONG")
    assert (code, answer["error"]["type"], answer["error"]["cause"]) == (1, "AuthFailed", "bad_key")
    code, answer = type_(*add, "api_key=@RIGHT")
    assert code == 0
    assert answer["base_url"].startswith("http://127.0.0.1:")
    settings = answer["settings"]
    replace = ("--rehearsal", "accounts", "replace", "mine", "--credential")
    assert type_(*replace, "api_key=@WRONG")[1]["error"]["cause"] == "bad_key"
    # The old key stays until the new one worked.
    assert type_("--rehearsal", "accounts", "check", "mine")[0] == 0
    code, answer = type_(*replace, "api_key=@RIGHT")
    assert (code, answer["settings"]) == (0, settings)
    # Its place is another one after the next start.
    type_("rehearsal", "stop")
    code, answer = type_("--rehearsal", "accounts", "check", "mine")
    assert (code, answer["who"]) == (0, "rehearsal@example.com")


def test_what_the_user_removed_or_replaced_stays_so_until_the_rehearsal_begins_anew(
    type_, monkeypatch
):
    monkeypatch.setenv("RIGHT", "rehearsal-runpod-key-1")
    assert type_("--rehearsal", "accounts", "remove", "vast")[0] == 0
    replace = ("--rehearsal", "accounts", "replace", "runpod", "--credential", "api_key=@RIGHT")
    assert type_(*replace)[0] == 0
    for _ in range(2):
        known = {a["name"]: a for a in type_("--rehearsal", "accounts", "list")[1]["accounts"]}
        assert "vast" not in known
        assert known["runpod"]["credentials"] == {"api_key": "@RIGHT"}
    type_("rehearsal", "stop")
    _, answer = type_("--rehearsal", "accounts", "list")
    assert {each["name"] for each in answer["accounts"]} == set(catalog.ids())
    assert type_("--rehearsal", "accounts", "check", "runpod")[0] == 0


def test_a_provider_that_nobody_plays_is_not_asked_in_a_rehearsal(type_, monkeypatch):
    # As with a pretend cloud of an older PersonaDesk that runs on.
    without = {name: place for name, place in catalog._PLACES.items() if name != "aws"}
    monkeypatch.setattr(catalog, "_PLACES", without)
    monkeypatch.setenv("KEY", "AKIA" + "A" * 32)
    given = [f"--credential={f.name}=@KEY" for f in aws.FACTS.fields if f.secret]
    given += [
        f"--credential={f.name}=x" for f in aws.FACTS.fields if not f.secret and not f.optional
    ]
    code, answer = type_("--rehearsal", "accounts", "add", "aws", "mine", *given)
    assert (code, answer["error"]["cause"]) == (1, "not_played")


def test_a_key_that_was_pasted_in_the_wrong_place_is_not_said_again(type_):
    code, answer = type_("accounts", "add", "runpod", "mine", "--credential", "rpa_SECRETSECRET")
    assert (code, answer["error"]["cause"]) == (1, "bad_credential")
    assert "SECRET" not in json.dumps(answer)
    code, answer = type_("accounts", "add", "runpod", "mine", "--credential", "apikey=@KEY")
    assert (code, answer["error"]["cause"]) == (1, "no_field")


def test_a_key_added_without_keyring_and_screen_is_in_the_vault(
    type_, tmp_path, monkeypatch, personadesk_home
):
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        known = type_("--rehearsal", "accounts", "list")[1]["accounts"]
        url = next(each["base_url"] for each in known if each["name"] == "runpod")
        key = catalog.kind("runpod").ready.credentials["api_key"]
        add = (
            "--rehearsal", "accounts", "add", "runpod", "second", "--base-url", url,
            "--credential", f"api_key={key}",
        )  # fmt: skip
        code, answer = type_(*add)
        assert (code, answer["error"]["type"]) == (1, "HostUnfit")
        assert VAULT_VARIABLE in answer["error"]["next"]
        note = tmp_path / "passphrase"
        note.write_text("correct horse battery\n")
        monkeypatch.setenv(VAULT_VARIABLE, str(note))
        assert type_(*add)[0] == 0
        assert type_("--rehearsal", "accounts", "check", "second")[0] == 0
        monkeypatch.delenv(VAULT_VARIABLE)
        code, answer = type_("--rehearsal", "accounts", "check", "second")
        assert (code, answer["error"]["type"]) == (1, "AuthFailed")
        assert "passphrase" in answer["error"]["message"]
    finally:
        keyring.set_keyring(before)
    vaults = list(personadesk_home.rglob("secrets.vault"))
    assert len(vaults) == 1
    assert key not in vaults[0].read_text()


def test_a_deploy_has_its_limits_and_its_failure_says_what_it_costs(type_, personadesk_home):
    type_("rehearsal", "start")
    type_("rehearsal", "fault", "add", "no-capacity", "--provider", "digitalocean")
    deploy = ("--rehearsal", "deploy", "--account", "digitalocean", "--model", "rehearsal")
    code, answer = type_(*deploy, "--idle-stop", "-1")
    assert (code, answer["error"]["cause"]) == (1, "bad_limit")
    code, answer = type_(*deploy, "--idle-stop", "0", "--spend-limit", "2.5")
    assert (code, answer["error"]["money"]) == (1, "Nothing was rented.")
    [database] = personadesk_home.rglob("personadesk.db")
    with closing(sqlite3.connect(database)) as connection:
        [(plan,)] = connection.execute("SELECT plan FROM deploys")
    rent = json.loads(plan)["rent"]
    assert (rent["idle_stop_minutes"], rent["spend_limit"]) == (None, 2.5)
    # A volume was made for each offer in turn, and none is left.
    there = type_("rehearsal", "status")[1]["providers"]["digitalocean"]
    assert [each for each in there["things"] if each["kind"] == "volume"] == []


def test_a_machine_that_never_boots_is_kept_for_half_an_hour_where_that_is_wished(
    type_, personadesk_home, monkeypatch
):
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    asyncio.run(running.ensure(paths.folders(), words=("--speed", "20")))
    manners = replace(RunPod.facts.manners, poll_s=0.2)
    monkeypatch.setattr(RunPod, "facts", replace(RunPod.facts, manners=manners))
    type_("rehearsal", "start")
    type_("rehearsal", "fault", "add", "boot-fails", "--provider", "runpod")
    look = ("--rehearsal", "instances", "--account", "runpod")
    begun = time.time()
    try:
        code, answer = type_(
            "--rehearsal", "deploy", "--account", "runpod", "--model", "rehearsal", "--only", "--hold-failed",
        )  # fmt: skip
        assert (code, answer["error"]["cause"]) == (1, "hopeless")
        assert 1800 <= answer["held_until"] - begun < 2100
        # Whoever ends it in time is there, though the command is over.
        assert type_("--rehearsal", "status")[1]["served_by"]["kind"] == "background"
        (machine,) = type_(*look)[1]["instances"]
        assert machine["held_until"] == answer["held_until"]
        [database] = personadesk_home.rglob("personadesk.db")
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE rentals SET hold_until = ?", (begun,))
        # PersonaDesk is started again after its time: it is ended.
        until = time.monotonic() + 30
        while type_(*look, "--reconcile")[1]["instances"]:
            assert time.monotonic() < until
        # With the machine went the reason for a process in the background.
        until = time.monotonic() + 120
        while type_("--rehearsal", "status")[1]["served_by"] is not None:
            assert time.monotonic() < until, "the background process goes on for nothing"
            time.sleep(0.5)
    finally:
        type_("--rehearsal", "stop")
