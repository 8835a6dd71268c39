"""The About window: version, licence, and whose work is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6 import __version__ as qt_version
from PySide6.QtWidgets import QDialog, QPlainTextEdit

from personadesk import __version__, resources
from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, IconLabel, Kind, hbox, label, vbox

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

__all__ = ["AboutDialog", "show_about"]

WORKS = (
    ("Qt for Python", "LGPL-3.0"),
    ("Inter", "OFL-1.1"),
    ("JetBrains Mono", "OFL-1.1"),
    ("NumPy", "BSD-3-Clause"),
    ("websockets", "BSD-3-Clause"),
    ("httpx", "BSD-3-Clause"),
    ("sphn", "MIT"),
    ("libopus, opuslib-next", "BSD-3-Clause"),
    ("python-sounddevice, PortAudio", "MIT"),
    ("python-soxr", "LGPL-2.1"),
)


class AboutDialog(QDialog):
    """Says what this is and under which terms."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("About PersonaDesk"))
        px = theme().px
        self.setMinimumSize(px(520), px(460))
        column = vbox(self, gap=12, margin=24)
        head = hbox(gap=14)
        head.addWidget(IconLabel("logo", 44))
        words = vbox(gap=2)
        words.addWidget(label("PersonaDesk", Type.PAGE))
        words.addWidget(
            label(
                tr("Version {version} · Qt for Python {qt}", version=__version__, qt=qt_version),
                Type.SMALL,
                Role.TEXT2,
                selectable=True,
            )
        )
        head.addLayout(words, 1)
        column.addLayout(head)
        column.addWidget(
            label(
                tr("Free software under the MIT licence. It stands on the work of others:"),
                wrap=True,
            )
        )
        text = QPlainTextEdit(self._terms())
        text.setReadOnly(True)
        text.setTabChangesFocus(True)
        text.setProperty("kind", "log")
        text.setAccessibleName(tr("Licences"))
        column.addWidget(text, 1)
        foot = hbox(gap=8)
        foot.addStretch(1)
        close = Button(tr("Close"), kind=Kind.PRIMARY)
        close.clicked.connect(self.accept)
        foot.addWidget(close)
        column.addLayout(foot)
        close.setFocus()

    def _terms(self) -> str:
        works = "\n".join(f"{name}: {terms}" for name, terms in WORKS)
        faces = "\n\n".join(
            f"{name}\n{resources.read_text('fonts', file)}"
            for name, file in (
                ("Inter", "Inter-LICENSE.txt"),
                ("JetBrains Mono", "JetBrainsMono-LICENSE.txt"),
            )
        )
        return f"{works}\n\n{faces}"


def show_about(parent: QWidget) -> None:
    """Open the window."""
    dialog = AboutDialog(parent)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
