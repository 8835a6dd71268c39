"""Step 3 on a host: push the package, make its environment there, lead `current` to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts.remote import install
from personadesk.hosts.remote.layout import key_of

if TYPE_CHECKING:
    from personadesk.deploy.steps.remote.site import Sites


class RemoteInstallStep(Step):
    """Installs the server there, or finds it installed."""

    name = StepName.INSTALL
    title = T("Install the voice server")
    limit_s = 3600.0
    expected_s = 60.0

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    async def done(self, context: Context) -> Text | None:
        """Exactly this package is there, whole, and current."""
        site = await self._sites.at(context)
        key = key_of(site.package)
        there = await install.look(site.host, site.layout)
        if there.current != key:
            return None
        await self._remember(context, site.layout.python, key, site.package.version)
        return T("version {version} was installed already", version=site.package.version)

    async def run(self, context: Context) -> Text:
        """Push and install; what an earlier attempt left is used."""
        site = await self._sites.at(context)
        async with site.locked(context):
            context.tell(T("copying the package there"), 0.0)
            await install.push(site.host, site.layout, site.package)
            key = await install.install(
                site.host, site.layout, site.package, site.facts,
                on_line=lambda line: context.log(self.name, line, False),
                on_step=context.tell,
            )  # fmt: skip
            await install.prune(site.host, site.layout)
        await self._remember(context, site.layout.python, key, site.package.version)
        marker = await install.load_marker(site.host, site.layout, key) or {}
        torch = str(marker.get("torch", "?"))
        if marker.get("borrowed"):
            return T(
                "version {version}, with the torch {torch} that was there",
                version=site.package.version, torch=torch,
            )  # fmt: skip
        return T("version {version}, torch {torch}", version=site.package.version, torch=torch)

    async def _remember(self, context: Context, python: str, key: str, version: str) -> None:
        await context.remember(python=python, package=key, version=version)
