"""Every page of the window in each of its states, made of sample data; for pictures and for tests that look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import samples
from personadesk.domain.line import LineState
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.domain.report import Verdict
from personadesk.domain.text import NOTHING, T, Text
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.jobs import Job, Jobs
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.home import HomeModel, HomePage, presenter
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.page import TalkPage
from personadesk.voice.talk_view import TalkSnapshot, TalkState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.line import Line
    from personadesk.domain.progress import DeployView, LogLine
    from personadesk.ui.shell import Page

__all__ = ["SCENES", "SampleDeployment", "SampleSession", "SampleWorld", "jobs_of"]


class SampleWorld:
    """A computer where port 8998 belongs to a line and 8999 to another program."""

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self._lines = tuple(lines)

    def lines(self) -> Sequence[Line]:
        """Return the lines that exist."""
        return self._lines

    def port_is_free(self, port: int) -> bool:
        """Whether a server can listen there."""
        return port != 8999

    def folder_fault(self, folder: str) -> Text:
        """Return why a folder cannot be used as a model, or nothing."""
        if folder.startswith("/models"):
            return NOTHING
        return T("The model folder {folder} does not exist.", folder=folder)


class SampleDeployment:
    """Stands for the engine's deploy; it does nothing by itself."""

    def __init__(self, view: DeployView, log: Sequence[LogLine] = ()) -> None:
        self.view = view
        self._log = tuple(log)
        self._watchers: list[Callable[[], None]] = []
        self.cancelled = False

    @property
    def logged(self) -> int:
        """How many lines were ever logged."""
        return len(self._log)

    def log_since(self, count: int) -> tuple[LogLine, ...]:
        """Return the lines after the first `count`."""
        return self._log[count:]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call after `move`."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def cancel(self) -> None:
        """Remember that it was cancelled."""
        self.cancelled = True

    def move(self, view: DeployView, *lines: LogLine) -> None:
        """Be somewhere else, and say so."""
        self.view = view
        self._log += lines
        for watcher in tuple(self._watchers):
            watcher()


class SampleSession:
    """Stands for a conversation that stays as it is."""

    def __init__(self, snapshot: TalkSnapshot) -> None:
        self.shown = snapshot
        self.deeds: list[object] = []

    def start(self) -> None:
        """Remember it."""
        self.deeds.append("start")

    def hang_up(self) -> None:
        """Remember it."""
        self.deeds.append("hang up")

    def mute(self, muted: bool) -> None:
        """Remember it."""
        self.deeds.append(("mute", muted))

    def say_clip(self) -> None:
        """Remember it."""
        self.deeds.append("clip")

    def join(self, timeout: float | None = None) -> bool:
        """It is over at once."""
        return timeout is None or timeout > 0

    def snapshot(self) -> TalkSnapshot:
        """Return how it is."""
        return self.shown


async def _nowhere() -> Any:
    raise NotImplementedError("sample jobs have no engine")


async def _untested(_view: DeployView, _tell: object) -> Any:
    raise NotImplementedError("sample jobs are not tested")


def jobs_of(*deployments: SampleDeployment, lines: Sequence[Line] = ()) -> Jobs:
    """Return jobs that know these deploys and show the last."""
    jobs = Jobs(_nowhere, SampleWorld(lines), _untested)
    job: Job | None = None
    for deployment in deployments:
        job = jobs.add(deployment.view)
        job.follow(deployment)
    jobs.show(job)
    return jobs


def _deploy(view: DeployView, *, log: int = 100, can_play: bool = True) -> Page:
    jobs = jobs_of(SampleDeployment(view, samples.log()[:log]))
    page = DeployPage(jobs, has_speaker=lambda: can_play)
    jobs.setParent(page)
    return page


def _wizard(page_name: flow.Page, **fields: Any) -> Page:
    jobs = jobs_of(lines=[samples.line()])
    draft = {"line": "Practice", "port": "9000"} | fields
    jobs.draft, jobs.page = flow.Draft(**draft), page_name
    page = DeployPage(jobs)
    jobs.setParent(page)
    page.show_computer(samples.COMPUTER, 84 * 1024**3)
    return page


def _wizard_faults() -> Page:
    page = _wizard(flow.Page.LINE, line="Front desk", port="8999")
    if isinstance(page, DeployPage) and page.wizard is not None:
        page.wizard.go_on()
    return page


def _folder_fault() -> Page:
    page = _wizard(flow.Page.MODEL, model=ModelKind.FOLDER, folder="/home/me/personaplex")
    if isinstance(page, DeployPage) and page.wizard is not None:
        page.wizard.go_on()
    return page


def _call(state: TalkState | None, *, rehearsal: bool = True, devices: bool = True) -> Page:
    call = Call(lambda *_a, **_k: SampleSession(samples.call(state or TalkState.ENDED)), _no_list)
    call.devices = samples.DEVICES if devices else samples.NO_DEVICES
    call.show_partners(
        (
            Partner("Front desk", "ws://127.0.0.1:8998/api/chat", rehearsal=rehearsal),
            Partner("Practice", "ws://127.0.0.1:9000/api/chat"),
        )
    )
    if state is not None:
        call.start()
        if state is not TalkState.IN_CALL:
            call.look()
    page = TalkPage(call)
    call.setParent(page)
    return page


def _no_list(**_choices: object) -> Any:
    return samples.DEVICES


def _nobody() -> Page:
    call = Call(lambda *_a, **_k: SampleSession(samples.call()), _no_list)
    call.devices = samples.NO_DEVICES
    page = TalkPage(call)
    call.setParent(page)
    return page


def _home(lines: Sequence[Line], deploys: Sequence[DeployView]) -> Page:
    model = HomeModel()
    models = {samples.PLAN.id: ModelChoice()}
    model.show(presenter.home_view(lines, deploys, models))
    page = HomePage(model)
    model.setParent(page)
    return page


def _first_start() -> Page:
    model = HomeModel()
    sentence = presenter.describe_computer(samples.COMPUTER)
    model.show(presenter.home_view((), (), {}, computer=sentence))
    page = HomePage(model)
    model.setParent(page)
    return page


SCENES: dict[str, Callable[[], Page]] = {
    "home-first": _first_start,
    "home-line": lambda: _home([samples.line()], [samples.finished_deploy()]),
    "home-many": lambda: _home(
        [
            samples.line(),
            samples.line("Museum guide", 9001, LineState.STOPPED),
            samples.line("Support demo", 9002, LineState.FAILED),
        ],
        [samples.deploy(2, samples.FOLDER_PLAN), samples.finished_deploy()],
    ),
    "deploy-where": lambda: _wizard(flow.Page.WHERE),
    "deploy-model": lambda: _wizard(flow.Page.MODEL),
    "deploy-model-fault": _folder_fault,
    "deploy-line": lambda: _wizard(flow.Page.LINE),
    "deploy-line-fault": _wizard_faults,
    "deploy-check": lambda: _wizard(flow.Page.CHECK),
    "deploy-early": lambda: _deploy(samples.deploy(0, fraction=0.2), log=2),
    "deploy-running": lambda: _deploy(samples.deploy(2, fraction=0.6)),
    "deploy-failed": lambda: _deploy(samples.failed_deploy(), log=2),
    "deploy-interrupted": lambda: _deploy(samples.interrupted_deploy(), log=0),
    "deploy-result-pass": lambda: _deploy(samples.finished_deploy()),
    "deploy-result-folder": lambda: _deploy(samples.finished_deploy(plan=samples.FOLDER_PLAN)),
    "deploy-result-warn": lambda: _deploy(samples.finished_deploy(Verdict.WARN)),
    "deploy-result-fail": lambda: _deploy(samples.finished_deploy(Verdict.FAIL)),
    "talk-nobody": _nobody,
    "talk-idle": lambda: _call(None),
    "talk-idle-clip": lambda: _call(None, devices=False),
    "talk-call": lambda: _call(TalkState.IN_CALL, rehearsal=False),
    "talk-failed": lambda: _call(TalkState.FAILED),
}
"""Pages by name; the part before the first dash is the place in the side bar."""
