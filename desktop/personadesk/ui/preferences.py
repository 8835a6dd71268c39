"""What the window looks up at its start and remembers: look, language, size of text, and its own place.

The first three are settings like any other; the place of the window is Qt's own business and lies apart in an ini
file in the state folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QLocale, QSettings

from personadesk.domain.errors import PersonaDeskError
from personadesk.store.settings import LANGUAGE, LOOK, REDUCED_MOTION, TEXT_SIZE, Settings
from personadesk.ui.i18n import LANGUAGES
from personadesk.ui.messages import bus
from personadesk.ui.theme import Look

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.store.paths import Folders
    from personadesk.store.settings import Setting, V

__all__ = ["Preferences"]

FILE = "window.ini"
_LOOKS = {
    "system": Look.SYSTEM,
    "light": Look.LIGHT,
    "dark": Look.DARK,
    "contrast": Look.HIGH_CONTRAST,
}
_LOOK_KEYS = {look: key for key, look in _LOOKS.items()}


class Preferences:
    """The settings as the window understands them. A change that cannot be saved is told, and holds until the end."""

    def __init__(self, settings: Settings, state: Path) -> None:
        """Wrap the settings.

        Args:
            settings: The declared settings.
            state: The state folder; made when the window's place is first written.
        """
        self._settings = settings
        self._state = state

    @classmethod
    def open(cls, folders: Folders) -> Preferences:
        """Read the preferences of this user."""
        return cls(Settings(folders.config / "settings.toml"), folders.state)

    @property
    def look(self) -> Look:
        """Colours that the user chose."""
        return _LOOKS[self._settings.get(LOOK)]

    @look.setter
    def look(self, look: Look) -> None:
        self._set(LOOK, _LOOK_KEYS[look])

    @property
    def language(self) -> str:
        """Language that the user chose, else the system's where it is one of ours, else English."""
        chosen = self._settings.get(LANGUAGE)
        if chosen in LANGUAGES:
            return chosen
        system = QLocale.system().name().split("_")[0]
        return system if system in LANGUAGES else "en"

    @language.setter
    def language(self, code: str) -> None:
        self._set(LANGUAGE, code)

    @property
    def text_percent(self) -> int:
        """Size of text against the system's."""
        return self._settings.get(TEXT_SIZE)

    @text_percent.setter
    def text_percent(self, percent: int) -> None:
        self._set(TEXT_SIZE, percent)

    @property
    def reduced_motion(self) -> bool:
        """Whether the user asked for less motion than the system does."""
        return self._settings.get(REDUCED_MOTION)

    @property
    def geometry(self) -> QByteArray:
        """Place and size of the main window, as Qt wrote it; empty at the first start."""
        raw = self._place().value("geometry", QByteArray())
        return raw if isinstance(raw, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._write("geometry", geometry)

    @property
    def monitor_geometry(self) -> QByteArray:
        """Place and size of the monitor's own window; empty before its first time."""
        raw = self._place().value("monitor", QByteArray())
        return raw if isinstance(raw, QByteArray) else QByteArray()

    @monitor_geometry.setter
    def monitor_geometry(self, geometry: QByteArray) -> None:
        self._write("monitor", geometry)

    @property
    def monitor_dark(self) -> bool:
        """Whether windows that only watch are dark whatever the program's look is."""
        return self._place().value("monitor-dark", "false") == "true"

    @monitor_dark.setter
    def monitor_dark(self, wanted: bool) -> None:
        self._write("monitor-dark", "true" if wanted else "false")

    def _write(self, key: str, value: QByteArray | str) -> None:
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._place()
        place.setValue(key, value)
        place.sync()

    def _place(self) -> QSettings:
        return QSettings(str(self._state / FILE), QSettings.Format.IniFormat)

    def _set(self, setting: Setting[V], value: V) -> None:
        try:
            self._settings.set(setting, value)
        except PersonaDeskError as error:
            bus().error(error)
