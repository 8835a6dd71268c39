"""How the database's tables came to be: one function a version, never changed once released.

To change a table, add a function at the end of `MIGRATIONS`; its docstring is logged when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


def first_tables(connection: sqlite3.Connection) -> None:
    """Make the journal of deploys, the servers that were started, and the lines."""
    connection.execute(
        """CREATE TABLE deploys (
            id TEXT PRIMARY KEY,
            purpose TEXT NOT NULL,
            plan TEXT NOT NULL,
            state TEXT NOT NULL,
            started REAL NOT NULL,
            ended REAL,
            facts TEXT NOT NULL DEFAULT '{}',
            error TEXT
        )"""
    )
    connection.execute(
        """CREATE TABLE steps (
            deploy_id TEXT NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            doing TEXT NOT NULL DEFAULT '',
            started REAL NOT NULL,
            seconds REAL NOT NULL DEFAULT 0,
            error TEXT,
            PRIMARY KEY (deploy_id, name)
        ) WITHOUT ROWID"""
    )
    connection.execute(
        """CREATE TABLE servers (
            id TEXT PRIMARY KEY,
            state_dir TEXT NOT NULL,
            command TEXT NOT NULL,
            url TEXT NOT NULL,
            model TEXT NOT NULL,
            state TEXT NOT NULL,
            at REAL NOT NULL
        )"""
    )
    connection.execute(
        """CREATE TABLE lines (
            name TEXT PRIMARY KEY,
            port INTEGER NOT NULL UNIQUE,
            target_url TEXT,
            server_id TEXT,
            state TEXT NOT NULL,
            since REAL NOT NULL,
            reason TEXT NOT NULL DEFAULT ''
        )"""
    )


def hosts(connection: sqlite3.Connection) -> None:
    """Make "My servers": hosts, their pinned keys, and which deploy runs on which of them."""
    connection.execute(
        """CREATE TABLE hosts (
            name TEXT PRIMARY KEY,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            user TEXT NOT NULL,
            key_source TEXT NOT NULL,
            key_file TEXT NOT NULL DEFAULT '',
            jumps TEXT NOT NULL DEFAULT '[]',
            home TEXT NOT NULL DEFAULT '',
            added REAL NOT NULL
        )"""
    )
    connection.execute(
        """CREATE TABLE host_keys (
            place TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            data TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            pinned REAL NOT NULL
        )"""
    )
    connection.execute(
        """CREATE TABLE placements (
            server_id TEXT PRIMARY KEY,
            host_name TEXT NOT NULL,
            folder TEXT NOT NULL,
            port INTEGER NOT NULL,
            at REAL NOT NULL
        )"""
    )


def accounts_and_rentals(connection: sqlite3.Connection) -> None:
    """Make the accounts at providers, and the record of every machine that was or may have been rented."""
    connection.execute(
        """CREATE TABLE accounts (
            name TEXT PRIMARY KEY,
            provider TEXT NOT NULL,
            credentials TEXT NOT NULL DEFAULT '{}',
            settings TEXT NOT NULL DEFAULT '{}',
            base_url TEXT NOT NULL DEFAULT '',
            added REAL NOT NULL
        )"""
    )
    connection.execute("ALTER TABLE hosts ADD COLUMN account TEXT NOT NULL DEFAULT ''")
    connection.execute(
        """CREATE TABLE rentals (
            tag TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            account TEXT NOT NULL,
            provider TEXT NOT NULL,
            machine_id TEXT NOT NULL DEFAULT '',
            offer TEXT NOT NULL,
            state TEXT NOT NULL,
            price REAL,
            asked REAL NOT NULL,
            made REAL,
            ended REAL,
            hold_until REAL,
            PRIMARY KEY (tag, attempt)
        ) WITHOUT ROWID"""
    )
    connection.execute(
        """CREATE TABLE spending (
            tag TEXT NOT NULL,
            account TEXT NOT NULL,
            machine_id TEXT NOT NULL,
            line TEXT NOT NULL DEFAULT '',
            day TEXT NOT NULL,
            seconds REAL NOT NULL DEFAULT 0,
            dollars REAL NOT NULL DEFAULT 0,
            PRIMARY KEY (account, machine_id, day)
        ) WITHOUT ROWID"""
    )


def restart_proofs(connection: sqlite3.Connection) -> None:
    """Remember on which hosts a voice was seen to come back after a restart of its service."""
    connection.execute(
        """CREATE TABLE restart_proofs (
            host_name TEXT PRIMARY KEY,
            keeper TEXT NOT NULL,
            at REAL NOT NULL
        )"""
    )


def wishes(connection: sqlite3.Connection) -> None:
    """Keep what each line shall be, and what was done to keep it so."""
    connection.execute("CREATE TABLE wishes (line TEXT PRIMARY KEY, wish TEXT NOT NULL)")
    connection.execute(
        """CREATE TABLE guardian_log (
            id INTEGER PRIMARY KEY,
            line TEXT NOT NULL,
            at REAL NOT NULL,
            deed TEXT NOT NULL,
            place TEXT NOT NULL,
            why TEXT NOT NULL,
            worked INTEGER,
            outcome TEXT NOT NULL DEFAULT '',
            plan_id TEXT NOT NULL DEFAULT '',
            seconds REAL NOT NULL DEFAULT 0
        )"""
    )
    connection.execute("CREATE INDEX guardian_log_by_line ON guardian_log (line, id)")


def reasons_as_sentences(connection: sqlite3.Connection) -> None:
    """Keep why a line is not up as a sentence with its values, so that it can be told in the user's language."""
    connection.execute(
        "UPDATE lines SET reason = json_array(reason, json_object()) WHERE reason != ''"
    )


def spans_of_cost(connection: sqlite3.Connection) -> None:
    """Keep costs as spans of time (UTC) with their price, instead of sums by day, and why each was billed."""
    connection.execute("ALTER TABLE spending RENAME TO spending_by_day")
    connection.execute(
        """CREATE TABLE spending (
            account TEXT NOT NULL,
            machine_id TEXT NOT NULL,
            began REAL NOT NULL,
            ended REAL NOT NULL,
            tag TEXT NOT NULL DEFAULT '',
            line TEXT NOT NULL DEFAULT '',
            kind TEXT NOT NULL DEFAULT 'running',
            price REAL,
            guessed INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (account, machine_id, began)
        ) WITHOUT ROWID"""
    )
    # Sums went on from a machine's making without a gap, so that is where its first span begins. What was not rented
    # in the record begins with its day, as UTC has it: nothing nearer is known.
    connection.execute(
        """INSERT INTO spending (account, machine_id, began, ended, tag, line, price)
        SELECT account, machine_id, start + before, start + before + seconds, tag, line,
            dollars * 3600.0 / seconds
        FROM (
            SELECT s.*,
                COALESCE(
                    (SELECT COALESCE(r.made, r.asked) FROM rentals r
                     WHERE r.account = s.account AND r.machine_id = s.machine_id),
                    CAST(strftime('%s', MIN(s.day) OVER own) AS REAL)
                ) AS start,
                SUM(s.seconds) OVER (PARTITION BY s.account, s.machine_id ORDER BY s.day) - s.seconds AS before
            FROM spending_by_day s WHERE s.seconds > 0
            WINDOW own AS (PARTITION BY s.account, s.machine_id)
        )"""
    )
    connection.execute("DROP TABLE spending_by_day")
    connection.execute("CREATE INDEX spending_by_end ON spending (ended)")


def budgets(connection: sqlite3.Connection) -> None:
    """Keep what a line, or everything together, may cost in a day and a month."""
    connection.execute(
        """CREATE TABLE budgets (
            line TEXT PRIMARY KEY,
            per_day REAL,
            per_month REAL,
            warn REAL NOT NULL,
            act TEXT NOT NULL,
            day_more REAL NOT NULL DEFAULT 0,
            day_until REAL NOT NULL DEFAULT 0,
            month_more REAL NOT NULL DEFAULT 0,
            month_until REAL NOT NULL DEFAULT 0
        ) WITHOUT ROWID"""
    )


def account_changes(connection: sqlite3.Connection) -> None:
    """Tell when an account was last changed: another process's keys are read anew only then."""
    connection.execute("ALTER TABLE accounts ADD COLUMN changed REAL NOT NULL DEFAULT 0")


def line_access(connection: sqlite3.Connection) -> None:
    """Keep which lines other computers reach, and how; never their tokens."""
    connection.execute("CREATE TABLE line_access (line TEXT PRIMARY KEY, access TEXT NOT NULL)")


def personas(connection: sqlite3.Connection) -> None:
    """Keep the personas that were saved."""
    connection.execute("CREATE TABLE personas (name TEXT PRIMARY KEY, persona TEXT NOT NULL)")


def experiences(connection: sqlite3.Connection) -> None:
    """Remember what was lived through with rented machines: bad hosts, offers and regions, and good ones."""
    connection.execute(
        """CREATE TABLE experiences (
            machine TEXT NOT NULL,
            kind TEXT NOT NULL,
            provider TEXT NOT NULL,
            offer TEXT NOT NULL,
            region TEXT NOT NULL,
            host TEXT NOT NULL,
            gpu TEXT NOT NULL,
            place TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (machine, kind)
        ) WITHOUT ROWID"""
    )


def foreign_servers(connection: sqlite3.Connection) -> None:
    """Keep the voice servers of others that a person calls; never their tokens."""
    connection.execute(
        "CREATE TABLE foreign_servers (name TEXT PRIMARY KEY, url TEXT NOT NULL, has_token INTEGER NOT NULL)"
    )


def owed_stops(connection: sqlite3.Connection) -> None:
    """Keep which machines must still stop, also when the process that was at it is killed."""
    connection.execute(
        """CREATE TABLE owed_stops (
            tag TEXT PRIMARY KEY,
            line TEXT NOT NULL,
            why TEXT NOT NULL,
            rest TEXT NOT NULL,
            ends INTEGER NOT NULL,
            since REAL NOT NULL,
            asked REAL NOT NULL,
            tries INTEGER NOT NULL,
            taken INTEGER NOT NULL
        ) WITHOUT ROWID"""
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    first_tables,
    hosts,
    accounts_and_rentals,
    restart_proofs,
    wishes,
    reasons_as_sentences,
    spans_of_cost,
    budgets,
    account_changes,
    line_access,
    personas,
    experiences,
    foreign_servers,
    owed_stops,
)
"""Position + 1 is the version that the function leads to."""
