"""The three colour tables. They are data (``resources/palettes``); this module gives them names and checks them.

Which colour a widget uses is said by its role, never by its value. It is not for fonts or sizes: see ``theme``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from personadesk import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SERIES_COUNT", "Look", "Palette", "Role", "load_palette"]

SERIES_COUNT = 6


class Role(StrEnum):
    """What a colour is for."""

    WINDOW = "window"
    SIDEBAR = "sidebar"
    SURFACE = "surface"
    INSET = "inset"
    HOVER = "hover"
    BORDER = "border"
    BORDER_STRONG = "border_strong"
    TEXT = "text"
    TEXT2 = "text2"
    TEXT3 = "text3"
    ACCENT = "accent"
    ACCENT_HOVER = "accent_hover"
    ON_ACCENT = "on_accent"
    ACCENT_TEXT = "accent_text"
    ACCENT_SOFT = "accent_soft"
    OK = "ok"
    OK_SOFT = "ok_soft"
    WARN = "warn"
    WARN_SOFT = "warn_soft"
    ERR = "err"
    ERR_SOFT = "err_soft"
    OFF = "off"
    OFF_SOFT = "off_soft"
    DANGER = "danger"
    ON_DANGER = "on_danger"
    FOCUS = "focus"
    GRID = "grid"


class Look(StrEnum):
    """What the user chose under *Look*."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"
    HIGH_CONTRAST = "high-contrast"


@dataclass(frozen=True, slots=True)
class Palette:
    """One colour table.

    Attributes:
        look: Which of the three.
        roles: ``#RRGGBB`` for each role.
        series: Colours of graph curves, always used in this order.
        border_width: Width of edges at 13 px text; high contrast doubles it.
        graph_fills: Whether the area under a curve is tinted.
        underline_links: Whether links are underlined at rest.
    """

    look: Look
    roles: Mapping[Role, str]
    series: tuple[str, ...]
    border_width: int
    graph_fills: bool
    underline_links: bool


@cache
def load_palette(look: Look) -> Palette:
    """Read one colour table.

    Args:
        look: Light, dark or high contrast; ``SYSTEM`` is no table of its own.

    Raises:
        ValueError: when the file lacks a role or a series colour.
    """
    raw = json.loads(resources.read_text("palettes", f"{look.value}.json"))
    missing = [role.value for role in Role if role.value not in raw["roles"]]
    if missing or len(raw["series"]) != SERIES_COUNT:
        raise ValueError(
            f"palettes/{look.value}.json is incomplete: {', '.join(missing) or 'series'}"
        )
    return Palette(
        look=look,
        roles=MappingProxyType({role: str(raw["roles"][role.value]) for role in Role}),
        series=tuple(raw["series"]),
        border_width=int(raw["border_width"]),
        graph_fills=bool(raw["graph_fills"]),
        underline_links=bool(raw["underline_links"]),
    )
