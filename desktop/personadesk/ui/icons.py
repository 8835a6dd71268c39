"""Draws the project's SVG icons in the theme's colours, and keeps the drawn ones.

Icons are 24 x 24, one colour (``currentColor``). They are kept per name, size, colour and device pixel ratio.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from personadesk import resources
from personadesk.ui.theme import Role, theme

__all__ = ["application_icon", "icon", "paint_icon", "pixmap"]

_LOGO_FILL, _LOGO_BARS = "#2B5FD9", "#FFFFFF"
_APPLICATION_SIZES = (16, 24, 32, 48, 64, 128, 256)


@lru_cache(maxsize=128)
def _source(name: str) -> str:
    return resources.read_text("icons", f"{name}.svg")


def _renderer(name: str, colour: str) -> QSvgRenderer:
    svg = _source(name)
    if name == "logo":
        roles = theme().palette.roles
        svg = svg.replace(_LOGO_FILL, roles[Role.ACCENT]).replace(_LOGO_BARS, roles[Role.ON_ACCENT])
    else:
        svg = svg.replace("currentColor", colour)
    return QSvgRenderer(QByteArray(svg.encode()))


@lru_cache(maxsize=512)
def _drawn(name: str, colour: str, size: int, trailing: int, ratio: float, _look: str) -> QPixmap:
    # First, for it may fail: a painter that is left running on a pixmap takes the process down.
    renderer = _renderer(name, colour)
    drawn = QPixmap(round((size + trailing) * ratio), round(size * ratio))
    drawn.setDevicePixelRatio(ratio)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.end()
    return drawn


def pixmap(
    name: str,
    size: int,
    colour: QColor | Role = Role.TEXT2,
    *,
    ratio: float = 1.0,
    trailing: int = 0,
) -> QPixmap:
    """Return a drawn icon.

    Args:
        name: File name in ``resources/icons`` without ``.svg``.
        size: Edge in logical pixels.
        colour: A role of the theme, or a colour.
        ratio: Device pixel ratio of the screen it is for.
        trailing: Empty logical pixels to its right.

    Raises:
        personadesk.resources.ResourceMissingError: when there is no icon of that name.
    """
    value = theme().colour(colour) if isinstance(colour, Role) else colour
    return _drawn(name, value.name(), size, trailing, ratio, theme().palette.look)


def paint_icon(
    painter: QPainter, rect: QRectF, name: str, colour: QColor | Role = Role.TEXT2
) -> None:
    """Paint an icon into ``rect`` of a running painter, sharp at any ratio."""
    ratio = painter.device().devicePixelRatioF()
    painter.drawPixmap(rect.topLeft(), pixmap(name, round(rect.width()), colour, ratio=ratio))


def icon(
    name: str,
    size: int,
    colour: QColor | Role = Role.TEXT2,
    *,
    checked: QColor | Role | None = None,
    ratio: float = 1.0,
    trailing: int = 0,
    disabled: bool = True,
) -> QIcon:
    """Return an icon with its disabled and, if asked, its checked form.

    Args:
        name: File name in ``resources/icons`` without ``.svg``.
        size: Edge in logical pixels.
        colour: Its colour at rest.
        checked: Its colour when the button is checked.
        ratio: Device pixel ratio of the screen it is for.
        trailing: Empty logical pixels to its right: Qt's style sheets cannot widen the gap to the text.
        disabled: Whether its button can ever be disabled.
    """
    made = QIcon()
    made.addPixmap(pixmap(name, size, colour, ratio=ratio, trailing=trailing))
    if disabled:
        made.addPixmap(
            pixmap(name, size, Role.TEXT3, ratio=ratio, trailing=trailing), QIcon.Mode.Disabled
        )
    if checked is not None:
        made.addPixmap(
            pixmap(name, size, checked, ratio=ratio, trailing=trailing),
            QIcon.Mode.Normal,
            QIcon.State.On,
        )
    return made


def application_icon() -> QIcon:
    """Return the icon of the program for windows, task bars and docks."""
    made = QIcon()
    for size in _APPLICATION_SIZES:
        made.addPixmap(pixmap("logo", size))
    return made
