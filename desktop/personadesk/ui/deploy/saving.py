"""Copies a voice test's report to where the user wants it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["save_report"]


async def save_report(report: Path, into: Path) -> Path:
    """Copy a report folder into another folder; return where it lies now.

    Nothing that is there already is overwritten.

    Raises:
        HostUnfit: It cannot be written there.
    """

    def work() -> Path:
        for number in itertools.count(1):
            target = into / f"voice-test-{report.name}{f'-{number}' if number > 1 else ''}"
            with contextlib.suppress(FileExistsError):
                shutil.copytree(report, target)
                return target
        raise AssertionError("numbers do not end")

    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise HostUnfit(
            T("The report could not be saved in {folder}.", folder=str(into)),
            T("Choose another folder, or make room there."),
            cause="not_writable",
            details=str(error),
        ) from error
