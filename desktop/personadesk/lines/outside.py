"""Lines that other computers reach: what was chosen, its token, and the door that a gateway opens for it."""

from __future__ import annotations

import asyncio
import secrets as random
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from personadesk.domain.access import Access, Tls, checked
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.text import T
from personadesk.lines.door import Door

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.lines.service import LineService
    from personadesk.store.access import AccessStore
    from personadesk.store.secrets import Secrets

ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


@dataclass(frozen=True, slots=True)
class Told:
    """A line's outer address as it is told to its user.

    Attributes:
        access: What was chosen.
        urls: Addresses for programs on other computers.
        token: The token; to be shown masked.
        fingerprint: Of the certificate that this computer made; "" for others.
    """

    access: Access
    urls: tuple[str, ...]
    token: str
    fingerprint: str


class Outside:
    """Opens lines to other computers, and closes them."""

    def __init__(
        self, store: AccessStore, secrets: Secrets, lines: LineService, folder: Path
    ) -> None:
        """Take what is needed.

        Args:
            store: What was chosen.
            secrets: Keeps the tokens.
            lines: The lines.
            folder: Where the certificate that this computer makes is kept.
        """
        self._store = store
        self._secrets = secrets
        self._lines = lines
        self._folder = folder

    async def open(self, name: str, access: Access) -> Told:
        """Let other computers reach a line; the first time makes its token.

        Raises:
            NotFound: There is no such line.
            BadRequest: The choice makes no sense, or its certificate cannot be used.
            PersonaDeskError: The token cannot be kept.
        """
        line = await self._lines.need(name)
        known = (await self._store.all()).get(name)
        if known is not None:
            access = replace(access, token_number=known.token_number)
        checked(access, line.port)
        if any(access.port == other.port for other in await self._lines.all()):
            raise BadRequest(
                T("Port {port} belongs to another line already.", port=access.port),
                T("Choose another port."),
                cause="port_taken",
            )
        if await self._secrets.get(_secret(name)) is None:
            await self._secrets.put(_secret(name), random.token_urlsafe(32))
        await self.door(name, access)
        await self._store.put(name, access)
        await self._lines.refresh()
        return await self.told(name)

    async def close(self, name: str) -> None:
        """Let only this computer reach a line, and forget its token."""
        await self._store.put(name, None)
        await self._secrets.delete(_secret(name))
        await self._lines.refresh()

    async def renew(self, name: str) -> Told:
        """Make a new token; the old one is refused from now on.

        Raises:
            NotFound: The line is not open to other computers.
        """
        access = await self._need(name)
        await self._secrets.put(_secret(name), random.token_urlsafe(32))
        await self._store.put(name, replace(access, token_number=access.token_number + 1))
        await self._lines.refresh()
        return await self.told(name)

    async def told(self, name: str) -> Told:
        """Return a line's outer address.

        Raises:
            NotFound: It is not open to other computers, or its token is gone.
        """
        access = await self._need(name)
        door = await self.door(name, access)
        urls = tuple(access.url(host) for host in await asyncio.to_thread(hosts_of, access.bind))
        return Told(access, urls, door.token, await asyncio.to_thread(self._fingerprint, access))

    async def known(self) -> dict[str, Access]:
        """Return which lines are open to other computers."""
        return await self._store.all()

    async def door(self, name: str, access: Access) -> Door:
        """Return what a gateway needs.

        Raises:
            NotFound: There is no token: without one no other computer is let in.
            BadRequest: The certificate cannot be used.
        """
        token = await self._secrets.get(_secret(name))
        if not token:
            raise NotFound(
                T("The token of the line “{name}” is not in the keyring.", name=name),
                T("Make a new one; until then only this computer reaches the line."),
                cause="no_token",
            )
        # Making a key and reading files has no place on a loop.
        from personadesk.lines import certificate

        context = await asyncio.to_thread(
            certificate.context_of, access, self._folder, await asyncio.to_thread(hosts_of, access.bind)
        )  # fmt: skip
        return Door(access, token, context)

    async def _need(self, name: str) -> Access:
        access = (await self._store.all()).get(name)
        if access is None:
            raise NotFound(
                T("The line “{name}” is reached from this computer only.", name=name),
                T("Open it with: personadesk line open"),
                cause="not_open",
            )
        return access

    def _fingerprint(self, access: Access) -> str:
        from personadesk.lines import certificate

        if access.tls is not Tls.OWN:
            return ""
        return certificate.fingerprint(certificate.own_file(self._folder))


def hosts_of(bind: str) -> list[str]:
    """Return under which IP addresses other computers find a listener here."""
    if bind not in ALL_ADDRESSES:
        return [bind]
    families = {socket.AF_INET} if bind == "0.0.0.0" else {socket.AF_INET, socket.AF_INET6}  # noqa: S104
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in families
        and not address.address.startswith(("127.", "169.254.", "fe80", "::1"))
    ]
    return sorted(set(found)) or [socket.gethostname()]


def _secret(name: str) -> str:
    return f"line-token {name}"
