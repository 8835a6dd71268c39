"""The address of a line: to read, to select, and to copy with one click."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QLineEdit, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import theme
from personadesk.ui.widgets.buttons import Button, Kind, Size
from personadesk.ui.widgets.card import hbox

__all__ = ["AddressField"]

COPIED_MS = 2000


class AddressField(QFrame):
    """An address with a copy button, which says "Copied" for two seconds."""

    def __init__(self, address: str, owner: str, parent: QWidget | None = None) -> None:
        """Make the field.

        Args:
            address: What is shown and copied.
            owner: Whose address it is, for assistive technology.
        """
        super().__init__(parent)
        self.setProperty("kind", "inset")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        row = hbox(self, gap=8)
        row.setContentsMargins(theme().px(12), theme().px(5), theme().px(6), theme().px(5))
        self._edit = QLineEdit(address)
        self._edit.setReadOnly(True)
        self._edit.setProperty("kind", "address")
        self._edit.setProperty("mono", "true")
        self._edit.setAccessibleName(tr("Address of {owner}", owner=owner))
        self._edit.setCursorPosition(0)
        self._button = Button(
            tr("Copy"),
            kind=Kind.QUIET,
            icon="copy",
            size=Size.SMALL,
            name=tr("Copy address of {owner}", owner=owner),
        )
        # Room for both words from the start: nothing moves when one takes the other's place.
        self._button.ensurePolished()
        self._button.setText(tr("Copied"))
        copied = self._button.sizeHint().width()
        self._button.setText(tr("Copy"))
        self._button.setMinimumWidth(max(copied, self._button.sizeHint().width()))
        self._button.clicked.connect(self.copy)
        self._back = QTimer(self)
        self._back.setSingleShot(True)
        self._back.setInterval(COPIED_MS)
        self._back.timeout.connect(self._rest)
        row.addWidget(self._edit, 1)
        row.addWidget(self._button)

    @property
    def address(self) -> str:
        """What is shown and copied."""
        return self._edit.text()

    def set_address(self, address: str) -> None:
        """Show another address."""
        if address != self._edit.text():
            self._edit.setText(address)
            self._edit.setCursorPosition(0)

    def copy(self) -> None:
        """Put the address on the clipboard and say so."""
        QGuiApplication.clipboard().setText(self.address)
        self._button.setText(tr("Copied"))
        self._button.set_icon("check")
        self._back.start()

    def _rest(self) -> None:
        self._button.setText(tr("Copy"))
        self._button.set_icon("copy")
