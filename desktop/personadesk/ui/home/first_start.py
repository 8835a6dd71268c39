"""The first start: what PersonaDesk is for, and the ways to begin. Ways that are not built yet are absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.i18n import LANGUAGES, language, tr
from personadesk.ui.shell.menus import LOOKS
from personadesk.ui.theme import Look, Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    ChoiceCard,
    ComboBox,
    ElidedLabel,
    IconLabel,
    Kind,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from PySide6.QtWidgets import QHBoxLayout

__all__ = ["FirstStart"]

CARD_WIDTH = 400
LOGO_FROM = 640


class FirstStart(QWidget):
    """Welcome, choice cards, and at the foot language and look.

    Signals:
        try_here_asked: *Try it here* was pressed.
        rent_asked: *Rent a GPU* was pressed.
        use_machine_asked: *Use my machine* was pressed.
        rehearse_asked: A rehearsal is wanted.
        look_chosen: Another look was chosen (its value).
        language_chosen: Another language was chosen (its code).
    """

    try_here_asked = Signal()
    rent_asked = Signal()
    use_machine_asked = Signal()
    rehearse_asked = Signal()
    look_chosen = Signal(str)
    language_chosen = Signal(str)

    def __init__(
        self, computer: str = "", parent: QWidget | None = None, *, rehearsal: bool = False
    ) -> None:
        """Make the view.

        Args:
            computer: A sentence about what this computer can do; "" for the usual one.
            parent: The widget that it is in.
            rehearsal: Whether this is a rehearsal already, in which none is offered.
        """
        super().__init__(parent)
        px = theme().px
        column = vbox(self, margin=24)
        column.addStretch(3)
        centre = Qt.AlignmentFlag.AlignHCenter
        self._logo = IconLabel("logo", 52)
        column.addWidget(self._logo, alignment=centre)
        column.addSpacing(px(12))
        welcome = label(tr("Welcome to PersonaDesk"), Type.HERO)
        welcome.setAlignment(centre)
        column.addWidget(welcome)
        column.addSpacing(px(8))
        promise = label(
            tr(
                "Put a talking voice on a GPU, keep it under one address that never changes, "
                "and talk to it."
            ),
            Type.LEAD,
            Role.TEXT2,
            wrap=True,
        )
        promise.setAlignment(centre)
        column.addWidget(promise)
        column.addSpacing(px(24))
        self.card = ChoiceCard(
            icon="computer",
            title=tr("On this computer"),
            text=computer or usual_sentence(),
            promises=(
                tr("Nothing to sign up for"),
                tr("Tested with a spoken question"),
                tr("Can be removed again completely"),
            ),
            action=tr("Try it here"),
            pill=tr("Free"),
            free=True,
            recommended=True,
        )
        self.card.clicked.connect(self.try_here_asked)
        self.rent_card = ChoiceCard(
            icon="cloud",
            title=tr("On a rented GPU"),
            text=tr("We compare the providers, rent one for you, install the voice and test it."),
            promises=(
                tr("You need one key of one provider"),
                tr("The price stands on the last button"),
                tr("Sleeps when nobody calls"),
            ),
            action=tr("Rent a GPU"),
            pill=tr("by the hour"),
        )
        self.rent_card.clicked.connect(self.rent_asked)
        self.machine_card = ChoiceCard(
            icon="server",
            title=tr("On my own GPU machine"),
            text=tr("A computer with an NVIDIA card that you can reach with SSH."),
            promises=(
                tr("You need its name and a login"),
                tr("Checked before anything is changed"),
                tr("Can be removed again completely"),
            ),
            action=tr("Use my machine"),
            pill=tr("no rent"),
        )
        self.machine_card.clicked.connect(self.use_machine_asked)
        cards = hbox(gap=20)
        cards.addStretch(1)
        for card in (self.card, self.rent_card, self.machine_card):
            card.setMaximumWidth(px(CARD_WIDTH))
            card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
            # Their stretch outweighs the room beside them until their greatest width is reached.
            cards.addWidget(card, 100)
        cards.addStretch(1)
        column.addLayout(cards)
        column.addSpacing(px(6))
        self.rehearse = Button(
            tr("Rehearse first with pretend providers: nothing real happens, nothing costs money"),
            kind=Kind.LINK,
        )
        self.rehearse.clicked.connect(self.rehearse_asked)
        column.addWidget(self.rehearse, alignment=centre)
        self.rehearse.setVisible(not rehearsal)
        column.addSpacing(px(4))
        column.addStretch(4)
        column.addLayout(self._make_foot())

    def fit_height(self, height: int) -> None:
        """Leave the logo out where the window is low; the side bar has it too."""
        self._logo.setVisible(height >= theme().px(LOGO_FROM))

    def set_computer(self, sentence: str) -> None:
        """Say what this computer can do, once that is known."""
        self.card.set_text(sentence or usual_sentence())

    def _make_foot(self) -> QHBoxLayout:
        foot = hbox(gap=8)
        self._languages = ComboBox(tr("Language"))
        for code, name in LANGUAGES.items():
            self._languages.addItem(name, code)
        self._languages.setCurrentIndex(max(0, self._languages.findData(language().code)))
        self._languages.activated.connect(self._choose_language)
        self._looks = ComboBox(tr("Look"))
        for look, text in LOOKS.items():
            self._looks.addItem(tr(text), look.value)
        self._show_look()
        self._looks.activated.connect(
            lambda index: self.look_chosen.emit(self._looks.itemData(index))
        )
        theme().theme_changed.connect(self._show_look)
        for text, box in ((tr("Language"), self._languages), (tr("Look"), self._looks)):
            title = label(text, Type.SMALL, Role.TEXT2)
            title.setBuddy(box)
            foot.addWidget(title)
            foot.addWidget(box)
            foot.addSpacing(theme().px(12))
        promise = ElidedLabel(tr("Your voice stays on this computer."), Type.SMALL, Role.TEXT2)
        promise.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        foot.addWidget(promise, 1)
        return foot

    def _choose_language(self, index: int) -> None:
        code = self._languages.itemData(index)
        if code != language().code:
            self.language_chosen.emit(code)

    def _show_look(self) -> None:
        self._looks.setCurrentIndex(self._looks.findData(Look(theme().look).value))


def usual_sentence() -> str:
    """Return what is true of every computer: the rehearsal model and the echo run anywhere."""
    return tr(
        "The voice server runs here with a small rehearsal model. It babbles, for it was never "
        "trained; the Echo engine returns your own voice. So you can try everything."
    )
