"""One list of steps for every place: each step hands over to the one for where the plan leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.deploy.step import Context, Step
from personadesk.domain.plan import host_of

if TYPE_CHECKING:
    from personadesk.domain.text import Text


class ByPlace(Step):
    """Does one step here or on a host.

    Attributes:
        here: The step for this computer.
        there: The same step for a host.
    """

    def __init__(self, here: Step, there: Step) -> None:
        self.here = here
        self.there = there
        # A step belongs to its class's name and title; this one stands for two of the same.
        self.name = here.name  # type: ignore[misc] # see above
        self.title = here.title  # type: ignore[misc] # see above
        self.limit_s = max(here.limit_s, there.limit_s)
        self.expected_s = here.expected_s

    def _of(self, context: Context) -> Step:
        return self.here if host_of(context.plan) is None else self.there

    async def done(self, context: Context) -> Text | None:
        """See `Step.done`."""
        return await self._of(context).done(context)

    async def run(self, context: Context) -> Text:
        """See `Step.run`."""
        return await self._of(context).run(context)

    async def settle(self, context: Context) -> None:
        """See `Step.settle`."""
        await self._of(context).settle(context)

    async def undo(self, context: Context) -> bool:
        """See `Step.undo`."""
        return await self._of(context).undo(context)
