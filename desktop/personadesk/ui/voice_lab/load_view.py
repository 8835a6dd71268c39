"""How many calls a line takes: pick it, run, and watch the bars grow towards the line of 80 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from personadesk.domain.load import MOST_CALLERS
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.voice_lab.parts import RunFoot, fill_lines, show_error
from personadesk.ui.voice_lab.plots import LoadGraph
from personadesk.ui.widgets import Card, ComboBox, hbox, label, vbox

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call
    from personadesk.ui.voice_lab.lab import Lab

__all__ = ["LoadView"]

MOSTS = (1, 2, 4, 8, 12, 16, 24, MOST_CALLERS)
USUAL_MOST = 8


class LoadView(QWidget):
    """The view; it follows the lab, which outlives it."""

    def __init__(self, lab: Lab, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lab, self._call = lab, call
        px = theme().px
        outer = vbox(self)
        body = QWidget()
        column = vbox(body, gap=14)
        column.setContentsMargins(px(24), px(18), px(24), px(18))
        column.addWidget(self._make_choice())
        self._error_place = vbox()
        column.addLayout(self._error_place)
        column.addWidget(self._make_result(), 1)
        outer.addWidget(body, 1)
        outer.addWidget(self._make_foot())
        lab.loaded.connect(self._follow)
        call.changed.connect(self._follow_lines)
        self._follow_lines()

    def entered(self) -> None:
        """Nothing costs time here."""

    def left(self) -> None:
        """A test that goes on goes on."""

    def focus_first(self) -> None:
        """Put the keyboard where one begins."""
        wanted = self.foot.stop if self._lab.loading else self.line
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)

    def _make_choice(self) -> QWidget:
        card = Card(padding=16, gap=10)
        row = hbox(gap=10)
        self.line = ComboBox(tr("Line to load"), icon="lines")
        self.line.setObjectName("load_line")
        self.most = ComboBox(tr("Calls at most"))
        self.most.setObjectName("load_most")
        for most in MOSTS:
            self.most.addItem(str(most), most)
        self.most.setCurrentIndex(MOSTS.index(USUAL_MOST))
        row.addWidget(label(tr("Line"), Type.SMALL, Role.TEXT2))
        row.addWidget(self.line)
        row.addSpacing(theme().px(10))
        row.addWidget(label(tr("Calls at most"), Type.SMALL, Role.TEXT2))
        row.addWidget(self.most)
        row.addStretch(1)
        card.add(row)
        card.add(
            label(
                tr("Callers are added one by one until frames come more than 80 ms late. "
                   "Whoever wants to talk meanwhile finds fewer places."),
                Type.SMALL, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        card.add(
            label(
                tr("Not yet proven live: no line on a GPU has been loaded."),
                Type.SMALL,
                Role.TEXT2,
                wrap=True,
            )
        )
        return card

    def _make_result(self) -> QWidget:
        card = Card(padding=18, gap=8)
        head = hbox(gap=14)
        self.number = label("", Type.HERO)
        self.number.setObjectName("load_capacity")
        words = vbox(gap=2)
        self.sentence = label("", Type.HEADING, wrap=True)
        self.advice = label("", Type.SMALL, Role.TEXT2, wrap=True)
        words.addWidget(self.sentence)
        words.addWidget(self.advice)
        head.addWidget(self.number, alignment=Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        card.add(head)
        self.graph = LoadGraph(tr("Calls at once, and by how much one frame in twenty came late"))
        card.add(self.graph, 1)
        card.add(
            label(
                tr("Calls at once, and by how much one frame in twenty came late"),
                Type.SMALL, Role.TEXT3, wrap=True,
            )
        )  # fmt: skip
        return card

    def _make_foot(self) -> QWidget:
        self.foot = RunFoot(self._run, self._lab.stop_loading, self._lab.save_load)
        return self.foot

    def _run(self) -> None:
        self._lab.load_line(self.line.currentText(), int(self.most.currentData()))

    def _follow_lines(self) -> None:
        fill_lines(self.line, [partner.name for partner in self._call.partners])
        self._follow()

    def _follow(self) -> None:
        lab = self._lab
        report, on = lab.load, lab.loading
        show_error(self._error_place, lab.load_error)
        for control in (self.line, self.most):
            control.setEnabled(not on)
        self.foot.follow(on=on, ready=bool(self.line.currentText()), report=report is not None)
        self.foot.set_sentence(
            trn("{n} caller is in", "{n} callers are in", lab.callers)
            if on
            else tr("Make a line first; then it can be loaded.")
            if not self._call.partners
            else ""
        )
        steps = report.steps if report is not None else ()
        self.graph.show_steps(
            steps, report.most if report is not None else int(self.most.currentData())
        )
        self.number.setVisible(report is not None)
        self.number.setText(
            ""
            if report is None
            else f"{report.capacity}"
            if report.proven
            else f"≥ {report.capacity}"
        )
        self.sentence.setText(
            show(report.sentence)
            if report is not None
            else tr("The first caller is being called.")
            if on
            else tr("How many calls does this line take at once?")
        )
        self.advice.setText(show(report.advice) if report is not None else "")
