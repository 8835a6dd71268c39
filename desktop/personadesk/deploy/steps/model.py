"""Step 4: the model. Rehearsal's is made here, once a version of the server; the released one is fetched, once.

A folder that the user names is only looked at.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy import model_folder
from personadesk.deploy.step import Context, Step
from personadesk.deploy.words import duration, size
from personadesk.domain.errors import HostUnfit, PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.model_fetch import FetchPhase, FetchProgress
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import commands, hub_token, model_fetch
from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.model_fetch import Fetched
    from personadesk.hosts.bundle import Bundle
    from personadesk.store.paths import Folders

MAKE_SECONDS = 300.0


def rehearsal_folder(folders: Folders, package: Bundle) -> Path:
    """Return where the rehearsal model of a package lies; it exists only when it is whole."""
    return _folder(folders, package.sha256)


def _folder(folders: Folders, package: str) -> Path:
    return folders.data / "models" / f"rehearsal-{package[:12]}"


def released_folder(folders: Folders) -> Path:
    """Return where the released model lies, whole or on its way."""
    return folders.data / "models" / "personaplex-7b-v1"


async def token_here() -> str | None:
    """Return the Hugging Face token that this computer has already, if any."""
    found = await asyncio.to_thread(hub_token.find)
    return None if found is None else found.token


class ModelStep(Step):
    """Makes, checks or fetches the model's folder.

    Args:
        token: Returns the user's Hugging Face token, None where there is none.
    """

    name = StepName.MODEL
    title = T("Get the model")
    limit_s = 600.0
    expected_s = 5.0

    def __init__(self, token: Callable[[], Awaitable[str | None]] = token_here) -> None:
        self._token = token

    def limit(self, context: Context) -> float:
        """As long as bytes come, a fetch may take what it takes; it gives up by itself when none do."""
        fetched = context.plan.model.kind is ModelKind.PERSONAPLEX_7B
        return model_fetch.LIMIT_SECONDS if fetched else self.limit_s

    async def done(self, context: Context) -> Text | None:
        """A folder that is there and whole."""
        model = context.plan.model
        if model.kind is not ModelKind.REHEARSAL:
            return None
        folder = _folder(context.folders, context.facts["package"])
        try:
            await asyncio.to_thread(model_folder.check, folder)
        except PersonaDeskError:
            return None
        await context.remember(model=str(folder))
        return T("the rehearsal model was made already")

    async def run(self, context: Context) -> Text:
        """Make, check or fetch it."""
        model = context.plan.model
        if model.kind is ModelKind.REHEARSAL:
            return await self._make(context)
        if model.kind is ModelKind.PERSONAPLEX_7B:
            return await self._fetch(context)
        folder = Path(model.folder or "").expanduser().absolute()  # noqa: ASYNC240 - no disk access
        total = await asyncio.to_thread(model_folder.check, folder)
        await context.remember(model=str(folder))
        return T("{size} in {folder}", size=size(total), folder=str(folder))

    async def undo(self, context: Context) -> bool:
        """Keep a whole model, remove a torn one; keep what was fetched, since the next deploy goes on from there."""
        package = context.facts.get("package")
        if package:
            folder = _folder(context.folders, package)
            lock = FileLock(folder.with_name(f"{folder.name}.lock"))
            making = folder.with_name(f".making-{folder.name}")
            if making.exists() and lock.acquire():
                await asyncio.to_thread(shutil.rmtree, making, True)
                lock.release()
        return False

    async def _fetch(self, context: Context) -> Text:
        folder = released_folder(context.folders)
        fetched = await model_fetch.fetch(
            model_fetch.ThisComputer(),
            model_fetch.Wanted(context.facts["python"], str(folder)),
            token=await self._token(),
            on_progress=lambda progress: context.tell(fetch_words(progress), progress.fraction),
            on_line=lambda line: context.log(StepName.MODEL, line, False),
        )
        total = await asyncio.to_thread(model_folder.check, folder)
        await context.remember(model=str(folder))
        return fetched_words(fetched, total, str(folder))

    async def _make(self, context: Context) -> Text:
        folder = _folder(context.folders, context.facts["package"])
        making = folder.with_name(f".making-{folder.name}")
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        while not lock.acquire():
            context.tell(T("waiting for another PersonaDesk that makes the same"), None)
            await asyncio.sleep(0.2)
        try:
            # Whatever lies there now is torn or foreign: a whole model would have been found.
            await asyncio.to_thread(_clear, making, folder)
            context.tell(T("making the rehearsal model"), None)
            done = await commands.run(
                [
                    context.facts["python"], "-m", "personaplex_server", "make-checkpoint",
                    "--preset", "rehearsal", str(making / "model"),
                ],
                limit_s=MAKE_SECONDS,
                on_line=lambda line: context.log(StepName.MODEL, line, False),
            )  # fmt: skip
            if "No space left" in done.text:
                raise HostUnfit(
                    T("The disk is full."),
                    T("Free some space, then try again."),
                    cause="disk_full",
                    details=done.text,
                )
            if done.code != 0:
                raise ProviderFault(
                    T("The rehearsal model could not be made."),
                    T("Try again; the details say what went wrong."),
                    cause="no_model",
                    details=done.text,
                )
            total = await asyncio.to_thread(model_folder.check, making / "model")
            await asyncio.to_thread((making / "model").rename, folder)
        except commands.CommandTimeout as error:
            raise Unreachable(
                T("Making the rehearsal model took too long."),
                T("Close other programs, then try again."),
                cause="model_timeout",
                details=str(error),
            ) from error
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, making, True))
            lock.release()
        await context.remember(model=str(folder))
        return T("rehearsal model made ({size}); it is untrained and babbles", size=size(total))


def fetched_words(fetched: Fetched, total: int, folder: str) -> Text:
    """Say what came of a fetch.

    Args:
        fetched: What the fetch told.
        total: Bytes of the model's files.
        folder: Where they lie.
    """
    if not fetched.fetched:
        return T("{size} in {folder}, fetched already", size=size(total), folder=folder)
    return T(
        "{size} fetched, its content is as it should be; {voices} voices",
        size=size(total), voices=fetched.voices,
    )  # fmt: skip


def fetch_words(progress: FetchProgress) -> Text:
    """Say how far a fetch is."""
    if progress.phase is FetchPhase.WAITING:
        return T("waiting for another PersonaDesk that fetches the same")
    if progress.phase is FetchPhase.CHECKING:
        return T("checking the content of {file}", file=progress.file)
    if progress.phase is FetchPhase.UNPACKING:
        return T("unpacking the voices")
    if progress.phase is FetchPhase.LOOKING:
        return T("asking Hugging Face what there is")
    done, total = size(progress.done), size(progress.total)
    if progress.rate is None or progress.left_s is None:
        return T("{done} of {total} fetched", done=done, total=total)
    return T(
        "{done} of {total} fetched, {rate} a second, {left} left",
        done=done, total=total, rate=size(progress.rate), left=duration(progress.left_s),
    )  # fmt: skip


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    folders[0].mkdir(parents=True)
