"""Secrets: in the system's keyring and nowhere else. Calls go to a worker thread, for an unlock dialog may wait there.

On a server without a keyring a secret can come from an environment variable instead; it is then never written.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.errors import HostUnfit, PersonaDeskError, Unreachable
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Callable

    _Result = TypeVar("_Result")

SERVICE = "PersonaDesk"
LIMIT_SECONDS = 60.0
_PREFIX = "PERSONADESK_SECRET_"


def variable(name: str) -> str:
    """Return the environment variable that stands in for a secret: letters and digits, in capitals."""
    return _PREFIX + re.sub(r"\W+", "_", name).strip("_").upper()


class Secrets:
    """Reads and writes secrets by name."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}

    def hold(self, name: str, value: str) -> None:
        """Keep a secret in memory only, for as long as this object lives: the way where there is no keyring."""
        self._held[name] = value

    async def get(self, name: str) -> str | None:
        """Return a secret, or None when there is none (or no keyring to have it)."""
        given = os.environ.get(variable(name))
        if given:
            return given
        if name in self._held:
            return self._held[name]
        try:
            return await _off_loop(lambda: _get(name))
        except HostUnfit:
            return None

    async def put(self, name: str, value: str) -> None:
        """Keep a secret.

        Raises:
            HostUnfit: This computer has no keyring.
            Unreachable: The keyring was not unlocked in time.
        """
        await _off_loop(lambda: _set(name, value))

    async def delete(self, name: str) -> None:
        """Forget a secret; harmless when there is none."""
        self._held.pop(name, None)
        try:
            await _off_loop(lambda: _delete(name))
        except HostUnfit:
            return


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
        raise _no_keyring(str(error)) from error


def _no_keyring(details: str) -> PersonaDeskError:
    return HostUnfit(
        T("This computer has no keyring that could keep the secret."),
        T("Install one (such as gnome-keyring), or give the secret by an environment variable."),
        cause="no_keyring",
        details=details,
    )
