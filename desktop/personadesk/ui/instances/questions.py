"""Questions before something is done to machines: what it costs and destroys first; many want a number typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QLineEdit, QWidget

from personadesk.domain.machine import Action
from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import mark, tr, trn
from personadesk.ui.instances import words
from personadesk.ui.widgets import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.machine import Machine

__all__ = ["ask_action"]

DO = "do"
MANY = 2
_ONE = {
    Action.START: mark("Start “{name}”?"),
    Action.RESTART: mark("Restart “{name}”?"),
    Action.STOP: mark("Stop “{name}”?"),
    Action.END: mark("End “{name}”?"),
}
_VERBS = {
    Action.START: mark("Start"),
    Action.RESTART: mark("Restart"),
    Action.STOP: mark("Stop"),
    Action.END: mark("End the machine"),
}


def ask_action(
    parent: QWidget, machines: Sequence[Machine], action: Action, do: Callable[[], None]
) -> Question | None:
    """Ask, and do it when the user agrees; starting one machine is done at once, since its button says the price.

    Args:
        parent: Window or page that the question belongs to.
        machines: What it is done to; all allow it.
        action: What.
        do: Does it.
    """
    if action is Action.START and len(machines) == 1:
        do()
        return None
    typed = _to_type(machines, action)
    question = Question(
        parent.window(), _title(machines, action), _text(machines, action, typed),
        [Choice(DO, tr(_VERBS[action]), Kind.DANGER if action is Action.END else Kind.PRIMARY)],
    )  # fmt: skip
    if typed:
        _want_typed(question, typed)
    question.answered.connect(lambda key: do() if key == DO else None)
    question.open()
    return question


def _title(machines: Sequence[Machine], action: Action) -> str:
    if len(machines) == 1:
        return tr(_ONE[action], name=machines[0].name or machines[0].id)
    count = len(machines)
    match action:
        case Action.START:
            return trn("Start {n} machine?", "Start {n} machines?", count)
        case Action.RESTART:
            return trn("Restart {n} machine?", "Restart {n} machines?", count)
        case Action.STOP:
            return trn("Stop {n} machine?", "Stop {n} machines?", count)
        case _:
            return trn("End {n} machine?", "End {n} machines?", count)


def _text(machines: Sequence[Machine], action: Action, typed: str) -> str:
    told = list(dict.fromkeys(words.consequence(machine, action) for machine in machines))
    if any(not machine.tag for machine in machines):
        told.append(tr("Not made by PersonaDesk: look twice."))
    if typed:
        told.append(tr("Type {what} to go on.", what=typed))
    return " ".join(part for part in told if part)


def _to_type(machines: Sequence[Machine], action: Action) -> str:
    """Return what has to be typed first: the number of many, the name of one that is not ours; "" for nothing."""
    if action is not Action.END:
        return ""
    if len(machines) >= MANY:
        return str(len(machines))
    return "" if machines[0].tag else machines[0].name or machines[0].id


def _want_typed(question: Question, wanted: str) -> None:
    field = QLineEdit(question)
    field.setAccessibleName(tr("Type {what} to go on.", what=wanted))
    field.setPlaceholderText(wanted)
    button = question.button(DO)
    button.setEnabled(False)
    field.textChanged.connect(lambda text: button.setEnabled(text.strip() == wanted))
    layout = question.layout()
    if layout is not None:
        layout.insertWidget(1, field)  # type: ignore[attr-defined] # a box layout
    field.setFocus()
