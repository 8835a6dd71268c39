"""Steps 1 and 2 on a host: can it do what is asked, is there room, and may we work there?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.check import CheckStep, check_plan
from personadesk.deploy.steps.remote.site import unfit
from personadesk.deploy.words import size
from personadesk.domain import fitness
from personadesk.domain.host import Fitness, Level
from personadesk.domain.plan import host_of
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from personadesk.deploy.steps.remote.site import Sites

ROOM_SECONDS = 30.0


class RemoteCheckStep(CheckStep):
    """Checks the plan, the line's port here, and the host."""

    title = T("Check the computer")
    limit_s = 60.0
    expected_s = 2.0

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        self._sites = sites

    async def run(self, context: Context) -> Text:
        """Check everything; nothing is changed there."""
        plan = context.plan
        check_plan(replace(plan, place="local"))
        await self._check_port(context)
        if plan.clip is not None:
            await asyncio.to_thread(_check_clip, plan.clip)
        context.tell(T("looking at {name}", name=host_of(plan) or ""), None)
        site = await self._sites.look(context)
        found = fitness.judge(site.facts, plan.model.kind)
        context.log(self.name, f"{site.facts}", False)
        for finding in found.findings:
            line = finding.what
            if finding.next:
                line = T("{what} {next}", what=finding.what, next=finding.next)
            context.log(self.name, line, finding.level is not Level.GOOD)
        if found.verdict is Fitness.UNFIT:
            raise unfit(found)
        await context.remember(folder=site.layout.folder, gpu=bool(site.facts.gpus))
        gpus = [gpu.name for gpu in site.facts.gpus]
        return T(
            "{system}, {cores} cores, {gpu}",
            system=site.facts.distribution or site.facts.system,
            cores=site.facts.cores,
            gpu=gpus[0] if gpus else "no NVIDIA GPU",
        )


class RemoteRoomStep(Step):
    """Makes the one folder."""

    name = StepName.ROOM
    title = T("Make room")
    limit_s = 60.0
    expected_s = 0.2

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    async def run(self, context: Context) -> Text:
        """Make it; the check has compared the space."""
        site = await self._sites.at(context)
        await site.host.write(f"{site.layout.folder}/README", _README)
        wanted = fitness.wanted_bytes(site.facts, context.plan.model.kind)
        place = fitness.best_place(site.facts, wanted)
        free = size(place.free_bytes) if place is not None else "?"
        return T("{free} is free in {folder}", free=free, folder=site.layout.folder)


_README = b"""PersonaDesk keeps everything of its voice servers in this folder.
To remove it, run on your own computer: personadesk uninstall --host NAME
"""


def _check_clip(path: str) -> None:
    from personadesk.voice import clips

    clips.load(path)
