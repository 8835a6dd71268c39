"""“My servers”: adds, finds and forgets machines, and hands out one shared connection to each."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import AuthFailed, BadRequest, NotFound, PersonaDeskError
from personadesk.domain.host import HostKey, HostRecord, KeySource, SshAddress
from personadesk.domain.text import T
from personadesk.hosts.ssh import config, connection, errors, keys
from personadesk.hosts.ssh.config import Resolved
from personadesk.hosts.ssh.connection import Link, Login
from personadesk.hosts.ssh.host import SshHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import asyncssh

    from personadesk.store.hosts import HostStore
    from personadesk.store.secrets import Secrets

INSTALL_SECONDS = 20.0
_INSTALL_KEY = """
umask 077
mkdir -p "$HOME/.ssh" && touch "$HOME/.ssh/authorized_keys" || exit 1
read -r line
grep -qxF -- "$line" "$HOME/.ssh/authorized_keys" && exit 0
[ -z "$(tail -c 1 "$HOME/.ssh/authorized_keys")" ] || echo >> "$HOME/.ssh/authorized_keys"
printf '%s\\n' "$line" >> "$HOME/.ssh/authorized_keys"
"""


class Hosts:
    """The machines that the user has, by name.

    Attributes:
        store: Where they are remembered.
    """

    def __init__(
        self,
        store: HostStore,
        secrets: Secrets,
        key_folder: Path,
        ssh_config: Path | None = None,
    ) -> None:
        self.store = store
        self._secrets = secrets
        self._key_folder = key_folder
        self._config = ssh_config
        self._open: dict[str, SshHost] = {}

    # -- adding and forgetting --------------------------------------------------------------------------------

    async def add(
        self,
        record: HostRecord,
        *,
        fingerprints: Sequence[str] = (),
        passphrase: str | None = None,
        password: str | None = None,
    ) -> HostRecord:
        """Add a machine after it proved to be the right one and let us in; else nothing is remembered.

        Args:
            record: How it is called and reached.
            fingerprints: `SHA256:…` of its key, and of machines in between, as the user confirmed them.
            passphrase: Opens the key file; it is kept in the keyring.
            password: Used once, to install PersonaDesk's own key there; it is not kept.

        Raises:
            BadRequest: Its key is not known (cause `host_key_unknown`, the fingerprint is in the sentence).
            AuthFailed: The fingerprint is another one, or the login was refused.
            PersonaDeskError: It cannot be reached.
        """
        resolved = self._resolve(record)
        record = replace(record, added=record.added or time.time())
        if password is not None:
            record = replace(record, key_source=KeySource.OURS)
        own = await self._confirm(record, resolved, fingerprints, passphrase)
        if password is not None:
            await self._install_key(record, resolved, own, password)
        login = replace(await self._login(record, passphrase), known=own)
        trial = SshHost(record.name, Link(record.name, _always(login), self.store))
        try:
            await trial.home()
        finally:
            await trial.close()
        if passphrase is not None and record.key_file:
            await self._secrets.put(_secret(str(Path(record.key_file))), passphrase)
        await self.store.add(record)
        await self.store.pin(resolved.address.place, own)
        return record

    async def pinned(self, name: str) -> HostKey:
        """Return the key that a machine is known by.

        Raises:
            NotFound: There is no such machine, or no key is known of it.
        """
        place = self._resolve(await self.store.get(name)).address.place
        key = await self.store.pinned(place)
        if key is None:
            raise NotFound(
                T("No key of “{name}” is known.", name=name),
                T("Remove it and add it again."),
                cause="no_pin",
            )
        return key

    async def show_keys(self, address: SshAddress) -> tuple[HostKey, ...]:
        """Return a machine's keys, to be shown for confirming; it is not entered.

        Raises:
            PersonaDeskError: It cannot be reached.
        """
        resolved = config.resolve(address, self._config)
        if resolved.jumps:
            raise BadRequest(
                T("{host} is reached through another machine.", host=address.host),
                T("Give the fingerprints of both."),
                cause="jump",
            )
        return await connection.show_keys(resolved.address, every_kind=True)

    async def remove(self, name: str) -> None:
        """Forget a machine and its key; nothing is changed there.

        Raises:
            NotFound: There is none of that name.
            BadRequest: A voice server of ours is on it.
        """
        record = await self.store.get(name)
        if await self.store.placements_on(name):
            raise BadRequest(
                T("A voice server of yours is on “{name}”.", name=name),
                T(
                    "Uninstall it first: at Accounts, or with personadesk uninstall --host {name}. Where the "
                    "machine is gone, forget it anyway: personadesk host remove {name} --force",
                    name=name,
                ),
                cause="in_use",
            )
        host = self._open.pop(name, None)
        if host is not None:
            await host.close()
        await self.store.remove(name, self._resolve(record).address.place)

    # -- using ------------------------------------------------------------------------------------------------

    async def host(self, name: str) -> SshHost:
        """Return a machine; every caller of this process shares its connection.

        Raises:
            NotFound: There is none of that name.
        """
        if name in self._open:
            return self._open[name]
        await self.store.get(name)

        async def login() -> Login:
            # Read anew: a rented machine may have another address by now.
            return await self._login(await self.store.get(name))

        return self._open.setdefault(name, SshHost(name, Link(name, login, self.store)))

    async def our_public_key(self) -> str:
        """Return the public line of the key with which PersonaDesk enters machines that it makes."""
        key = await keys.ours(self._key_folder)
        return key.export_public_key().decode().strip()

    async def know_rented(
        self, name: str, address: SshAddress, key: HostKey, account: str
    ) -> HostRecord:
        """Remember a rented machine, or that it has another address; its key is pinned.

        Args:
            name: The tag of the deploy that rented it.
            address: Where it is now.
            key: The key that we gave it, or that was seen first.
            account: Who pays.
        """
        found = next((each for each in await self.store.all() if each.name == name), None)
        record = HostRecord(name, address, KeySource.OURS, added=time.time(), account=account)
        if found is None:
            await self.store.add(record)
        elif found.address != address:
            await self.store.move(name, address)
            open_one = self._open.get(name)
            if open_one is not None:
                await open_one.close()
                self._open.pop(name, None)
        await self.store.pin(address.place, key)
        return record

    async def forget_rented(self, name: str) -> None:
        """Forget a rented machine that is gone, and whatever ran on it; harmless when it is not known."""
        host = self._open.pop(name, None)
        if host is not None:
            await host.close()
        found = next((each for each in await self.store.all() if each.name == name), None)
        if found is not None:
            for placement in await self.store.placements_on(name):
                await self.store.displace(placement.server_id)
            await self.store.remove(name, found.address.place)

    async def close(self) -> None:
        """Close every connection."""
        hosts, self._open = self._open, {}
        for host in hosts.values():
            await host.close()

    # -- how it is done ---------------------------------------------------------------------------------------

    def _resolve(self, record: HostRecord) -> Resolved:
        resolved = config.resolve(record.address, self._config)
        if record.jumps:
            hops = [config.resolve(jump, self._config) for jump in record.jumps]
            resolved = replace(resolved, jumps=tuple(hops))
        return resolved

    async def _login(self, record: HostRecord, passphrase: str | None = None) -> Login:
        resolved = self._resolve(record)
        if record.key_source is KeySource.OURS:
            return Login(resolved, [await keys.ours(self._key_folder)])
        if record.key_source is KeySource.AGENT:
            return Login(resolved, agent=True)
        if record.key_file:
            return Login(resolved, [await self._load(Path(record.key_file), passphrase)])
        found: list[asyncssh.SSHKey] = []
        for path in resolved.key_files:
            try:
                found.append(await self._load(path, passphrase))
            except PersonaDeskError:
                # The settings may name keys that are not here; the machine tells whether the others do.
                continue
        if not found:
            found = await keys.usual()
        return Login(resolved, found, agent=True)

    async def _load(self, path: Path, passphrase: str | None) -> asyncssh.SSHKey:
        if passphrase is None:
            try:
                return await keys.load(path)
            except AuthFailed:
                passphrase = await self._secrets.get(_secret(str(path)))
                if passphrase is None:
                    raise
        return await keys.load(path, passphrase)

    async def _confirm(
        self,
        record: HostRecord,
        resolved: Resolved,
        fingerprints: Sequence[str],
        passphrase: str | None,
    ) -> HostKey:
        """Return the machine's key if it is pinned or confirmed; machines in between come first."""
        for number, hop in enumerate(resolved.jumps):
            if await self.store.pinned(hop.address.place) is None:
                before = Resolved(hop.address, jumps=resolved.jumps[:number])
                key = await self._confirmed(record, before, fingerprints, passphrase)
                await self.store.pin(hop.address.place, key)
        pinned = await self.store.pinned(resolved.address.place)
        if pinned is not None and not fingerprints:
            return pinned
        return await self._confirmed(record, resolved, fingerprints, passphrase)

    async def _confirmed(
        self,
        record: HostRecord,
        resolved: Resolved,
        fingerprints: Sequence[str],
        passphrase: str | None,
    ) -> HostKey:
        """Ask a machine for its keys, through those between, and return the one that was confirmed."""
        address = resolved.address
        chain: list[asyncssh.SSHClientConnection] = []
        try:
            if resolved.jumps:
                last = resolved.jumps[-1]
                login = await self._login(record, passphrase)
                way = replace(login, resolved=replace(last, jumps=resolved.jumps[:-1]))
                chain = await connection.open_chain(
                    way, self.store, connection.CONNECT_SECONDS, connection.KEEPALIVE_SECONDS,
                    lambda *_: None,
                )  # fmt: skip
            found = await connection.show_keys(
                address, chain[-1] if chain else None, every_kind=bool(fingerprints)
            )
        finally:
            for each in reversed(chain):
                each.abort()
                await each.wait_closed()
        if not fingerprints:
            raise errors.unknown_key(address, found[0])
        wanted = {_bare(text) for text in fingerprints}
        for key in found:
            if _bare(key.fingerprint) in wanted:
                return key
        raise errors.wrong_fingerprint(address, ", ".join(fingerprints), found)

    async def _install_key(
        self, record: HostRecord, resolved: Resolved, own: HostKey, password: str
    ) -> None:
        key = await keys.ours(self._key_folder)
        login = Login(resolved, [key] if resolved.jumps else (), password=password, known=own)
        host = SshHost(record.name, Link(record.name, _always(login), self.store))
        try:
            line = key.export_public_key().strip() + b"\n"
            done = await host.script(_INSTALL_KEY, limit_s=INSTALL_SECONDS, stdin=line)
        except AuthFailed as error:
            if error.cause != "key_refused":
                raise
            raise AuthFailed(
                T("{name} did not accept the password.", name=record.name),
                T("Check the user's name and the password; some machines take keys only."),
                cause="password_refused",
                details=error.details,
            ) from error
        finally:
            await host.close()
        if done.code != 0:
            raise errors.files(OSError(done.text), record.name, "~/.ssh/authorized_keys")


def _always(login: Login) -> Callable[[], Awaitable[Login]]:
    async def give() -> Login:
        return login

    return give


def _bare(fingerprint: str) -> str:
    return fingerprint.strip().removeprefix("SHA256:").rstrip("=")


def _secret(key_file: str) -> str:
    return f"ssh key {key_file}"
