"""What the window remembers by itself: its place, the look, the language, the size of text.

Kept in one ini file in the state folder. It is not for settings that change what PersonaDesk does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QLocale, QSettings

from personadesk.ui.i18n import LANGUAGES, PSEUDO
from personadesk.ui.theme import TEXT_SIZES, Look

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Preferences"]

FILE = "window.ini"


class Preferences:
    """Reads and writes the window's own file; what is missing or nonsense has a sensible default."""

    def __init__(self, state: Path) -> None:
        """Open the file.

        Args:
            state: The state folder; it is made when something is first written.
        """
        self._folder = state
        self._settings = QSettings(str(state / FILE), QSettings.Format.IniFormat)

    @property
    def look(self) -> Look:
        """Colours that the user chose."""
        try:
            return Look(str(self._settings.value("look", Look.SYSTEM.value)))
        except ValueError:
            return Look.SYSTEM

    @look.setter
    def look(self, look: Look) -> None:
        self._write("look", look.value)

    @property
    def language(self) -> str:
        """Language that the user chose, else the system's where it is one of ours, else English."""
        chosen = str(self._settings.value("language", ""))
        if chosen in LANGUAGES or chosen == PSEUDO:
            return chosen
        system = QLocale.system().name().split("_")[0]
        return system if system in LANGUAGES else "en"

    @language.setter
    def language(self, code: str) -> None:
        self._write("language", code)

    @property
    def text_percent(self) -> int:
        """Size of text against the system's."""
        raw = str(self._settings.value("text_percent", "100"))
        percent = int(raw) if raw.isdigit() else 100
        return percent if percent in TEXT_SIZES else 100

    @text_percent.setter
    def text_percent(self, percent: int) -> None:
        self._write("text_percent", str(percent))

    @property
    def geometry(self) -> QByteArray:
        """Place and size of the main window, as Qt wrote it; empty at the first start."""
        raw = self._settings.value("geometry", QByteArray())
        return raw if isinstance(raw, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._write("geometry", geometry)

    def _write(self, key: str, value: str | QByteArray) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._settings.setValue(key, value)
        self._settings.sync()
