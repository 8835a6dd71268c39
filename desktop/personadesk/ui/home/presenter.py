"""Makes what Home shows out of lines and deploys; pure, so that every state can be looked at and tested."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from personadesk.domain.line import Line, LineState
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.domain.progress import DeployState, DeployView
from personadesk.ui.deploy import words
from personadesk.ui.home.model import Decided, HomeView, LineAction, LineVerb, LineView
from personadesk.ui.i18n import language, mark, show, tr, trn
from personadesk.ui.instances.words import prices_not_told
from personadesk.ui.lines import words as line_words
from personadesk.ui.money import dollars
from personadesk.ui.widgets import Kind, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.hosts.local import Computer
    from personadesk.store.wishes import Entry
    from personadesk.ui.rented.standing import Standing

__all__ = ["Costs", "describe_computer", "home_view", "state_word"]

DAY_SECONDS = 20 * 3600
GIB = 1024**3
DECISIONS = 5
"""So many of the guardian's stand on Home; all are with their line."""
NOWHERE_ELSE: Mapping[str, str] = {}
NOTHING_RENTED: Mapping[str, Standing] = {}


@dataclass(frozen=True, slots=True)
class Costs:
    """What everything costs.

    Attributes:
        now: Dollars an hour.
        today: Dollars of today.
        at: Unix time of this.
        untold: Of how many things the price is not told.
    """

    now: float = 0.0
    today: float = 0.0
    at: float = 0.0
    untold: int = 0


FREE = Costs()

_STATES = {
    LineState.UP: (Shape.OK, mark("Up")),
    LineState.STARTING: (Shape.BUSY, mark("Starting")),
    LineState.FAILED: (Shape.ERR, mark("Failed")),
    LineState.STOPPED: (Shape.STOPPED, mark("Stopped")),
    LineState.UNKNOWN: (Shape.UNKNOWN, mark("Unknown")),
}


def home_view(
    lines: Sequence[Line],
    deploys: Sequence[DeployView],
    models: Mapping[str, ModelChoice],
    *,
    computer: str = "",
    places: Mapping[str, str] = NOWHERE_ELSE,
    rented: Mapping[str, Standing] = NOTHING_RENTED,
    costs: Costs = FREE,
    decisions: Sequence[Entry] = (),
) -> HomeView:
    """Return what Home shows.

    Args:
        lines: All lines.
        deploys: Deploys that the window knows, oldest first.
        models: What runs behind the lines, by the server's id.
        computer: A sentence about this computer.
        places: Names of the machines that servers run on, by the server's id; the rest run here.
        rented: How the machines stand that are rented, by their deploy's tag, which is the server's id.
        costs: What everything costs.
        decisions: The guardian's, oldest first.
    """
    newest = {view.plan.line: view for view in deploys}
    cards = []
    for line in lines:
        deploy = newest.pop(line.name, None)
        if deploy is not None and deploy.state is DeployState.RUNNING:
            cards.append(_deploy_card(deploy, rented.get(deploy.plan.id), costs.at))
        else:
            model = models.get(line.target.server_id) if line.target is not None else None
            place = places.get(line.target.server_id, "") if line.target is not None else ""
            standing = rented.get(line.target.server_id) if line.target is not None else None
            cards.append(_line_card(line, model, deploy, standing.about if standing else place))
            if standing is not None:
                cards[-1] = replace(
                    cards[-1], now=standing.hourly, today=standing.today_until(costs.at)
                )
    cards += [
        _deploy_card(view, rented.get(view.plan.id), costs.at)
        for view in newest.values()
        if view.state in {DeployState.RUNNING, DeployState.FAILED, DeployState.INTERRUPTED}
    ]
    up = sum(line.state is LineState.UP for line in lines)
    others = len(cards) - up
    return HomeView(
        lines=tuple(cards),
        computer=computer,
        up=tr("{up} of {all}", up=up, all=len(cards)),
        up_note=tr("all of them") if not others else trn("{n} is not up", "{n} are not up", others),
        now=tr("{price} /h", price=dollars(costs.now)),
        now_note=prices_not_told(costs.untold) if costs.untold else _now_note(places, rented),
        today=dollars(costs.today),
        today_note=(
            tr("of all accounts")
            if rented or costs.today or costs.now or costs.untold
            else tr("Nothing costs money")
        ),
        decided=tuple(_decided(entry) for entry in reversed(decisions[-DECISIONS:])),
    )


def _decided(entry: Entry) -> Decided:
    shape, deed, why = line_words.decision(entry)
    return Decided(shape, f"{line_words.when(entry.at)}  ·  {entry.line}: {deed}", why)


def _now_note(places: Mapping[str, str], rented: Mapping[str, Standing]) -> str:
    if rented:
        return trn("{n} machine is rented", "{n} machines are rented", len(rented))
    return tr("no machine is rented") if places else tr("all on this computer")


def describe_computer(computer: Computer) -> str:
    """Return a sentence about what this computer can do, for the first start."""
    gpu = max(computer.gpus, key=lambda g: g.memory_bytes or 0, default=None)
    if gpu is None:
        return tr(
            "No NVIDIA GPU here, so PersonaPlex itself is too slow. The rehearsal model and the echo run "
            "on the processor, so you can try everything."
        )
    size = round((gpu.memory_bytes or 0) / GIB)
    if size < 22:
        return tr(
            "{gpu}, {size} GB: too small for PersonaPlex. The rehearsal model and the echo run here, so "
            "you can try everything.",
            gpu=gpu.name,
            size=size,
        )
    return tr(
        "{gpu}, {size} GB: PersonaPlex fits. Try everything first with the rehearsal model, which needs "
        "no download.",
        gpu=gpu.name,
        size=size,
    )


def state_word(line: Line) -> str:
    """Return how a line stands, in a word."""
    return tr(_STATES[line.state][1])


def _line_card(
    line: Line, model: ModelChoice | None, deploy: DeployView | None, place: str
) -> LineView:
    shape, word = _STATES[line.state]
    parts = [
        place or (tr("This computer") if line.target is not None else tr("No voice behind it"))
    ]
    if model is not None:
        parts.append(words.model_name(model))
    if line.since:
        parts.append(tr("since {time}", time=_since(line.since)))
    tested = deploy is not None and deploy.report is not None
    return LineView(
        name=line.name,
        about=" · ".join(parts),
        shape=shape,
        word=tr(word),
        address=line.url,
        now=tr("{price} /h", price=dollars(0)),
        today=dollars(0),
        fact_title=_fact_title(line, deploy),
        fact=_fact(line, model, deploy),
        actions=_line_actions(line, tested=tested),
        needs_user=line.state is LineState.FAILED,
    )


def _fact_title(line: Line, deploy: DeployView | None) -> str:
    return tr("First sound after") if _first_sound(line, deploy) else ""


def _fact(line: Line, model: ModelChoice | None, deploy: DeployView | None) -> str:
    if line.state in {LineState.FAILED, LineState.STARTING} and line.reason:
        return show(line.reason)
    if line.state is LineState.STOPPED:
        return tr("Its address answers callers that it is stopped.")
    measured = _first_sound(line, deploy)
    if measured:
        return measured
    if line.state is LineState.UP and model is not None and model.kind is ModelKind.REHEARSAL:
        return tr("Untrained: it babbles. Talk uses the echo.")
    return ""


def _first_sound(line: Line, deploy: DeployView | None) -> str:
    if line.state is not LineState.UP or deploy is None or deploy.report is None:
        return ""
    for figure in deploy.report.figures:
        if figure.limit.key == "first_audio_s" and figure.value is not None:
            return words.figure_value(figure)
    return ""


def _line_actions(line: Line, *, tested: bool) -> tuple[LineAction, ...]:
    talk = LineAction(LineVerb.TALK, tr("Talk"), "voice", Kind.PRIMARY)
    stop = LineAction(LineVerb.STOP, tr("Stop…"), "stop")
    start = LineAction(LineVerb.START, tr("Start"), "play", Kind.PRIMARY)
    if line.target is None:
        start = replace(start, text=tr("Give it a voice…"), icon="deploy")
    test = LineAction(LineVerb.TEST, tr("Test the voice"), "refresh")
    result = LineAction(LineVerb.RESULT, tr("Last result"), "report", menu_only=True)
    remove = LineAction(LineVerb.REMOVE, tr("Remove line…"), "trash", menu_only=True)
    more = (result, remove) if tested else (remove,)
    if line.state is LineState.UP:
        return (talk, stop, test, *more)
    if line.state is LineState.STARTING:
        return (stop, *more)
    return (start, *more)


def _deploy_card(view: DeployView, standing: Standing | None, now: float) -> LineView:
    current = view.current
    settled = words.steps_settled(view)
    title = words.step_row(current, current=True).title if current is not None else ""
    running = view.state is DeployState.RUNNING
    shape, word = words.deploy_state(view.state)
    if running:
        word = tr("Installing")
    fact_title = ""
    fact = ""
    if running:
        number = min(settled + 1, len(view.steps))
        fact_title = tr(
            "Step {number} of {all} · {step}", number=number, all=len(view.steps), step=title
        )
    elif view.error is not None:
        fact = show(view.error.what)
    else:
        fact = tr("It was cut off before it was done.")
    watch = tr("Watch") if running else tr("See what happened")
    actions = [LineAction(LineVerb.WATCH, watch, "activity", Kind.PRIMARY)]
    if running:
        actions.append(LineAction(LineVerb.STOP, tr("Stop…"), "stop"))
    elif view.state is DeployState.FAILED:
        actions.append(LineAction(LineVerb.REMOVE, tr("Put away"), "close"))
    return LineView(
        name=view.plan.line,
        about=f"{words.place_name(view.plan, standing)} · {words.model_name(view.plan.model)}",
        shape=shape,
        word=word,
        address=Line(view.plan.line, view.plan.port).url,
        now=standing.hourly if standing is not None else tr("{price} /h", price=dollars(0)),
        today=standing.today_until(now) if standing is not None else dollars(0),
        fact_title=fact_title,
        fact=fact,
        fraction=words.fraction_done(view) if running else None,
        actions=tuple(actions),
        needs_user=not running,
    )


def _since(at: float) -> str:
    from PySide6.QtCore import QDateTime

    moment = QDateTime.fromSecsSinceEpoch(int(at))
    pattern = "HH:mm" if time.time() - at < DAY_SECONDS else "d MMMM, HH:mm"
    return language().locale.toString(moment, pattern)
