"""Each file that travels with PersonaDesk is there and can be read."""

from __future__ import annotations

import json

import pytest

from personadesk import resources
from personadesk.resources import ResourceMissingError


def test_the_folder_is_found_in_a_checkout() -> None:
    assert (resources.root() / "icons" / "home.svg").is_file()


def test_a_missing_file_is_named_with_what_to_do() -> None:
    with pytest.raises(
        ResourceMissingError, match=r"icons/none\.svg is missing.*Install PersonaDesk again"
    ):
        resources.path("icons", "none.svg")


def test_every_palette_and_translation_is_sound_json() -> None:
    files = [
        *resources.path("palettes").glob("*.json"),
        *resources.path("translations").rglob("*.json"),
    ]
    assert len(files) >= 4
    for file in files:
        assert json.loads(file.read_text(encoding="utf-8")), file


def test_every_face_has_its_licence_beside_it_and_all_stay_small() -> None:
    fonts = resources.path("fonts")
    for family in ("Inter", "JetBrainsMono"):
        assert list(fonts.glob(f"{family}-*.ttf"))
        assert "SIL OPEN FONT LICENSE" in resources.read_text("fonts", f"{family}-LICENSE.txt")
    assert sum(file.stat().st_size for file in fonts.iterdir()) < 1_500_000
