"""Texts in the user's language. English stands where it is written and is the key; catalogues hold the rest.

A catalogue is a folder of JSON files (``resources/translations/nl/*.json``), one per area of the window; see
``docs/translating.md``. Sentences made below the window come as ``Text`` and are translated by ``show``.
"""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QLocale, QObject, Signal

from personadesk import resources
from personadesk.domain.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "LANGUAGES",
    "PSEUDO",
    "Catalogue",
    "CatalogueError",
    "Language",
    "language",
    "load_catalogue",
    "mark",
    "show",
    "tr",
    "trn",
]

LANGUAGES = {"en": "English", "nl": "Nederlands"}
"""What the user can choose, each in its own name."""

PSEUDO = "pseudo"
"""A made-up language, 40 % longer, that shows clipped and forgotten texts; for tests."""


class CatalogueError(ValueError):
    """A translation file says two things at once, or is not what it should be."""


Entry = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Translations of one language.

    Attributes:
        code: ``nl``.
        texts: English text → translation.
        plurals: English ``(one, many)`` → translation ``(one, many)``.
    """

    code: str
    texts: Mapping[str, str]
    plurals: Mapping[tuple[str, str], tuple[str, str]]


def load_catalogue(code: str) -> Catalogue:
    """Read all files of a language.

    Raises:
        CatalogueError: two files translate one text differently, or a file is malformed.
    """
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, str], tuple[str, str]] = {}
    if code in {"en", PSEUDO}:
        return Catalogue(code, texts, plurals)
    for file in sorted(resources.path("translations", code).glob("*.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        for source, target in raw.get("texts", {}).items():
            if texts.setdefault(source, target) != target:
                raise CatalogueError(f"{file.name}: “{source}” is translated differently elsewhere")
        for one, many, one_target, many_target in raw.get("plurals", []):
            pair = (one_target, many_target)
            if plurals.setdefault((one, many), pair) != pair:
                raise CatalogueError(f"{file.name}: “{one}” is translated differently elsewhere")
    return Catalogue(code, texts, plurals)


class Language(QObject):
    """The language in use.

    Signals:
        language_changed: Texts made so far are in the old language; the shell builds its pages anew.
    """

    language_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._catalogue = Catalogue("en", {}, {})
        self._locale = QLocale(QLocale.Language.English, QLocale.Country.UnitedStates)

    @property
    def code(self) -> str:
        """``en``, ``nl`` or ``pseudo``."""
        return self._catalogue.code

    @property
    def locale(self) -> QLocale:
        """Rules for numbers and dates of the language."""
        return self._locale

    def choose(self, code: str) -> None:
        """Change the language; an unknown code means English."""
        known = code if code in LANGUAGES or code == PSEUDO else "en"
        if known == self.code:
            return
        self._catalogue = load_catalogue(known)
        self._locale = (
            QLocale(QLocale.Language.Dutch, QLocale.Country.Netherlands)
            if known == "nl"
            else QLocale(QLocale.Language.English, QLocale.Country.UnitedStates)
        )
        self.language_changed.emit()

    def look_up(self, source: str) -> str:
        """Return the translation of a text, or the text itself where there is none."""
        if self.code == PSEUDO:
            return _pseudo(source)
        return self._catalogue.texts.get(source, source)

    def look_up_plural(self, one: str, many: str, count: float) -> str:
        """Return the form for ``count``; English and Dutch both have one and many."""
        if self.code == PSEUDO:
            return _pseudo(one if count == 1 else many)
        forms = self._catalogue.plurals.get((one, many), (one, many))
        return forms[0] if count == 1 else forms[1]


class _Formatter(string.Formatter):
    """Fills placeholders; decimals are written as the language writes them."""

    def __init__(self, owner: Language) -> None:
        self._owner = owner

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if isinstance(value, Text):
            value = _render(value, self._owner)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        text = str(super().format_field(value, format_spec))
        if isinstance(value, float) and self._owner.locale.decimalPoint() == ",":
            text = text.translate(str.maketrans(".,", ",."))
        return text


_language = Language()


def language() -> Language:
    """Return the language of this process."""
    return _language


def tr(source: str, /, **values: object) -> str:
    """Return a text in the user's language.

    Args:
        source: English, a literal where it is called; placeholders are named: ``"Talk to {line}"``.
        **values: What the placeholders stand for; a float gets the language's decimal sign.
    """
    return _fill(_language.look_up(source), values, _language)


def trn(one: str, many: str, n: float, /, **values: object) -> str:
    """Return a text with a number in it; ``{n}`` stands for the number."""
    return _fill(_language.look_up_plural(one, many, n), {"n": n, **values}, _language)


def mark(source: str, /) -> str:
    """Mark a text for translation without translating it, for constants; ``tr(constant)`` comes later."""
    return source


def show(text: Text | str) -> str:
    """Return a sentence made below the window in the user's language."""
    return _render(text, _language) if isinstance(text, Text) else text


def _render(text: Text, owner: Language) -> str:
    return _fill(owner.look_up(text.template), text.values, owner) if text else ""


def _fill(template: str, values: Mapping[str, object], owner: Language) -> str:
    if not values:
        return template
    return _Formatter(owner).vformat(template, _no_positions(), values)


def _no_positions() -> Sequence[object]:
    return ()


_ACCENTS = str.maketrans("AEIOUYCDGHLNRSTZaeiouycdghlnrstz", "ÂÊÎÔÛŶÇĎĜĤĻŃŔŠŢŽåéîôüýçďĝĥļñřšţž")


def _pseudo(source: str) -> str:
    parts = re.split(r"(\{[^}]*\})", source)
    accented = "".join(part if part.startswith("{") else part.translate(_ACCENTS) for part in parts)
    letters = sum(len(part) for part in parts if not part.startswith("{"))
    words = " ~~~~~" * (round(letters * 0.4) // 6) + "~" * (round(letters * 0.4) % 6)
    return f"{accented}{words}" if letters else source
