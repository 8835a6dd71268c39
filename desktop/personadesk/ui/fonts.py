"""Loads the bundled faces and makes fonts from the type scale.

Figures are tabular everywhere, so that live numbers do not wobble.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QFont, QFontDatabase

from personadesk import resources

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FACES", "SCALE", "Faces", "Type", "load_faces", "make_font"]

log = logging.getLogger(__name__)

FACES = (
    "Inter-Regular.ttf",
    "Inter-Medium.ttf",
    "Inter-SemiBold.ttf",
    "Inter-Bold.ttf",
    "JetBrainsMono-Regular.ttf",
    "JetBrainsMono-Medium.ttf",
)


class Type(StrEnum):
    """A step of the type scale."""

    HERO = "hero"
    VERDICT = "verdict"
    FIGURE = "figure"
    PAGE = "page"
    HEADING = "heading"
    LEAD = "lead"
    CARD_TITLE = "card-title"
    BODY = "body"
    SMALL = "small"
    AXIS = "axis"


@dataclass(frozen=True, slots=True)
class Step:
    """Size (factor of the system's own) and usual weight of a type."""

    factor: float
    weight: int


BOLD = 700
"""The bundled Bold is cut at 650, as the scale asks; a system face without 650 falls to its bold."""

SCALE: dict[Type, Step] = {
    Type.HERO: Step(2.15, BOLD),
    Type.VERDICT: Step(1.70, BOLD),
    Type.FIGURE: Step(1.54, BOLD),
    Type.PAGE: Step(1.38, BOLD),
    Type.HEADING: Step(1.23, BOLD),
    Type.LEAD: Step(1.15, 400),
    Type.CARD_TITLE: Step(1.08, BOLD),
    Type.BODY: Step(1.00, 400),
    Type.SMALL: Step(0.92, 400),
    Type.AXIS: Step(0.85, 400),
}


@dataclass(frozen=True, slots=True)
class Faces:
    """Family names in use."""

    text: str
    mono: str


def load_faces(*, use_system: bool = False, files: Sequence[str] = FACES) -> Faces:
    """Register the bundled faces with Qt and return the families to use.

    A face that cannot be loaded is replaced by the system's: the window must open all the same.

    Args:
        use_system: The user's choice *Use the system's font*.
        files: Names in ``resources/fonts``.
    """
    general = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    if use_system:
        return Faces(general, fixed)
    loaded: set[str] = set()
    for name in files:
        try:
            data = resources.read_bytes("fonts", name)
        except OSError as error:
            log.warning("face %s not read: %s", name, error)
            continue
        number = QFontDatabase.addApplicationFontFromData(QByteArray(data))
        if number < 0:
            log.warning("face %s not accepted by Qt", name)
            continue
        loaded.update(QFontDatabase.applicationFontFamilies(number))
    return Faces(
        "Inter" if "Inter" in loaded else general,
        "JetBrains Mono" if "JetBrains Mono" in loaded else fixed,
    )


def make_font(family: str, pixels: int, weight: int) -> QFont:
    """Return a font of that pixel size and weight (1 to 1000) with tabular figures."""
    font = QFont(family)
    font.setPixelSize(max(1, pixels))
    font.setWeight(QFont.Weight(weight))
    font.setFeature(QFont.Tag("tnum"), 1)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font
