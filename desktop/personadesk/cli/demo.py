"""`personadesk demo`: the main job from nothing to a voice that answered behind its address, then gone again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli import result, work
from personadesk.cli.running import FAILED, print_json, run_command, say, say_error, tell_error
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.report import Verdict
from personadesk.language import tr
from personadesk.store.journal import Purpose

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.domain.progress import DeployView

LINE = "Demo"


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 only when the voice test passed."""
    return run_command(lambda stop: _demo(arguments, stop), as_json=False)


async def _demo(arguments: argparse.Namespace, stop: Stop) -> int:
    view: DeployView | None = None
    try:
        services = await open_services()
        try:
            for plan_id in await services.deploys.undo_dead_demos():
                say(tr("Removed what an earlier demo had left behind ({id}).", id=plan_id))
            view, status = await _run(services, arguments, stop)
        finally:
            await services.close()
    except PersonaDeskError as error:
        if not arguments.json:
            tell_error(error, as_json=False)
        else:
            say_error(error)
            print_json(result.as_dict(view, error))
        return FAILED
    return status


async def _run(
    services: Services, arguments: argparse.Namespace, stop: Stop
) -> tuple[DeployView, int]:
    line = LINE if arguments.keep else await _line_name(services)
    plan = await work.make_plan(services, arguments, line)
    deployment = await services.deploys.start(plan, purpose=Purpose.DEMO)
    view = await work.watch(deployment, stop)
    error = work.error_of(view, stop)
    if error is None and arguments.keep:
        await services.deploys.keep(plan.id)
        await services.hand_over()
    elif error is None:
        await services.deploys.undo(plan.id)
    return view, _tell(view, error, arguments, stop)


def _tell(
    view: DeployView, error: PersonaDeskError | None, arguments: argparse.Namespace, stop: Stop
) -> int:
    if error is not None:
        say_error(error)
    if arguments.json:
        print_json(result.as_dict(view, error))
    else:
        print(result.in_words(view))
        if error is None and arguments.keep:
            print(
                tr(
                    "The voice is at {url} and stays there. To end it: personadesk stop",
                    url=view.line_url,
                )
            )
        elif error is None:
            print(tr("All that was started is gone again; with --keep it stays up."))
    if stop.signal is not None and error is not None:
        return stop.exit_status
    return 0 if error is None and result.verdict(view) is Verdict.PASS else FAILED


async def _line_name(services: Services) -> str:
    """A demo that cleans up must not cut off a line that somebody uses; one that is down gets its place back."""
    in_use = {
        line.name
        for line in await services.lines.all()
        if line.state in {LineState.UP, LineState.STARTING}
    }
    in_use |= {plan.line for plan in await work.running_plans(services)}
    name, number = LINE, 2
    while name in in_use:
        name, number = f"{LINE} {number}", number + 1
    return name
