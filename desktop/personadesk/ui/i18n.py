"""The language of the window: what ``personadesk.language`` knows, with Qt's rules for dates and a signal."""

from __future__ import annotations

from PySide6.QtCore import QLocale, QObject, Signal

from personadesk import language as spoken
from personadesk.language import LANGUAGES, PSEUDO, load_catalogue, mark, show, tr, trn

__all__ = [
    "LANGUAGES",
    "PSEUDO",
    "Language",
    "language",
    "load_catalogue",
    "mark",
    "show",
    "tr",
    "trn",
]


class Language(QObject):
    """The language in use.

    Signals:
        language_changed: Texts made so far are in the old language; the shell builds its pages anew.
    """

    language_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._locale = _locale()

    @property
    def code(self) -> str:
        """``en``, ``nl`` or ``pseudo``."""
        return spoken.code()

    @property
    def locale(self) -> QLocale:
        """Rules for numbers and dates of the language."""
        return self._locale

    def choose(self, code: str) -> None:
        """Change the language; an unknown code means English."""
        if spoken.use(code):
            self._locale = _locale()
            self.language_changed.emit()


def _locale() -> QLocale:
    if spoken.code() == "nl":
        return QLocale(QLocale.Language.Dutch, QLocale.Country.Netherlands)
    return QLocale(QLocale.Language.English, QLocale.Country.UnitedStates)


_language = Language()


def language() -> Language:
    """Return the language of this process."""
    return _language
