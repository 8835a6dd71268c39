"""Step 2: is there disk space for what will be made? Makes the folders."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.model import rehearsal_folder
from personadesk.deploy.words import size
from personadesk.domain.errors import HostUnfit
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import bundle, local

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.hosts.python_env import Environments

ENVIRONMENT_BYTES = 600_000_000
TORCH_CPU_BYTES = 1_200_000_000
"""754 MiB installed, and its wheel beside it for a moment."""
TORCH_CUDA_BYTES = 9_000_000_000
REHEARSAL_BYTES = 60_000_000
LOGS_BYTES = 30_000_000


class RoomStep(Step):
    """Checks the disk and makes the folders."""

    name = StepName.ROOM
    title = T("Make room")
    limit_s = 30.0
    expected_s = 0.1

    def __init__(
        self,
        environments: Environments,
        bundle_folder: Path,
        free_bytes: Callable[[Path], int] = local.free_bytes,
    ) -> None:
        self._environments = environments
        self._bundle_folder = bundle_folder
        self._free_bytes = free_bytes

    async def run(self, context: Context) -> Text:
        """Check and make."""
        needed, free = await asyncio.to_thread(self._check, context)
        if not needed:
            return T("nothing new is needed, {free} is free", free=size(free))
        return T("{needed} is needed, {free} is free", needed=size(needed), free=size(free))

    def _check(self, context: Context) -> tuple[int, int]:
        package = bundle.load(self._bundle_folder)
        wanted: list[tuple[Path, int]] = [(context.folders.state, LOGS_BYTES)]
        if self._environments.find(package) is None:
            wanted.append((self._environments.root, ENVIRONMENT_BYTES))
            if not _torch_beside_us():
                cuda = bool(context.facts.get("gpu"))
                wanted.append(
                    (self._environments.root, TORCH_CUDA_BYTES if cuda else TORCH_CPU_BYTES)
                )
        if context.plan.model.kind is ModelKind.REHEARSAL:
            folder = rehearsal_folder(context.folders, package)
            if not folder.exists():
                wanted.append((folder, REHEARSAL_BYTES))
        by_disk: dict[int, tuple[int, Path]] = {}
        for folder, count in wanted:
            there = _existing(folder)
            disk = there.stat().st_dev
            by_disk[disk] = (by_disk.get(disk, (0, there))[0] + count, there)
        total, least = 0, 1 << 62
        for needed, there in by_disk.values():
            free = self._free_bytes(there)
            if free < needed:
                raise HostUnfit(
                    T(
                        "There is too little disk space in {folder}: {needed} is needed, {free} is free.",
                        folder=str(there), needed=size(needed), free=size(free),
                    ),
                    T("Free some space, or move PersonaDesk's folders with PERSONADESK_HOME."),
                    cause="disk_full",
                )  # fmt: skip
            total += needed
            least = min(least, free)
        for folder in (context.folders.data / "models", context.folders.data / "reports",
                       context.folders.state / "servers", self._environments.root):  # fmt: skip
            _make(folder)
        return (total if len(wanted) > 1 else 0), least


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _not_writable(folder, str(error)) from error
    if not os.access(folder, os.W_OK):
        raise _not_writable(folder, "not writable")


def _not_writable(folder: Path, details: str) -> HostUnfit:
    return HostUnfit(
        T("PersonaDesk cannot write in the folder {folder}.", folder=str(folder)),
        T("Make the folder writable, or set PERSONADESK_HOME to another one."),
        cause="not_writable",
        details=details,
    )


def _torch_beside_us() -> bool:
    """A look, no more: whether it fits is found out when it is borrowed."""
    return any((Path(entry) / "torch" / "version.py").exists() for entry in sys.path if entry)
