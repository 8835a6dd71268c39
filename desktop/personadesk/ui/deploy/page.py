"""The deploy page: the wizard, or one of the deploys, running or ended. Several stand side by side as tabs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QTabBar

from personadesk.domain.line import Line
from personadesk.domain.plan import host_of
from personadesk.domain.progress import DeployState
from personadesk.domain.report import Verdict
from personadesk.ui.announce import announce
from personadesk.ui.deploy import flow, words
from personadesk.ui.deploy.player import Player
from personadesk.ui.deploy.result import ResultView
from personadesk.ui.deploy.running import RunningView
from personadesk.ui.deploy.saving import save_report
from personadesk.ui.deploy.stopping import ask_stop
from personadesk.ui.deploy.wizard import WizardView
from personadesk.ui.i18n import show, tr
from personadesk.ui.messages import Message, Severity, bus
from personadesk.ui.moments import moment
from personadesk.ui.shell.pages import Page
from personadesk.ui.spawn import spawn
from personadesk.ui.theme import theme
from personadesk.ui.widgets import hbox, vbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from personadesk.domain.host import HostFacts
    from personadesk.domain.progress import DeployView
    from personadesk.hosts.local import Computer
    from personadesk.ui.deploy.hub_token import HubToken
    from personadesk.ui.deploy.jobs import Job, Jobs
    from personadesk.ui.rented.model import Rented
    from personadesk.ui.rented.standing import Standing
    from personadesk.ui.servers.model import Machines

__all__ = ["DeployPage"]

CLOCK_MS = 500
"""Times are counted on between two announcements of the engine."""


class DeployPage(Page):
    """The page; it follows the jobs.

    Signals:
        talk_asked: Talk to a line (its name), from a result.
        home_asked: Leave for Home.
    """

    talk_asked = Signal(str)
    home_asked = Signal()

    def __init__(
        self,
        jobs: Jobs,
        *,
        machines: Machines,
        token: HubToken | None = None,
        rented: Rented | None = None,
        player: Player | None = None,
        has_speaker: Callable[[], bool] = bool,
        parent: QWidget | None = None,
    ) -> None:
        """Make the page.

        Args:
            jobs: What is known of deploys; it outlives the page.
            machines: What is known of machines; it outlives the page.
            token: Tells whether there is a Hugging Face token; None where no model can want one.
            rented: What is known of accounts and rented machines; None where nothing can be rented.
            player: Plays the sound of a report; None takes one of its own.
            has_speaker: Whether this computer has a speaker, as far as is known; asked by `look_for_speaker`.
        """
        super().__init__(parent)
        self._jobs = jobs
        self._machines = machines
        self._token = token
        self._rented = rented
        self._looked = ("", "")
        self._job: Job | None = None
        self._logged = 0
        self._computer: tuple[Computer, int] | None = None
        self._wizard: WizardView | None = None
        column = vbox(self)
        self._tabs = QTabBar()
        self._tabs.setAccessibleName(tr("Deploys"))
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        self._tabs.tabBarClicked.connect(self._tab_clicked)
        row = hbox()
        row.setContentsMargins(theme().px(12), 0, theme().px(12), 0)
        row.addWidget(self._tabs)
        row.addStretch(1)
        column.addLayout(row)
        self._stack = QStackedWidget()
        column.addWidget(self._stack, 1)
        self.running_view = self._make_running()
        self._player = player or Player(parent=self)
        self._has_speaker = has_speaker
        self.result_view = self._make_result()
        self.look_for_speaker()
        self._stack.addWidget(self.running_view)
        self._stack.addWidget(self.result_view)
        self._clock = QTimer(self)
        self._clock.setInterval(CLOCK_MS)
        self._clock.timeout.connect(self._tick)
        jobs.changed.connect(self._follow)
        jobs.redrafted.connect(self._begin_again)
        machines.changed.connect(self._show_facts)
        if rented is not None:
            rented.fleet_changed.connect(self._show_job)
        self._follow()

    @property
    def title(self) -> str:
        if self._job is None:
            return tr("New line")
        view = self._job.view
        line = view.plan.line
        if view.state is DeployState.DONE:
            return tr("{line} is ready", line=line)
        if view.state is DeployState.RUNNING:
            return tr("Setting up “{line}”", line=line)
        return tr("“{line}” is not ready", line=line)

    @property
    def subtitle(self) -> str:
        if self._job is None:
            return tr("Put a voice on a GPU")
        view = self._job.view
        if view.state is DeployState.DONE:
            return tr(
                "Took {time} · {moment}",
                time=words.duration(view.seconds),
                moment=moment(view.started + view.seconds),
            )
        address = Line(view.plan.line, view.plan.port).url
        host = host_of(view.plan)
        if view.plan.rent is not None:
            return tr("On a rented GPU. The address will be {address}.", address=address)
        if host is not None:
            return tr("On “{name}”. The address will be {address}.", name=host, address=address)
        return tr("On this computer. The address will be {address}.", address=address)

    @property
    def wizard(self) -> WizardView | None:
        """The wizard, while it shows."""
        return self._wizard

    def focus_first(self) -> None:
        shown = self._stack.currentWidget()
        if isinstance(shown, (WizardView, RunningView, ResultView)):
            shown.focus_first()

    def entered(self) -> None:
        self._clock.start()
        self._follow()

    def left(self) -> None:
        self._clock.stop()
        self._player.stop()

    def look_for_speaker(self) -> None:
        """Offer to play sound where this computer has a speaker."""
        self.result_view.set_can_play(self._has_speaker())

    def show_computer(self, computer: Computer, free_bytes: int) -> None:
        """Take what this computer is; the wizard shows it."""
        self._computer = (computer, free_bytes)
        if self._wizard is not None:
            self._wizard.show_computer(computer, free_bytes)

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_running(self) -> RunningView:
        view = RunningView()
        view.stop_wanted.connect(self._ask_stop)
        view.retry_wanted.connect(lambda: self._with_job(self._jobs.retry))
        view.undo_wanted.connect(lambda: self._with_job(self._jobs.undo))
        view.change_wanted.connect(lambda: self._with_job(self._jobs.change))
        view.next_wanted.connect(lambda: self._with_job(self._jobs.take_next_offer))
        view.leave_wanted.connect(self._leave)
        return view

    def _make_result(self) -> ResultView:
        view = ResultView()
        view.play_wanted.connect(lambda: self._with_job(self._play))
        self._player.moved.connect(view.set_playing)
        view.talk_wanted.connect(lambda: self._with_job(self._talk))
        view.copy_wanted.connect(lambda: self._with_job(_copy_address))
        view.test_wanted.connect(lambda: self._with_job(self._jobs.test_again))
        view.retry_wanted.connect(lambda: self._with_job(self._jobs.retry))
        view.change_wanted.connect(lambda: self._with_job(self._jobs.change))
        view.next_wanted.connect(lambda: self._with_job(self._jobs.take_next_offer))
        view.open_wanted.connect(lambda: self._with_job(_open_report))
        view.save_wanted.connect(lambda: self._with_job(self._ask_where_to_save))
        view.done_wanted.connect(self._done)
        return view

    def _make_wizard(self) -> WizardView:
        jobs = self._jobs
        draft = jobs.draft or flow.fresh_draft(jobs.world, tr("My line"))
        wizard = WizardView(draft, jobs.page, jobs.world, self._machines, self._token, self._rented)
        wizard.draft_changed.connect(self._keep_draft)
        wizard.page_changed.connect(self._keep_page)
        wizard.start_wanted.connect(lambda done: jobs.start(flow.plan_of(done)))
        wizard.cancel_wanted.connect(self.home_asked)
        if self._computer is not None:
            wizard.show_computer(*self._computer)
        return wizard

    def _keep_draft(self, draft: flow.Draft) -> None:
        self._jobs.draft = draft

    def _keep_page(self, page: flow.Page) -> None:
        self._jobs.page = page

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        job = self._jobs.shown
        if job is not self._job:
            if self._job is not None:
                self._job.changed.disconnect(self._show_job)
            self._job = job
            self._logged = 0
            self.running_view.clear_log()
            if job is not None:
                job.changed.connect(self._show_job)
                self._machines.check_new(host_of(job.view.plan) or "")
        self._show_tabs()
        if job is None:
            self._show_wizard()
        else:
            self._drop_wizard()
            self._show_job()
        self.title_changed.emit()

    def _begin_again(self) -> None:
        self._drop_wizard()
        self._follow()

    def _show_wizard(self) -> None:
        if self._wizard is None:
            self._wizard = self._make_wizard()
            self._stack.addWidget(self._wizard)
        self._stack.setCurrentWidget(self._wizard)

    def _drop_wizard(self) -> None:
        if self._wizard is not None:
            self._stack.removeWidget(self._wizard)
            self._wizard.deleteLater()
            self._wizard = None

    def _show_job(self) -> None:
        job = self._job
        if job is None:
            return
        view = job.view
        standing = self._standing(view)
        if _has_result(view):
            before = self._stack.currentWidget()
            self.result_view.show_view(view, standing)
            self.result_view.set_testing(
                None if job.testing is None else show(job.testing) or tr("Testing the voice")
            )
            self._stack.setCurrentWidget(self.result_view)
            if before is self.running_view and self.isVisible():
                self.title_changed.emit()
                self.result_view.focus_first()
                if view.report is not None:
                    failed = view.state is DeployState.FAILED
                    announce(words.sentence(view.report.sentence), urgent=failed)
            return
        if job.logged < self._logged:
            self._logged = 0
            self.running_view.clear_log()
        self.running_view.add_log(job.log_since(self._logged))
        self._logged = job.logged
        self.running_view.show_machine(self._facts_of(view))
        state_before = self.running_view.shown.state if self.running_view.shown else None
        self.running_view.show_view(view, standing, self._now())
        self._stack.setCurrentWidget(self.running_view)
        if state_before is not view.state:
            self.title_changed.emit()

    def _show_facts(self) -> None:
        if self._job is not None:
            self.running_view.show_machine(self._facts_of(self._job.view))

    def _standing(self, view: DeployView) -> Standing | None:
        """Return how its rented machine stands; a new step is a reason to look again."""
        if self._rented is None or view.plan.rent is None:
            return None
        step = view.current
        at = (view.plan.id, f"{view.state} {step.name if step is not None else ''}")
        if at != self._looked:
            self._looked = at
            self._rented.look_now()
        return self._rented.standing(view.plan.id)

    def _now(self) -> float:
        return self._rented.clock() if self._rented is not None else 0.0

    def _facts_of(self, view: DeployView) -> HostFacts | None:
        machine = self._machines.find(host_of(view.plan) or "")
        return machine.check.facts if machine is not None and machine.check is not None else None

    def _show_tabs(self) -> None:
        jobs = self._jobs.all
        many = len(jobs) > 1 or (bool(jobs) and self._jobs.shown is None)
        self._tabs.setVisible(many)
        titles = [job.view.plan.line for job in jobs] + [tr("New line")]
        while self._tabs.count() > len(titles):
            self._tabs.removeTab(self._tabs.count() - 1)
        for index, title in enumerate(titles):
            if index == self._tabs.count():
                self._tabs.addTab(title)
            self._tabs.setTabText(index, title)
        shown = self._jobs.shown
        self._tabs.setCurrentIndex(jobs.index(shown) if shown in jobs else len(jobs))

    def _tab_clicked(self, index: int) -> None:
        jobs = self._jobs.all
        if 0 <= index <= len(jobs):
            self._jobs.show(jobs[index] if index < len(jobs) else None)

    def _tick(self) -> None:
        if self._job is not None and self._job.is_running:
            self._show_job()

    # -- deeds ------------------------------------------------------------------------------------------------

    def _with_job(self, deed: object) -> None:
        if self._job is not None and callable(deed):
            deed(self._job)

    def _ask_stop(self) -> None:
        job = self._job
        if job is not None and job.is_running:
            ask_stop(self, job, self._jobs, self._rented)

    def _talk(self, job: Job) -> None:
        self.talk_asked.emit(job.view.plan.line)

    def _play(self, job: Job) -> None:
        if job.view.report_dir is not None:
            self._player.toggle(job.view.report_dir)

    def _leave(self) -> None:
        self.home_asked.emit()

    def _done(self) -> None:
        if self._job is not None:
            self._jobs.forget(self._job)
        self.home_asked.emit()

    def _ask_where_to_save(self, job: Job) -> None:
        dialog = QFileDialog(self, tr("Where shall the report go?"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda chosen: self.save_report_to(job, Path(chosen)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def save_report_to(self, job: Job, folder: Path) -> None:
        """Copy a report into a folder and say where it is."""
        source = job.view.report_dir
        if source is None:
            return

        def saved(where: Path) -> None:
            from personadesk.domain.text import T

            bus().post(
                Message(
                    Severity.GOOD, T("The report was saved as {folder}.", folder=str(where)),
                    key="report saved",
                )
            )  # fmt: skip

        spawn(save_report(Path(source), folder), "save the report", owner=self, done=saved)


def _has_result(view: DeployView) -> bool:
    if view.report is None:
        return False
    # A good voice whose deploy failed later is a failure to be told, not a result to be shown.
    failed_by_voice = view.state is DeployState.FAILED and view.report.verdict is Verdict.FAIL
    return view.state is DeployState.DONE or failed_by_voice


def _copy_address(job: Job) -> None:
    address = job.view.line_url
    if address is not None:
        QGuiApplication.clipboard().setText(address)


def _open_report(job: Job) -> None:
    if job.view.report_dir is not None:
        page = Path(job.view.report_dir) / "report.html"
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
