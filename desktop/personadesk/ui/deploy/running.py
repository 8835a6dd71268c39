"""A deploy while it runs, failed, or was cut off: its steps at the left, how far it is at the right, the log below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from personadesk.domain.progress import DeployState, StepState
from personadesk.ui.announce import announce
from personadesk.ui.deploy import words
from personadesk.ui.i18n import tr
from personadesk.ui.moments import time_of_day
from personadesk.ui.servers import words as server_words
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    ErrorPanel,
    FactList,
    Figure,
    FootBar,
    Kind,
    LogPanel,
    Note,
    Pill,
    ProgressBar,
    Shape,
    StepList,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.domain.host import HostFacts
    from personadesk.domain.progress import DeployView, LogLine, StepView
    from personadesk.ui.rented.standing import Standing

__all__ = ["RunningView"]


class RunningView(QWidget):
    """Shows one deploy; it is told what to show and says what is wanted.

    Signals:
        stop_wanted: Stop it and undo what was begun.
        retry_wanted: Go on with it.
        undo_wanted: Remove what is left of it.
        change_wanted: Back to the wizard with the same choices.
        next_wanted: Begin again with the next offer.
        leave_wanted: Go elsewhere; it runs on.
    """

    stop_wanted = Signal()
    retry_wanted = Signal()
    undo_wanted = Signal()
    change_wanted = Signal()
    next_wanted = Signal()
    leave_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: DeployView | None = None
        self._standing: Standing | None = None
        self._panel_key: object = None
        self._foot_key: object = None
        outer = vbox(self)
        body = QWidget()
        grid = vbox(body, gap=16, margin=24)
        grid.setContentsMargins(theme().px(24), theme().px(20), theme().px(24), theme().px(20))
        columns = hbox(gap=18)
        columns.addWidget(self._make_steps(), 38)
        sheet = Sheet()
        right = vbox(sheet, gap=14)
        right.addWidget(self._make_head())
        self._machine = self._make_machine()
        right.addWidget(self._machine)
        self._panel_place = vbox(gap=0)
        right.addLayout(self._panel_place)
        self._log = LogPanel()
        right.addWidget(self._log, 1)
        columns.addWidget(scrolled(sheet), 62)
        grid.addLayout(columns, 1)
        outer.addWidget(body, 1)
        self._foot_place = vbox()
        outer.addLayout(self._foot_place)

    @property
    def shown(self) -> DeployView | None:
        """What is shown."""
        return self._shown

    def show_view(
        self, view: DeployView, standing: Standing | None = None, now: float = 0.0
    ) -> None:
        """Show where the deploy is now.

        Args:
            view: The deploy.
            standing: Its rented machine, None where it has none.
            now: Unix time, up to which that machine's cost is told.
        """
        before, self._shown = self._shown, view
        self._standing = standing
        self._cost.set_value(standing.spent_until(now) if standing is not None else "–")
        self._cost.setVisible(view.plan.rent is not None)
        if before is not None and before.plan.id == view.plan.id:
            _announce_change(before, view)
        current = view.current
        self._steps.set_rows(
            [words.step_row(step, current=step is current, plan=view.plan) for step in view.steps]
        )
        self._count.setText(
            tr("{done} of {all}", done=words.steps_settled(view), all=len(view.steps))
        )
        self._show_head(view)
        self._show_panel(view)
        self._show_foot(view)

    def show_machine(self, facts: HostFacts | None) -> None:
        """Show what the machine is, where the deploy leads to one that was checked."""
        self._machine.setVisible(facts is not None)
        if facts is not None:
            shown = server_words.short_facts(facts)
            self._machine_left.set_facts(shown[:3])
            self._machine_right.set_facts(shown[3:])

    def add_log(self, lines: Iterable[LogLine]) -> None:
        """Append lines to the log."""
        self._log.view.add(words.log_entry(line) for line in lines)

    def clear_log(self) -> None:
        """Empty the log, before another deploy is shown."""
        self._log.view.clear_log()

    def focus_first(self) -> None:
        """Put the keyboard on the way on."""
        buttons = self.findChildren(Button)
        wanted = next((b for b in buttons if b.kind is Kind.PRIMARY and b.isVisible()), None)
        if wanted is not None:
            wanted.setFocus()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_steps(self) -> QWidget:
        card = Card(tr("Steps"), padding=18, gap=6)
        card.setMinimumWidth(theme().px(290))
        self._count = label("", Type.SMALL, Role.TEXT2)
        card.add_to_head(self._count)
        self._steps = StepList(tr("Steps of the deploy"))
        card.add(self._steps, 1)
        card.add(
            label(
                tr("A step that fails can be tried again by itself. Nothing is done twice."),
                Type.SMALL,
                Role.TEXT3,
                wrap=True,
            )
        )
        return card

    def _make_head(self) -> QWidget:
        card = Card(padding=20, gap=12)
        top = hbox(gap=12)
        names = vbox(gap=3)
        self._doing = ElidedLabel("", Type.PAGE)
        self._who = ElidedLabel("", Type.BODY, Role.TEXT2)
        names.addWidget(self._doing)
        names.addWidget(self._who)
        top.addLayout(names, 1)
        self._pill = Pill("", Shape.BUSY)
        top.addWidget(self._pill, alignment=Qt.AlignmentFlag.AlignVCenter)
        card.add(top)
        self._bar = ProgressBar(tr("Progress of the whole deploy"))
        card.add(self._bar)
        self._figures = QWidget()
        figures = QGridLayout(self._figures)
        figures.setContentsMargins(0, 0, 0, 0)
        figures.setHorizontalSpacing(theme().px(24))
        self._so_far = Figure(tr("Time so far"))
        self._left = Figure(tr("Left, about"))
        self._price = Figure(tr("Price"), tr("Free"))
        self._cost = Figure(tr("Cost so far"))
        self._cost.hide()
        for column, figure in enumerate((self._so_far, self._left, self._cost, self._price)):
            figures.addWidget(figure, 0, column)
            figures.setColumnStretch(column, 1)
        card.add(self._figures)
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return card

    def _make_machine(self) -> QWidget:
        card = Card(padding=16, gap=8)
        row = hbox(gap=28)
        self._machine_left = FactList(gap=4)
        self._machine_right = FactList(gap=4)
        row.addWidget(self._machine_left, 1)
        row.addWidget(self._machine_right, 1)
        card.add(row)
        card.setAccessibleName(tr("The machine"))
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        card.hide()
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_head(self, view: DeployView) -> None:
        shape, word = words.deploy_state(view.state)
        self._pill.set_state(word, shape)
        self._doing.setText(_heading(view))
        self._who.setText(
            f"{view.plan.line} · {words.place_name(view.plan, self._standing)} · {words.model_name(view.plan.model)}"
        )
        self._bar.set_fraction(words.fraction_done(view))
        self._price.set_value(words.price(view.plan, self._standing))
        self._so_far.set_value(words.minutes_seconds(view.seconds))
        running = view.state is DeployState.RUNNING
        # What has stopped has no time left; its sentence needs the room.
        self._figures.setVisible(running)
        self._left.set_value(words.rough_time(words.seconds_left(view)) if running else "–")

    def _show_panel(self, view: DeployView) -> None:
        standing = self._standing
        held = standing is not None and standing.held
        key = (view.plan.id, view.state, view.error, standing is not None, held)
        if key == self._panel_key:
            return
        self._panel_key = key
        clear_layout(self._panel_place)
        panel = self._panel(view)
        if panel is not None:
            self._panel_place.addWidget(panel)

    def _panel(self, view: DeployView) -> QWidget | None:
        if view.state is DeployState.RUNNING:
            return Note(
                tr(
                    "You can leave this page: the deploy goes on. If PersonaDesk is stopped, the next "
                    "start asks whether to go on where it was."
                )
            )
        if view.state is DeployState.FAILED and view.error is not None:
            doings = [(tr("Try again"), self.retry_wanted)]
            if self._standing is not None and self._standing.held:
                # Another one beside it would be a second bill.
                doings.append((tr("End it now"), self.undo_wanted))
            elif view.plan.rent is not None:
                doings.append((tr("Take the next offer"), self.next_wanted))
            doings.append((tr("Change something…"), self.change_wanted))
            panel = ErrorPanel.of(view.error, [text for text, _ in doings])
            panel.acted.connect(lambda index: doings[index][1].emit())
            return panel
        if view.state is DeployState.INTERRUPTED:
            what = tr("This deploy was cut off before it was done.")
            if view.error is not None:
                panel = ErrorPanel.of(view.error, [tr("Go on"), self._undo_text()])
            else:
                panel = ErrorPanel(
                    what,
                    tr("Go on where it was, or remove what it left behind. Either costs nothing.")
                    if self._standing is None
                    else tr("The machine is there and costs {price}.", price=self._standing.hourly),
                    actions=[tr("Go on"), self._undo_text()],
                )
            panel.acted.connect(
                lambda index: (self.retry_wanted if index == 0 else self.undo_wanted).emit()
            )
            return panel
        if view.state in {DeployState.CANCELLED, DeployState.UNDONE}:
            return Note(
                tr("The rented machine is kept for a look. Try again goes on with it.")
                if self._standing is not None and self._standing.held
                else tr(
                    "Nothing of this deploy is running any more. What was downloaded is kept, "
                    "so another try is quicker."
                )
            )
        return None

    def _undo_text(self) -> str:
        return tr("Undo") if self._standing is None else tr("End the machine")

    def _running_foot(self) -> tuple[str, str]:
        """Return what stopping costs, and the button's text."""
        standing = self._standing
        if standing is None:
            return tr("Stopping undoes what was begun. It costs nothing."), tr("Stop…")
        return (
            tr(
                "Ending costs nothing more. Keeping costs {price}, for at most 30 minutes.",
                price=standing.hourly,
            ),
            tr("Stop and end the machine…"),
        )

    def _ended_foot(self) -> str:
        standing = self._standing
        if standing is None or not standing.price:
            return tr("Nothing costs money.")
        if standing.held_until is not None:
            return tr(
                "The machine is kept for a look until {time}, costs {price}, and is ended then.",
                time=time_of_day(standing.held_until), price=standing.hourly,
            )  # fmt: skip
        return tr("The machine costs {price} until it has ended.", price=standing.hourly)

    def _show_foot(self, view: DeployView) -> None:
        told = (
            self._running_foot() if view.state is DeployState.RUNNING else (self._ended_foot(), "")
        )
        key = (view.plan.id, view.state, told)
        if key == self._foot_key:
            return
        self._foot_key = key
        clear_layout(self._foot_place)
        if view.state is DeployState.RUNNING:
            foot = FootBar(told[0])
            stop = Button(
                told[1], kind=Kind.DANGER_OUTLINE, icon="stop", name=tr("Stop this deploy")
            )
            stop.clicked.connect(self.stop_wanted)
            foot.add_left(stop)
            leave = Button(tr("Run in background"), kind=Kind.PRIMARY)
            leave.clicked.connect(self.leave_wanted)
            foot.add_right(leave)
        else:
            foot = FootBar(told[0])
            if view.state in {DeployState.CANCELLED, DeployState.UNDONE}:
                change = Button(tr("Change something…"))
                change.clicked.connect(self.change_wanted)
                foot.add_left(change)
                again = Button(tr("Try again"), icon="refresh")
                again.clicked.connect(self.retry_wanted)
                foot.add_left(again)
            home = Button(tr("Back to Home"), kind=Kind.PLAIN)
            home.clicked.connect(self.leave_wanted)
            foot.add_right(home)
        self._foot_place.addWidget(foot)


def _announce_change(before: DeployView, now: DeployView) -> None:
    for old, new in zip(before.steps, now.steps, strict=True):
        if old.state is not new.state and new.state in {StepState.DONE, StepState.SKIPPED}:
            row = words.step_row(new, current=False)
            announce(f"{row.title}: {row.word}")
    if before.state is not now.state:
        if now.error is not None:
            announce(words.sentence(now.error.what), urgent=True)
        elif now.state is not DeployState.RUNNING:
            announce(words.deploy_state(now.state)[1])


def _heading(view: DeployView) -> str:
    step = _step_of_interest(view)
    if view.state is DeployState.RUNNING and step is not None:
        return words.working_on(step, view.plan)
    if view.state is DeployState.FAILED:
        if step is None:
            return tr("It could not be done")
        return tr("It stopped at “{step}”", step=words.step_row(step, current=False).title)
    if view.state is DeployState.INTERRUPTED:
        return tr("Cut off in the middle")
    if view.state is DeployState.DONE:
        return tr("Ready")
    return tr("Stopped, and undone")


def _step_of_interest(view: DeployView) -> StepView | None:
    if view.current is not None:
        return view.current
    return next((step for step in view.steps if step.state is StepState.WAITING), None)
