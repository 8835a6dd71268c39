"""`personadesk rehearsal …`: pretend providers: start and stop them, look at them, let things go wrong."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.domain.errors import NotFound
from personadesk.domain.text import T
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
        words = f"The pretend providers run. Accounts: {', '.join(names)}"
        _print(result, words, arguments.json)
    elif action == "stop":
        ended = await running.stop(paths.folders())
        words = "All pretend machines are gone." if ended else "Nothing was running."
        _print({"running": False, "ended": ended}, words, arguments.json)
    elif action == "status":
        there = await asyncio.to_thread(running.find, running.folder_of(paths.folders()))
        if there is None:
            _print({"running": False}, "The pretend providers do not run.", arguments.json)
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
        _print(told, f"{told['id']} is {told['state']}.", arguments.json)
    return 0


async def _fault(arguments: argparse.Namespace) -> None:
    found = await _there()
    if arguments.what == "list":
        rules = (await asyncio.to_thread(found.ask, "GET", "/status"))["faults"]
        words = "\n".join(_rule(rule) for rule in rules) or "Nothing goes wrong on purpose."
        _print({"faults": rules}, words, arguments.json)
    elif arguments.what == "clear":
        path = "/faults" if arguments.id is None else f"/faults/{arguments.id}"
        await asyncio.to_thread(found.ask, "DELETE", path)
        _print({"cleared": True}, "Cleared.", arguments.json)
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
        balance = f", balance ${balances[0]:.2f}" if balances else ""
        lines.append(f"{name}: {len(provider['machines'])} machines{balance}")
        lines += [
            f"  {each['id']}  {each['name']}  {each['kind']}  {each['state']}  {each['host']}"
            for each in provider["machines"]
        ]
        lines += [f"  {each['kind']} {each['id']}  {each['name']}" for each in provider["things"]]
    lines += [f"fault {_rule(rule)}" for rule in told["faults"]]
    return "\n".join(lines)


def _ledger(told: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}  {entry['at']:.1f}  {entry['kind']} {entry['id']} {entry['what']} {entry['name']} {entry['reason']}"
        for name, provider in told.items()
        for entry in provider["entries"]
    )


def _account(told: dict[str, Any]) -> str:
    parts = [f"{told['provider']}: its key may {', '.join(told['rights']) or 'do nothing'}"]
    if told["expired"]:
        parts.append("it has expired")
    if told["balance"] is not None:
        parts.append(f"balance ${told['balance']:.2f}")
    if told["quota"] is not None:
        parts.append(f"at most {told['quota']} GPUs")
    return ", ".join(parts)


def _rule(rule: dict[str, Any]) -> str:
    parts = [f"{rule['id']}: {rule['fault']}"]
    if rule["provider"]:
        parts.append(f"at {rule['provider']}")
    if rule["where"]:
        parts.append(f"in {rule['where']}")
    if rule["calls"]:
        parts.append(f"for calls like {rule['calls']}")
    if rule["probability"] < 1:
        parts.append(f"with a chance of {rule['probability']:g}")
    if rule["times"] is not None:
        parts.append(f"{rule['times']} times")
    return " ".join(parts)


def _print(values: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        print_json(values)
    elif words:
        print(words)
