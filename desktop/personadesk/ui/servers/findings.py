"""What a check found about a machine, each thing with a sentence and what to do; and what any such machine gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from personadesk.domain.host import Fitness, Level
from personadesk.ui.i18n import show, tr
from personadesk.ui.servers import words
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    SHAPE_ROLE,
    Card,
    Fold,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.host import Finding, HostCheck
    from personadesk.ui.servers.model import Machine

__all__ = ["CountOnCard", "FindingsView"]


class FindingsView(QWidget):
    """The verdict, then what stands in the way or wants attention, then what is well, folded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = vbox(self, gap=12)
        self._shown: HostCheck | None = None

    @property
    def shown(self) -> HostCheck | None:
        """What is shown."""
        return self._shown

    def show_check(self, check: HostCheck) -> None:
        """Show what was found."""
        if check is self._shown:
            return
        self._shown = check
        clear_layout(self._column)
        shape, word, sentence = words.verdict(check.verdict)
        head = hbox(gap=10)
        head.addWidget(StateShape(shape, word, size=22), alignment=Qt.AlignmentFlag.AlignTop)
        head.addWidget(label(sentence, Type.HEADING, wrap=True), 1)
        self._column.addLayout(head)
        good = [each for each in check.findings if each.level is Level.GOOD]
        for finding in check.findings:
            if finding.level is not Level.GOOD:
                self._column.addWidget(_FindingRow(finding))
        if good:
            self._column.addWidget(_fold(good, opened=check.verdict is Fitness.FIT))
        self.setAccessibleName(f"{word}. {sentence}")


class CountOnCard(Card):
    """The four things that people ask of a machine, answered for one of their own or for a provider."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("What you can count on"), padding=18, gap=12, parent=parent)
        self._rows = vbox(gap=12)
        self.add(self._rows)
        self.column.addStretch(1)
        self._shown: list[tuple[str, Shape, str, str]] = []
        self.show_machine(None)

    def show_machine(self, machine: Machine | None) -> None:
        """Show the answers for a machine, or those for any."""
        self.show_answers(words.count_on(machine))

    def show_answers(self, answers: list[tuple[str, Shape, str, str]]) -> None:
        """Show four answers: question, shape, word, sentence."""
        if answers == self._shown:
            return
        self._shown = answers
        clear_layout(self._rows)
        for question, shape, word, sentence in answers:
            row = hbox(gap=10)
            row.addWidget(StateShape(shape, word, size=18), alignment=Qt.AlignmentFlag.AlignTop)
            told = vbox(gap=2)
            head = hbox(gap=8)
            head.addWidget(label(question, Type.BODY, weight=600, wrap=True), 1)
            head.addWidget(
                label(word, Type.BODY, SHAPE_ROLE[shape], weight=600),
                alignment=Qt.AlignmentFlag.AlignTop,
            )
            told.addLayout(head)
            told.addWidget(label(sentence, Type.SMALL, Role.TEXT2, wrap=True))
            row.addLayout(told, 1)
            self._rows.addLayout(row)


class _FindingRow(QWidget):
    """Shape, what was found, and what to do about it."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        shape, word = words.finding_shape(finding)
        what, next_ = show(finding.what), show(finding.next)
        row = hbox(self, gap=10)
        row.addWidget(StateShape(shape, word, size=16), alignment=Qt.AlignmentFlag.AlignTop)
        column = vbox(gap=2)
        strong = finding.level is not Level.GOOD
        column.addWidget(label(what, Type.BODY, weight=600 if strong else 400, wrap=True))
        if next_:
            column.addWidget(label(next_, Type.SMALL, Role.TEXT2, wrap=True, selectable=True))
        row.addLayout(column, 1)
        self.setAccessibleName(f"{word}: {what} {next_}".rstrip())


def _fold(good: list[Finding], *, opened: bool) -> Fold:
    fold = Fold(tr("What is well"), opened=opened, small=True)
    for finding in good:
        fold.body.addWidget(_FindingRow(finding))
    return fold
