"""Questions to the user: the button is the verb, the focus starts on the safe one, Esc means no.

They are windows of their own but never wait in a nested loop: the answer comes as a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QWidget

from personadesk.ui.i18n import tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, CheckBox, Kind, Shape, StateShape, hbox, label, vbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Choice",
    "Question",
    "ask_close",
    "ask_forget_machine",
    "ask_remove_line",
    "ask_remove_machine",
    "ask_rent",
    "ask_stop_deploy",
    "ask_stop_line",
    "ask_stop_rented_deploy",
    "ask_uninstall",
    "forget_question",
    "stop_rented_question",
    "uninstall_question",
]

CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Choice:
    """One button of a question.

    Attributes:
        key: What the answer is called in code.
        text: The verb on the button.
        kind: How it looks.
        note: What it means, in small print above the buttons.
    """

    key: str
    text: str
    kind: Kind = Kind.PLAIN
    note: str = ""


class Question(QDialog):
    """A question with two or more buttons.

    Signals:
        answered: Key of the button taken; ``cancel`` for Esc and for closing the window.
    """

    answered = Signal(str)

    def __init__(
        self,
        parent: QWidget,
        title: str,
        text: str,
        choices: Sequence[Choice],
        *,
        shape: Shape = Shape.WARN,
        stay: str = "",
        remember: str = "",
    ) -> None:
        """Make the question; `open()` shows it.

        Args:
            parent: Window that it belongs to.
            title: The question itself.
            text: What follows from it.
            choices: The buttons besides Cancel, the wanted one first.
            shape: State shape beside the question.
            stay: The safe button instead of Cancel.
            remember: Text of a box to tick, "" for none; see `remembered`.
        """
        super().__init__(parent)
        self.setWindowTitle("PersonaDesk")
        self.setModal(True)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)
        self._buttons: dict[str, Button] = {}
        px = theme().px
        self.setMinimumWidth(px(460))
        column = vbox(self, gap=16, margin=24)
        head = hbox(gap=14)
        word = tr("Question") if shape is not Shape.ERR else tr("Failed")
        head.addWidget(StateShape(shape, word, size=24), alignment=Qt.AlignmentFlag.AlignTop)
        words = vbox(gap=6)
        words.addWidget(label(title, Type.HEADING, wrap=True))
        words.addWidget(label(text, Type.BODY, Role.TEXT2, wrap=True))
        for choice in choices:
            if choice.note:
                words.addWidget(
                    label(f"{choice.text}: {choice.note}", Type.SMALL, Role.TEXT2, wrap=True)
                )
        head.addLayout(words, 1)
        column.addLayout(head)
        self._remember = CheckBox(remember) if remember else None
        if self._remember is not None:
            column.addWidget(self._remember)
        row = hbox(gap=8) if len(choices) < 3 else vbox(gap=8)
        if len(choices) < 3:
            row.addStretch(1)
        cancel = Button(stay or tr("Cancel"))
        for choice in reversed(choices) if len(choices) < 3 else choices:
            row.addWidget(self._add(choice, stretched=len(choices) >= 3))
        if len(choices) < 3:
            row.insertWidget(1, cancel)
        else:
            row.addWidget(cancel, alignment=Qt.AlignmentFlag.AlignRight)
        cancel.clicked.connect(self.reject)
        self._buttons[CANCEL] = cancel
        column.addLayout(row)
        self._key = CANCEL
        self.finished.connect(self._tell)
        cancel.setDefault(True)
        cancel.setFocus()

    @property
    def remembered(self) -> bool:
        """Whether the box is ticked; what it stands for is the asker's business."""
        return self._remember is not None and self._remember.isChecked()

    def button(self, key: str) -> Button:
        """Return the button of an answer."""
        return self._buttons[key]

    def _add(self, choice: Choice, *, stretched: bool) -> Button:
        button = Button(choice.text, kind=choice.kind)
        if stretched:
            policy = button.sizePolicy()
            policy.setHorizontalPolicy(policy.Policy.Expanding)
            button.setSizePolicy(policy)
        button.clicked.connect(lambda: self._take(choice.key))
        self._buttons[choice.key] = button
        return button

    def _take(self, key: str) -> None:
        self._key = key
        self.accept()

    def _tell(self) -> None:
        self.answered.emit(self._key)
        self.deleteLater()


def ask_stop_line(
    parent: QWidget, line: str, address: str, stop: Callable[[], None], *, rented: str = ""
) -> Question:
    """Ask before a line's voice is stopped.

    Args:
        parent: Window that the question belongs to.
        line: Name of the line.
        address: Its address.
        stop: Called when the user agrees.
        rented: What stopping costs or destroys where its machine is rented; "" where it is not.
    """
    text = tr(
        "Calls end now. It costs nothing while stopped. The address {address} stays yours; "
        "starting again takes a few seconds.",
        address=address,
    )
    if rented:
        text = tr(
            "Calls end now. {rented} The address {address} stays yours.",
            rented=rented,
            address=address,
        )
    return _open(
        Question(
            parent,
            tr("Stop “{line}”?", line=line),
            text,
            [Choice("stop", tr("Stop"), Kind.DANGER)],
        ),
        {"stop": stop},
    )


def ask_remove_line(
    parent: QWidget, line: str, address: str, remove: Callable[[], None], *, rented: str = ""
) -> Question:
    """Ask before a line and its server are removed.

    Args:
        parent: Window that the question belongs to.
        line: Name of the line.
        address: Its address.
        remove: Called when the user agrees.
        rented: What becomes of its machine where that is rented; "" where it is not.
    """
    text = tr(
        "Programs that use {address} will no longer reach it. Its voice server is stopped and "
        "removed; models and reports are kept.",
        address=address,
    )
    if rented:
        text = tr(
            "Programs that use {address} will no longer reach it. {rented}",
            address=address,
            rented=rented,
        )
    return _open(
        Question(
            parent,
            tr("Remove “{line}”?", line=line),
            text,
            [Choice("remove", tr("Remove"), Kind.DANGER)],
        ),
        {"remove": remove},
    )


def ask_remove_machine(parent: QWidget, name: str, remove: Callable[[], None]) -> Question:
    """Ask before a machine is forgotten."""
    return _open(
        Question(
            parent,
            tr("Remove “{name}” from my servers?", name=name),
            tr(
                "Its address and its key are forgotten here. Nothing is changed on the machine itself; "
                "you can add it again."
            ),
            [Choice("remove", tr("Remove"), Kind.DANGER)],
        ),
        {"remove": remove},
    )


def forget_question(parent: QWidget, name: str) -> Question:
    """Return what is asked before a machine with a voice on it is forgotten; it is not open yet."""
    return Question(
        parent,
        tr("A voice of yours is on “{name}”. Forget the machine anyway?", name=name),
        tr(
            "Nothing is stopped there: if the machine still runs, so may the voice, and PersonaDesk "
            "will not reach it any more. Uninstall is the better way as long as the machine answers. "
            "Lines that lead there keep their addresses, without a voice."
        ),
        [Choice("forget", tr("Forget anyway"), Kind.DANGER)],
    )


def ask_forget_machine(parent: QWidget, name: str, forget: Callable[[], None]) -> Question:
    """Ask before a machine is forgotten that has a voice on it."""
    return _open(forget_question(parent, name), {"forget": forget})


def uninstall_question(parent: QWidget, name: str) -> Question:
    """Return what is asked before everything of ours on a machine is removed; it is not open yet."""
    return Question(
        parent,
        tr("Uninstall PersonaDesk from “{name}”?", name=name),
        tr(
            "The voices there stop and calls end now. The voice server, its environments, models "
            "and logs there are removed to the last byte; another deploy brings them again. Lines "
            "that lead there keep their addresses, without a voice."
        ),
        [Choice("uninstall", tr("Uninstall"), Kind.DANGER)],
    )


def ask_uninstall(parent: QWidget, name: str, uninstall: Callable[[], None]) -> Question:
    """Ask before everything of ours on a machine is removed."""
    return _open(uninstall_question(parent, name), {"uninstall": uninstall})


def ask_stop_deploy(parent: QWidget, line: str, stop: Callable[[], None]) -> Question:
    """Ask before a running deploy is stopped."""
    return _open(
        Question(
            parent,
            tr("Stop deploying “{line}”?", line=line),
            tr(
                "What was begun is undone: no server keeps running. What was downloaded is kept, so "
                "another try is quicker."
            ),
            [Choice("stop", tr("Stop and undo"), Kind.DANGER)],
        ),
        {"stop": stop},
    )


def ask_rent(parent: QWidget, price: float, rent: Callable[[], None]) -> Question:
    """Ask before something is rented that costs a good deal.

    Args:
        parent: Window that the question belongs to.
        price: Dollars an hour.
        rent: Called when the user agrees.
    """
    return _open(
        Question(
            parent,
            tr("This costs {price} an hour. Rent it?", price=dollars(price)),
            tr(
                "That is up to {day} a day, until it goes to sleep or you stop it.",
                day=dollars(24 * price),
            ),
            [Choice("rent", tr("Rent and start"), Kind.PRIMARY)],
        ),
        {"rent": rent},
    )


def stop_rented_question(parent: QWidget, line: str, half_hour: float | None) -> Question:
    """Return what is asked before a deploy to a rented machine is stopped; it is not open yet.

    Args:
        parent: Window that the question belongs to.
        line: Name of the line.
        half_hour: Dollars that keeping the machine for half an hour costs, None when that is not known.
    """
    kept = tr("then it is ended.")
    if half_hour is not None:
        kept = tr("{price}, then it is ended.", price=dollars(half_hour))
    return Question(
        parent,
        tr("Stop deploying “{line}”?", line=line),
        tr("What was begun is undone. What becomes of the rented machine?"),
        [
            Choice("end", tr("End the machine"), Kind.DANGER, tr("costs nothing more.")),
            Choice("keep", tr("Keep it 30 minutes"), Kind.PLAIN, kept),
        ],
        stay=tr("Go on"),
    )


def ask_stop_rented_deploy(
    parent: QWidget,
    line: str,
    half_hour: float | None,
    *,
    end: Callable[[], None],
    keep: Callable[[], None],
) -> Question:
    """Ask before a deploy to a rented machine is stopped; see `stop_rented_question`."""
    return _open(stop_rented_question(parent, line, half_hour), {"end": end, "keep": keep})


def ask_close(
    parent: QWidget,
    lines_up: int,
    deploys: int,
    *,
    background: Callable[[], None],
    stop: Callable[[], None],
    remember: Callable[[str], None],
) -> Question:
    """Ask what becomes of lines and deploys when the window closes.

    Args:
        parent: Window that the question belongs to.
        lines_up: How many lines are up because of it.
        deploys: How many deploys run.
        background: Hands the lines over.
        stop: Stops them.
        remember: Called first with `background` or `stop`, where the user wants that from now on.
    """
    if lines_up:
        title = trn("{n} line is up.", "{n} lines are up.", lines_up)
        text = tr("Addresses on this computer only work while PersonaDesk runs.")
        if deploys:
            text += " " + tr("The deploy that runs is stopped and undone.")
        choices = [
            Choice("background", tr("Keep running in the background"), Kind.PRIMARY),
            Choice("stop", tr("Stop the voice and quit"), Kind.DANGER_OUTLINE),
        ]
    else:
        title = trn("{n} deploy is running.", "{n} deploys are running.", deploys)
        text = tr("Quitting stops it and undoes what was begun. What was downloaded is kept.")
        choices = [Choice("stop", tr("Stop and quit"), Kind.DANGER_OUTLINE)]
    ticked = tr("Remember my choice") if lines_up and not deploys else ""
    question = Question(parent, title, text, choices, remember=ticked)
    question.answered.connect(
        lambda key: remember(key) if key != CANCEL and question.remembered else None
    )
    return _open(question, {"background": background, "stop": stop})


def _open(question: Question, deeds: dict[str, Callable[[], None]]) -> Question:
    def answered(key: str) -> None:
        deed = deeds.get(key)
        if deed is not None:
            deed()

    question.answered.connect(answered)
    question.open()
    return question
