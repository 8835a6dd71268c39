"""What is told at the start of a deploy that PersonaDesk did not live to finish, with both ways out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.text import T
from personadesk.ui.messages import Action, Message, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.ui.deploy.jobs import Job, Jobs
    from personadesk.ui.rented.standing import Standing

__all__ = ["told_interrupted"]


def told_interrupted(
    job: Job, jobs: Jobs, standing: Standing | None, go_on: Callable[[], None]
) -> Message:
    """Return the message.

    Args:
        job: The deploy.
        jobs: Undoes it.
        standing: Of the machine that was rented for it, None where there is none.
        go_on: Goes on with it.
    """
    what = T("PersonaDesk stopped unexpectedly while deploying “{line}”.", line=job.view.plan.line)
    then = T("It costs nothing. Go on where it was, or undo what was begun.")
    undo = T("Undo")
    if standing is not None:
        then = T("The machine is there and costs {price}.", price=standing.hourly)
        undo = T("End the machine")
    return Message(
        Severity.WARNING,
        what,
        then,
        actions=(Action(T("Go on"), go_on), Action(undo, lambda: jobs.undo(job))),
        key=f"interrupted {job.id}",
    )
