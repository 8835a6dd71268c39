"""How a deploy came out: the verdict first, then its figures, what was said and heard, and the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.domain.plan import host_of
from personadesk.ui.deploy import report_parts, words
from personadesk.ui.i18n import tr
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import theme
from personadesk.ui.widgets import (
    AddressField,
    BusyRing,
    Button,
    Card,
    FactList,
    FootBar,
    Kind,
    Note,
    Size,
    Waveform,
    clear_layout,
    hbox,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.progress import DeployView
    from personadesk.domain.report import VoiceReport
    from personadesk.ui.rented.standing import Standing

__all__ = ["ResultView"]


class ResultView(QWidget):
    """Shows one finished deploy; it is told what to show and says what is wanted.

    Signals:
        talk_wanted: Talk to the line.
        copy_wanted: Put the address on the clipboard.
        save_wanted: Keep the report elsewhere.
        open_wanted: Show the report as a page.
        test_wanted: Test again.
        done_wanted: Leave.
        play_wanted: Play what was said and heard; again: stop.
        retry_wanted: Try a failed deploy again.
        change_wanted: Back to the wizard with the same choices.
        next_wanted: Begin again with the next offer.
    """

    talk_wanted = Signal()
    copy_wanted = Signal()
    save_wanted = Signal()
    open_wanted = Signal()
    test_wanted = Signal()
    done_wanted = Signal()
    play_wanted = Signal()
    retry_wanted = Signal()
    change_wanted = Signal()
    next_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._can_play = False
        self._shown: DeployView | None = None
        self._placed: object = None
        self._testing = False
        self.waveform: Waveform | None = None
        outer = vbox(self)
        self._content = Sheet()
        self._column = vbox(self._content, gap=14)
        px = theme().px
        self._column.setContentsMargins(px(24), px(18), px(24), px(18))
        outer.addWidget(scrolled(self._content), 1)
        outer.addWidget(self._make_foot())

    @property
    def shown(self) -> DeployView | None:
        """What is shown."""
        return self._shown

    def show_view(self, view: DeployView, standing: Standing | None = None) -> None:
        """Show a finished deploy that has a report, and where its rented machine is where it has one."""
        if view.report is None:
            return
        placed = (words.place_name(view.plan, standing), words.price(view.plan, standing))
        today = standing.today_until(standing.seen) if standing is not None else ""
        if view is self._shown and (placed, today) == self._placed:
            return
        self._placed = (placed, today)
        self._shown = view
        clear_layout(self._column)
        report = view.report
        self._column.addWidget(self._verdict_card(view, report))
        self._column.addLayout(report_parts.figure_row(report))
        middle = hbox(gap=14)
        middle.addWidget(self._wave_card(report), 1)
        self._column.addLayout(middle, 1)
        below = hbox(gap=14)
        below.addWidget(_line_card(view, placed[0]), 6)
        below.addWidget(_model_card(view, report, placed[1], today), 5)
        below.addWidget(_trouble_card(view), 6)
        self._column.addLayout(below)
        self._test.setVisible(view.line_url is not None)
        self._save.setVisible(view.report_dir is not None)
        self._open.setVisible(view.report_dir is not None)

    def set_testing(self, sentence: str | None) -> None:
        """Say that a test runs (what it does now), or that none does."""
        testing = sentence is not None
        if testing != self._testing:
            self._testing = testing
            self._test.setEnabled(not testing)
            self._ring.setVisible(testing)
        self._foot.set_sentence(sentence or "")

    def focus_first(self) -> None:
        """Put the keyboard on Talk now, or on what a failed one asks for."""
        if self._shown is not None:
            self._first.setFocus()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_foot(self) -> QWidget:
        self._foot = FootBar()
        self._save = Button(tr("Save report…"), icon="report")
        self._save.clicked.connect(self.save_wanted)
        self._open = Button(tr("Open report"), icon="external")
        self._open.clicked.connect(self.open_wanted)
        self._test = Button(tr("Test again"), icon="refresh")
        self._test.clicked.connect(self.test_wanted)
        self._ring = BusyRing(tr("The voice is being tested"))
        self._ring.hide()
        for button in (self._save, self._open, self._test, self._ring):
            self._foot.add_left(button)
        done = Button(tr("Done"), kind=Kind.PRIMARY)
        done.clicked.connect(self.done_wanted)
        self._foot.add_right(done)
        return self._foot

    def _verdict_card(self, view: DeployView, report: VoiceReport) -> QWidget:
        card = Card(padding=20, gap=10)
        row = report_parts.verdict_row(report)
        for button in self._verdict_buttons(view):
            row.addWidget(button, alignment=Qt.AlignmentFlag.AlignVCenter)
        card.add(row)
        if report.rehearsal and view.line_url is not None:
            card.add(
                Note(
                    tr(
                        "This is the rehearsal model: it has the real shape but was never trained, so it "
                        "babbles. Talk now uses the echo of the same server, so that you hear something "
                        "sensible: your own words."
                    )
                )
            )
        for reason in report_parts.reasons(report):
            card.add(reason)
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return card

    def _verdict_buttons(self, view: DeployView) -> tuple[Button, ...]:
        if view.line_url is not None:
            self._first = Button(tr("Talk now"), kind=Kind.PRIMARY, icon="voice", size=Size.LARGE)
            self._first.clicked.connect(self.talk_wanted)
            second = Button(tr("Copy address"), icon="copy", size=Size.LARGE)
            second.clicked.connect(self.copy_wanted)
        else:
            self._first = Button(
                tr("Try again"), kind=Kind.PRIMARY, icon="refresh", size=Size.LARGE
            )
            self._first.clicked.connect(self.retry_wanted)
            second = Button(tr("Change something…"), size=Size.LARGE)
            second.clicked.connect(self.change_wanted)
            if view.plan.rent is not None:
                following = Button(tr("Take the next offer"), size=Size.LARGE)
                following.clicked.connect(self.next_wanted)
                return self._first, following, second
        return self._first, second

    def _wave_card(self, report: VoiceReport) -> QWidget:
        card = Card(tr("What was said and heard"), padding=18, gap=10)
        self._play = Button(
            tr("Play both"),
            kind=Kind.LINK,
            icon="play",
            size=Size.SMALL,
            name=tr("Play what was said and heard"),
        )
        self._play.clicked.connect(self.play_wanted)
        card.add_to_head(self._play)
        self._play.setVisible(self._can_play)
        self.waveform = report_parts.waves(report)
        card.add(self.waveform, 1)
        card.add(report_parts.heard_text(report))
        return card

    def set_can_play(self, can_play: bool) -> None:
        """Offer to play the sound, or not: this computer has a speaker, or none."""
        self._can_play = can_play
        if self._shown is not None:
            self._play.setVisible(can_play)

    def set_playing(self, seconds: float | None) -> None:
        """Show where playback is; None when nothing plays."""
        if self.waveform is not None:
            self.waveform.set_played(seconds)
        if self._shown is not None:
            playing = seconds is not None
            self._play.setText(tr("Stop playing") if playing else tr("Play both"))
            self._play.set_icon("stop" if playing else "play")


def _line_card(view: DeployView, place: str) -> QWidget:
    card = Card(tr("Your line"), padding=18, gap=10)
    if view.line_url is not None:
        card.add(AddressField(view.line_url, view.plan.line))
        facts = [
            (tr("Now at"), place),
            (tr("Stays the same"), tr("yes, whatever happens behind it")),
        ]
    else:
        facts = [(tr("Name"), view.plan.line), (tr("Address"), tr("none: the voice did not pass"))]
    card.add(FactList(facts))
    card.column.addStretch(1)
    return card


def _model_card(view: DeployView, report: VoiceReport, price: str, today: str) -> QWidget:
    card = Card(tr("What runs"), padding=18, gap=10)
    facts = [(tr("Model"), words.model_name(view.plan.model))]
    facts += [
        (tr("Price"), price),
        *([(tr("Today"), today)] if today else []),
        (tr("This deploy took"), words.duration(view.seconds)),
        (tr("Tested with"), report.clip or tr("the built-in question")),
    ]
    card.add(FactList(facts))
    card.column.addStretch(1)
    return card


def _trouble_card(view: DeployView) -> QWidget:
    card = Card(tr("If something goes wrong"), padding=18, gap=10)
    facts = [
        (tr("Server stops"), tr("starts again by itself")),
        (tr("PersonaDesk closes"), tr("you are asked what to do")),
        (tr("PersonaDesk crashes"), tr("the server runs on")),
    ]
    if host_of(view.plan) is None:
        facts.append((tr("Computer restarts"), tr("start the line on Home")))
    else:
        facts.append((tr("Network breaks"), tr("the tunnel is made again")))
    idle = view.plan.rent.idle_stop_minutes if view.plan.rent is not None else None
    if idle is not None:
        facts.append((tr("Nobody calls"), tr("it sleeps after {n} min", n=f"{idle:g}")))
    card.add(FactList(facts))
    card.column.addStretch(1)
    return card
