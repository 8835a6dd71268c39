"""One list of steps for every place: each step hands over to the one for where the plan leads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.domain.errors import Unreachable
from personadesk.domain.plan import host_of
from personadesk.domain.progress import StepName
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.text import Text

PLACED = frozenset(
    {
        StepName.CHECK, StepName.ROOM, StepName.INSTALL, StepName.MODEL, StepName.START,
        StepName.READY,
    }
)  # fmt: skip
"""Steps that are others on a host; the voice test and the line are the same everywhere."""

LONGEST_SECONDS = 24 * 3600.0
"""The engine's own limit; each of the two steps is held to its own here."""


class ByPlace(Step):
    """Does one step here or on a host.

    Attributes:
        here: The step for this computer.
    """

    limit_s = LONGEST_SECONDS

    def __init__(self, here: Step, there: Callable[[], Step]) -> None:
        """Take both.

        Args:
            here: The step for this computer.
            there: Gives the same step for a host; asked for only then, since a first start has no use for it.
        """
        self.here = here
        self._there = there
        # A step belongs to its class's name and title; this one stands for two of the same.
        self.name = here.name  # type: ignore[misc] # see above
        self.title = here.title  # type: ignore[misc] # see above
        self.expected_s = here.expected_s

    def _of(self, context: Context) -> Step:
        return self.here if host_of(context.plan) is None else self._there()

    async def done(self, context: Context) -> Text | None:
        """See `Step.done`."""
        step = self._of(context)
        try:
            async with asyncio.timeout(step.limit_s):
                return await step.done(context)
        except TimeoutError as error:
            raise _too_long(step) from error

    async def run(self, context: Context) -> Text:
        """See `Step.run`."""
        step = self._of(context)
        try:
            async with asyncio.timeout(step.limit_s):
                return await step.run(context)
        except TimeoutError as error:
            raise _too_long(step) from error

    async def settle(self, context: Context) -> None:
        """See `Step.settle`."""
        await self._of(context).settle(context)

    async def undo(self, context: Context) -> bool:
        """See `Step.undo`."""
        return await self._of(context).undo(context)


def _too_long(step: Step) -> Unreachable:
    return Unreachable(
        T(
            "The step “{step}” took longer than {seconds} seconds.",
            step=str(step.title), seconds=round(step.limit_s),
        ),
        T("Try again; if it stays so, look at what it did last in the details."),
        cause="step_timeout",
    )  # fmt: skip
