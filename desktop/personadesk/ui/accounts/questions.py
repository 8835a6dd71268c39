"""What is asked before an account is forgotten: its machines would go on, and go on costing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.widgets import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from personadesk.domain.machine import Machine

__all__ = ["DISCONNECT", "END_FIRST", "ask_disconnect", "disconnect_question"]

DISCONNECT, END_FIRST = "disconnect", "end"
NAMED = 5


def disconnect_question(parent: QWidget, name: str, machines: Sequence[Machine]) -> Question:
    """Return what is asked before an account is forgotten; it is not open yet.

    Args:
        parent: Window that it belongs to.
        name: The account.
        machines: Ours that are still there.
    """
    choices = [Choice(DISCONNECT, tr("Disconnect"), Kind.DANGER)]
    text = tr(
        "Its key is forgotten here. Nothing is changed at the provider; you can connect it again."
    )
    if machines:
        price = sum(machine.price or 0.0 for machine in machines)
        names = ", ".join(each.name or each.id for each in machines[:NAMED])
        text = trn(
            "{n} machine keeps running and keeps costing {price} /h: {names}. End it first?",
            "{n} machines keep running and keep costing {price} /h: {names}. End them first?",
            len(machines), price=dollars(price), names=names,
        )  # fmt: skip
        choices = [
            Choice(END_FIRST, tr("End and disconnect"), Kind.DANGER),
            Choice(DISCONNECT, tr("Only disconnect"), Kind.DANGER_OUTLINE),
        ]
    return Question(parent, tr("Disconnect “{name}”?", name=name), text, choices)


def ask_disconnect(
    parent: QWidget,
    name: str,
    machines: Sequence[Machine],
    *,
    disconnect: Callable[[], None],
    end_first: Callable[[], None],
) -> Question:
    """Ask whether an account shall be forgotten.

    Args:
        parent: What is asked from.
        name: The account.
        machines: Ours that are still there.
        disconnect: Forgets it, and leaves the machines.
        end_first: Ends them, then forgets it.
    """
    question = disconnect_question(parent.window(), name, machines)
    deeds = {DISCONNECT: disconnect, END_FIRST: end_first}
    question.answered.connect(lambda key: deeds[key]() if key in deeds else None)
    question.open()
    return question
