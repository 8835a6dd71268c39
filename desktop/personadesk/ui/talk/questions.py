"""What the console asks: a name for a persona or a voice, whether to forget one, whether to record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QLineEdit

from personadesk.domain.persona import LONGEST_NAME
from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import tr
from personadesk.ui.widgets import Kind, Shape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.ui.talk.personas import Personas

__all__ = ["ask_name", "ask_record", "ask_remove", "ask_voice_name"]

DO = "do"
VOICE_NAME = 64


def ask_name(parent: QWidget, personas: Personas) -> Question:
    """Ask under which name the persona is saved."""
    return _ask_text(
        parent,
        tr("Save the persona"),
        tr("Text, voice and sampling are kept under this name. One of the same name is replaced."),
        tr("Save"),
        tr("Name of the persona"),
        personas.draft.name,
        LONGEST_NAME,
        personas.save_as,
    )


def ask_voice_name(parent: QWidget, personas: Personas, path: Path) -> Question:
    """Ask how an own voice shall be called on the server."""
    return _ask_text(
        parent,
        tr("Bring {file} to the server?", file=path.name),
        tr(
            "Whoever may call this server can speak with this voice then. Bring only a voice that is yours, "
            "or whose owner agrees."
        ),
        tr("Bring it"),
        tr("Name of the voice"),
        path.stem,
        VOICE_NAME,
        lambda name: personas.add_voice(path, name),
    )


def ask_remove(parent: QWidget, personas: Personas) -> Question:
    """Ask before a saved persona is forgotten."""
    return _open(
        Question(
            parent,
            tr("Forget “{name}”?", name=personas.draft.name),
            tr("Its text stays in the field until you choose another persona."),
            [Choice(DO, tr("Forget"), Kind.DANGER)],
        ),
        personas.remove,
    )


def ask_record(parent: QWidget, call: Call) -> Question:
    """Ask whether the call shall be kept, once a call."""
    question = Question(
        parent,
        tr("Record this call?"),
        tr(
            "Both sides and the transcript are kept on this computer, nowhere else. You find them under "
            "Kept calls and can delete them there."
        ),
        [Choice(DO, tr("Record"), Kind.PRIMARY)],
        shape=Shape.RECORDING,
        remember=tr("Small files: Opus in place of WAV"),
    )
    return _open(question, lambda: call.keep(True, opus=question.remembered))


def _ask_text(
    parent: QWidget,
    title: str,
    text: str,
    verb: str,
    name: str,
    value: str,
    most: int,
    deed: Callable[[str], None],
) -> Question:
    question = Question(parent, title, text, [Choice(DO, verb, Kind.PRIMARY)], shape=Shape.EMPTY)
    field = QLineEdit(value, question)
    field.setAccessibleName(name)
    field.setMaxLength(most)
    button = question.button(DO)
    field.textChanged.connect(lambda typed: button.setEnabled(bool(typed.strip())))
    button.setEnabled(bool(value.strip()))
    button.setDefault(True)
    layout = question.layout()
    if layout is not None:
        layout.insertWidget(1, field)  # type: ignore[attr-defined] # a box layout
    field.selectAll()
    field.setFocus()
    return _open(question, lambda: deed(field.text().strip()))


def _open(question: Question, deed: Callable[[], None]) -> Question:
    question.answered.connect(lambda key: deed() if key == DO else None)
    question.open()
    return question
