"""Secrets: in the system's keyring; where there is none, in a file that a passphrase opens, or in memory only.

Never anywhere in plain text. Calls go to a worker thread, for an unlock dialog may wait there. On a server a secret can
come from an environment variable instead; it is then never written.
"""

from __future__ import annotations

import asyncio
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.errors import AuthFailed, HostUnfit, PersonaDeskError, Unreachable
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.store.vault import Vault

    _Result = TypeVar("_Result")

SERVICE = "PersonaDesk"
LIMIT_SECONDS = 60.0
VAULT_VARIABLE = "PERSONADESK_PASSPHRASE_FILE"
"""Names a file whose first line opens the vault, for a computer that has neither a keyring nor a screen."""
_PREFIX = "PERSONADESK_SECRET_"


class Place(StrEnum):
    """Where a secret is."""

    KEYRING = "keyring"
    FILE = "file"
    MEMORY = "memory"
    VARIABLE = "variable"
    NOWHERE = "nowhere"


def variable(name: str) -> str:
    """Return the environment variable that stands in for a secret: letters and digits, in capitals."""
    return _PREFIX + re.sub(r"\W+", "_", name).strip("_").upper()


class Secrets:
    """Reads and writes secrets by name."""

    def __init__(self, vault: Vault | None = None) -> None:
        """Take the places.

        Args:
            vault: The file for a computer without a keyring; None for none.
        """
        self._held: dict[str, str] = {}
        self._vault = vault
        self._memory_only = False

    @property
    def locked(self) -> bool:
        """Whether there is a file with secrets, and its passphrase was not given yet."""
        return self._vault is not None and self._vault.exists and not self._vault.is_open

    def hold(self, name: str, value: str) -> None:
        """Keep a secret in memory only, for as long as this object lives: the way where there is no keyring."""
        self._held[name] = value

    def keep_in_memory(self) -> None:
        """From now on hold what no keyring keeps; it is gone when the program ends."""
        self._memory_only = True

    async def unlock(self, passphrase: str) -> None:
        """From now on keep in the file what no keyring keeps; the first passphrase makes it.

        Raises:
            AuthFailed: It is not the passphrase of the file that is there.
            BadRequest: The passphrase of a new one is too short.
            HostUnfit: The file cannot be read or written.
        """
        if self._vault is None:
            raise no_keyring("no vault")
        await asyncio.to_thread(self._vault.unlock, passphrase)

    async def get(self, name: str) -> str | None:
        """Return a secret, or None when there is none (or nothing that could have it is open)."""
        return (await self.look(name))[1]

    async def look(self, name: str) -> tuple[Place, str | None]:
        """Return where a secret is, and the secret."""
        given = os.environ.get(variable(name))
        if given:
            return Place.VARIABLE, given
        if name in self._held:
            return Place.MEMORY, self._held[name]
        try:
            kept = await _off_loop(lambda: _get(name))
        except HostUnfit:
            kept = None
        if kept is not None:
            return Place.KEYRING, kept
        vault = await self._open_vault()
        kept = await asyncio.to_thread(vault.get, name) if vault is not None else None
        return (Place.FILE, kept) if kept is not None else (Place.NOWHERE, None)

    async def put(self, name: str, value: str) -> None:
        """Keep a secret.

        Raises:
            HostUnfit: This computer has no keyring, and nothing else was chosen.
            AuthFailed: The file for it is there, and its passphrase was not given.
            Unreachable: The keyring was not unlocked in time.
        """
        try:
            await _off_loop(lambda: _set(name, value))
        except HostUnfit:
            vault = await self._open_vault()
            if vault is not None:
                await asyncio.to_thread(vault.put, name, value)
            elif self._memory_only:
                self.hold(name, value)
                return
            else:
                raise
        self._held.pop(name, None)

    async def delete(self, name: str) -> None:
        """Forget a secret; harmless when there is none."""
        self._held.pop(name, None)
        vault = await self._open_vault()
        if vault is not None:
            await asyncio.to_thread(vault.delete, name)
        try:
            await _off_loop(lambda: _delete(name))
        except HostUnfit:
            return

    async def _open_vault(self) -> Vault | None:
        """Return the file when it is open, or can be opened by the passphrase that a file holds."""
        if self._vault is None or self._vault.is_open:
            return self._vault
        file = os.environ.get(VAULT_VARIABLE)
        if not file:
            return None
        await asyncio.to_thread(self._vault.unlock, await asyncio.to_thread(_first_line, file))
        return self._vault


def _first_line(file: str) -> str:
    try:
        return Path(file).read_text().split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthFailed(
            T("The passphrase cannot be read from {file}.", file=file),
            T("Look at {variable}, and at who may read the file.", variable=VAULT_VARIABLE),
            cause="no_passphrase",
            details=str(error),
        ) from error


def _get(name: str) -> str | None:
    import keyring

    return keyring.get_password(SERVICE, name)


def _set(name: str, value: str) -> None:
    import keyring

    keyring.set_password(SERVICE, name, value)


def _delete(name: str) -> None:
    import keyring
    from keyring.errors import PasswordDeleteError

    try:
        keyring.delete_password(SERVICE, name)
    except PasswordDeleteError:
        return


async def _off_loop(work: Callable[[], _Result]) -> _Result:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await asyncio.to_thread(_told, work)
    except TimeoutError as error:
        raise Unreachable(
            T("This computer's keyring was not unlocked."),
            T("Unlock it, then try again."),
            cause="keyring_locked",
        ) from error


def _told(work: Callable[[], _Result]) -> _Result:
    from keyring.errors import KeyringError

    try:
        return work()
    except KeyringError as error:
        raise no_keyring(str(error)) from error


def no_keyring(details: str) -> PersonaDeskError:
    """There is no keyring, and nothing else was chosen."""
    return HostUnfit(
        T("This computer has no keyring that could keep the secret."),
        T(
            "Install one (such as gnome-keyring), give the secret by an environment variable, or let "
            "{variable} name a file with a passphrase.",
            variable=VAULT_VARIABLE,
        ),
        cause="no_keyring",
        details=details,
    )
