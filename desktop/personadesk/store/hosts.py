"""The machines that somebody has, the keys that they are known by, and what runs on them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.host import HostKey, HostRecord, KeySource, RestartProof, SshAddress
from personadesk.domain.text import T

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database

_HOST = "name, host, port, user, key_source, key_file, jumps, home, added, account"
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Placement:
    """A voice server on a host; its tunnel here has a row among the servers of this computer.

    Attributes:
        server_id: The deploy that made it.
        host_name: The host.
        folder: The server's own folder there.
        port: The loopback port that it listens on there.
        at: Unix time of the last change.
    """

    server_id: str
    host_name: str
    folder: str
    port: int
    at: float = 0.0


class HostStore:
    """Reads and writes hosts, pins and placements; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- hosts ------------------------------------------------------------------------------------------------

    async def add(self, host: HostRecord) -> None:
        """Write a new host down.

        Raises:
            BadRequest: There is one of that name, or the name makes no sense.
        """
        name = host.name
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise BadRequest(
                T("A server's name has 1 to {most} characters.", most=LONGEST_NAME),
                T("Choose another name."),
                cause="bad_name",
            )

        def work(connection: sqlite3.Connection) -> None:
            known = connection.execute("SELECT 1 FROM hosts WHERE name = ?", (name,)).fetchone()
            if known is not None:
                raise BadRequest(
                    T("There is a server called “{name}” already.", name=name),
                    T("Choose another name, or remove that one first."),
                    cause="exists",
                )
            connection.execute(
                f"INSERT INTO hosts ({_HOST}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (
                    name, host.address.host, host.address.port, host.address.user,
                    host.key_source, host.key_file,
                    json.dumps([[jump.host, jump.port, jump.user] for jump in host.jumps]),
                    host.home, host.added, host.account,
                ),
            )  # fmt: skip

        await self._database.run(work)

    async def all(self) -> tuple[HostRecord, ...]:
        """Return the hosts by name."""

        def work(connection: sqlite3.Connection) -> tuple[HostRecord, ...]:
            rows = connection.execute(f"SELECT {_HOST} FROM hosts ORDER BY name")  # noqa: S608 - a constant
            return tuple(_host(row) for row in rows)

        return await self._database.run(work)

    async def own(self) -> tuple[HostRecord, ...]:
        """Return the user's own machines by name; rented ones are left out."""
        return tuple(host for host in await self.all() if not host.account)

    async def move(self, name: str, address: SshAddress) -> None:
        """Write down that a machine has another address now; its old key stays pinned for the old one."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE hosts SET host = ?, port = ?, user = ? WHERE name = ?",
                (address.host, address.port, address.user, name),
            )

        await self._database.run(work)

    async def get(self, name: str) -> HostRecord:
        """Return one host.

        Raises:
            NotFound: There is none of that name.
        """
        found = next((host for host in await self.all() if host.name == name), None)
        if found is None:
            raise NotFound(
                T("There is no server called “{name}”.", name=name),
                T("Look at the names with: personadesk host list"),
                cause="no_host",
            )
        return found

    async def remove(self, name: str, place: str) -> None:
        """Forget a host, and its key unless another host has the same address.

        Args:
            name: The host.
            place: `host:port` as it was resolved, under which its key is pinned.
        """

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "SELECT host, port FROM hosts WHERE name = ?", (name,)
            ).fetchone()
            connection.execute("DELETE FROM hosts WHERE name = ?", (name,))
            connection.execute("DELETE FROM restart_proofs WHERE host_name = ?", (name,))
            if row is None:
                return
            left = connection.execute("SELECT 1 FROM hosts WHERE host = ? AND port = ?", row)
            if left.fetchone() is None:
                connection.execute("DELETE FROM host_keys WHERE place = ?", (place,))

        await self._database.run(work)

    # -- pinned keys ------------------------------------------------------------------------------------------

    async def pinned(self, place: str) -> HostKey | None:
        """Return the key pinned for `host:port`, or None."""

        def work(connection: sqlite3.Connection) -> HostKey | None:
            row = connection.execute(
                "SELECT kind, data, fingerprint FROM host_keys WHERE place = ?", (place,)
            ).fetchone()
            return None if row is None else HostKey(*row)

        return await self._database.run(work)

    async def pin(self, place: str, key: HostKey) -> None:
        """Pin a key that was confirmed, replacing the one before."""
        await self._database.run(lambda connection: _pin(connection, place, key))

    # -- what runs where --------------------------------------------------------------------------------------

    async def place(self, placement: Placement) -> None:
        """Write down that a server is or is about to be on a host."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO placements (server_id, host_name, folder, port, at) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    placement.server_id, placement.host_name, placement.folder, placement.port,
                    placement.at or time.time(),
                ),
            )  # fmt: skip

        await self._database.run(work)

    async def placement(self, server_id: str) -> Placement | None:
        """Return where a server runs, None when it runs on this computer."""
        found = await self._placements("WHERE server_id = ?", (server_id,))
        return found[0] if found else None

    async def placements_on(self, host_name: str) -> list[Placement]:
        """Return what runs on a host, newest last."""
        return await self._placements("WHERE host_name = ? ORDER BY at", (host_name,))

    async def displace(self, server_id: str) -> None:
        """Forget where a server ran; only after it is known to be gone."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM placements WHERE server_id = ?", (server_id,))

        await self._database.run(work)

    # -- what was seen to come back ---------------------------------------------------------------------------

    async def prove(self, host_name: str, proof: RestartProof | None) -> None:
        """Remember that a voice came back after a restart on a host; None forgets it, as when it is uninstalled."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM restart_proofs WHERE host_name = ?", (host_name,))
            if proof is not None:
                connection.execute(
                    "INSERT INTO restart_proofs (host_name, keeper, at) VALUES (?, ?, ?)",
                    (host_name, proof.keeper, proof.at),
                )

        await self._database.run(work)

    async def proof(self, host_name: str) -> RestartProof | None:
        """Return when a voice was last seen to come back there, None when it never was."""

        def work(connection: sqlite3.Connection) -> RestartProof | None:
            row = connection.execute(
                "SELECT keeper, at FROM restart_proofs WHERE host_name = ?", (host_name,)
            ).fetchone()
            return None if row is None else RestartProof(*row)

        return await self._database.run(work)

    async def _placements(self, clause: str, values: tuple[Any, ...]) -> list[Placement]:
        def work(connection: sqlite3.Connection) -> list[Placement]:
            rows = connection.execute(
                f"SELECT server_id, host_name, folder, port, at FROM placements {clause}",  # noqa: S608 - clauses are ours
                values,
            )
            return [Placement(*row) for row in rows]

        return await self._database.run(work)


def _pin(connection: sqlite3.Connection, place: str, key: HostKey) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO host_keys (place, kind, data, fingerprint, pinned) VALUES (?, ?, ?, ?, ?)",
        (place, key.kind, key.data, key.fingerprint, time.time()),
    )


def _host(row: tuple[Any, ...]) -> HostRecord:
    name, host, port, user, source, key_file, jumps, home, added, account = row
    return HostRecord(
        name, SshAddress(host, port, user), KeySource(source), key_file,
        tuple(SshAddress(*jump) for jump in json.loads(jumps)), home, added, account,
    )  # fmt: skip
