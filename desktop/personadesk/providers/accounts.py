"""The user's accounts: added only when they work, their secrets in the keyring, one shared connection to each."""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import dataclass, replace
from dataclasses import field as part
from typing import TYPE_CHECKING

from personadesk.domain.account import ENVIRONMENT, KEYRING, Account
from personadesk.domain.errors import AuthFailed, BadRequest, NotFound
from personadesk.domain.text import T
from personadesk.providers import catalog
from personadesk.store.secrets import VAULT_VARIABLE, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.domain.account import AccountInfo, Pretend
    from personadesk.domain.provider import Field
    from personadesk.domain.text import Text
    from personadesk.providers.base import Provider
    from personadesk.store.accounts import AccountStore
    from personadesk.store.secrets import Secrets

    Make = Callable[[Account, Mapping[str, str]], Provider]

VERIFY_SECONDS = 60.0
ENDING_FROM = 16
"""The end of a shorter secret would tell too much of it."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave for a new account.

    Attributes:
        name: What the account shall be called.
        provider: Id of the provider.
        values: Fields by name. A secret may be `@NAME`: an environment variable, which is referred to and not stored.
        base_url: Where the API is instead of the provider's own place; "" for that.
    """

    name: str
    provider: str
    values: Mapping[str, str]
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where one secret of an account is; never the secret.

    Attributes:
        title: What it is: "API key".
        place: `Place.KEYRING` and so on; `Place.VARIABLE` where the account refers to one.
        variable: Name of the environment variable, "" for none.
        ending: Its last four characters; "" where it is short, many lines, or not to be had now.
    """

    title: Text
    place: Place
    variable: str = ""
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """An account that was removed a moment ago, in memory only.

    Attributes:
        account: The account.
        secrets: What the keyring had of it, by field.
        info: What its provider had said of it.
    """

    account: Account
    secrets: Mapping[str, str] = part(repr=False)
    info: AccountInfo | None = None


class Accounts:
    """All accounts.

    Attributes:
        store: Where they are remembered, without their secrets.
        secrets: Where those are.
        pretends: In a rehearsal, where each provider is played, by its id; None in earnest.
    """

    def __init__(self, store: AccountStore, secrets: Secrets, make: Make = catalog.make) -> None:
        self.store = store
        self.secrets = secrets
        self.pretends: Mapping[str, Pretend] | None = None
        self._make = make
        self._open: dict[str, tuple[Account, Provider]] = {}
        self._retired: list[Provider] = []
        self._opening = asyncio.Lock()
        self._infos: dict[str, AccountInfo] = {}
        self._watchers: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` after an account came, changed or went; returns a function that ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def info(self, name: str) -> AccountInfo | None:
        """Return what the provider said of an account when it was last asked in this process."""
        return self._infos.get(name)

    async def kept(self, name: str) -> tuple[Kept, ...]:
        """Return where the secrets of an account are, in the order of its provider's fields.

        Raises:
            NotFound: There is no such account.
        """
        account = await self.store.get(name)
        found = []
        for field in catalog.facts(account.provider).fields:
            where = account.credentials.get(field.name)
            if where is None:
                continue
            if where != KEYRING:
                variable = where.removeprefix(ENVIRONMENT)
                found.append(Kept(field.title, Place.VARIABLE, variable))
                continue
            place, value = await self.secrets.look(_secret(name, field.name))
            long = value is not None and len(value) >= ENDING_FROM and not field.multiline
            found.append(Kept(field.title, place, ending=value[-4:] if value and long else ""))
        return tuple(found)

    async def all(self) -> tuple[Account, ...]:
        """Return the accounts by name."""
        return await self.store.all()

    async def add(self, given: Given) -> tuple[Account, AccountInfo]:
        """Add an account after its provider let us in; else nothing is remembered.

        Raises:
            BadRequest: A field is missing or makes no sense, or there is an account of that name.
            AuthFailed: The provider did not let us in; the cause tells wrong, expired and too weak apart.
            PersonaDeskError: It could not be asked, or there is no keyring.
        """
        there = self._pretended(given)
        if there is not None:
            values = {**_fields_of(given.provider, there.settings), **given.values}
            given = replace(given, values=values, base_url=there.base_url)
        account, secrets = self._read(given)
        if there is not None:
            account = replace(account, settings={**there.settings, **account.settings})
        if any(each.name == account.name for each in await self.all()):
            raise BadRequest(
                T("There is an account called “{name}” already.", name=account.name),
                T("Choose another name, or remove that one first."),
                cause="exists",
            )
        info = await self._try(account, secrets)
        await self._keep(account, secrets)
        await self.store.add(account)
        self._infos[account.name] = info
        self._tell()
        return account, info

    async def replace(self, name: str, values: Mapping[str, str]) -> AccountInfo:
        """Give an account new values, a new key for one; the old ones stay until the new ones worked.

        Raises:
            NotFound: There is no such account.
            AuthFailed: The provider did not let us in.
            PersonaDeskError: See `add`.
        """
        old = await self.store.get(name)
        fields = _fields_of(old.provider, old.settings)
        known = {**fields, **await self._values_kept(old), **values}
        account, secrets = self._read(Given(name, old.provider, known, old.base_url))
        # Settings that no field is for, as where machines of one's own image are entered, stay.
        others = {key: old.settings[key] for key in old.settings if key not in fields}
        account = replace(
            account, added=old.added, changed=time.time(), settings={**others, **account.settings}
        )
        info = await self._try(account, secrets)
        await self._keep(account, secrets)
        await self.store.replace(account)
        self._retire(name)
        self._infos[name] = info
        self._tell()
        return info

    async def check(self, name: str) -> AccountInfo:
        """Ask an account's provider who we are and what we may.

        Raises:
            PersonaDeskError: See `Provider.verify`.
        """
        provider = await self.provider(name)
        async with asyncio.timeout(VERIFY_SECONDS):
            info = await provider.verify()
        self._infos[name] = info
        self._tell()
        return info

    async def remove(self, name: str) -> Removed:
        """Forget an account and its secrets. Its machines go on, and go on costing.

        Returns:
            All of it, for `restore`; whoever lets it go has forgotten the secrets for good.

        Raises:
            NotFound: There is no such account.
        """
        account = await self.store.get(name)
        kept = [field for field, place in account.credentials.items() if place == KEYRING]
        secrets = {field: await self.secrets.get(_secret(name, field)) for field in kept}
        self._retire(name)
        await self.store.remove(name)
        for field in kept:
            await self.secrets.delete(_secret(name, field))
        info = self._infos.pop(name, None)
        self._tell()
        return Removed(account, {field: value for field, value in secrets.items() if value}, info)

    async def restore(self, removed: Removed) -> None:
        """Put an account back as it was, without asking its provider.

        Raises:
            BadRequest: There is one of that name again.
            PersonaDeskError: There is no keyring any more.
        """
        account = removed.account
        await self.store.add(account)
        for field, value in removed.secrets.items():
            await self.secrets.put(_secret(account.name, field), value)
        if removed.info is not None:
            self._infos[account.name] = removed.info
        self._tell()

    async def provider(self, name: str) -> Provider:
        """Return an account's provider; every caller of this process shares it, and so its limits.

        Another process may have given the account a new key, or removed it: then this one's is made anew, or closed.

        Raises:
            NotFound: There is no such account.
            AuthFailed: A secret of it is not where it should be (cause `no_secret`).
        """
        async with self._opening:
            try:
                account = await self.store.get(name)
            except NotFound:
                self._retire(name)
                raise
            opened, provider = self._open.get(name, (None, None))
            if provider is not None and opened == account:
                return provider
            secrets = await self._secrets_of(account)
            # In a thread: a provider's file may bring more along than a window likes to wait for.
            fresh = await asyncio.to_thread(self._make, account, secrets)
            self._retire(name)
            self._open[name] = (account, fresh)
            if provider is not None:
                # What the old key was told is not what the new one may.
                self._infos.pop(name, None)
                self._tell()
            return fresh

    async def close(self) -> None:
        """Close every connection."""
        for name in tuple(self._open):
            self._retire(name)
        while self._retired:
            await self._retired.pop().aclose()

    # -- how it is done ---------------------------------------------------------------------------------------

    def _pretended(self, given: Given) -> Pretend | None:
        """Return where a new account is in a rehearsal: with a real provider it would rent in earnest."""
        if self.pretends is None or given.base_url:
            return None
        if given.provider not in self.pretends:
            raise BadRequest(
                T(
                    "{provider} is not played in a rehearsal.",
                    provider=catalog.facts(given.provider).title,
                ),
                T("Choose one of these: {names}", names=", ".join(self.pretends)),
                cause="not_played",
            )
        return self.pretends[given.provider]

    def _read(self, given: Given) -> tuple[Account, dict[str, str]]:
        """Return the account, and its secrets as they were given: a value or `@NAME`."""
        facts = catalog.facts(given.provider)
        known = {field.name for field in facts.fields}
        for name in given.values:
            if name not in known:
                raise BadRequest(
                    T("{provider} has no field “{field}”.", provider=facts.title, field=name),
                    T("Its fields are: {fields}", fields=", ".join(sorted(known))),
                    cause="no_field",
                )
        places: dict[str, str] = {}
        settings: dict[str, str] = {}
        secrets: dict[str, str] = {}
        for field in facts.fields:
            value = given.values.get(field.name, "").strip()
            if not value and not (field.optional or field.default):
                raise BadRequest(
                    T("“{field}” is missing.", field=field.title),
                    T("Get it here: {page}", page=field.where) if field.where else T("Fill it in."),
                    cause="missing_field",
                )
            if not value:
                continue
            self._look(field, value)
            if field.secret:
                places[field.name] = value if value.startswith(ENVIRONMENT) else KEYRING
                secrets[field.name] = value
            else:
                settings[field.name] = value
        account = Account(
            given.name.strip(), given.provider, places, settings, given.base_url, time.time()
        )
        return account, secrets

    @staticmethod
    def _look(field: Field, value: str) -> None:
        if field.secret and value.startswith(ENVIRONMENT):
            if not _VARIABLE.fullmatch(value.removeprefix(ENVIRONMENT)):
                raise BadRequest(
                    T("“{value}” does not name an environment variable.", value=value),
                    T("Write @ and its name, for example @RUNPOD_API_KEY."),
                    cause="bad_variable",
                )
            return
        if field.pattern and not re.fullmatch(field.pattern, value, re.DOTALL):
            raise BadRequest(
                T("That does not look like “{field}”.", field=field.title),
                T("Copy it whole, from here: {page}", page=field.where)
                if field.where
                else T("Look at it again."),
                cause="bad_field",
            )

    async def _try(self, account: Account, secrets: Mapping[str, str]) -> AccountInfo:
        values = {name: _value(account.name, name, given) for name, given in secrets.items()}
        provider = await asyncio.to_thread(self._make, account, values)
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                return await provider.verify()
        finally:
            await provider.aclose()

    async def _keep(self, account: Account, secrets: Mapping[str, str]) -> None:
        for name, place in account.credentials.items():
            if place == KEYRING:
                await self.secrets.put(_secret(account.name, name), secrets[name])

    async def _values_kept(self, account: Account) -> dict[str, str]:
        """Return an account's secrets as `_read` takes them."""
        found = {}
        for name, place in account.credentials.items():
            kept = await self.secrets.get(_secret(account.name, name))
            found[name] = place if place != KEYRING else kept or ""
        return found

    async def _secrets_of(self, account: Account) -> dict[str, str]:
        values = {}
        for name, place in account.credentials.items():
            if place != KEYRING:
                values[name] = _value(account.name, name, place)
                continue
            value = await self.secrets.get(_secret(account.name, name))
            if not value and self.secrets.locked:
                raise AuthFailed(
                    T("The key of “{account}” is in a file that a passphrase opens.", account=name),
                    T(
                        "Give the passphrase at Accounts, or let {variable} name a file with it.",
                        variable=VAULT_VARIABLE,
                    ),
                    cause="vault_locked",
                )
            if not value:
                raise AuthFailed(
                    T(
                        "The key of “{account}” is not in this computer's keyring.",
                        account=account.name,
                    ),
                    T("Paste it again at Accounts."),
                    cause="no_secret",
                )
            values[name] = value
        return values

    def _retire(self, name: str) -> None:
        """Give an account's provider to nobody any more; whoever has it may finish, such as a deploy that waits."""
        _, provider = self._open.pop(name, (None, None))
        if provider is not None:
            self._retired.append(provider)

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()


def _fields_of(provider_id: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return those settings that a provider has a field for."""
    known = {field.name for field in catalog.facts(provider_id).fields}
    return {name: value for name, value in settings.items() if name in known}


def _secret(account: str, field: str) -> str:
    return f"account {account} {field}"


def _value(account: str, field: str, given: str) -> str:
    """Return a secret's value: itself, or what its environment variable holds."""
    if not given.startswith(ENVIRONMENT):
        return given
    name = given.removeprefix(ENVIRONMENT)
    value = os.environ.get(name, "").strip()
    if not value:
        raise AuthFailed(
            T(
                "“{field}” of “{account}” should be in the environment variable {variable}, which is empty.",
                field=field, account=account, variable=name,
            ),
            T("Set it, then try again."),
            cause="no_secret",
        )  # fmt: skip
    return value
