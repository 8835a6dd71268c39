"""The language in which people are told things, for the window and the terminal alike.

English stands where it is written and is the key; catalogues hold the rest. A catalogue is a folder of JSON files
(``resources/translations/nl/*.json``), one per area; see ``docs/translating.md``. Sentences that are made below the
window and the terminal come as ``Text`` and are translated by ``show``.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personadesk import resources
from personadesk.domain.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "LANGUAGES",
    "PSEUDO",
    "Catalogue",
    "CatalogueError",
    "code",
    "decimal_point",
    "load_catalogue",
    "mark",
    "number",
    "show",
    "tr",
    "trn",
    "use",
]

LANGUAGES = {"en": "English", "nl": "Nederlands"}
"""What the user can choose, each in its own name."""

PSEUDO = "pseudo"
"""A made-up language, 40 % longer, that shows clipped and forgotten texts; for tests."""

_DECIMAL_POINTS = {"nl": ","}
_SWAPPED = str.maketrans(".,", ",.")


class CatalogueError(ValueError):
    """A translation file says two things at once, or is not what it should be."""


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

    @property
    def decimal_point(self) -> str:
        """What stands between whole numbers and decimals."""
        return _DECIMAL_POINTS.get(self.code, ".")

    def look_up(self, source: str) -> str:
        """Return the translation of a text, or the text itself where there is none."""
        if self.code == PSEUDO:
            return _pseudo(source)
        return self.texts.get(source, source)

    def look_up_plural(self, one: str, many: str, count: float) -> str:
        """Return the form for ``count``; English and Dutch both have one and many."""
        if self.code == PSEUDO:
            return _pseudo(one if count == 1 else many)
        forms = self.plurals.get((one, many), (one, many))
        return forms[0] if count == 1 else forms[1]

    def fill(self, template: str, values: Mapping[str, object]) -> str:
        """Fill the placeholders of a text that was looked up; floats get the language's decimal sign."""
        if not values:
            return template
        return _Formatter(self).vformat(template, _no_positions(), values)

    def number(self, value: float, form: str) -> str:
        """Return a number in a form such as ``.2f``, with the language's decimal sign."""
        return _Formatter(self).format_field(float(value), form)

    def render(self, text: Text) -> str:
        """Return a sentence with all sentences within it."""
        return self.fill(self.look_up(text.template), text.values) if text else ""


def load_catalogue(code: str) -> Catalogue:
    """Read all files of a language.

    Raises:
        CatalogueError: two files translate one text differently, or a file is malformed.
    """
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, str], tuple[str, str]] = {}
    if code in {"en", PSEUDO}:
        return Catalogue(code, texts, plurals)
    import json  # only here: English has no files, and a command's help no time to lose

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


class _Formatter(string.Formatter):
    """Fills placeholders; decimals are written as the language writes them."""

    def __init__(self, owner: Catalogue) -> None:
        self._owner = owner

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if isinstance(value, Text):
            value = self._owner.render(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        text = str(super().format_field(value, format_spec))
        if isinstance(value, float) and self._owner.decimal_point == ",":
            text = text.translate(_SWAPPED)
        return text


class _Chosen:
    """The catalogue of this process."""

    catalogue = Catalogue("en", {}, {})


def code() -> str:
    """Return the language of this process: ``en``, ``nl`` or ``pseudo``."""
    return _Chosen.catalogue.code


def decimal_point() -> str:
    """Return what stands between whole numbers and decimals in it."""
    return _Chosen.catalogue.decimal_point


def use(wanted: str) -> bool:
    """Change the language of this process; an unknown code means English.

    Returns:
        Whether it is another one than before.
    """
    known = wanted if wanted in LANGUAGES or wanted == PSEUDO else "en"
    if known == code():
        return False
    _Chosen.catalogue = load_catalogue(known)
    return True


def tr(source: str, /, **values: object) -> str:
    """Return a text in the user's language.

    Args:
        source: English, a literal where it is called; placeholders are named: ``"Talk to {line}"``.
        **values: What the placeholders stand for; a float gets the language's decimal sign.
    """
    chosen = _Chosen.catalogue
    return chosen.fill(chosen.look_up(source), values)


def trn(one: str, many: str, n: float, /, **values: object) -> str:
    """Return a text with a number in it; ``{n}`` stands for the number."""
    chosen = _Chosen.catalogue
    return chosen.fill(chosen.look_up_plural(one, many, n), {"n": n, **values})


def mark(source: str, /) -> str:
    """Mark a text for translation without translating it, for constants; ``tr(constant)`` comes later."""
    return source


def show(text: Text | str) -> str:
    """Return a sentence made below in the user's language."""
    return _Chosen.catalogue.render(text) if isinstance(text, Text) else text


def number(value: float, form: str) -> str:
    """Return a number in a form such as ``.2f``, with the decimal sign of the user's language."""
    return _Chosen.catalogue.number(value, form)


def _no_positions() -> Sequence[object]:
    return ()


_ACCENTS = str.maketrans("AEIOUYCDGHLNRSTZaeiouycdghlnrstz", "ÂÊÎÔÛŶÇĎĜĤĻŃŔŠŢŽåéîôüýçďĝĥļñřšţž")


def _pseudo(source: str) -> str:
    parts = re.split(r"(\{[^}]*\})", source)
    accented = "".join(part if part.startswith("{") else part.translate(_ACCENTS) for part in parts)
    letters = sum(len(part) for part in parts if not part.startswith("{"))
    words = " ~~~~~" * (round(letters * 0.4) // 6) + "~" * (round(letters * 0.4) % 6)
    return f"{accented}{words}" if letters else source
