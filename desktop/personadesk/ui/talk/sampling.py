"""How freely the model chooses: seed, temperatures and top-k, folded away; a field that cannot be is marked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QRegularExpression, Qt
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QGridLayout, QLineEdit, QWidget

from personadesk.domain.persona import HOTTEST, MOST_CHOICES, Sampling
from personadesk.ui.i18n import language, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, Fold, Kind, Size, label, repolish

if TYPE_CHECKING:
    from personadesk.ui.talk.personas import Personas

__all__ = ["SamplingFold"]


class SamplingFold(QWidget):
    """The fold; it edits the draft as soon as a field holds what can be."""

    def __init__(self, personas: Personas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._personas = personas
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        self.fold = Fold(tr("Sampling"), small=True)
        grid.addWidget(self.fold, 0, 0)
        self.reset = Button(
            tr("Usual values"), kind=Kind.LINK, size=Size.SMALL,
            name=tr("Set sampling to the usual values"),
        )  # fmt: skip
        self.reset.clicked.connect(lambda: personas.edit(sampling=Sampling()))
        self.fold.add_to_head(self.reset)
        fields = QGridLayout()
        fields.setHorizontalSpacing(theme().px(8))
        fields.setVerticalSpacing(theme().px(6))
        fields.setColumnStretch(1, 1)
        fields.setColumnStretch(2, 1)
        for column, title in ((1, tr("Words")), (2, tr("Sound"))):
            head = label(title, Type.SMALL, Role.TEXT3)
            head.setAlignment(Qt.AlignmentFlag.AlignLeft)
            fields.addWidget(head, 0, column)
        self.seed = self._field(fields, 3, 1, "seed", tr("Seed"), tr("Seed"))
        self.seed.setPlaceholderText(tr("fresh each call"))
        fields.addWidget(self.seed, 3, 1, 1, 2)
        heat, choice = tr("Temperature"), tr("Top-k")
        self._fields = {
            "seed": self.seed,
            "text_temperature": self._field(
                fields, 1, 1, "text_temperature", heat, tr("Temperature of the words")
            ),
            "audio_temperature": self._field(
                fields, 1, 2, "audio_temperature", "", tr("Temperature of the sound")
            ),
            "text_topk": self._field(fields, 2, 1, "text_topk", choice, tr("Top-k of the words")),
            "audio_topk": self._field(fields, 2, 2, "audio_topk", "", tr("Top-k of the sound")),
        }
        self.fold.body.addLayout(fields)
        self.follow()

    def field(self, key: str) -> QLineEdit:
        """Return the field of a parameter."""
        return self._fields[key]

    def follow(self) -> None:
        """Show the draft; what is being typed is left alone."""
        sampling = self._personas.draft.sampling
        for key, edit in self._fields.items():
            value = getattr(sampling, key)
            if _read(key, edit.text()) != value and not (edit.hasFocus() and edit.isModified()):
                edit.setText(_written(key, value))
                self._mark(edit, faulty=False)
        self.reset.setEnabled(sampling != Sampling())

    def _field(
        self, grid: QGridLayout, row: int, column: int, key: str, title: str, name: str
    ) -> QLineEdit:
        edit = QLineEdit()
        edit.setAccessibleName(name)
        edit.setObjectName(f"sampling-{key}")
        pattern = r"\d{0,18}" if key == "seed" or key.endswith("topk") else r"\d{0,2}([.,]\d{0,3})?"
        edit.setValidator(QRegularExpressionValidator(QRegularExpression(pattern), edit))
        if title:
            words = label(title, Type.SMALL, Role.TEXT2)
            words.setBuddy(edit)
            grid.addWidget(words, row, 0)
        if key != "seed":
            grid.addWidget(edit, row, column)
        edit.textEdited.connect(lambda text: self._typed(key, edit, text))
        edit.editingFinished.connect(lambda: self._left(key, edit))
        return edit

    def _typed(self, key: str, edit: QLineEdit, text: str) -> None:
        value = _read(key, text)
        self._mark(edit, faulty=value is None)
        if value is not None:
            self._personas.edit(
                sampling=replace(self._personas.draft.sampling, **{key: value})  # type: ignore[arg-type] # int or float as the field has
            )

    def _left(self, key: str, edit: QLineEdit) -> None:
        edit.setModified(False)
        edit.setText(_written(key, getattr(self._personas.draft.sampling, key)))
        self._mark(edit, faulty=False)

    def _mark(self, edit: QLineEdit, *, faulty: bool) -> None:
        edit.setProperty("fault", "true" if faulty else "false")
        most = round(HOTTEST) if "temperature" in edit.objectName() else MOST_CHOICES
        edit.setToolTip(tr("From 0 to {most}.", most=most) if faulty else "")
        repolish(edit)


def _read(key: str, text: str) -> int | float | None:
    """Return what a field says, None while it says nothing that can be."""
    plain = text.strip().replace(",", ".")
    if key == "seed" and not plain:
        return -1
    try:
        if key == "seed" or key.endswith("topk"):
            value: int | float = int(plain)
            return value if key == "seed" or value <= MOST_CHOICES else None
        value = float(plain)
    except ValueError:
        return None
    return value if 0 <= value <= HOTTEST else None


def _written(key: str, value: float) -> str:
    if key == "seed":
        return "" if value < 0 else str(int(value))
    return f"{value:g}".replace(".", language().locale.decimalPoint())
