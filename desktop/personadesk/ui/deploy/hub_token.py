"""Whether there is a Hugging Face token for a model that wants its licence accepted, and the field for one.

The token itself is only ever in the field, and goes from there to the keyring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLineEdit

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, T, Text
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr
from personadesk.ui.messages import Message, Severity, bus
from personadesk.ui.spawn import spawn
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Button, Card, Kind, Shape, StateShape, hbox, label

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from PySide6.QtWidgets import QWidget

__all__ = ["HubToken", "TokenCard"]

LICENCE = "https://huggingface.co/nvidia/personaplex-7b-v1"
TOKENS = "https://huggingface.co/settings/tokens"


class Keeper(Protocol):
    """What keeps the token."""

    async def hub_token_source(self) -> Text | None:
        """Return where a token is; None where there is none."""

    async def keep_hub_token(self, text: str) -> bool:
        """Keep one; returns whether it is in the keyring."""


class HubToken(QObject):
    """Where the token is, and what became of keeping one.

    Signals:
        changed: It was looked for, or kept, or could not be.

    Attributes:
        looked: Whether it was looked for.
        source: Where it is; empty for nowhere.
        fault: Why the one that was typed could not be kept.
    """

    changed = Signal()

    def __init__(
        self, keeper: Callable[[], Awaitable[Keeper]], parent: QObject | None = None
    ) -> None:
        """Know nothing yet.

        Args:
            keeper: Waits until the services are open.
        """
        super().__init__(parent)
        self._keeper = keeper
        self.looked = False
        self.source: Text = NOTHING
        self.fault: Text = NOTHING

    def look(self) -> None:
        """Look for it; nothing is sent anywhere."""
        spawn(self._look(), "look for a Hugging Face token", owner=self)

    def keep(self, text: str, kept: Callable[[], None]) -> None:
        """Keep what was typed, then call `kept`; what is wrong with it stands in `fault`."""
        spawn(self._keep(text, kept), "keep the Hugging Face token", owner=self)

    async def _look(self) -> None:
        self.source = await (await self._keeper()).hub_token_source() or NOTHING
        self.looked = True
        self.changed.emit()

    async def _keep(self, text: str, kept: Callable[[], None]) -> None:
        keeper = await self._keeper()
        try:
            stays = await keeper.keep_hub_token(text)
        except PersonaDeskError as error:
            self.fault = error.what
            self.changed.emit()
            return
        self.fault = NOTHING
        self.source = T("the keyring") if stays else T("the memory, until you quit")
        self.changed.emit()
        if not stays:
            bus().post(
                Message(
                    Severity.WARNING,
                    T("This computer has no keyring: the token is forgotten when you quit."),
                )
            )
        kept()


class TokenCard(Card):
    """Says where the token is, or asks for one."""

    def __init__(self, token: HubToken, parent: QWidget | None = None) -> None:
        super().__init__(tr("Hugging Face token"), padding=20, gap=12, parent=parent)
        self._token = token
        self._pending: Callable[[], None] | None = None
        told = hbox(gap=10)
        self._shape = StateShape(Shape.BUSY, "", size=16)
        self._text = label("", Type.BODY, Role.TEXT2, wrap=True)
        told.addWidget(self._shape)
        told.addWidget(self._text, 1)
        self.add(told)
        self.field = FormField(
            tr("&Token"),
            hint=tr(
                "Begins with hf_. It is kept in your system’s keyring and asked for only once."
            ),
        )
        self.field.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.edit.textEdited.connect(lambda _text: self.field.set_fault(""))
        self.add(self.field)
        self._links = [
            self._link(tr("Accept the licence"), LICENCE),
            self._link(tr("Make a token"), TOKENS),
        ]
        row = hbox(gap=16)
        for link in self._links:
            row.addWidget(link)
        row.addStretch(1)
        self.add(row)
        token.changed.connect(self._follow)
        self._follow()

    def need(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` once there is a token; else put the keyboard on the field and say what is missing."""
        token = self._token
        if not token.looked:
            self._pending = go_on
            token.look()
        elif token.source:
            go_on()
        elif text := self.field.edit.text().strip():
            token.keep(text, go_on)
        else:
            self.field.set_fault(tr("Paste your token here, or go back and choose another model."))
            self.field.edit.setFocus()

    def _follow(self) -> None:
        token = self._token
        asks = token.looked and not token.source
        self.field.setVisible(asks)
        for link in self._links:
            link.setVisible(asks)
        self.field.set_fault(show(token.fault) if token.fault else "")
        if not token.looked:
            self._shape.set_state(Shape.BUSY, tr("Busy"))
            self._text.setText(tr("Looking for a token on this computer…"))
        elif token.source:
            self.field.edit.clear()
            self._shape.set_state(Shape.OK, tr("Good"))
            self._text.setText(
                tr("Found in {place}. It is used only after Start.", place=show(token.source))
            )
        else:
            self._shape.set_state(Shape.WARN, tr("Not right yet"))
            self._text.setText(
                tr(
                    "The model is given only to people who accepted its licence. Accept it with your "
                    "Hugging Face account, make a token of the kind “Read”, and paste it here."
                )
            )
        if token.looked and self._pending is not None:
            pending, self._pending = self._pending, None
            self.need(pending)

    def _link(self, text: str, address: str) -> Button:
        link = Button(text, kind=Kind.LINK)
        link.setToolTip(address)
        link.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(address)))
        return link
