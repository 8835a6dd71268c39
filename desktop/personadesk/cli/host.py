"""`personadesk host`: the machines that are reached by SSH."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import FAILED, print_json, run_command, say, tell_error
from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.host import Fitness, HostRecord, KeySource, Level, SshAddress
from personadesk.domain.plan import ModelKind
from personadesk.domain.text import T
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.domain.host import HostCheck

_MARKS = {Level.GOOD: "✓", Level.WARN: "!", Level.UNFIT: "✗"}


def run(arguments: argparse.Namespace) -> int:
    """Do it; a machine that is unfit gives status 1."""
    return run_command(lambda stop: _run(arguments), as_json=arguments.json)


async def _run(arguments: argparse.Namespace) -> int:
    services = await open_services(serve_lines=False)
    try:
        if arguments.action == "add":
            return await _add(services, arguments)
        if arguments.action == "check":
            return await _check(services, arguments)
        if arguments.action == "remove":
            return await _remove(services, arguments)
        return await _list(services, arguments)
    finally:
        await services.close()


async def _add(services: Services, arguments: argparse.Namespace) -> int:
    record = _record(arguments)
    fingerprints = list(arguments.fingerprint)
    passphrase = _from_env(arguments.passphrase_env)
    password = None
    if arguments.install_key:
        password = _ask_secret(
            tr("Password of {user} there: ", user=record.address.user or tr("you"))
        )
        if password is None:
            raise BadRequest(
                T("There is nobody to type the password."),
                T("Run the command in a terminal, or install a key there yourself."),
                cause="no_terminal",
            )
    while True:
        try:
            added = await services.hosts.add(
                record, fingerprints=fingerprints, passphrase=passphrase, password=password
            )
            break
        except PersonaDeskError as error:
            if error.cause == "passphrase_needed" and passphrase is None and not arguments.json:
                passphrase = _ask_secret(tr("Passphrase of the key: "))
                if passphrase is not None:
                    continue
            if error.cause == "host_key_unknown" and not arguments.json:
                shown = _fingerprint_in(error)
                if shown not in fingerprints and _confirms(show(error.what)):
                    fingerprints.append(shown)
                    continue
            if error.cause == "host_key_unknown":
                tell_error(error, as_json=arguments.json, fingerprint=_fingerprint_in(error))
                return FAILED
            raise
    pinned = await services.hosts.pinned(added.name)
    if arguments.json:
        print_json({"added": added.name} | _as_dict(added) | {"fingerprint": pinned.fingerprint})
    else:
        print(
            tr(
                "“{name}” is added; its key {fingerprint} is remembered.",
                name=added.name, fingerprint=pinned.fingerprint,
            )
        )  # fmt: skip
    return 0


def _record(arguments: argparse.Namespace) -> HostRecord:
    from personadesk.hosts.ssh import config

    if not 0 < arguments.port < 65536:
        raise BadRequest(
            T("Port {port} does not exist.", port=arguments.port),
            T("Ports go from 1 to 65535; SSH usually has 22."),
            cause="bad_port",
        )
    place = config.parse_address(arguments.address)
    port = arguments.port if arguments.port != 22 else place.port
    source = KeySource.FILE
    if arguments.agent:
        source = KeySource.AGENT
    elif arguments.install_key:
        source = KeySource.OURS
    key = str(Path(arguments.key).expanduser().absolute()) if arguments.key else ""
    return HostRecord(
        arguments.name,
        SshAddress(place.host, port, arguments.user or place.user),
        source,
        key,
        tuple(config.parse_address(word) for word in arguments.jump),
        arguments.folder,
    )


async def _check(services: Services, arguments: argparse.Namespace) -> int:
    from personadesk.hosts import check

    model = None
    if arguments.model is not None:
        named = arguments.model in set(ModelKind)
        model = ModelKind(arguments.model) if named else ModelKind.FOLDER
    record = await services.hosts.store.get(arguments.name)
    host = await services.hosts.host(arguments.name)
    found = await check.check(host, model, folder=record.home)
    if arguments.json:
        print_json(check_dict(found))
    else:
        for finding in found.findings:
            print(f"{_MARKS[finding.level]} {show(finding.what)} {show(finding.next)}".rstrip())
        print(f"{arguments.name}: {_words(found.verdict)}")
    return FAILED if found.verdict is Fitness.UNFIT else 0


def check_dict(found: HostCheck) -> dict[str, Any]:
    """Return what `--json` tells of a check."""
    return {
        "verdict": str(found.verdict),
        "facts": asdict(found.facts),
        "findings": [
            {
                "about": finding.about,
                "level": str(finding.level),
                "message": str(finding.what),
                "next": str(finding.next),
            }
            for finding in found.findings
        ],
    }


async def _remove(services: Services, arguments: argparse.Namespace) -> int:
    name = arguments.name
    if not arguments.force:
        await services.hosts.remove(name)
        if arguments.json:
            print_json({"removed": name})
        else:
            print(tr("“{name}” is forgotten; nothing was changed there.", name=name))
        return 0
    done = await services.forget(name)
    if arguments.json:
        print_json({"removed": name, "left_running": list(done.stopped), "lines": list(done.lines)})
        return 0
    print(tr("“{name}” is forgotten.", name=name))
    for server_id in done.stopped:
        print(
            tr(
                "Its voice {id} was not stopped: if the machine still runs, so may the voice, "
                "and a rented machine goes on costing money.",
                id=server_id,
            )
        )
    for line in done.lines:
        print(tr("The line “{line}” stays, without a voice.", line=line))
    return 0


async def _list(services: Services, arguments: argparse.Namespace) -> int:
    records = await services.hosts.store.own()
    if arguments.json:
        proofs = {record.name: await services.hosts.store.proof(record.name) for record in records}
        print_json(
            {
                "hosts": [
                    _as_dict(record) | {"restart_proof": asdict(proof) if proof else None}
                    for record in records
                    for proof in (proofs[record.name],)
                ]
            }
        )
    else:
        lines = [
            f"{record.name}: {record.address.user or tr('you')}@{record.address.place}"
            for record in records
        ]
        print("\n".join(lines) or tr("No servers yet. To add one: personadesk host add"))
    return 0


def _as_dict(record: HostRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "address": record.address.host,
        "port": record.address.port,
        "user": record.address.user,
        "key_source": str(record.key_source),
        "key": record.key_file,
        "jumps": [jump.place for jump in record.jumps],
        "folder": record.home,
    }


def _words(verdict: Fitness) -> str:
    return {
        Fitness.FIT: tr("fit."),
        Fitness.WARN: tr("fit, with the warnings above."),
        Fitness.UNFIT: tr("not fit."),
    }[verdict]


def _fingerprint_in(error: PersonaDeskError) -> str:
    return str(error.what.values.get("fingerprint", ""))


def _from_env(name: str | None) -> str | None:
    if name is None:
        return None
    value = os.environ.get(name)
    if not value:
        raise BadRequest(
            T("The variable {name} is not set.", name=name),
            T("Set it to the passphrase, then try again."),
            cause="no_variable",
        )
    return value


def _ask_secret(words: str) -> str | None:
    return getpass.getpass(words, stream=sys.stderr) if _somebody_there() else None


def _confirms(words: str) -> bool:
    if not _somebody_there():
        return False
    say(words)
    print(tr("Is that the right machine? [y/N] "), end="", file=sys.stderr, flush=True)
    # What means yes in the language asked, and in English all the same.
    return sys.stdin.readline().strip().lower() in {"y", "yes", *tr("y yes").split()}


def _somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
