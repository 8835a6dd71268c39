"""What the window asks the SSH side for; each loads its part when it is first asked for."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.host import HostCheck, HostRecord
    from personadesk.ui.servers.model import Directory

__all__ = ["aliases", "load_ssh", "look_at"]


async def load_ssh() -> None:
    """Load what speaks SSH; in a thread, and not before it is needed: it takes a fifth of a second and 38 MiB."""
    await asyncio.to_thread(importlib.import_module, "asyncssh")


async def look_at(hosts: Directory, record: HostRecord) -> HostCheck:
    """Check a machine."""
    check = await asyncio.to_thread(importlib.import_module, "personadesk.hosts.check")
    found: HostCheck = await check.check(await hosts.host(record.name), folder=record.home)
    return found


async def aliases() -> Sequence[str]:
    """Return the names in the user's SSH configuration."""
    from personadesk.hosts.ssh import config

    return await asyncio.to_thread(config.aliases)
