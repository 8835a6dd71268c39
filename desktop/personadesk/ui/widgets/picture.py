"""Widgets as pictures in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from personadesk.ui.theme import Role, theme

if TYPE_CHECKING:
    from PySide6.QtGui import QColor

__all__ = ["save_png", "save_svg"]


def save_png(widget: QWidget, path: str, _title: str = "", *, ground: QColor | None = None) -> bool:
    """Write a widget as it is on the screen, twice as fine; returns whether that worked."""
    image = QImage(widget.size() * 2, QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(2.0)
    image.fill(ground or theme().colour(Role.WINDOW))
    widget.render(image)
    return image.save(path)


def save_svg(widget: QWidget, path: str, title: str, *, ground: QColor | None = None) -> bool:
    """Write a widget as SVG; returns whether that worked."""
    sheet = QSvgGenerator()
    sheet.setFileName(path)
    sheet.setSize(widget.size())
    sheet.setViewBox(QRect(0, 0, widget.width(), widget.height()))
    sheet.setTitle(title)
    painter = QPainter()
    if not painter.begin(sheet):
        return False
    painter.fillRect(widget.rect(), ground or theme().colour(Role.WINDOW))
    widget.render(painter, QPoint(), renderFlags=QWidget.RenderFlag.DrawChildren)
    return painter.end()
