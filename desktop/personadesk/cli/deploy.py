"""`personadesk deploy`: put a voice behind a line and leave it there; also resumes or undoes an interrupted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli import result, work
from personadesk.cli.instances import held_words
from personadesk.cli.running import FAILED, print_json, run_command, say, say_error
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.progress import DeployState
from personadesk.domain.report import Verdict
from personadesk.language import tr

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.domain.progress import DeployView
    from personadesk.store.rentals import Rental

LINE = "My line"


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 only when the voice test passed (or the undo worked)."""
    return run_command(lambda stop: _deploy(arguments, stop), as_json=False)


async def _deploy(arguments: argparse.Namespace, stop: Stop) -> int:
    view: DeployView | None = None
    kept: Rental | None = None
    error: PersonaDeskError | None = None
    try:
        services = await open_services()
        try:
            if arguments.undo:
                view = await services.deploys.undo(arguments.undo)
                return _tell_undone(view, arguments)
            view = await _run(services, arguments, stop)
            error = work.error_of(view, stop)
            kept = await _kept(services, view)
            if error is None or kept is not None:
                # Of what is kept, somebody must be there who ends it in time.
                await services.hand_over()
        finally:
            await services.close()
    except PersonaDeskError as failure:
        error = error or failure
    if error is not None:
        say_error(error)
    if kept is not None and kept.hold_until is not None:
        say(held_words(f"{kept.account}/{kept.machine_id}", kept.hold_until))
    if arguments.json:
        until = {} if kept is None else {"held_until": kept.hold_until}
        print_json(result.as_dict(view, error) | until)
    elif view is not None:
        words = result.in_words(view)
        if words:
            print(words)
        if error is None:
            print(
                tr(
                    "“{line}” is at {url}. To stop it: personadesk stop",
                    line=view.plan.line, url=view.line_url,
                )
            )  # fmt: skip
    if stop.signal is not None and error is not None:
        return stop.exit_status
    return 0 if error is None and result.verdict(view) is Verdict.PASS else FAILED


async def _run(services: Services, arguments: argparse.Namespace, stop: Stop) -> DeployView:
    if arguments.resume:
        deployment = await services.deploys.resume(arguments.resume)
    else:
        plan = await work.make_plan(services, arguments, arguments.line or LINE)
        deployment = await services.deploys.start(plan)
    return await work.watch(deployment, stop)


async def _kept(services: Services, view: DeployView) -> Rental | None:
    """Return the machine of a deploy that failed and is kept for a look."""
    rental = await services.rentals.current(view.plan.id)
    return rental if rental is not None and rental.hold_until is not None else None


def _tell_undone(view: DeployView, arguments: argparse.Namespace) -> int:
    done = view.state in {DeployState.UNDONE, DeployState.CANCELLED}
    if arguments.json:
        print_json(result.as_dict(view) | {"verdict": "undone" if done else "fail"})
    elif done:
        print(tr("What {id} had started is gone.", id=view.plan.id))
    elif view.error is not None:
        say_error(view.error)
    return 0 if done else FAILED
