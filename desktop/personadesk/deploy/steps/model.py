"""Step 4: the model. The rehearsal model is made here, once for each version of the server; a folder is looked at."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy import model_folder
from personadesk.deploy.step import Context, Step
from personadesk.deploy.words import size
from personadesk.domain.errors import HostUnfit, PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import commands
from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    from personadesk.hosts.bundle import Bundle
    from personadesk.store.paths import Folders

MAKE_SECONDS = 300.0


def rehearsal_folder(folders: Folders, package: Bundle) -> Path:
    """Return where the rehearsal model of a package lies; it exists only when it is whole."""
    return _folder(folders, package.sha256)


def _folder(folders: Folders, package: str) -> Path:
    return folders.data / "models" / f"rehearsal-{package[:12]}"


class ModelStep(Step):
    """Makes or checks the model's folder."""

    name = StepName.MODEL
    title = T("Get the model")
    limit_s = 600.0
    expected_s = 5.0

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
        """Make or check it."""
        model = context.plan.model
        if model.kind is ModelKind.REHEARSAL:
            return await self._make(context)
        folder = Path(model.folder or "").expanduser().absolute()  # noqa: ASYNC240 - no disk access
        total = await asyncio.to_thread(model_folder.check, folder)
        await context.remember(model=str(folder))
        return T("{size} in {folder}", size=size(total), folder=str(folder))

    async def undo(self, context: Context) -> bool:
        """Keep a whole model, remove a torn one."""
        package = context.facts.get("package")
        if package:
            folder = _folder(context.folders, package)
            lock = FileLock(folder.with_name(f"{folder.name}.lock"))
            making = folder.with_name(f".making-{folder.name}")
            if making.exists() and lock.acquire():
                await asyncio.to_thread(shutil.rmtree, making, True)
                lock.release()
        return False

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


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    folders[0].mkdir(parents=True)
