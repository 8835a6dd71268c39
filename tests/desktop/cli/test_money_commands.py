"""`personadesk money …` and `personadesk budget …` as somebody types them, with a pretend provider behind."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import json
import time
from pathlib import Path

import pytest

from peers.sshd import missing
from personadesk.__main__ import main
from personadesk.app import open_services
from personadesk.domain.host import HostKey, SshAddress
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.machine import Order
from personadesk.domain.offer import Need
from personadesk.hosts import local
from personadesk.store import paths
from personadesk.store.hosts import Placement
from personadesk.store.servers import ServerIntent, ServerRecord

ACCOUNT = "runpod"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIi1qHeNSVSPXS4MTb9zbGDhUpmzG3ZVL5xQmHSKVa3b test"


@pytest.fixture
def type_(capsys, monkeypatch):
    """Types a command; returns its exit status and its last line as JSON."""
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "0")

    def type_(*words: str):
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return type_


@pytest.fixture
def rehearsal(type_):
    if missing():
        pytest.skip(missing())
    type_("rehearsal", "start")
    yield type_
    main(["rehearsal", "stop"])


def test_without_accounts_nothing_costs_and_that_is_no_failure(type_, capsys):
    code, found = type_("money")
    assert (code, found["currency"], found["all"]["per_hour"], found["left"]) == (0, "USD", 0, [])
    assert found["forecast"]["assumes"].startswith("If nothing more is started")
    assert type_("money", "check") == (0, {"left": []})
    assert main(["money"]) == 0
    assert "Now $0.000 /h, today $0.00, this month $0.00" in capsys.readouterr().out


def test_a_budget_is_set_changed_lifted_told_and_cleared(type_, capsys):
    code, made = type_("budget", "set", "--per-day", "10")
    assert (code, made["line"], made["per_day"], made["per_month"]) == (0, "", 10, None)
    assert (made["warn"], made["act"]) == (0.8, "stop")
    assert made["would_stop"] == ["Nothing runs now that it would stop."]
    changed = type_(
        "budget", "set", "--per-day", "0", "--per-month", "90", "--warn", "50", "--act", "end"
    )[1]
    assert (changed["per_day"], changed["per_month"], changed["warn"], changed["act"]) == (
        None, 90, 0.5, "end",
    )  # fmt: skip
    lifted = type_("budget", "lift", "--by", "5")[1]
    assert lifted["month_more"] == 5
    assert lifted["month_until"] > time.time()
    assert lifted["standings"][0]["limit"] == 95
    [listed] = type_("budget", "list")[1]["budgets"]
    assert (listed["period"], listed["state"], listed["share"]) == ("month", "fine", 0)
    assert main(["budget", "show"]) == 0
    assert "everything: $0.00 of $95.00 a month (0%); then end" in capsys.readouterr().out
    assert type_("budget", "clear")[1] == {"cleared": True}
    assert type_("budget", "clear")[1] == {"cleared": False}
    assert type_("budget", "show")[1]["error"]["cause"] == "no_budget"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("budget", "set"), "bad_budget"),
        (("budget", "set", "--per-day", "-1"), "bad_budget"),
        (("budget", "set", "--per-day", "1", "--warn", "0"), "bad_budget"),
        (("budget", "set", "--per-day", "1", "--line", "nobody"), "no_line"),
        (("budget", "lift", "--by", "1"), "no_budget"),
        (("money", "export", "--since", "yesterday"), "bad_day"),
        (("money", "elsewhere", "--line", "nobody"), "no_line"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(type_, words, cause):
    code, answer = type_(*words)
    assert (code, answer["error"]["cause"]) == (1, cause)


def test_who_has_no_account_sees_what_the_tables_tell(type_, capsys):
    code, found = type_("money", "elsewhere")
    assert (code, found["here"]) == (0, None)
    assert found["places"]
    assert all(each["estimated"] and each["price_date"] for each in found["places"])
    main(["money", "elsewhere"])
    assert "no account" in capsys.readouterr().out


def rented(tag: str) -> str:
    """Rent a pretend machine as if ten minutes ago, behind a line; returns its id. Other accounts are put away."""

    async def work() -> str:
        services = await open_services(serve_lines=False)
        try:
            for account in await services.accounts.all():
                if account.name != ACCOUNT:
                    await services.accounts.remove(account.name)
            provider = await services.accounts.provider(ACCOUNT)
            offers = await provider.offers(Need())
            offer = min((o for o in offers if o.price), key=lambda o: o.price or 0.0)
            rental, machine = await services.rentals.make(Order(tag, offer, KEY))
            earlier = dataclasses.replace(rental, made=time.time() - 600)
            await services.rentals.store.put(earlier)
            key = HostKey("ssh-ed25519", "AAAA", "SHA256:x")
            await services.hosts.know_rented(tag, SshAddress("127.0.0.9", 22, "root"), key, ACCOUNT)
            url = f"ws://127.0.0.1:{local.pick_port()}/api/chat"
            await services.servers.store.put(
                ServerRecord(tag, Path("x"), (), url, "m", ServerIntent.STOPPED, 1.0)
            )
            await services.hosts.store.place(Placement(tag, tag, "/servers/x", 9001, 1.0))
            line = Line("desk", local.pick_port(), Target(url, tag), LineState.STOPPED)
            await services.lines._store.put(line)
            return machine.id
        finally:
            await services.close()

    return asyncio.run(work())


def test_what_was_rented_is_told_exported_and_after_its_end_confirmed_to_be_gone(
    rehearsal, monkeypatch, tmp_path, capsys
):
    type_ = rehearsal
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    number = rented("pd-money01")
    code, found = type_("--rehearsal", "money")
    assert code == 0
    price = found["all"]["per_hour"]
    assert price > 0
    assert found["accounts"][ACCOUNT]["per_hour"] == price
    assert found["kinds"]["running"]["today"]["dollars"] + 1e-3 > 0
    assert found["all"]["month"]["dollars"] == pytest.approx(price / 6, rel=0.2)
    [item] = found["items"]
    assert (item["id"], item["kind"], item["line"]) == (number, "running", "desk")
    assert {each["account"]: each["left"] for each in found["left"]} == {ACCOUNT: "running"}

    file = tmp_path / "costs.csv"
    assert (
        type_("--rehearsal", "money", "export", "--since", "2020-01-01", "--out", str(file))[0] == 0
    )
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    assert sum(float(row["dollars"]) for row in rows) == pytest.approx(price / 6, rel=0.2)
    assert (
        type_("--rehearsal", "money", "export", "--out", str(tmp_path))[1]["error"]["cause"]
        == "no_file"
    )

    capsys.readouterr()
    assert type_("--rehearsal", "budget", "set", "--per-day", "1000")[1]["would_stop"]
    assert type_("--rehearsal", "money", "check", "--account", ACCOUNT)[0] == 1
    assert type_("--rehearsal", "instances")[1]["left"][0]["left"] == "running"
    type_("--rehearsal", "budget", "set", "--per-day", "0.00001")
    deploy = ("--rehearsal", "deploy", "--account", ACCOUNT, "--line", "other")
    code, refused = type_(*deploy)
    assert (code, refused["error"]["cause"]) == (1, "budget")
    assert refused["error"]["message"] == "The budget of $0.00 a day for everything is used up."
    code, gone = type_("--rehearsal", "line", "delete", "desk")
    assert (code, gone["removed"]) == (0, "desk")
    assert [each["left"] for each in gone["left"]] == ["nothing"]
    code, checked = type_("--rehearsal", "money", "check", "--account", ACCOUNT)
    assert (code, checked["left"][0]["left"]) == (0, "nothing")
    assert checked["left"][0]["seen"] == pytest.approx(time.time(), abs=60)

    type_("rehearsal", "fault", "add", "wrong-key", "--provider", ACCOUNT)
    code, checked = type_("--rehearsal", "money", "check", "--account", ACCOUNT)
    assert (code, checked["left"][0]["left"]) == (1, "unconfirmed")


def test_a_line_without_a_rented_machine_is_deleted_as_before(type_, monkeypatch):
    async def stay(services: object) -> int:
        return 0

    monkeypatch.setattr("personadesk.app.Services.hand_over", stay)
    type_("line", "create", "a", "--port", str(local.pick_port()), "--place", "local")
    assert type_("budget", "set", "--line", "a", "--per-month", "3")[1]["line"] == "a"
    assert type_("line", "delete", "a") == (0, {"removed": "a"})
    assert type_("budget", "list")[1] == {"budgets": []}
