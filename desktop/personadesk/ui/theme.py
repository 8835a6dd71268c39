"""The one place that knows how things look: colours by role, fonts by type, sizes by scale.

A widget asks ``theme()`` and listens to ``theme_changed``; it names no colour and no pixel of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyle, QStyleFactory

from personadesk.ui.fonts import SCALE, Faces, Type, load_faces, make_font
from personadesk.ui.palettes import Look, Palette, Role, load_palette
from personadesk.ui.stylesheet import build_stylesheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtWidgets import QWidget

__all__ = [
    "DESIGN_PIXELS",
    "TEXT_SIZES",
    "FixedTheme",
    "Look",
    "Role",
    "Theme",
    "Type",
    "install_theme",
    "theme",
    "wear",
    "worn",
]

DESIGN_PIXELS = 13
"""Text height at which the design was drawn; every size scales with the real one against this."""

TEXT_SIZES = (100, 125, 150, 175, 200)
"""Percentages that the window offers for the text."""

SPACES = (2, 4, 8, 12, 16, 20, 24, 32)


class Theme(QObject):
    """Colours, fonts and sizes in use.

    Attributes:
        palette: The colour table in use.
        faces: The font families in use.

    Signals:
        theme_changed: Anything above changed; caches are stale and widgets repaint.
    """

    theme_changed = Signal()

    def __init__(
        self,
        application: QApplication,
        *,
        look: Look = Look.SYSTEM,
        text_percent: int = 100,
        less_motion: bool = False,
        base_pixels: int | None = None,
        faces: Faces | None = None,
    ) -> None:
        """Take over the look of the application.

        Args:
            application: The running application; style, palette, font and style sheet are set on it.
            look: What the user chose.
            text_percent: Text size against the system's.
            less_motion: The user's wish, beyond what the system asks for.
            base_pixels: Height of body text, instead of the system's; for pictures and tests.
            faces: Families to use, instead of loading the bundled ones.
        """
        super().__init__(application)
        self._application = application
        self._look = look
        self._text_percent = text_percent
        self._less_motion = less_motion
        self._base_pixels = base_pixels or _system_pixels()
        self.faces = faces or load_faces()
        self.palette: Palette = load_palette(self._resolve(look))
        self._colours: dict[str, QColor] = {}
        application.setStyle(QStyleFactory.create("Fusion"))
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self._system_changed)
        if hasattr(hints, "accessibility"):
            hints.accessibility().contrastPreferenceChanged.connect(self._system_changed)
        self._apply()

    @property
    def look(self) -> Look:
        """What the user chose; ``SYSTEM`` is possible."""
        return self._look

    @property
    def text_percent(self) -> int:
        """Text size against the system's."""
        return self._text_percent

    @property
    def reduced_motion(self) -> bool:
        """Whether the user or the system asks for less motion; what moves only decorates and then stands still."""
        style = self._application.style()
        return self._less_motion or not style.styleHint(QStyle.StyleHint.SH_Widget_Animate)

    @property
    def is_dark(self) -> bool:
        """Whether text is light on dark."""
        return self.palette.look is not Look.LIGHT

    @property
    def is_high_contrast(self) -> bool:
        """Whether the high contrast table is in use."""
        return self.palette.look is Look.HIGH_CONTRAST

    def set_look(self, look: Look) -> None:
        """Change the colours at once."""
        if look is self._look and load_palette(self._resolve(look)) is self.palette:
            return
        self._look = look
        self.palette = load_palette(self._resolve(look))
        self._apply()

    def set_text_percent(self, percent: int) -> None:
        """Change the size of text, and of everything with it, at once."""
        if percent != self._text_percent:
            self._text_percent = percent
            self._apply()

    def colour(self, role: Role) -> QColor:
        """Return the colour of a role. Do not change it in place."""
        return self._colour(self.palette.roles[role])

    def series(self, index: int) -> QColor:
        """Return the colour of curve ``index`` (0 to 5)."""
        return self._colour(self.palette.series[index])

    def px(self, design: float) -> int:
        """Return a length of the design (at 13 px text) in real pixels; never 0 for a positive one."""
        if design <= 0:
            return 0
        return max(1, round(self.pxf(design)))

    def pxf(self, design: float) -> float:
        """Return a length of the design in real pixels, unrounded, for painting."""
        return design * self.body_pixels / DESIGN_PIXELS

    @property
    def body_pixels(self) -> float:
        """Height of body text."""
        return self._base_pixels * self._text_percent / 100

    @property
    def border(self) -> int:
        """Width of an edge."""
        return self.palette.border_width * max(1, round(self.body_pixels / DESIGN_PIXELS / 1.5))

    def font(
        self, type_: Type = Type.BODY, weight: int | None = None, *, mono: bool = False
    ) -> QFont:
        """Return the font of a type.

        Args:
            type_: Step of the scale.
            weight: 400, 500, 600 or 700, instead of the type's own.
            mono: Fixed width, for addresses, keys, logs and code.
        """
        step = SCALE[type_]
        family = self.faces.mono if mono else self.faces.text
        return make_font(family, round(self.body_pixels * step.factor), weight or step.weight)

    def _resolve(self, look: Look) -> Look:
        if look is not Look.SYSTEM:
            return look
        hints = QGuiApplication.styleHints()
        if hasattr(hints, "accessibility"):
            wanted = hints.accessibility().contrastPreference()
            if wanted == Qt.ContrastPreference.HighContrast:
                return Look.HIGH_CONTRAST
        dark = hints.colorScheme() == Qt.ColorScheme.Dark
        return Look.DARK if dark else Look.LIGHT

    def _system_changed(self) -> None:
        if self._look is Look.SYSTEM:
            self.set_look(Look.SYSTEM)

    def _colour(self, value: str) -> QColor:
        colour = self._colours.get(value)
        if colour is None:
            colour = self._colours[value] = QColor(value)
        return colour

    def _apply(self) -> None:
        self._application.setPalette(_qt_palette(self))
        self._application.setFont(self.font())
        self._application.setStyleSheet(build_stylesheet(self))
        self.theme_changed.emit()


class FixedTheme(Theme):
    """The theme in colours that stay, for a window on a wall; sizes and fonts are those of the program's theme.

    It is worn while such a window is built and painted, see `wear`; the program's own look is not touched.
    """

    def __init__(self, base: Theme, look: Look) -> None:
        """Make it.

        Args:
            base: The program's theme.
            look: Its colours; not ``SYSTEM``.
        """
        # Not Theme's: that dresses the application.
        QObject.__init__(self, base)
        self._base = base
        self._look = look
        self.palette = load_palette(look)
        self._colours = {}
        self.faces = base.faces
        base.theme_changed.connect(self._follow)

    @property
    def text_percent(self) -> int:
        return self._base.text_percent

    @property
    def reduced_motion(self) -> bool:
        return self._base.reduced_motion

    @property
    def body_pixels(self) -> float:
        return self._base.body_pixels

    def dress(self, window: QWidget) -> None:
        """Give a window its colours."""
        window.setPalette(_qt_palette(self))
        window.setStyleSheet(build_stylesheet(self))

    def _follow(self) -> None:
        self.faces = self._base.faces
        with wear(self):
            self.theme_changed.emit()


_current: Theme | None = None
_worn: list[Theme] = []


@contextmanager
def wear(wanted: Theme | None) -> Iterator[None]:
    """Let ``theme()`` return another theme meanwhile; None changes nothing."""
    if wanted is None:
        yield
        return
    _worn.append(wanted)
    try:
        yield
    finally:
        _worn.pop()


def worn() -> Theme | None:
    """Return the theme that is worn instead of the program's, None for none."""
    return _worn[-1] if _worn else None


def install_theme(theme: Theme) -> Theme:
    """Make this the theme that ``theme()`` returns; there is one application, so there is one theme."""
    global _current
    _current = theme
    return theme


def theme() -> Theme:
    """Return the theme of the running application.

    Raises:
        RuntimeError: when no theme was installed yet.
    """
    if _worn:
        return _worn[-1]
    if _current is None:
        raise RuntimeError("install_theme() must be called before the first widget is made")
    return _current


def _system_pixels() -> int:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    # Bare X servers and Windows report 12 or less, where axis texts (0.85) would fall to 10 px.
    return max(DESIGN_PIXELS, QFontInfo(font).pixelSize())


def _qt_palette(theme: Theme) -> QPalette:
    palette = QPalette()
    group = QPalette.ColorRole
    roles = {
        group.Window: Role.WINDOW,
        group.WindowText: Role.TEXT,
        group.Text: Role.TEXT,
        group.ButtonText: Role.TEXT,
        group.BrightText: Role.ON_ACCENT,
        group.Base: Role.SURFACE,
        group.Button: Role.SURFACE,
        group.AlternateBase: Role.INSET,
        group.Highlight: Role.ACCENT,
        group.HighlightedText: Role.ON_ACCENT,
        group.PlaceholderText: Role.TEXT3,
        group.Link: Role.ACCENT_TEXT,
        group.LinkVisited: Role.ACCENT_TEXT,
        group.ToolTipBase: Role.INSET,
        group.ToolTipText: Role.TEXT,
        group.Accent: Role.ACCENT,
        group.Light: Role.SURFACE,
        group.Midlight: Role.HOVER,
        group.Mid: Role.BORDER,
        group.Dark: Role.BORDER_STRONG,
        group.Shadow: Role.BORDER_STRONG,
    }
    for qt_role, role in roles.items():
        palette.setColor(qt_role, theme.colour(role))
    disabled = QPalette.ColorGroup.Disabled
    for qt_role in (group.WindowText, group.Text, group.ButtonText, group.HighlightedText):
        palette.setColor(disabled, qt_role, theme.colour(Role.TEXT3))
    for qt_role in (group.Base, group.Button, group.Highlight):
        palette.setColor(disabled, qt_role, theme.colour(Role.INSET))
    return palette
