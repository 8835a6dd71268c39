"""`personadesk line open|close|token`: the address of a line for other computers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.cli.running import print_json, say
from personadesk.domain.access import Access, Tls, masked
from personadesk.language import tr

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.lines.outside import Told

ACTIONS = frozenset({"open", "close", "token"})
NEXT_PORT = 1000
"""So far above its own a line's port for other computers lies, where nobody chose one."""


async def run(services: Services, arguments: argparse.Namespace) -> int:
    """Do it."""
    outside, name = services.outside, arguments.name
    if arguments.action == "close":
        await services.lines.need(name)
        await outside.close(name)
        if arguments.json:
            print_json({"closed": name})
        else:
            print(tr("Only this computer reaches the line “{line}” now.", line=name))
        return 0
    if arguments.action == "open":
        _tell(await outside.open(name, await _access(services, arguments)), arguments, show=False)
        return 0
    told = await (outside.renew(name) if arguments.new else outside.told(name))
    _tell(told, arguments, show=arguments.show)
    return 0


async def _access(services: Services, arguments: argparse.Namespace) -> Access:
    line = await services.lines.need(arguments.name)
    port = arguments.outside_port or min(line.port + NEXT_PORT, 65535)
    given = arguments.tls_cert or arguments.tls_key
    return Access(
        arguments.bind, port, Tls.GIVEN if given else Tls(arguments.tls),
        _absolute(arguments.tls_cert), _absolute(arguments.tls_key), tuple(arguments.allow_origin),
    )  # fmt: skip


def _absolute(file: str | None) -> str:
    # A process that was started elsewhere opens it.
    return str(Path(file).expanduser().absolute()) if file else ""


def _tell(told: Told, arguments: argparse.Namespace, *, show: bool) -> None:
    token = told.token if show else masked(told.token)
    if arguments.json:
        print_json(
            {
                "line": arguments.name, "urls": list(told.urls), "token": token,
                "tls": str(told.access.tls), "fingerprint": told.fingerprint or None,
                "origins": list(told.access.origins),
            }
        )  # fmt: skip
        return
    print("\n".join(told.urls))
    how = "" if show else f"   {tr('(in full: personadesk line token NAME --show)')}"
    print(f"  {tr('token: {token}', token=token)}{how}")
    if told.fingerprint:
        known = tr(
            "certificate of this computer, SHA-256 {fingerprint}", fingerprint=told.fingerprint
        )
        print(f"  {known}")
    if told.access.tls is Tls.OFF:
        say(tr("Without a certificate the token and every word can be read on the way."))
