"""Step 3: the server's own environment, as it will be on a remote host."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import bundle

if TYPE_CHECKING:
    from personadesk.hosts.python_env import Environment, Environments


class InstallStep(Step):
    """Makes the environment, or finds it made."""

    name = StepName.INSTALL
    title = T("Install the voice server")
    limit_s = 3600.0
    expected_s = 30.0

    def __init__(self, environments: Environments, bundle_folder: Path) -> None:
        self._environments = environments
        self._bundle_folder = bundle_folder

    async def done(self, context: Context) -> Text | None:
        """The environment of exactly this package is there."""
        package = await asyncio.to_thread(bundle.load, self._bundle_folder)
        found = await asyncio.to_thread(self._environments.find, package)
        if found is None:
            return None
        await self._remember(context, found, package)
        return T("version {version} was installed already", version=package.version)

    async def run(self, context: Context) -> Text:
        """Make it."""
        package = await asyncio.to_thread(bundle.load, self._bundle_folder)
        made = await self._environments.make(
            package, gpu=bool(context.facts.get("gpu")), report=_Report(context)
        )
        await self._remember(context, made, package)
        in_use = {Path(server.command[0]) for server in await context.servers.store.all()}
        for folder in await self._environments.prune(in_use):
            told = T("removed {folder}, unused for two weeks", folder=folder.name)
            context.log(self.name, told, False)
        if made.borrows_torch:
            return T(
                "version {version}, with the torch {torch} of this computer",
                version=package.version, torch=made.torch,
            )  # fmt: skip
        return T("version {version}, torch {torch}", version=package.version, torch=made.torch)

    async def undo(self, context: Context) -> bool:
        """Keep a whole environment, remove a torn one."""
        try:
            package = await asyncio.to_thread(bundle.load, self._bundle_folder)
        except PersonaDeskError as error:
            told = T("no package, so nothing of it is torn: {what}", what=error.what)
            context.log(self.name, told, False)
            return False
        await self._environments.clear_torn(package)
        return False

    async def _remember(
        self, context: Context, environment: Environment, package: bundle.Bundle
    ) -> None:
        await context.remember(
            python=str(environment.python), torch=environment.torch, package=package.sha256,
            version=package.version,
        )  # fmt: skip


class _Report:
    def __init__(self, context: Context) -> None:
        self._context = context

    def line(self, text: str, *, warning: bool = False) -> None:
        self._context.log(StepName.INSTALL, text, warning)

    def doing(self, text: Text, fraction: float | None) -> None:
        self._context.tell(text, fraction)
