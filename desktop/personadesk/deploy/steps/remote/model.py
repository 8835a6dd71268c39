"""Step 4 on a host: the rehearsal model is made there; a folder is found there or copied from this computer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy import model_folder
from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.model import fetch_words, fetched_words
from personadesk.deploy.words import size
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import hub_token
from personadesk.hosts.model_fetch import Wanted
from personadesk.hosts.remote import fetch, model

if TYPE_CHECKING:
    from personadesk.deploy.steps.remote.site import Site, Sites
    from personadesk.store.secrets import Secrets


class RemoteModelStep(Step):
    """Makes, finds or copies the model."""

    name = StepName.MODEL
    title = T("Get the model")
    limit_s = 4 * 3600.0
    expected_s = 8.0

    def __init__(self, sites: Sites, secrets: Secrets) -> None:
        self._sites = sites
        self._secrets = secrets

    async def done(self, context: Context) -> Text | None:
        """The rehearsal model of this version is there."""
        if context.plan.model.kind is not ModelKind.REHEARSAL:
            return None
        site = await self._sites.at(context)
        folder = f"{site.layout.models}/rehearsal-{context.facts['package']}"
        found = await model.look(site.host, folder, model_folder.FILES)
        if found is None or set(model_folder.FILES) - set(found):
            return None
        await context.remember(model=folder)
        return T("the rehearsal model was made already")

    async def run(self, context: Context) -> Text:
        """Get it."""
        site = await self._sites.at(context)
        if context.plan.model.kind is ModelKind.REHEARSAL:
            context.tell(T("making the rehearsal model"), None)
            async with site.locked(context):
                folder = await model.make_rehearsal(
                    site.host, site.layout, context.facts["package"],
                    lambda line: context.log(self.name, line, False),
                )  # fmt: skip
            await context.remember(model=folder)
            return T("rehearsal model made; it is untrained and babbles")
        if context.plan.model.kind is ModelKind.PERSONAPLEX_7B:
            return await self._released(context, site)
        return await self._folder(context, site)

    async def _released(self, context: Context, site: Site) -> Text:
        folder = f"{site.layout.models}/{ModelKind.PERSONAPLEX_7B}"
        known = await hub_token.known(self._secrets)
        token = known.token if known is not None else None
        async with site.locked(context):
            fetched = await fetch.fetch(
                site.host, site.layout, Wanted(site.layout.python, folder), token=token,
                on_progress=lambda progress: context.tell(fetch_words(progress), progress.fraction),
                on_line=lambda line: context.log(self.name, line, False),
            )  # fmt: skip
        total = await model.check(site.host, folder, model_folder.FILES)
        await context.remember(model=folder)
        return fetched_words(fetched, total, folder)

    async def _folder(self, context: Context, site: Site) -> Text:
        named = context.plan.model.folder or ""
        there = await model.look(site.host, named, model_folder.FILES)
        if there is not None and set(there) == set(model_folder.FILES):
            total = await model.check(site.host, named, model_folder.FILES)
            await context.remember(model=named)
            return T("{size} in {folder}", size=size(total), folder=named)
        source = Path(named)
        try:
            await asyncio.to_thread(model_folder.check, source)
        except PersonaDeskError:
            # It is on neither; what is said is about the host, for that is where it was looked for first.
            await model.check(site.host, named, model_folder.FILES)
            raise
        folder = f"{site.layout.models}/{source.name or 'model'}"

        def tell(done: int, total: int) -> None:
            words = T("copying the model: {done} of {total}", done=size(done), total=size(total))
            context.tell(words, done / total if total else None)

        extra = await asyncio.to_thread(model.extra_files, source)
        async with site.locked(context):
            total = await model.copy(site.host, source, folder, (*model_folder.FILES, *extra), tell)
        await context.remember(model=folder)
        return T("{size} copied to {folder}", size=size(total), folder=folder)
