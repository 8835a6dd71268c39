"""Starts work that waits from a slot: named, kept alive, ended with its widget, and never failing unheard.

A bare ``create_task`` loses both the task and its exception; nothing in the window calls it but this module.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from personadesk.ui.messages import bus

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from PySide6.QtCore import QObject

__all__ = ["drain", "running", "spawn"]

R = TypeVar("R")

_tasks: set[asyncio.Task[Any]] = set()


def spawn(
    work: Coroutine[Any, Any, R],
    name: str,
    *,
    owner: QObject | None = None,
    done: Callable[[R], None] | None = None,
    failed: Callable[[Exception], None] | None = None,
) -> asyncio.Task[R]:
    """Start work on the window's loop.

    Args:
        work: The coroutine.
        name: What it does, for logs.
        owner: It is cancelled when this object is destroyed.
        done: Called with its result.
        failed: Called with its exception; without it the message bus is told.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)

    def cancel() -> None:
        task.cancel()

    if owner is not None:
        owner.destroyed.connect(cancel)

    def ended(finished: asyncio.Task[R]) -> None:
        _tasks.discard(finished)
        if owner is not None:
            _forget(owner, cancel)
        if finished.cancelled():
            return
        error = finished.exception()
        try:
            if error is None:
                if done is not None:
                    done(finished.result())
            elif failed is not None and isinstance(error, Exception):
                failed(error)
            else:
                bus().error(error)
        except Exception as fault:
            bus().error(fault)

    task.add_done_callback(ended)
    return task


def running() -> tuple[str, ...]:
    """Return the names of what is under way."""
    return tuple(sorted(task.get_name() for task in _tasks))


async def drain() -> None:
    """Cancel everything that was started here and wait until it has ended."""
    while _tasks:
        waited = tuple(_tasks)
        for task in waited:
            task.cancel()
        await asyncio.gather(*waited, return_exceptions=True)
        # Their callbacks, which take them off the list, run in the loop's next round.
        await asyncio.sleep(0)


def _forget(owner: QObject, slot: Callable[[], None]) -> None:
    from shiboken6 import isValid

    if isValid(owner):
        owner.destroyed.disconnect(slot)
