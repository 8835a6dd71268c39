"""Two lines side by side: one clip to each in turn, a table with the word "best", both to listen to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from personadesk.domain.report import Verdict
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.voice_lab.parts import PlayButton, RunFoot, figure, fill_lines, show_error
from personadesk.ui.voice_lab.plots import CurvePlot
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    Segments,
    Shape,
    Size,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.cell_table import CellTable
from personadesk.ui.widgets.data_table import Cell, DataTable
from personadesk.voice import clips

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from personadesk.ui.deploy.player import Player
    from personadesk.ui.talk.call import Call
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.compare import Comparison, Side

__all__ = ["CompareView"]

_SHAPES = {Verdict.PASS: Shape.OK, Verdict.WARN: Shape.WARN, Verdict.FAIL: Shape.ERR}
ROW_HEIGHT = 32


class CompareView(QWidget):
    """The view; it follows the lab, which outlives it.

    Signals:
        move_asked: A line would be better off where the other one is (its name).
    """

    move_asked = Signal(str)

    def __init__(self, lab: Lab, call: Call, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lab, self._call, self._player = lab, call, player
        self._shown: Comparison | None = None
        self._at = 0.0
        px = theme().px
        outer = vbox(self)
        body = QWidget()
        column = vbox(body, gap=12)
        column.setContentsMargins(px(24), px(18), px(24), px(14))
        column.addWidget(self._make_choice())
        self._error_place = vbox()
        column.addLayout(self._error_place)
        row = hbox(gap=14)
        row.addWidget(self._make_table(), 3)
        row.addWidget(self._make_pictures(), 2)
        column.addLayout(row, 1)
        outer.addWidget(body, 1)
        outer.addWidget(self._make_foot())
        lab.compared.connect(self._follow)
        call.changed.connect(self._follow_lines)
        player.moved.connect(self._played)
        self._follow_lines()

    def entered(self) -> None:
        """Nothing costs time here."""

    def left(self) -> None:
        """Fall silent; a comparison that goes on goes on."""
        self._player.stop()

    def focus_first(self) -> None:
        """Put the keyboard where one begins."""
        self.foot.focus_first()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_choice(self) -> QWidget:
        card = Card(padding=14, gap=8)
        row = hbox(gap=10)
        self.lines = [
            ComboBox(tr("First line"), icon="lines"),
            ComboBox(tr("Second line"), icon="lines"),
        ]
        self.clip = ComboBox(tr("What is said"), icon="wave")
        for each in clips.BUNDLED:
            self.clip.addItem(show(each.title), each.name)
        for name, box in zip(("compare_a", "compare_b"), self.lines, strict=True):
            box.setObjectName(name)
            box.currentIndexChanged.connect(lambda _index: self._follow())
        row.addWidget(label("A", Type.CARD_TITLE))
        row.addWidget(self.lines[0])
        row.addSpacing(theme().px(6))
        row.addWidget(label("B", Type.CARD_TITLE))
        row.addWidget(self.lines[1])
        row.addStretch(1)
        row.addWidget(label(tr("Clip"), Type.SMALL, Role.TEXT2))
        row.addWidget(self.clip)
        card.add(row)
        return card

    def _make_table(self) -> QWidget:
        card = Card(padding=14, gap=8)
        self.sentence = label("", Type.HEADING, wrap=True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        card.add(self.sentence)
        self._rows = CellTable(("", "A", "B"), self)
        self.table = DataTable(tr("Both side by side"), self._rows, row_height=ROW_HEIGHT)
        card.add(self.table, 1)
        self.words = label("", Type.SMALL, Role.TEXT2, wrap=True)
        card.add(self.words)
        return card

    def _make_pictures(self) -> QWidget:
        card = Card(padding=14, gap=6)
        self.responses = CurvePlot(tr("From our frame to the next sound"))
        self.gaps = CurvePlot(tr("Gaps beyond the sound in hand"))
        for title, plot in (
            (tr("From our frame to the next sound"), self.responses),
            (tr("Gaps beyond the sound in hand"), self.gaps),
        ):
            card.add(label(title, Type.CARD_TITLE))
            card.add(plot, 1)
        row = hbox(gap=10)
        self.play = PlayButton(tr("Play the call"))
        self.play.clicked.connect(self._toggle)
        self.side = Segments(["A", "B"], tr("Which one is heard"))
        self.side.chosen.connect(self._switch)
        self._place = label("", Type.SMALL, Role.TEXT2)
        row.addWidget(self.play)
        row.addWidget(self.side)
        row.addWidget(self._place, 1)
        card.add(row)
        return card

    def _make_foot(self) -> QWidget:
        lab = self._lab
        self.foot = RunFoot(self._run, lab.stop_comparing, lab.save_comparison, tr("Comparison"))
        self.move_line = Button(tr("Move…"), icon="move", size=Size.LARGE)
        self.move_line.clicked.connect(lambda: self.move_asked.emit(self._mover()[0]))
        self.foot.add_middle(self.move_line)
        return self.foot

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow_lines(self) -> None:
        names = [partner.name for partner in self._call.partners]
        for preferred, box in enumerate(self.lines):
            fill_lines(box, names, preferred)
        self._follow()

    def _follow(self) -> None:
        lab = self._lab
        on, found = lab.compare_done is not None, lab.comparison
        a, b = (box.currentText() for box in self.lines)
        for control in (*self.lines, self.clip):
            control.setEnabled(not on)
        self.foot.follow(
            on=on, ready=bool(a and b and a != b), report=found is not None, done=lab.compare_done
        )
        show_error(self._error_place, lab.compare_error)
        if on:
            self.foot.set_sentence(show(lab.compare_doing) if lab.compare_doing else "")
        elif len(self._call.partners) < 2:
            self.foot.set_sentence(tr("It takes two lines that are up."))
        else:
            self.foot.set_sentence(tr("Choose two different lines.") if a == b else "")
        mover = self._mover()
        self.move_line.setVisible(not on and bool(mover[0]))
        self.move_line.setText(tr("Move {line} to {host}…", line=mover[0], host=mover[1]))
        if found is not self._shown:
            self._shown, self._at = found, 0.0
            self._player.stop()
        self._show(found)

    def _show(self, found: Comparison | None) -> None:
        self.table.setVisible(found is not None)
        heard = found is not None and any(side.calls for side in found.sides)
        for widget in (self.play, self.side, self._place):
            widget.setVisible(heard)
        if found is None:
            self.sentence.setText(
                tr("The same clip to both, in turn, so that they do not disturb each other.")
            )
            self.words.setText("")
            self.responses.show_curves(())
            self.gaps.show_curves(())
            return
        from personadesk.voice.compare import curve

        self.sentence.setText(show(found.sentence))
        names = [side.callee.name for side in found.sides]
        rows = [_verdicts(found.sides)]
        rows += [
            (
                Cell(show(row.title)),
                *(
                    Cell(figure(row, index), strong=row.best == index)
                    for index in range(len(row.values))
                ),
            )
            for row in found.rows
        ]
        titles = ("", *(f"{letter} · {name}" for letter, name in zip("AB", names, strict=True)))
        self._rows.show_rows(titles, rows)
        self.table.fit_columns()
        self.words.setText(_words(found.sides))
        named = [f"{letter} · {name}" for letter, name in zip("AB", names, strict=True)]
        self.responses.show_curves(
            [(n, curve(side.responses_ms)) for n, side in zip(named, found.sides, strict=True)]
        )
        self.gaps.show_curves(
            [(n, curve(side.gaps_ms)) for n, side in zip(named, found.sides, strict=True)]
        )

    def _mover(self) -> tuple[str, str]:
        """Return the line that is not best, and the place of the one that is; "" where that makes no sense."""
        found = self._lab.comparison
        if found is None or found.best is None or not all(side.calls for side in found.sides):
            return "", ""
        better, other = found.sides[found.best].callee, found.sides[1 - found.best].callee
        if not (better.own and other.own and better.place) or better.place == other.place:
            return "", ""
        return other.name, better.place

    # -- deeds ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        names = [box.currentText() for box in self.lines]
        self._lab.compare(names, str(self.clip.currentData()))

    def _toggle(self) -> None:
        if self._player.is_on:
            self._player.stop()
        else:
            self._play(self.side.current, 0.0)

    def _switch(self, index: int) -> None:
        # Heard at the same moment of the other call: that is what makes a difference audible.
        if self._player.is_on:
            self._play(index, self._at)

    def _play(self, index: int, at: float) -> None:
        found = self._lab.comparison
        middle = found.sides[index].middle if found is not None else None
        if middle is None:
            self._player.stop()
            return

        def load() -> NDArray[np.float32]:
            mixed: NDArray[np.float32] = middle.recording.stereo().sum(axis=1).clip(-1.0, 1.0)
            return mixed

        self._player.play(load, at)

    def _played(self, seconds: float | None) -> None:
        if seconds is not None:
            self._at = seconds
        self.play.show_playing(playing=seconds is not None)
        self._place.setText("" if seconds is None else tr("{seconds} s", seconds=f"{seconds:.1f}"))


def _verdicts(sides: tuple[Side, ...]) -> tuple[Cell, ...]:
    cells = [Cell(tr("Voice test"))]
    for side in sides:
        if side.middle is None:
            why = show(side.error.what) if side.error is not None else tr("Not called")
            cells.append(Cell(why, tip=why, shape=Shape.ERR))
        else:
            report = side.middle.report
            word = {
                Verdict.PASS: tr("Passed"),
                Verdict.WARN: tr("Passed with remarks"),
                Verdict.FAIL: tr("Failed"),
            }[report.verdict]
            cells.append(Cell(word, tip=show(report.sentence), shape=_SHAPES[report.verdict]))
    return tuple(cells)


def _words(sides: tuple[Side, ...]) -> str:
    return "\n".join(
        f"{letter}: “{side.middle.report.text}”"
        for letter, side in zip("AB", sides, strict=True)
        if side.middle is not None and side.middle.report.text
    )
