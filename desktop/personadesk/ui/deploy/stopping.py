"""What is asked before a deploy is stopped: where a machine was rented for it, also what becomes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.ui import dialogs

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.deploy.jobs import Job, Jobs
    from personadesk.ui.rented.model import Rented

__all__ = ["ask_stop"]


def ask_stop(parent: QWidget, job: Job, jobs: Jobs, rented: Rented | None) -> None:
    """Ask, and do what is answered.

    Args:
        parent: Window that the question belongs to.
        job: The deploy.
        jobs: Stops it.
        rented: Knows what its machine costs; None where nothing can be rented.
    """
    line = job.view.plan.line
    standing = rented.standing(job.id) if rented is not None else None
    if standing is None:
        dialogs.ask_stop_deploy(parent, line, job.cancel)
        return
    price = standing.running_price
    dialogs.ask_stop_rented_deploy(
        parent,
        line,
        None if price is None else price / 2,
        end=job.cancel,
        keep=lambda: jobs.stop_and_keep(job),
    )
