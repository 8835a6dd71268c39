"""Makes a rehearsal ready to use: the pretend providers run, and an account at each is there with its key."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.domain.account import ENVIRONMENT, Account, Pretend
from personadesk.rehearsal import catalog, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from personadesk.rehearsal.http import Simulator
    from personadesk.rehearsal.running import Running
    from personadesk.store.accounts import AccountStore
    from personadesk.store.paths import Folders

GIVEN = "accounts.json"
"""Names of the accounts that were given once; with the pretend providers it goes."""
_VARIABLE = "PERSONADESK_REHEARSAL_{provider}_{field}"


async def make_ready(folders: Folders, store: AccountStore) -> Mapping[str, Pretend]:
    """Start the pretend providers if they are not there, and see to an account at each of them.

    One that the user removed stays away until the pretend providers are ended and begin anew, and one whose key the
    user replaced keeps that key. Their keys are put into this process's environment, to which the accounts refer: the
    keyring stays untouched.

    Args:
        folders: The rehearsal's own.
        store: The rehearsal's accounts.

    Returns:
        Where each provider is played, by its id, for accounts that a person adds.

    Raises:
        HostUnfit: This computer cannot play machines.
        ProviderFault: They did not come up.
    """
    found = await running.ensure(folders)
    played = [kind for kind in _kinds() if kind.id in found.ports]
    ready = {kind.id: _account(kind, found) for kind in played}
    for kind in played:
        _give_keys(kind)
    there = {each.name: each for each in await store.all()}
    given = running.folder_of(folders) / GIVEN
    before = await asyncio.to_thread(_names_in, given)
    for name, account in ready.items():
        # One that was there and is not any more was removed by the user.
        if name not in there and name not in before:
            await store.add(account)
    if not before >= set(ready):
        await asyncio.to_thread(given.write_text, json.dumps(sorted(before | set(ready))))
    for known in there.values():
        now = ready.get(known.provider)
        if now is None:
            continue
        # The ports are others after each start of the pretend providers.
        ours = known.name == now.name and not known.changed
        fresh = replace(now, added=known.added) if ours else _moved(known, now)
        if fresh != known:
            await store.replace(fresh)
    return {name: Pretend(account.base_url, account.settings) for name, account in ready.items()}


def _names_in(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        # Not written yet, or not to its end: then accounts are given once more.
        return set()


def _moved(known: Account, now: Account) -> Account:
    """Return an account that a person added, with the pretend provider's place as it is now."""
    places = {name: now.settings[name] for name in ("ssh_user", "ssh_port")}
    return replace(known, base_url=now.base_url, settings={**known.settings, **places})


def _kinds() -> Iterable[type[Simulator]]:
    return (catalog.kind(each) for each in catalog.ids())


def _give_keys(kind: type[Simulator]) -> None:
    for field, value in kind.ready.credentials.items():
        os.environ[_variable(kind.id, field)] = value


def _account(kind: type[Simulator], found: Running) -> Account:
    ready = kind.ready
    return Account(
        kind.id,
        kind.id,
        {field: f"{ENVIRONMENT}{_variable(kind.id, field)}" for field in ready.credentials},
        {**ready.settings, "ssh_user": found.ssh_user, "ssh_port": str(found.ssh_port)},
        f"http://127.0.0.1:{found.ports[kind.id]}{ready.base_path}",
        time.time(),
    )


def _variable(provider: str, field: str) -> str:
    return _VARIABLE.format(provider=provider.upper(), field=field.upper())
