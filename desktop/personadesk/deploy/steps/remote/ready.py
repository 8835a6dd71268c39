"""Step 6 on a host: restart the service once, to prove that the voice comes back, and wait until it is ready."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.remote.start import raise_if_dead
from personadesk.domain.errors import ProviderFault
from personadesk.domain.host import RestartProof
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import health
from personadesk.hosts.remote import service

if TYPE_CHECKING:
    from personadesk.deploy.steps.remote.site import Site, Sites

READY_SECONDS = 900.0
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 3.0


class RemoteReadyStep(Step):
    """Restarts it once and waits for ready.

    The restart comes before the model is loaded, so that a large one is loaded once and not twice.
    """

    name = StepName.READY
    title = T("Wait until it is ready")
    limit_s = READY_SECONDS + 60.0
    expected_s = 8.0

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    async def run(self, context: Context) -> Text:
        """Restart the service, wait, and write down that it came back."""
        site = await self._sites.at(context)
        if context.facts.get("proved") == context.plan.id:
            return await self._ready(context, site)
        context.tell(T("restarting it once, to see that it comes back"), None)
        keeper = service.Keeper(context.facts.get("keeper", service.Keeper.NONE))
        await service.restart(site.host, site.layout, context.plan.id, keeper)
        words = await self._ready(context, site)
        await context.remember(proved=context.plan.id)
        proof = RestartProof(str(keeper), context.clock())
        await self._sites.hosts.store.prove(site.host.name, proof)
        context.log(self.name, T("It came back after a restart of its service."), False)
        return words

    async def _ready(self, context: Context, site: Site) -> Text:
        url = context.facts["server_url"]
        until = time.monotonic() + READY_SECONDS
        looked = time.monotonic()
        while time.monotonic() < until:
            found = await health.ask(url)
            if found is not None:
                if found.takes_calls:
                    device, dtype = found.facts.get("device"), found.facts.get("dtype")
                    return T("ready on {device}, {dtype}", device=str(device), dtype=str(dtype))
                if found.state == "failed":
                    raise ProviderFault(
                        T(
                            "The voice server could not load the model: {reason}",
                            reason=found.reason,
                        ),
                        T("Name another model folder, or get the model again."),
                        cause="model_unusable",
                        details="\n".join(
                            await service.tail(site.host, site.layout, context.plan.id)
                        ),
                    )
                if found.stage:
                    context.tell(T("{stage}", stage=found.stage), found.progress)
            elif time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                await raise_if_dead(context, site)
            await asyncio.sleep(_POLL_SECONDS)
        raise ProviderFault(
            T("The voice server on {name} did not become ready.", name=site.host.name),
            T("Look at its last words in the details, then try again."),
            cause="not_ready",
            details="\n".join(await service.tail(site.host, site.layout, context.plan.id)),
        )
