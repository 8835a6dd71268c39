"""Every page of the window in each of its states, made of sample data; for pictures and for tests that look at them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt

import deploy_rent_scenes
import samples
from deploy_rent_scenes import rented_of
from lines_scenes import ENTRIES, LINES_SCENES
from money_scenes import MONEY_SCENES
from monitor_scenes import MONITOR_SCENES
from personadesk.domain import fitness
from personadesk.domain.errors import AuthFailed, HostUnfit
from personadesk.domain.host import InstallFact, RestartProof
from personadesk.domain.line import LineState
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.domain.report import Verdict
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts.ssh import errors
from personadesk.ui import dialogs
from personadesk.ui.accounts.page import SERVERS, AccountsPage
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.hub_token import HubToken
from personadesk.ui.deploy.jobs import Job, Jobs
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.home import HomeModel, HomePage, presenter
from personadesk.ui.servers.draft import MachineDraft
from personadesk.ui.servers.model import Attempt, Machine, Machines, Removal
from rented_scenes import RENTED_SCENES
from talk_scenes import TALK_SCENES, SampleSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from personadesk.domain.host import HostRecord
    from personadesk.domain.line import Line
    from personadesk.domain.progress import DeployView, LogLine
    from personadesk.store.wishes import Entry
    from personadesk.ui.rented.model import Rented
    from personadesk.ui.shell import Page

__all__ = [
    "SCENES",
    "SampleDeployment",
    "SampleSession",
    "SampleWorld",
    "jobs_of",
    "machines_of",
]


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

    def has_account(self) -> bool:
        """Whether an account at a provider is connected."""
        return False

    def rehearses(self) -> bool:
        """Whether all this is a rehearsal."""
        return False

    def machine_fault(self, name: str, model: ModelKind) -> Text:
        """Return why a voice cannot be put on a machine: only “cellar” is unfit."""
        if not name:
            return T("Choose a machine, or add one.")
        return T("There is no NVIDIA GPU.") if name == "cellar" and model else NOTHING


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


def machines_of(*machines: Machine, attempt: Attempt | None = None) -> Machines:
    """Return machines that stay as they are, and an adding that stands still."""
    made = Machines(_nowhere, _no_check, _no_aliases, clock=lambda: samples.STARTED + 150)
    made._machines = {machine.name: machine for machine in machines}
    made.loaded = True
    made.aliases = ("studio", "gpu-box")
    if attempt is not None:
        made.draft = MachineDraft("attic", "attic.example.org", "2222", "anna")
        made.attempt = attempt
    made.load = _stay  # type: ignore[method-assign] # a picture asks nobody
    made.check_new = _stay  # type: ignore[method-assign, assignment] # the same
    made.ask = _stay  # type: ignore[method-assign] # the same
    return made


async def _no_check(_hosts: object, _record: object) -> Any:
    raise NotImplementedError("sample machines are not checked")


async def _no_aliases() -> Sequence[str]:
    raise NotImplementedError("sample machines have no settings")


def _stay(_name: str = "") -> None:
    return None


def _machine(record: HostRecord, kind: str = "fit", **changes: Any) -> Machine:
    check = changes.pop("check", None) or (samples.host_check(kind) if kind else None)
    at = samples.STARTED if check is not None or "error" in changes else 0.0
    return Machine(record, samples.HOST_KEY.fingerprint, check=check, checked=at, **changes)


def _accounts(*machines: Machine, attempt: Attempt | None = None, chosen: str = "") -> Page:
    model = machines_of(*machines, attempt=attempt)
    rented = rented_of()
    page = AccountsPage(model, rented)
    for each in (model, rented):
        each.setParent(page)
    page.choose(SERVERS)
    if chosen:
        page.servers.row(chosen).setChecked(True)
    return page


def _three() -> tuple[Machine, ...]:
    return (
        _machine(samples.STUDIO),
        _machine(samples.ATTIC, "warn"),
        _machine(samples.CELLAR, "unfit"),
    )


def _used(**changes: Any) -> Machine:
    """Return “studio” with something of ours on it."""
    check = samples.host_check()
    install = InstallFact("/home/anna/.personadesk", "0.1.0-1f6c", ("0.1.0-1f6c",), running=True)
    facts = replace(check.facts, install=install)
    return _machine(samples.STUDIO, placed=True, **changes, check=fitness.judge(facts))


def _uninstall_asked() -> Page:
    return _asked(dialogs.uninstall_question)


def _forget_asked() -> Page:
    return _asked(dialogs.forget_question)


def _asked(make: Callable[[QWidget, str], dialogs.Question]) -> Page:
    page = _accounts(_used(proof=RestartProof("systemd-user", samples.STARTED)))
    # The question is a window of its own; here it lies below the page, where the picture has it.
    question = make(page, "studio")
    question.setWindowFlags(Qt.WindowType.Widget)
    below = page.layout()
    if below is None:
        raise ValueError("the page has no layout")
    below.addWidget(question)
    return page


def _uninstalling() -> Page:
    doing = T(
        "Removing the voice server, its environments and models from “{name}”.", name="studio"
    )
    return _accounts(_used(removal=Removal(doing)))


def _uninstall_failed() -> Page:
    error = HostUnfit(
        T("Not everything in {folder} on {name} could be removed.",
          folder="/home/anna/.personadesk", name="studio"),
        T("Remove it there yourself."),
        cause="not_removed",
        details="rm: cannot remove '/home/anna/.personadesk/models/x': Permission denied",
    )  # fmt: skip
    return _accounts(_used(removal=Removal(error=error)))


def _changed_key() -> Page:
    error = errors.changed_key(samples.ATTIC.address, samples.HOST_KEY, samples.OTHER_KEY)
    return _accounts(
        _machine(samples.STUDIO), _machine(samples.ATTIC, "", error=error), chosen="attic"
    )


def _away() -> Page:
    error = errors.connecting(TimeoutError(), samples.ATTIC.address, 10.0)
    return _accounts(_machine(samples.ATTIC, "", error=error))


def _consent() -> Page:
    unknown = errors.unknown_key(samples.ATTIC.address, samples.HOST_KEY)
    return _accounts(_machine(samples.STUDIO), attempt=Attempt(error=unknown))


def _refused() -> Page:
    error = AuthFailed(
        T("{name} did not accept the password.", name="attic"),
        T("Check the user's name and the password; some machines take keys only."),
        cause="password_refused",
        details="PermissionDenied: Permission denied for user anna on host attic.example.org",
    )
    return _accounts(attempt=Attempt(error=error))


def _wizard_machines(*machines: Machine, attempt: Attempt | None = None, name: str = "") -> Page:
    return _wizard(
        flow.Page.MACHINE,
        machines_of(*machines, attempt=attempt),
        where=flow.Where.MACHINE,
        machine=name,
    )


def _deploy(
    view: DeployView, *, log: int = 100, can_play: bool = True, rented: Rented | None = None
) -> Page:
    jobs = jobs_of(SampleDeployment(view, samples.log()[:log]))
    machines = machines_of(_machine(samples.STUDIO))
    page = DeployPage(jobs, machines=machines, rented=rented, has_speaker=lambda: can_play)
    if rented is not None:
        rented.setParent(page)
    jobs.setParent(page)
    machines.setParent(page)
    return page


def _wizard(
    page_name: flow.Page,
    machines: Machines | None = None,
    rented: Rented | None = None,
    **fields: Any,
) -> Page:
    jobs = jobs_of(lines=[samples.line()])
    draft = {"line": "Practice", "port": "9000"} | fields
    jobs.draft, jobs.page = flow.Draft(**draft), page_name
    machines = machines or machines_of(_machine(samples.STUDIO))
    token = HubToken(_nowhere)
    token.looked = True
    token.look = _stay  # type: ignore[method-assign, assignment] # a picture asks nobody
    rented = rented or rented_of()
    page = DeployPage(jobs, machines=machines, token=token, rented=rented)
    rented.setParent(page)
    jobs.setParent(page)
    machines.setParent(page)
    token.setParent(page)
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


def _home(
    lines: Sequence[Line], deploys: Sequence[DeployView], decisions: Sequence[Entry] = ()
) -> Page:
    model = HomeModel()
    models = {samples.PLAN.id: ModelChoice(), samples.HOST_PLAN.id: ModelChoice()}
    places = {samples.HOST_PLAN.id: "studio"}
    rented = rented_of()
    costs = presenter.Costs(0.75, 0.083, samples.STARTED + 400)
    shown = {line.target.server_id for line in lines if line.target is not None}
    mine = {tag: standing for tag, standing in rented.standings.items() if tag in shown}
    model.show(
        presenter.home_view(
            lines, deploys, models, places=places, rented=mine,
            costs=costs if mine else presenter.FREE,
            decisions=decisions,
        )
    )  # fmt: skip
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
    **RENTED_SCENES,
    **MONITOR_SCENES,
    **LINES_SCENES,
    **MONEY_SCENES,
    "home-first": _first_start,
    "home-line": lambda: _home([samples.line()], [samples.finished_deploy()]),
    "home-guarded": lambda: _home([samples.line()], [], ENTRIES),
    "home-many": lambda: _home(
        [
            samples.line(),
            samples.line("Museum guide", 9001, LineState.STOPPED),
            samples.line("Support demo", 9002, LineState.FAILED),
        ],
        [samples.deploy(2, samples.FOLDER_PLAN), samples.finished_deploy()],
    ),
    "home-rented": lambda: _home([samples.line(), samples.rent_line()], []),
    "home-machine": lambda: _home([samples.line(), samples.host_line()], []),
    "accounts-empty": _accounts,
    "accounts-machines": lambda: _accounts(*_three(), chosen="studio"),
    "accounts-unfit": lambda: _accounts(*_three(), chosen="cellar"),
    "accounts-looking": lambda: _accounts(_machine(samples.STUDIO, "", looking=True)),
    "accounts-away": _away,
    "accounts-used": lambda: _accounts(_used()),
    "accounts-uninstall": _uninstall_asked,
    "accounts-forget": _forget_asked,
    "accounts-uninstalling": _uninstalling,
    "accounts-uninstall-failed": _uninstall_failed,
    "accounts-changed-key": _changed_key,
    "accounts-busy": lambda: _accounts(attempt=Attempt(busy=True)),
    "accounts-consent": _consent,
    "accounts-refused": _refused,
    "deploy-where": lambda: _wizard(flow.Page.WHERE),
    "deploy-where-machine": lambda: _wizard(flow.Page.WHERE, where=flow.Where.MACHINE),
    "deploy-machine": lambda: _wizard_machines(*_three(), name="studio"),
    "deploy-machine-unfit": lambda: _wizard_machines(*_three(), name="cellar"),
    "deploy-machine-new": lambda: _wizard_machines(attempt=Attempt()),
    "deploy-model-machine": lambda: _wizard(
        flow.Page.MODEL, where=flow.Where.MACHINE, machine="studio"
    ),
    "deploy-check-machine": lambda: _wizard(
        flow.Page.CHECK, where=flow.Where.MACHINE, machine="studio"
    ),
    "deploy-check-token": lambda: _wizard(
        flow.Page.CHECK, where=flow.Where.MACHINE, machine="studio", model=ModelKind.PERSONAPLEX_7B
    ),
    "deploy-running-machine": lambda: _deploy(samples.deploy(2, samples.HOST_PLAN, 0.6)),
    "deploy-result-machine": lambda: _deploy(samples.finished_deploy(plan=samples.HOST_PLAN)),
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
}
SCENES |= TALK_SCENES
SCENES |= deploy_rent_scenes.scenes(_wizard, _deploy)
