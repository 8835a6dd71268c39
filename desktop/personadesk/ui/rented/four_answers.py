"""What can be counted on at a provider: the four answers with their reasons, or as a short row of marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from personadesk.ui.i18n import show
from personadesk.ui.rented import offer_words
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Shape, StateShape, hbox, label, vbox

if TYPE_CHECKING:
    from personadesk.domain.provider import FourAnswers

__all__ = ["AnswerMarks", "FourAnswersView"]


class FourAnswersView(QWidget):
    """Shape, name and reason of each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = vbox(self, gap=10)
        self._rows: list[tuple[StateShape, QLabel, QLabel]] = []
        for _ in range(4):
            row = hbox(gap=10)
            shape = StateShape(Shape.UNKNOWN, "", size=16)
            row.addWidget(shape, alignment=Qt.AlignmentFlag.AlignTop)
            words = vbox(gap=1)
            title = label("", Type.BODY, weight=600, wrap=True)
            reason = label("", Type.SMALL, Role.TEXT2, wrap=True)
            words.addWidget(title)
            words.addWidget(reason)
            row.addLayout(words, 1)
            column.addLayout(row)
            self._rows.append((shape, title, reason))

    def show_answers(self, answers: FourAnswers) -> None:
        """Show a provider's."""
        told = offer_words.four(answers)
        for (shape, title, reason), (name, promise) in zip(self._rows, told, strict=True):
            shape.set_state(*offer_words.answer(promise.answer))
            title.setText(name)
            reason.setText(show(promise.reason))


class AnswerMarks(QWidget):
    """The four shapes in a row; what each means is its tooltip and is spoken."""

    def __init__(self, answers: FourAnswers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = hbox(self, gap=6)
        spoken = []
        for name, promise in offer_words.four(answers):
            shape, word = offer_words.answer(promise.answer)
            told = f"{name}: {word}"
            row.addWidget(StateShape(shape, told, size=14))
            spoken.append(told)
        row.addStretch(1)
        self.told = ", ".join(spoken)
        # The pointer is the card's, on which these lie.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
