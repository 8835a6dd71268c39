"""Colours keep the contrast that the design promises, and a change reaches everything at once."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QFontInfo, QPalette
from PySide6.QtWidgets import QApplication, QPushButton

from personadesk.ui.fonts import FACES, SCALE, Type, load_faces
from personadesk.ui.palettes import SERIES_COUNT, Role, load_palette
from personadesk.ui.theme import Look, theme

TEXT, GRAPHIC = 4.5, 3.0
GROUNDS = (Role.WINDOW, Role.SIDEBAR, Role.SURFACE, Role.INSET, Role.HOVER)
STATES = (Role.OK, Role.WARN, Role.ERR, Role.OFF)
PAIRS: list[tuple[Role, Role, float]] = [
    *((t, g, TEXT) for t in (Role.TEXT, Role.TEXT2, Role.TEXT3, Role.ACCENT_TEXT) for g in GROUNDS),
    *((t, g, TEXT) for t in STATES for g in GROUNDS),
    *((t, Role(f"{t}_soft"), TEXT) for t in STATES),
    *((t, Role.ACCENT_SOFT, TEXT) for t in (Role.TEXT, Role.TEXT2, Role.TEXT3, Role.ACCENT_TEXT, *STATES)),
    *((t, g, TEXT) for t in (Role.TEXT, Role.TEXT2) for g in (Role.WARN_SOFT, Role.OK_SOFT, Role.ERR_SOFT)),
    (Role.ON_ACCENT, Role.ACCENT, TEXT),
    (Role.ON_ACCENT, Role.ACCENT_HOVER, TEXT),
    (Role.ON_DANGER, Role.DANGER, TEXT),
    *((Role.BORDER_STRONG, g, GRAPHIC) for g in (Role.WINDOW, Role.SURFACE, Role.INSET)),
    *((Role.ACCENT, g, GRAPHIC) for g in (Role.SURFACE, Role.OFF_SOFT)),
    *((Role.FOCUS, g, GRAPHIC) for g in (Role.WINDOW, Role.SURFACE)),
]  # fmt: skip
LOOKS = (Look.LIGHT, Look.DARK, Look.HIGH_CONTRAST)


def luminance(value: str) -> float:
    """WCAG 2 relative luminance."""
    colour = QColor(value)
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", LOOKS)
def test_every_pair_of_the_design_keeps_its_contrast(look: Look) -> None:
    roles = load_palette(look).roles
    weak = [
        f"{front} on {ground}: {contrast(roles[front], roles[ground]):.2f} < {least}"
        for front, ground, least in PAIRS
        if contrast(roles[front], roles[ground]) < least
    ]
    assert not weak


@pytest.mark.parametrize("look", LOOKS)
def test_every_curve_is_seen_on_its_grounds(look: Look) -> None:
    palette = load_palette(look)
    assert len(set(palette.series)) == SERIES_COUNT
    for colour in palette.series:
        for ground in (Role.WINDOW, Role.SURFACE, Role.ACCENT_SOFT):
            assert contrast(colour, palette.roles[ground]) >= GRAPHIC


def test_high_contrast_doubles_edges_and_underlines_links(qapp: QApplication) -> None:
    theme().set_look(Look.LIGHT)
    edge = theme().border
    theme().set_look(Look.HIGH_CONTRAST)
    assert theme().border == 2 * edge
    assert not theme().palette.graph_fills
    assert "text-decoration: underline" in qapp.styleSheet()


def test_a_change_of_look_reaches_palette_and_listeners_at_once(qapp: QApplication) -> None:
    heard: list[str] = []
    theme().theme_changed.connect(lambda: heard.append(theme().palette.look))
    theme().set_look(Look.DARK)
    assert heard == [Look.DARK]
    window = qapp.palette().color(QPalette.ColorRole.Window)
    assert window == theme().colour(Role.WINDOW) == QColor("#13161B")


def test_same_as_system_is_light_where_the_system_does_not_tell() -> None:
    theme().set_look(Look.SYSTEM)
    assert theme().look is Look.SYSTEM
    assert theme().palette.look is Look.LIGHT


def test_everything_grows_with_the_text() -> None:
    before = theme().px(32), theme().font().pixelSize()
    theme().set_text_percent(200)
    assert (theme().px(32), theme().font().pixelSize()) == (2 * before[0], 2 * before[1])


def test_lengths_are_never_lost_to_rounding() -> None:
    assert theme().px(0) == 0
    assert theme().px(0.1) == 1


@pytest.mark.parametrize("type_", list(Type))
def test_type_scale_keeps_its_factors(type_: Type) -> None:
    assert theme().font(type_).pixelSize() == round(13 * SCALE[type_].factor)


def test_bundled_faces_are_used_with_figures_of_one_width() -> None:
    from PySide6.QtGui import QFontMetricsF

    assert theme().faces.text == "Inter"
    assert theme().faces.mono == "JetBrains Mono"
    assert QFontInfo(theme().font()).family() == "Inter"
    metrics = QFontMetricsF(theme().font(Type.FIGURE))
    assert metrics.horizontalAdvance("1111") == pytest.approx(metrics.horizontalAdvance("0808"))


def test_figures_keep_one_width_under_the_style_sheet(qapp: QApplication) -> None:
    button = QPushButton("111")
    button.setProperty("kind", "primary")
    button.ensurePolished()
    advance = button.fontMetrics().horizontalAdvance
    assert advance("1111") == advance("0808")


def test_the_window_opens_without_a_face_that_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    faces = load_faces(files=("Nothing.ttf",))
    assert faces.text
    assert "Nothing.ttf" in caplog.text


def test_every_bundled_face_is_listed() -> None:
    from personadesk import resources

    assert {file.name for file in resources.path("fonts").glob("*.ttf")} == set(FACES)
