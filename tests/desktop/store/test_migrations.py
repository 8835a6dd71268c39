from __future__ import annotations

import sqlite3

from personadesk.store.coding import text_from_json
from personadesk.store.migrations import (
    MIGRATIONS,
    accounts_and_rentals,
    first_tables,
    hosts,
    line_access,
    reasons_as_sentences,
    restart_proofs,
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


def test_which_lines_are_open_to_others_comes_seventh() -> None:
    connection = sqlite3.connect(":memory:")
    line_access(connection)
    assert list(connection.execute("SELECT line, access FROM line_access")) == []
    connection.close()


def test_every_migration_says_what_it_does_and_has_a_test() -> None:
    assert (
        first_tables, hosts, accounts_and_rentals, restart_proofs, wishes, reasons_as_sentences,
        line_access,
    ) == MIGRATIONS  # fmt: skip
    assert all(step.__doc__ for step in MIGRATIONS)
