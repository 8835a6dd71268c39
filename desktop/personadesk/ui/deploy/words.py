"""How steps, deploys, models and times are called in the window."""

from __future__ import annotations

import math
import re
import time
from pathlib import PurePath
from typing import TYPE_CHECKING

from personadesk.domain.plan import ModelChoice, ModelKind, host_of
from personadesk.domain.progress import DeployState, StepName, StepState, StepView
from personadesk.domain.report import Figure, Verdict, figure_text
from personadesk.domain.text import Text
from personadesk.ui.i18n import language, mark, show, tr, trn
from personadesk.ui.widgets import LogEntry, Shape, StepRow

if TYPE_CHECKING:
    from personadesk.domain.plan import Plan
    from personadesk.domain.progress import DeployView, LogLine
    from personadesk.ui.rented.standing import Standing

__all__ = [
    "deploy_state",
    "duration",
    "expected_seconds",
    "figure_limit",
    "figure_value",
    "fraction_done",
    "localised",
    "log_entry",
    "minutes_seconds",
    "model_name",
    "place_name",
    "price",
    "rough_time",
    "seconds_left",
    "sentence",
    "step_row",
    "steps_settled",
    "verdict_shape",
    "working_on",
]

_STEP_STATES = {
    StepState.WAITING: (Shape.EMPTY, mark("Not started yet")),
    StepState.RUNNING: (Shape.BUSY, mark("Working")),
    StepState.DONE: (Shape.OK, mark("Done")),
    StepState.SKIPPED: (Shape.OK, mark("Was there already")),
    StepState.FAILED: (Shape.ERR, mark("Failed")),
    StepState.CANCELLED: (Shape.STOPPED, mark("Stopped")),
    StepState.UNDONE: (Shape.STOPPED, mark("Undone")),
}

_DEPLOY_STATES = {
    DeployState.RUNNING: (Shape.BUSY, mark("Working")),
    DeployState.DONE: (Shape.OK, mark("Done")),
    DeployState.FAILED: (Shape.ERR, mark("Failed")),
    DeployState.CANCELLED: (Shape.STOPPED, mark("Stopped")),
    DeployState.INTERRUPTED: (Shape.WARN, mark("Interrupted")),
    DeployState.UNDONE: (Shape.STOPPED, mark("Undone")),
}

_WORKING_ON = {
    StepName.RENT: mark("Renting a GPU"),
    StepName.BOOT: mark("Waiting for the machine"),
    StepName.CHECK: mark("Looking at this computer"),
    StepName.ROOM: mark("Making room"),
    StepName.INSTALL: mark("Installing the voice server"),
    StepName.MODEL: mark("Getting the model"),
    StepName.START: mark("Starting the voice server"),
    StepName.READY: mark("Waiting until the voice is ready"),
    StepName.VOICE_TEST: mark("Testing the voice"),
    StepName.LINE: mark("Putting the voice behind its line"),
}

_FIGURE = re.compile(r"^([≈$+−\s-]*\d+)\.(\d+)(?![.\d]*\d)")
"""A decimal number at the beginning: `≈ $0.75 /h`, but neither `192.0.2.17` nor `torch 2.13.0`."""

_USUAL_SECONDS = {
    StepName.RENT: 5.0,
    StepName.BOOT: 90.0,
    StepName.CHECK: 1.0,
    StepName.ROOM: 1.0,
    StepName.INSTALL: 30.0,
    StepName.MODEL: 5.0,
    StepName.START: 2.0,
    StepName.READY: 6.0,
    StepName.VOICE_TEST: 8.0,
    StepName.LINE: 1.0,
}
"""Where the engine does not tell what it expects; only the bar's speed hangs on it."""

_TO_COME = {
    StepName.RENT: mark("The offer that you chose, or the next best"),
    StepName.BOOT: mark("Until it lets us in; its key is pinned"),
    StepName.CHECK: mark("Processor, memory, Python and the port"),
    StepName.ROOM: mark("Disk space and folders"),
    StepName.INSTALL: mark("An environment of its own; a torch that is here is used"),
    StepName.MODEL: mark("Made here, or looked at in its folder"),
    StepName.START: mark("A process of its own, which outlives the window"),
    StepName.READY: mark("Load the model"),
    StepName.VOICE_TEST: mark("A spoken question, not just “running”"),
    StepName.LINE: mark("The address leads to the new voice"),
}

_WORKING_THERE = {
    StepName.CHECK: mark("Looking at the machine"),
    StepName.INSTALL: mark("Installing the voice server there"),
}

_TO_COME_THERE = {
    StepName.CHECK: mark("System, Python, GPU, disk and the network there"),
    StepName.ROOM: mark("One folder, which holds everything"),
    StepName.INSTALL: mark("Copied there; a torch that is there is used"),
    StepName.MODEL: mark("Made there, found there, or copied there"),
    StepName.START: mark("A service there, and a tunnel to it"),
}
"""Where a step on a machine is another than on this computer."""

_SETTLED = {StepState.DONE, StepState.SKIPPED}

_VERDICTS = {
    Verdict.PASS: (Shape.OK, mark("Passed")),
    Verdict.WARN: (Shape.WARN, mark("Passed, with a warning")),
    Verdict.FAIL: (Shape.ERR, mark("Failed")),
}


def deploy_state(state: DeployState) -> tuple[Shape, str]:
    """Return shape and word of a deploy's state."""
    shape, word = _DEPLOY_STATES[state]
    return shape, tr(word)


def verdict_shape(verdict: Verdict) -> tuple[Shape, str]:
    """Return shape and word of a verdict."""
    shape, word = _VERDICTS[verdict]
    return shape, tr(word)


def place_name(plan: Plan, standing: Standing | None = None) -> str:
    """Return where a plan puts the voice; of a rented machine what is known of it."""
    if plan.rent is not None:
        return standing.about if standing is not None else tr("A rented GPU")
    return host_of(plan) or tr("This computer")


def price(plan: Plan, standing: Standing | None = None) -> str:
    """Return what a plan costs."""
    if plan.rent is not None:
        return standing.hourly if standing is not None else tr("nothing is rented")
    return tr("Free") if host_of(plan) is None else tr("no rent")


def working_on(step: StepView, plan: Plan) -> str:
    """Return what is being done in a step, as a heading."""
    there = _WORKING_THERE if host_of(plan) is not None else {}
    return tr(there.get(step.name, _WORKING_ON[step.name]))


def step_row(step: StepView, *, current: bool, plan: Plan | None = None) -> StepRow:
    """Return a step as the list shows it; the plan tells where what is to come will happen."""
    shape, word = _STEP_STATES[step.state]
    told = ""
    if step.state is StepState.WAITING:
        told = f"≈ {minutes_seconds(step.expected)}" if step.expected else ""
    elif step.state is not StepState.UNDONE:
        told = minutes_seconds(step.seconds)
    detail = sentence(step.error.what if step.error is not None else step.doing)
    if not detail and step.state is StepState.WAITING:
        there = _TO_COME_THERE if plan is not None and host_of(plan) is not None else {}
        detail = tr(there.get(step.name, _TO_COME[step.name]))
    running = step.state is StepState.RUNNING
    return StepRow(
        title=show(step.title),
        detail=detail,
        shape=shape,
        word=tr(word),
        time=told,
        fraction=step.fraction if running else None,
        current=current,
    )


def expected_seconds(step: StepView) -> float:
    """Return how long a step usually takes."""
    return step.expected or _USUAL_SECONDS[step.name]


def fraction_done(view: DeployView) -> float:
    """Return how far a deploy is, 0 to 1, by the usual times of its steps."""
    total = sum(expected_seconds(step) for step in view.steps)
    done = sum(expected_seconds(step) * _share(step) for step in view.steps)
    return done / total if total else 0.0


def seconds_left(view: DeployView) -> float:
    """Return how long a deploy may still take."""
    return sum(expected_seconds(step) * (1 - _share(step)) for step in view.steps)


def steps_settled(view: DeployView) -> int:
    """Return how many steps are done."""
    return sum(step.state in _SETTLED for step in view.steps)


def _share(step: StepView) -> float:
    if step.state in _SETTLED:
        return 1.0
    if step.state is not StepState.RUNNING:
        return 0.0
    if step.fraction is not None:
        return step.fraction
    # Without a fraction the time tells; it never reaches the end by itself.
    return min(0.95, step.seconds / (step.seconds + expected_seconds(step)))


def minutes_seconds(seconds: float) -> str:
    """Return a time such as `0:03`."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def rough_time(seconds: float) -> str:
    """Return about how long something takes, never more exact than it is known."""
    if seconds < 55:
        step = 5 if seconds >= 10 else 2
        return trn("{n} second", "{n} seconds", max(step, math.ceil(seconds / step) * step))
    return trn("{n} minute", "{n} minutes", math.ceil(seconds / 60))


def duration(seconds: float) -> str:
    """Return how long something took: `12 s` or `8 min 12 s`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return tr("{seconds} s", seconds=whole)
    return tr("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)


def model_name(model: ModelChoice) -> str:
    """Return how a model is called, in a few words."""
    if model.kind is ModelKind.REHEARSAL:
        return tr("Rehearsal model")
    if model.kind is ModelKind.FOLDER and model.folder:
        return PurePath(model.folder).name or model.folder
    return "PersonaPlex 7B"


def figure_value(figure: Figure) -> str:
    """Return a measured value with its unit; a dash when it could not be measured."""
    if figure.value is None:
        return "–"
    return show(figure_text(figure.value, figure.limit.unit))


def sentence(text: Text) -> str:
    """Return a sentence of a report, its figures written as the user's language writes them."""
    told = {
        key: sentence(value)
        if isinstance(value, Text)
        else localised(value)
        if isinstance(value, str)
        else value
        for key, value in text.values.items()
    }
    return show(Text(text.template, told))


def figure_limit(figure: Figure) -> str:
    """Return what a value is held against, in words."""
    limit = figure.limit
    if limit.most is not None:
        return tr("limit {limit}", limit=localised(_short(limit.most, limit.unit)))
    if limit.least is not None:
        return tr("at least {limit}", limit=localised(_short(limit.least, limit.unit)))
    return ""


def log_entry(line: LogLine) -> LogEntry:
    """Return a log line as the view shows it."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    told = sentence(line.sentence) if line.sentence else line.text
    return LogEntry(clock, line.source, " ".join(told.splitlines()), warning=line.warning)


def _short(value: float, unit: str) -> str:
    number = f"{value:g}"
    return f"{number} {unit}" if unit and unit != "x" else number


def localised(text: str) -> str:
    """Return a figure that was written in English as the language writes it; addresses and versions stay."""
    return _FIGURE.sub(rf"\1{language().locale.decimalPoint()}\2", text)
