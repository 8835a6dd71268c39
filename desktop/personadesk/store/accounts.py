"""The accounts at providers as they are remembered; secrets are in the keyring, here is only where each one is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Account
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.text import T

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database

_COLUMNS = "name, provider, credentials, settings, base_url, added, changed"
LONGEST_NAME = 40


class AccountStore:
    """Reads and writes accounts; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: Account) -> None:
        """Write a new account down.

        Raises:
            BadRequest: There is one of that name, or the name makes no sense.
        """
        name = account.name
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise BadRequest(
                T("An account's name has 1 to {most} characters.", most=LONGEST_NAME),
                T("Choose another name."),
                cause="bad_name",
            )

        def work(connection: sqlite3.Connection) -> None:
            known = connection.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone()
            if known is not None:
                raise BadRequest(
                    T("There is an account called “{name}” already.", name=name),
                    T("Choose another name, or remove that one first."),
                    cause="exists",
                )
            _put(connection, account)

        await self._database.run(work)

    async def replace(self, account: Account) -> None:
        """Write a known account down anew, as when its key was replaced."""
        await self._database.run(lambda connection: _put(connection, account))

    async def all(self) -> tuple[Account, ...]:
        """Return the accounts by name."""

        def work(connection: sqlite3.Connection) -> tuple[Account, ...]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM accounts ORDER BY name")  # noqa: S608 - a constant
            return tuple(_account(row) for row in rows)

        return await self._database.run(work)

    async def get(self, name: str) -> Account:
        """Return one account.

        Raises:
            NotFound: There is none of that name.
        """
        found = next((each for each in await self.all() if each.name == name), None)
        if found is None:
            raise NotFound(
                T("There is no account called “{name}”.", name=name),
                T("Look at the names with: personadesk accounts list"),
                cause="no_account",
            )
        return found

    async def remove(self, name: str) -> None:
        """Forget an account; harmless when there is none of that name."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM accounts WHERE name = ?", (name,))

        await self._database.run(work)


def _put(connection: sqlite3.Connection, account: Account) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO accounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        (
            account.name, account.provider, json.dumps(dict(account.credentials)),
            json.dumps(dict(account.settings)), account.base_url, account.added, account.changed,
        ),
    )  # fmt: skip


def _account(row: tuple[Any, ...]) -> Account:
    name, provider, credentials, settings, base_url, *times = row
    return Account(name, provider, json.loads(credentials), json.loads(settings), base_url, *times)
