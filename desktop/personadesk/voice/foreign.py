"""Voice servers of others: kept under a name, and opened by a token that only the keyring or the vault holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from personadesk.domain.callee import Callee
from personadesk.domain.errors import BadRequest, HostUnfit, NotFound
from personadesk.domain.text import T
from personadesk.store.foreign import ForeignServer
from personadesk.voice import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from personadesk.store.foreign import ForeignStore
    from personadesk.store.secrets import Secrets

LONGEST_NAME: Final = 40


class ForeignServers:
    """Those that were kept, and their tokens."""

    def __init__(
        self, store: ForeignStore, secrets: Secrets, taken: Callable[[], Iterable[str]]
    ) -> None:
        """Take what is needed.

        Args:
            store: Their names and addresses.
            secrets: Keeps their tokens.
            taken: Returns the names of the user's own lines; a name means one thing only.
        """
        self._store = store
        self._secrets = secrets
        self._taken = taken

    async def all(self) -> tuple[ForeignServer, ...]:
        """Return them by name."""
        return await self._store.all()

    async def add(self, typed: str, name: str = "", token: str = "") -> tuple[ForeignServer, bool]:
        """Keep a server.

        Args:
            typed: Its address as people type it; a token in it is taken out and kept as one.
            name: What it shall be called; "" takes host and port.
            token: What it asks for; "" for none.

        Returns:
            The server, and whether its token is kept: where there is no keyring it is gone when the program ends.

        Raises:
            BadRequest: Address, name or token cannot be used.
            Unreachable: The keyring was not unlocked in time.
        """
        place, url, in_address = _read(typed)
        name, token = name.strip() or place, _checked(token or in_address)
        known = await self.all()
        if len(name) > LONGEST_NAME:
            raise BadRequest(
                T("A name has at most {most} characters.", most=LONGEST_NAME), cause="name"
            )
        if name in {*(each.name for each in known), *self._taken()}:
            raise BadRequest(
                T("There is a line or server called “{name}” already.", name=name),
                T("Choose another name."),
                cause="name_taken",
            )
        if (same := next((each for each in known if each.url == url), None)) is not None:
            raise BadRequest(
                T("This address is kept already, as “{name}”.", name=same.name), cause="url_taken"
            )
        # The secret first: a row that says "has one" is true then, whatever happens in between.
        kept = await self._keep(name, token)
        server = ForeignServer(name, url, has_token=bool(token))
        await self._store.put(server)
        return server, kept

    async def give_token(self, name: str, token: str) -> bool:
        """Keep another token for a server; "" forgets it.

        Returns:
            As for `add`.

        Raises:
            NotFound: There is no such server.
            BadRequest: That cannot be a token.
            Unreachable: The keyring was not unlocked in time.
        """
        server = await self._need(name)
        token = _checked(token)
        kept = await self._keep(name, token)
        await self._store.put(ForeignServer(name, server.url, has_token=bool(token)))
        return kept

    async def forget(self, name: str) -> None:
        """Forget a server and its token; harmless when there is none."""
        await self._store.remove(name)
        await self._secrets.delete(_secret(name))

    async def token_for(self, url: str) -> str | None:
        """Return the token of the server at an address; None for any other, and the keyring is left alone then."""
        for each in await self.all():
            if each.url == url and each.has_token:
                return await self._secrets.get(_secret(each.name))
        return None

    async def callee(self, word: str) -> Callee | None:
        """Return the server that a name or an address means, with its token; None where it means none of these."""
        if word in self._taken():
            return None
        for each in await self.all():
            if word in {each.name, each.url}:
                token = await self._secrets.get(_secret(each.name)) if each.has_token else None
                return Callee(each.name, each.url, token=token or "")
        return None

    async def _need(self, name: str) -> ForeignServer:
        for each in await self.all():
            if each.name == name:
                return each
        raise NotFound(T("There is no server called “{name}”.", name=name), cause="no_server")

    async def _keep(self, name: str, token: str) -> bool:
        secret = _secret(name)
        if not token:
            await self._secrets.delete(secret)
            return True
        try:
            await self._secrets.put(secret, token)
        except HostUnfit:
            self._secrets.hold(secret, token)
            return False
        return True


def _read(typed: str) -> tuple[str, str, str]:
    """Return host and port, the address without its token, and that token."""
    at = address.parse(typed)
    parts = urlsplit(at.shown)
    # Not the query that `parse` completes: persona and voice are chosen anew for each call.
    asked = parse_qsl(urlsplit(typed.strip()).query, keep_blank_values=True)
    if "@" in urlsplit(at.url).netloc:
        raise BadRequest(
            T("An address with a password in it is not kept."),
            T("Leave it out of the address; give what the server asks for as its token."),
            cause="password",
        )
    token = next((value for key, value in asked if key == "token"), "")
    query = urlencode([pair for pair in asked if pair[0] != "token"])
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
    return at.place, url, token


def _checked(token: str) -> str:
    token = token.strip()
    if not token.isascii() or not (token.isprintable() or not token) or " " in token:
        raise BadRequest(
            T("The token has signs in it that no token has."),
            T("Copy it again, without a line break."),
            cause="token",
        )
    return token


def _secret(name: str) -> str:
    return f"server-token {name}"
