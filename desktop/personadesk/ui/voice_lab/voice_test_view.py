"""A voice test without a microphone: a clip or a script of turns to a line, and how the voice stood it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QSizePolicy, QWidget

from personadesk.ui.deploy import report_parts, words
from personadesk.ui.i18n import show, tr
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.voice_lab.parts import PlayButton, RunFoot, fill_lines, show_error
from personadesk.ui.voice_lab.voice_test_run import Said
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    Shape,
    Waveform,
    clear_layout,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.cell_table import CellTable
from personadesk.ui.widgets.data_table import Cell, DataTable
from personadesk.voice import clips, script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from personadesk.domain.report import TurnCheck, VoiceReport
    from personadesk.ui.deploy.player import Player
    from personadesk.ui.talk.call import Call
    from personadesk.ui.voice_lab.lab import Lab

__all__ = ["VoiceTestView"]

TURNS_HEIGHT = 190
"""Of four turns; more are scrolled to."""


class VoiceTestView(QWidget):
    """The view; it follows the lab's voice test, which outlives it."""

    def __init__(self, lab: Lab, call: Call, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._test, self._call, self._player = lab.test, call, player
        self._said = [Said(each.name) for each in clips.BUNDLED]
        self._said.append(Said(script.BUNDLED, script=True))
        self._shown: VoiceReport | None = None
        self._waves: Waveform | None = None
        self.play: PlayButton | None = None
        self.turns: CellTable | None = None
        px = theme().px
        outer = vbox(self)
        sheet = Sheet()
        column = vbox(sheet, gap=12)
        column.setContentsMargins(px(24), px(18), px(24), px(14))
        column.addWidget(self._make_choice())
        self._error_place = vbox()
        column.addLayout(self._error_place)
        self._result = vbox(gap=12)
        column.addLayout(self._result, 1)
        self.area = scrolled(sheet)
        # Reports are only text: without the keyboard on the frame, nobody could scroll to their end by keys.
        self.area.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.area.setAccessibleName(tr("How the voice stood the test"))
        outer.addWidget(self.area, 1)
        outer.addWidget(self._make_foot())
        self._show(None)
        self._test.changed.connect(self._follow)
        call.changed.connect(self._follow_lines)
        player.moved.connect(self._played)
        self._follow_lines()

    def entered(self) -> None:
        """Nothing costs time here."""

    def left(self) -> None:
        """Fall silent; a test that goes on goes on."""
        self._player.stop()

    def focus_first(self) -> None:
        """Put the keyboard where one begins."""
        self.foot.focus_first()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_choice(self) -> QWidget:
        card = Card(padding=14, gap=8)
        row = hbox(gap=10)
        self.line = ComboBox(tr("Line to test"), icon="lines")
        self.line.setObjectName("test_line")
        self.said = ComboBox(tr("What is said"), icon="wave")
        self.said.setObjectName("test_said")
        for each in clips.BUNDLED:
            self.said.addItem(show(each.title))
        self.said.addItem(tr("Conversation in turns"))
        self.said.currentIndexChanged.connect(lambda _index: self._follow())
        self.own_clip = Button(tr("Own clip…"), icon="wave")
        self.own_clip.setObjectName("test_own_clip")
        self.own_clip.clicked.connect(self._bring_clip)
        self.own_script = Button(tr("Own script…"), icon="report")
        self.own_script.setObjectName("test_own_script")
        self.own_script.clicked.connect(self._bring_script)
        row.addWidget(label(tr("Line"), Type.SMALL, Role.TEXT2))
        row.addWidget(self.line)
        row.addSpacing(theme().px(6))
        row.addWidget(self.said)
        row.addStretch(1)
        row.addWidget(self.own_clip)
        row.addWidget(self.own_script)
        card.add(row)
        self._unproven = label(
            tr("Not yet proven live: no turns have been judged with the trained model."),
            Type.SMALL,
            Role.TEXT2,
            wrap=True,
        )
        card.add(self._unproven)
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return card

    def _make_foot(self) -> QWidget:
        test = self._test
        self.foot = RunFoot(self._run, test.stop, test.save, tr("Voice test"))
        return self.foot

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow_lines(self) -> None:
        fill_lines(self.line, [partner.name for partner in self._call.partners])
        self._follow()

    def _follow(self) -> None:
        test = self._test
        on = test.done is not None
        for control in (self.line, self.said, self.own_clip, self.own_script):
            control.setEnabled(not on)
        self._unproven.setVisible(self._said[self.said.currentIndex()].script)
        self.foot.follow(
            on=on,
            ready=bool(self.line.currentText()),
            report=test.report is not None,
            done=test.done,
        )
        if on:
            self.foot.set_sentence(show(test.doing) if test.doing else "")
        else:
            self.foot.set_sentence(
                "" if self._call.partners else tr("Make a line first; then it can be tested.")
            )
        show_error(self._error_place, test.error)
        if test.report is not self._shown:
            self._player.stop()
            self._show(test.report)

    def _show(self, report: VoiceReport | None) -> None:
        clear_layout(self._result)
        self._shown, self._waves, self.play, self.turns = report, None, None, None
        card = Card(padding=20, gap=10)
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._result.addWidget(card)
        if report is None:
            card.add(label(tr("Does the voice answer, in time and without gaps?"), Type.HEADING))
            card.add(
                label(
                    tr("What you choose is said to the line in real time, and what comes back is "
                       "judged. It takes no microphone and no loudspeaker."),
                    Type.BODY, Role.TEXT2, wrap=True,
                )
            )  # fmt: skip
            self._result.addStretch(1)
            return
        card.add(report_parts.verdict_row(report))
        for reason in report_parts.reasons(report):
            card.add(reason)
        self._result.addLayout(report_parts.figure_row(report))
        row = hbox(gap=14)
        row.addWidget(self._make_sound(report), 1)
        if report.turns:
            row.addWidget(self._make_turns(report.turns), 1)
        self._result.addLayout(row, 1)

    def _make_sound(self, report: VoiceReport) -> QWidget:
        card = Card(tr("What was said and heard"), padding=18, gap=10)
        card.add_to_head(
            label(f"{self._test.line} · {self._name(report.clip)}", Type.SMALL, Role.TEXT2)
        )
        row = hbox(gap=10)
        self.play = PlayButton(tr("Play what came back"))
        self.play.setToolTip(tr("Play what came back"))
        self.play.setObjectName("test_play")
        self.play.clicked.connect(self._toggle)
        row.addWidget(self.play, alignment=Qt.AlignmentFlag.AlignVCenter)
        self._waves = report_parts.waves(report)
        row.addWidget(self._waves, 1)
        card.add(row, 1)
        card.add(report_parts.heard_text(report))
        return card

    def _make_turns(self, checks: tuple[TurnCheck, ...]) -> QWidget:
        card = Card(tr("Turn by turn"), padding=18, gap=10)
        # A script may have a hundred: they are painted, since as many widgets would hold the window up.
        self.turns = CellTable([tr("Turn by turn")], card)
        self.turns.show_rows([tr("Turn by turn")], [(_turn(check),) for check in checks])
        table = DataTable(tr("Turn by turn"), self.turns)
        table.horizontalHeader().hide()
        table.fit_columns()
        table.setMinimumHeight(theme().px(TURNS_HEIGHT))
        card.add(table, 1)
        return card

    # -- deeds ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._test.start(self.line.currentText(), self._said[self.said.currentIndex()])

    def _bring_clip(self) -> None:
        name, _kind = QFileDialog.getOpenFileName(
            self, tr("Say a clip of your own"), "", tr("Sound (*.wav *.flac *.mp3 *.ogg *.opus)")
        )
        self._bring(name, script=False)

    def _bring_script(self) -> None:
        name, _kind = QFileDialog.getOpenFileName(
            self, tr("Play a script of your own"), "", tr("Scripts of turns (*.toml)")
        )
        self._bring(name, script=True)

    def _bring(self, name: str, *, script: bool) -> None:
        if not name:
            return
        said = Said(name, script=script)
        if said not in self._said:
            self._said.append(said)
            self.said.addItem(Path(name).name)
        self.said.setCurrentIndex(self._said.index(said))

    def _name(self, clip: str) -> str:
        """Return what was said as people read it."""
        known = next((each for each in clips.BUNDLED if each.name == clip), None)
        return show(known.title) if known is not None else clip

    def _toggle(self) -> None:
        recording = self._test.recording
        if self._player.is_on or recording is None:
            self._player.stop()
            return

        def load() -> NDArray[np.float32]:
            return recording.axis()[1]

        self._player.play(load)

    def _played(self, seconds: float | None) -> None:
        if self.play is not None and self._waves is not None:
            self.play.show_playing(playing=seconds is not None)
            self._waves.set_played(seconds)


def _turn(check: TurnCheck) -> Cell:
    shape, word = (
        (Shape.EMPTY, "") if check.figure is None else words.verdict_shape(check.figure.verdict)
    )
    told = [word, words.sentence(check.note) if check.note else ""]
    if check.figure is not None and check.figure.value is not None:
        value, limit = words.figure_value(check.figure), words.figure_limit(check.figure)
        told.append(f"{show(check.figure.limit.title)} {value}, {limit}")
    below = " · ".join(part for part in told if part)
    title = f"{check.number}. {words.sentence(check.title)}"
    return Cell(title, below, tip=below, shape=shape, strong=True)
