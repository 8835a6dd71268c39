"""What the steps of one deploy share about their host: the connection, the folders there, and what it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain import fitness
from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.host import Level
from personadesk.domain.plan import host_of
from personadesk.domain.text import T
from personadesk.hosts import bundle, check
from personadesk.hosts.remote import lock
from personadesk.hosts.remote.layout import Layout

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from personadesk.deploy.step import Context
    from personadesk.domain.host import HostCheck, HostFacts
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.hosts.ssh.host import SshHost

FOLDER = ".personadesk"


@dataclass(frozen=True, slots=True)
class Site:
    """A host as a deploy sees it.

    Attributes:
        host: The machine.
        layout: Where things lie there.
        facts: What it said of itself.
        package: What is installed.
    """

    host: SshHost
    layout: Layout
    facts: HostFacts
    package: bundle.Bundle

    def locked(self, context: Context) -> AbstractAsyncContextManager[None]:
        """Hold the host's lock."""

        def waiting(who: str) -> None:
            context.tell(T("waiting for another PersonaDesk there ({who})", who=who), None)

        return lock.held(self.host, self.layout.folder, on_wait=waiting)


class Sites:
    """Finds the host of a deploy; what was learnt of it is kept as long as the program runs."""

    def __init__(self, hosts: Hosts, bundle_folder: Path) -> None:
        self.hosts = hosts
        self._bundle_folder = bundle_folder
        self._known: dict[str, Site] = {}

    async def look(self, context: Context) -> Site:
        """Look at the host of a deploy anew.

        Raises:
            PersonaDeskError: It is not known or cannot be reached.
        """
        name = host_of(context.plan)
        if name is None:
            raise BadRequest(T("This deploy has no host."), cause="no_host")
        record = await self.hosts.store.get(name)
        host = await self.hosts.host(name)
        package = await asyncio.to_thread(bundle.load, self._bundle_folder)
        facts = await check.look(host, folder=record.home)
        folder = context.facts.get("folder") or record.home
        if not folder:
            # Found out once: a volume that appears later must not split an installation in two.
            wanted = fitness.wanted_bytes(facts, context.plan.model.kind)
            place = fitness.best_place(facts, wanted)
            volume = place is not None and place.persistent
            folder = f"{place.path}/{FOLDER}" if place and volume else f"{facts.home}/{FOLDER}"
        if not folder.startswith("/"):
            folder = f"{facts.home}/{folder.removeprefix('~/')}"
        site = self._known[context.plan.id] = Site(host, Layout(folder), facts, package)
        return site

    async def at(self, context: Context) -> Site:
        """Return the host of a deploy as it was last seen."""
        return self._known.get(context.plan.id) or await self.look(context)


def unfit(found: HostCheck) -> HostUnfit:
    """Return the error for a host that cannot run what is asked: its worst finding."""
    bad = [each for each in found.findings if each.level is Level.UNFIT]
    details = "\n".join(f"{each.what} {each.next}" for each in bad)
    return HostUnfit(bad[0].what, bad[0].next, cause=bad[0].about, details=details)
