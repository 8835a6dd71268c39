"""Carries a host's voice server to a loopback port here: a small process of its own, watched like a server.

    python -m personadesk.hosts.remote.carry --server ID --port PORT

It outlives the window, makes the connection again when it breaks, and renews the server's lease if it has one. What
waiting cannot mend (another machine at the address, a refused key) ends it with a sentence.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import service
from personadesk.hosts.remote.servers import layout_of
from personadesk.hosts.ssh.directory import Hosts
from personadesk.store import paths
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore
from personadesk.store.secrets import Secrets
from personadesk.store.vault import Vault

if TYPE_CHECKING:
    from personadesk.hosts.ssh.connection import Link

PULSE_SECONDS = 5.0
LEASE_EVERY_SECONDS = 300.0
EXIT_PORT_TAKEN = 3
"""The supervisor does not try again then."""


def main() -> int:
    """Carry until told to end."""
    parser = argparse.ArgumentParser(prog="python -m personadesk.hosts.remote.carry")
    parser.add_argument("--server", required=True, metavar="ID")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", metavar="DIR", help="marks the process; not used")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        return asyncio.run(_carry(options.server, options.port))
    except PersonaDeskError as error:
        print(f"{error.what} {error.next} {error.details}", file=sys.stderr, flush=True)
        return 1


async def _carry(server_id: str, port: int) -> int:
    folders = paths.folders()
    database = await Database(folders.data / "personadesk.db").open()
    store = HostStore(database)
    hosts = Hosts(store, Secrets(Vault(folders.vault)), folders.data / "ssh")
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows ends it by a break instead
            loop.add_signal_handler(number, told.set)
    try:
        placement = await store.placement(server_id)
        if placement is None:
            print(f"No server called {server_id} is on a host.", file=sys.stderr, flush=True)
            return 1
        host = await hosts.host(placement.host_name)
        try:
            tunnel = await host.forward(placement.port, local_port=port)
        except OSError as error:
            print(f"Port {port} here is taken: {error}", file=sys.stderr, flush=True)
            return EXIT_PORT_TAKEN
        keeping = asyncio.create_task(_keep(host.link, told))
        leasing = asyncio.create_task(_renew(hosts, server_id))
        print(f"Port {tunnel.port} here leads to port {placement.port} on {host.name}.", flush=True)
        waiting = asyncio.create_task(told.wait())
        try:
            await asyncio.wait((keeping, waiting), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
            return 0
        finally:
            for task in (keeping, leasing, waiting):
                task.cancel()
            await asyncio.gather(keeping, leasing, waiting, return_exceptions=True)
    finally:
        await hosts.close()
        await database.close()


async def _keep(link: Link, told: asyncio.Event) -> None:
    """Keep the connection alive also while nobody calls, so that the next call finds it."""
    while not told.is_set():
        await link.keep_trying()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PULSE_SECONDS):
                await told.wait()


async def _renew(hosts: Hosts, server_id: str) -> None:
    """Renew the lease while it has one: whoever carries the voice wants it."""
    while True:
        placement = await hosts.store.placement(server_id)
        if placement is None:
            return
        with contextlib.suppress(PersonaDeskError, CommandTimeout):
            host = await hosts.host(placement.host_name)
            await service.renew_if_leased(host, layout_of(placement), server_id)
        await asyncio.sleep(LEASE_EVERY_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
