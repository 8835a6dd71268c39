from __future__ import annotations

import sqlite3

import pytest

from personadesk.store.coding import text_from_json
from personadesk.store.migrations import (
    MIGRATIONS,
    account_changes,
    accounts_and_rentals,
    budgets,
    experiences,
    first_tables,
    foreign_servers,
    hosts,
    line_access,
    owed_stops,
    personas,
    reasons_as_sentences,
    restart_proofs,
    spans_of_cost,
    wishes,
)


def test_the_first_tables_hold_what_is_remembered() -> None:
    connection = sqlite3.connect(":memory:")
    first_tables(connection)
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    connection.close()
    assert names == {"deploys", "steps", "servers", "lines"}


def test_hosts_and_their_keys_come_second() -> None:
    connection = sqlite3.connect(":memory:")
    first_tables(connection)
    hosts(connection)
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    connection.close()
    assert {"hosts", "host_keys", "placements"} < names


def test_accounts_and_what_was_rented_come_third() -> None:
    connection = sqlite3.connect(":memory:")
    hosts(connection)
    accounts_and_rentals(connection)
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    connection.close()
    assert {"accounts", "rentals", "spending"} < names


def test_what_was_seen_to_come_back_comes_fourth() -> None:
    connection = sqlite3.connect(":memory:")
    restart_proofs(connection)
    assert list(connection.execute("SELECT * FROM restart_proofs")) == []
    connection.close()


def test_wishes_and_what_was_done_for_them_come_fifth() -> None:
    connection = sqlite3.connect(":memory:")
    wishes(connection)
    assert list(connection.execute("SELECT * FROM wishes")) == []
    assert list(connection.execute("SELECT * FROM guardian_log")) == []
    connection.close()


def test_sums_by_day_become_spans_that_cost_the_same_and_go_on_where_they_ended() -> None:
    connection = sqlite3.connect(":memory:")
    accounts_and_rentals_of(connection)
    connection.execute(
        "INSERT INTO rentals (tag, attempt, account, provider, machine_id, offer, state, asked, made) "
        "VALUES ('pd-1', 1, 'acc', 'toy', 'm-1', '{}', 'made', 999.0, 1000.0)"
    )
    for row in (
        ("pd-1", "acc", "m-1", "desk", "1970-01-01", 85_400.0, 10.0),
        ("pd-1", "acc", "m-1", "", "1970-01-02", 3600.0, 0.5),
        ("pd-9", "acc", "m-9", "", "1970-01-03", 7200.0, 2.0),
    ):
        connection.execute("INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    spans_of_cost(connection)
    rows = connection.execute(
        "SELECT machine_id, began, ended, (ended - began) / 3600 * price FROM spending ORDER BY began"
    ).fetchall()
    connection.close()
    assert [row[:3] for row in rows] == [
        ("m-1", 1000.0, 86_400.0), ("m-1", 86_400.0, 90_000.0), ("m-9", 172_800.0, 180_000.0),
    ]  # fmt: skip
    assert [row[3] for row in rows] == pytest.approx([10.0, 0.5, 2.0])


def test_budgets_come_last_so_far() -> None:
    connection = sqlite3.connect(":memory:")
    budgets(connection)
    assert list(connection.execute("SELECT * FROM budgets")) == []
    connection.close()


def accounts_and_rentals_of(connection: sqlite3.Connection) -> None:
    hosts(connection)
    accounts_and_rentals(connection)


def test_reasons_become_sentences_sixth() -> None:
    connection = sqlite3.connect(":memory:")
    first_tables(connection)
    for name, port, reason in (("a", 1, ""), ("b", 2, 'It "broke" {oddly}.')):
        connection.execute(
            "INSERT INTO lines (name, port, state, since, reason) VALUES (?, ?, 'failed', 0, ?)",
            (name, port, reason),
        )
    reasons_as_sentences(connection)
    told = [row[0] for row in connection.execute("SELECT reason FROM lines ORDER BY name")]
    connection.close()
    assert [str(text_from_json(each)) for each in told] == ["", 'It "broke" {oddly}.']


def test_which_lines_are_open_to_others_comes_last() -> None:
    connection = sqlite3.connect(":memory:")
    line_access(connection)
    assert list(connection.execute("SELECT line, access FROM line_access")) == []
    connection.close()


def test_when_an_account_was_changed() -> None:
    connection = sqlite3.connect(":memory:")
    hosts(connection)
    accounts_and_rentals(connection)
    connection.execute("INSERT INTO accounts (name, provider, added) VALUES ('a', 'runpod', 1.0)")
    account_changes(connection)
    assert list(connection.execute("SELECT name, changed FROM accounts")) == [("a", 0.0)]
    connection.close()


def test_saved_personas_have_a_table() -> None:
    connection = sqlite3.connect(":memory:")
    personas(connection)
    assert list(connection.execute("SELECT name, persona FROM personas")) == []
    connection.close()


def test_the_servers_of_others_have_a_table_that_holds_no_token() -> None:
    connection = sqlite3.connect(":memory:")
    foreign_servers(connection)
    told = connection.execute("SELECT name FROM pragma_table_info('foreign_servers')")
    assert [row[0] for row in told] == ["name", "url", "has_token"]
    connection.close()


def test_of_a_machine_one_stop_is_owed() -> None:
    connection = sqlite3.connect(":memory:")
    owed_stops(connection)
    row = ("pd-1", "a", "", "asleep", 0, 1.0, 1.0, 1, 0)
    connection.execute("INSERT INTO owed_stops VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO owed_stops VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()


def test_every_migration_says_what_it_does_and_has_a_test() -> None:
    assert (
        first_tables, hosts, accounts_and_rentals, restart_proofs, wishes, reasons_as_sentences,
        spans_of_cost, budgets,
        account_changes,
        line_access,
        personas,
        experiences,
        foreign_servers,
        owed_stops,
    ) == MIGRATIONS  # fmt: skip
    assert all(step.__doc__ for step in MIGRATIONS)


def test_experiences_come_last_and_of_one_kind_a_machine_has_one() -> None:
    connection = sqlite3.connect(":memory:")
    experiences(connection)
    row = ("pd-1/1", "slow", "toy", "a|b|own", "b", "", "A10", "", 1.0)
    connection.execute("INSERT INTO experiences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO experiences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()
