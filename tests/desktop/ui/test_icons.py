"""Icons are all drawn on one grid, take any colour, and are drawn once."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtGui import QColor, QIcon
from PySide6.QtSvg import QSvgRenderer

from personadesk import resources
from personadesk.ui.icons import application_icon, icon, pixmap
from personadesk.ui.theme import Look, Role, theme

NAMES = sorted(file.stem for file in resources.path("icons").glob("*.svg"))
DESIGNED = {
    "home", "deploy", "instances", "monitor", "voice", "lines", "accounts", "activity", "settings", "search", "bell",
    "headphones", "mute", "compare", "pin", "detach", "download", "lock", "coin", "cloud", "computer", "terminal",
    "filter", "moon", "eye", "eye-off", "copy", "play", "stop", "move", "more", "check", "close", "plus", "warning",
    "info", "chevron-down", "chevron-up", "chevron-left", "chevron-right", "speaker", "record", "wave", "fullscreen",
    "external", "report", "shield", "bolt", "cloud-off", "server", "refresh", "user", "trash", "language", "logo",
    "logo-mono",
}  # fmt: skip


def test_every_icon_of_the_design_is_drawn() -> None:
    assert set(NAMES) == DESIGNED


@pytest.mark.parametrize("name", NAMES)
def test_icon_is_sound_and_on_the_grid(name: str) -> None:
    svg = resources.read_text("icons", f"{name}.svg")
    assert QSvgRenderer(QByteArray(svg.encode())).isValid()
    assert 'viewBox="0 0 24 24"' in svg
    if name != "logo":
        assert "currentColor" in svg
        assert not re.search(r"#[0-9A-Fa-f]{6}", svg)


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", NAMES)
def test_icon_leaves_ink_of_the_asked_colour(name: str) -> None:
    image = pixmap(name, 48, QColor("#FF0000")).toImage()
    inked = [
        image.pixelColor(x, y)
        for x in range(48)
        for y in range(48)
        if image.pixelColor(x, y).alpha() > 200
    ]
    assert len(inked) > 20
    if name != "logo":
        assert all(colour.red() > 200 and colour.green() < 60 for colour in inked)


@pytest.mark.usefixtures("qapp")
def test_an_icon_is_drawn_once_for_each_size_and_colour() -> None:
    assert pixmap("home", 16, Role.TEXT).cacheKey() == pixmap("home", 16, Role.TEXT).cacheKey()
    assert pixmap("home", 16, Role.TEXT).cacheKey() != pixmap("home", 18, Role.TEXT).cacheKey()


@pytest.mark.usefixtures("qapp")
def test_an_icon_is_sharp_on_a_dense_screen() -> None:
    assert pixmap("home", 16, ratio=2.0).width() == 32


@pytest.mark.usefixtures("qapp")
def test_the_logo_wears_the_accent_of_the_look() -> None:
    theme().set_look(Look.HIGH_CONTRAST)
    image = pixmap("logo", 24).toImage()
    assert image.pixelColor(12, 1) == theme().colour(Role.ACCENT)


@pytest.mark.usefixtures("qapp")
def test_an_icon_has_a_disabled_and_a_checked_form() -> None:
    made = icon("home", 18, checked=Role.ACCENT_TEXT)
    rest = made.pixmap(18, QIcon.Mode.Normal, QIcon.State.Off).toImage()
    assert rest != made.pixmap(18, QIcon.Mode.Disabled, QIcon.State.Off).toImage()
    assert rest != made.pixmap(18, QIcon.Mode.Normal, QIcon.State.On).toImage()


@pytest.mark.usefixtures("qapp")
def test_the_application_icon_comes_in_the_usual_sizes() -> None:
    assert {16, 32, 48, 256} <= {size.width() for size in application_icon().availableSizes()}


@pytest.mark.usefixtures("qapp")
def test_an_unknown_icon_is_an_error_that_names_it() -> None:
    with pytest.raises(resources.ResourceMissingError, match="icons/no-such"):
        pixmap("no-such", 16)
