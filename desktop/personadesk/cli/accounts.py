"""`personadesk accounts …`: add, check, list and forget accounts at providers."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.cli.words import word
from personadesk.domain.account import Right
from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.language import show, tr
from personadesk.providers import catalog
from personadesk.providers.accounts import Given

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.domain.account import Account, AccountInfo
    from personadesk.domain.provider import Field, ProviderFacts


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        return await _act(services, arguments)
    finally:
        await services.close()


async def _act(services: Services, arguments: argparse.Namespace) -> int:
    accounts, action = services.accounts, arguments.action
    if action == "providers":
        found = [_provider_dict(each) for each in catalog.ids()]
        words = "\n".join(f"{each['id']:<14} {each['title']}" for each in found)
        _print({"providers": found}, words, arguments.json)
    elif action == "list":
        known = [_account_dict(each) for each in await accounts.all()]
        words = "\n".join(f"{each['name']}: {each['provider']}" for each in known)
        _print(
            {"accounts": known},
            words or tr("No accounts yet. To add one: personadesk accounts add"),
            arguments.json,
        )
    elif action == "add":
        values = await asyncio.to_thread(_values, arguments)
        given = Given(arguments.name, arguments.provider, values, arguments.base_url)
        account, info = await accounts.add(given)
        result = _account_dict(account) | _info_dict(info)
        words = tr("“{name}” is connected.", name=account.name)
        _print(result, f"{words} {_in_words(info)}", arguments.json)
    elif action == "check":
        info = await accounts.check(arguments.name)
        account = await accounts.store.get(arguments.name)
        _print(_account_dict(account) | _info_dict(info), _in_words(info), arguments.json)
    elif action == "replace":
        provider_id = (await accounts.store.get(arguments.name)).provider
        values = await asyncio.to_thread(_new_secrets, arguments, provider_id)
        info = await accounts.replace(arguments.name, values)
        account = await accounts.store.get(arguments.name)
        words = tr("“{name}” has its new key.", name=account.name)
        result = _account_dict(account) | _info_dict(info)
        _print(result, f"{words} {_in_words(info)}", arguments.json)
    else:
        await accounts.remove(arguments.name)
        _print(
            {"removed": arguments.name},
            tr(
                "“{name}” is forgotten. Its machines go on, and go on costing.", name=arguments.name
            ),
            arguments.json,
        )
    return 0


def _values(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the fields as given; secrets that were not are asked for where somebody can answer."""
    facts = catalog.facts(arguments.provider)
    values = _given(arguments, facts)
    _ask(arguments, values, [f for f in facts.fields if not (f.optional or f.default)])
    return values


def _new_secrets(arguments: argparse.Namespace, provider_id: str) -> dict[str, str]:
    """Return the fields that are to change: those that were given, else all that are secret."""
    facts = catalog.facts(provider_id)
    values = _given(arguments, facts)
    if not values:
        _ask(arguments, values, [field for field in facts.fields if field.secret])
    return values


def _given(arguments: argparse.Namespace, facts: ProviderFacts) -> dict[str, str]:
    values = {}
    known = [field.name for field in facts.fields]
    for each in arguments.credential:
        name, sign, value = each.partition("=")
        if not sign:
            # What stands there may be a key that was pasted as it is; it is not said again.
            raise BadRequest(
                T("A credential is not FIELD=VALUE."),
                T("Write for example api_key=@RUNPOD_API_KEY."),
                cause="bad_credential",
            )
        if name not in known:
            raise BadRequest(
                T("{provider} has no field “{field}”.", provider=facts.title, field=name),
                T("Its fields are: {fields}", fields=", ".join(known)),
                cause="no_field",
            )
        values[name] = value
    return values


def _ask(arguments: argparse.Namespace, values: dict[str, str], fields: Iterable[Field]) -> None:
    for field in fields:
        if field.name in values:
            continue
        if not sys.stdin.isatty() or arguments.json:
            raise BadRequest(
                T("“{field}” is missing.", field=field.title),
                T("Give --credential {name}=@VARIABLE. It is found here: {page}", name=field.name,
                  page=field.where),
                cause="missing_field",
            )  # fmt: skip
        print(tr("{field}, from {page}", field=field.title, page=field.where), file=sys.stderr)
        ask = getpass.getpass if field.secret and not field.multiline else input
        values[field.name] = ask("> ")


def _account_dict(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "provider": account.provider,
        "credentials": dict(account.credentials),
        "settings": dict(account.settings),
        "base_url": account.base_url,
    }


def _info_dict(info: AccountInfo) -> dict[str, Any]:
    return {
        "who": info.who,
        "rights": sorted(info.rights),
        "missing": [str(each) for each in info.missing],
        "balance": info.balance,
        "spend_per_hour": info.spend_per_hour,
        "limits": [str(each) for each in info.limits],
    }


def _in_words(info: AccountInfo) -> str:
    parts = [tr("It is {who}.", who=info.who) if info.who else ""]
    if info.rights:
        rights = ", ".join(word(each) for each in Right if each in info.rights)
        parts.append(tr("It may {rights}.", rights=rights))
    parts += [show(each) for each in info.missing]
    if info.balance is not None:
        parts.append(tr("Balance: ${amount:.2f}.", amount=float(info.balance)))
        if info.balance <= 0.0:
            parts.append(tr("Nothing can be rented before money is put in there."))
    elif info.balance_reason:
        parts.append(tr("Balance: {reason}", reason=info.balance_reason))
    parts += [show(each) for each in info.limits]
    return " ".join(part for part in parts if part)


def _provider_dict(provider_id: str) -> dict[str, Any]:
    facts = catalog.facts(provider_id)
    return {
        "id": facts.id,
        "title": facts.title,
        "fields": [
            {
                "name": field.name,
                "title": str(field.title),
                "secret": field.secret,
                "optional": field.optional,
                "where": field.where,
                "rights": str(field.rights),
            }
            for field in facts.fields
        ],
        "proven": facts.proven,
    }


def _print(result: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print(words)
