"""`personadesk rehearsal …`: pretend providers: start and stop them, look at them, let things go wrong."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.cli.words import word
from personadesk.domain.errors import NotFound
from personadesk.domain.text import T
from personadesk.language import tr, trn
from personadesk.rehearsal import running
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.store import paths

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.rehearsal.running import Running


def run(arguments: argparse.Namespace) -> int:
    """Do it, in the rehearsal's own folders."""
    os.environ[paths.REHEARSAL_VARIABLE] = "1"
    return run_command(lambda stop: _act(arguments, stop), as_json=arguments.json)


async def _act(arguments: argparse.Namespace, stop: Stop) -> int:
    action = arguments.action
    if action == "start":
        services = await open_services(serve_lines=False)
        try:
            accounts = await services.accounts.all()
        finally:
            await services.close()
        found = await _there()
        names = [account.name for account in accounts]
        result = {"running": True, "pid": found.pid, "accounts": names}
        words = tr("The pretend providers run. Accounts: {names}", names=", ".join(names))
        _print(result, words, arguments.json)
    elif action == "stop":
        ended = await running.stop(paths.folders())
        words = tr("All pretend machines are gone.") if ended else tr("Nothing was running.")
        _print({"running": False, "ended": ended}, words, arguments.json)
    elif action == "status":
        there = await asyncio.to_thread(running.find, running.folder_of(paths.folders()))
        if there is None:
            words = tr("The pretend providers do not run.")
            _print({"running": False}, words, arguments.json)
        else:
            told = await asyncio.to_thread(there.ask, "GET", "/status")
            _print({"running": True, "pid": there.pid, **told}, _status(told), arguments.json)
    elif action == "ledger":
        told = await asyncio.to_thread((await _there()).ask, "GET", "/ledger")
        _print(told, _ledger(told), arguments.json)
    elif action == "fault":
        await _fault(arguments)
    elif action == "account":
        given = {
            "balance": arguments.balance, "quota": arguments.quota, "expired": arguments.expired,
            "rights": None if arguments.rights is None else arguments.rights.replace(",", " ").split(),
        }  # fmt: skip
        changes = {name: value for name, value in given.items() if value is not None}
        path = f"/accounts/{arguments.provider}"
        told = await asyncio.to_thread((await _there()).ask, "POST", path, changes)
        _print(told, _account(told), arguments.json)
    else:
        path = f"/machines/{arguments.provider}/{arguments.id}/{arguments.deed}"
        told = await asyncio.to_thread((await _there()).ask, "POST", path)
        _print(
            told, tr("{id} is {state}.", id=told["id"], state=word(told["state"])), arguments.json
        )
    return 0


async def _fault(arguments: argparse.Namespace) -> None:
    found = await _there()
    if arguments.what == "list":
        rules = (await asyncio.to_thread(found.ask, "GET", "/status"))["faults"]
        words = "\n".join(_rule(rule) for rule in rules) or tr("Nothing goes wrong on purpose.")
        _print({"faults": rules}, words, arguments.json)
    elif arguments.what == "clear":
        path = "/faults" if arguments.id is None else f"/faults/{arguments.id}"
        await asyncio.to_thread(found.ask, "DELETE", path)
        _print({"cleared": True}, tr("Cleared."), arguments.json)
    else:
        rule = Rule(
            Fault(arguments.fault), arguments.provider, arguments.calls, arguments.probability,
            arguments.times, arguments.seconds, arguments.where,
        )  # fmt: skip
        told = await asyncio.to_thread(found.ask, "POST", "/faults", rule.as_json())
        _print(told, _rule(told), arguments.json)


async def _there() -> Running:
    found = await asyncio.to_thread(running.find, running.folder_of(paths.folders()))
    if found is None:
        raise NotFound(
            T("The pretend providers do not run."),
            T("Start them with: personadesk rehearsal start"),
            cause="no_cloud",
        )
    return found


def _status(told: dict[str, Any]) -> str:
    lines = []
    for name, provider in told["providers"].items():
        balances = [b for b in provider["balances"].values() if b is not None]
        balance = f", {_balance(balances[0])}" if balances else ""
        count = len(provider["machines"])
        lines.append(trn("{name}: {n} machine", "{name}: {n} machines", count, name=name) + balance)
        lines += [
            f"  {each['id']}  {each['name']}  {each['kind']}  {word(each['state'])}  {each['host']}"
            for each in provider["machines"]
        ]
        lines += [f"  {each['kind']} {each['id']}  {each['name']}" for each in provider["things"]]
    lines += [tr("fault {rule}", rule=_rule(rule)) for rule in told["faults"]]
    return "\n".join(lines)


def _ledger(told: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}  {entry['at']:.1f}  {entry['kind']} {entry['id']} {entry['what']} {entry['name']} {entry['reason']}"
        for name, provider in told.items()
        for entry in provider["entries"]
    )


def _account(told: dict[str, Any]) -> str:
    rights = ", ".join(map(word, told["rights"])) or tr("do nothing")
    parts = [tr("{provider}: its key may {rights}", provider=told["provider"], rights=rights)]
    if told["expired"]:
        parts.append(tr("it has expired"))
    if told["balance"] is not None:
        parts.append(_balance(told["balance"]))
    if told["quota"] is not None:
        parts.append(tr("at most {count} GPUs", count=told["quota"]))
    return ", ".join(parts)


def _balance(amount: float) -> str:
    return tr("balance ${amount:.2f}", amount=float(amount))


def _rule(rule: dict[str, Any]) -> str:
    parts = [f"{rule['id']}: {rule['fault']}"]
    if rule["provider"]:
        parts.append(tr("at {provider}", provider=rule["provider"]))
    if rule["where"]:
        parts.append(tr("in {place}", place=rule["where"]))
    if rule["calls"]:
        parts.append(tr("for calls like {calls}", calls=rule["calls"]))
    if rule["probability"] < 1:
        parts.append(tr("with a chance of {chance:g}", chance=float(rule["probability"])))
    if rule["times"] is not None:
        parts.append(tr("{count} times", count=rule["times"]))
    return " ".join(parts)


def _print(values: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        print_json(values)
    elif words:
        print(words)
