"""The bar over a page: its title, a line about it, and its one primary action."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import ElidedLabel, hbox, vbox

__all__ = ["TopBar"]

HEIGHT = 64


class TopBar(QFrame):
    """Title, sub-line, action."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "topbar")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._row = hbox(self, gap=12)
        px = theme().px
        self._row.setContentsMargins(px(24), 0, px(24), 0)
        words = vbox(gap=1)
        words.addStretch(1)
        self._title = ElidedLabel("", Type.PAGE)
        self._subtitle = ElidedLabel("", Type.SMALL, Role.TEXT2)
        words.addWidget(self._title)
        words.addWidget(self._subtitle)
        words.addStretch(1)
        self._row.addLayout(words, 1)
        self._action: QWidget | None = None
        self._measure()
        theme().theme_changed.connect(self._measure)

    def show_words(self, title: str, subtitle: str) -> None:
        """Say which page this is."""
        self._title.setText(title)
        self._subtitle.setText(subtitle)
        self._subtitle.setVisible(bool(subtitle))
        self.setAccessibleName(title)

    def show_action(self, button: QWidget | None) -> None:
        """Show a page's primary action or switch, or none; it stays the page's own."""
        if button is self._action:
            return
        if self._action is not None:
            self._row.removeWidget(self._action)
            self._action.hide()
        self._action = button
        if button is not None:
            self._row.addWidget(button, alignment=Qt.AlignmentFlag.AlignVCenter)
            button.show()

    def _measure(self) -> None:
        self.setFixedHeight(theme().px(HEIGHT))
