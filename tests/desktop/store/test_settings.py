from __future__ import annotations

from pathlib import Path

import pytest

from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.store import settings as module
from personadesk.store.settings import (
    CLOSING,
    LANGUAGE,
    REDUCED_MOTION,
    SETTINGS,
    TEXT_SIZE,
    Settings,
)


def test_without_a_file_everything_is_at_its_default(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "config" / "settings.toml")
    assert [settings.get(setting) for setting in SETTINGS] == [s.default for s in SETTINGS]


def test_a_choice_is_there_after_reading_again(tmp_path: Path) -> None:
    path = tmp_path / "config" / "settings.toml"
    settings = Settings(path)
    settings.set(LANGUAGE, "nl")
    settings.set(TEXT_SIZE, 150)
    settings.set(REDUCED_MOTION, True)
    again = Settings(path)
    assert (again.get(LANGUAGE), again.get(TEXT_SIZE), again.get(REDUCED_MOTION)) == (
        "nl",
        150,
        True,
    )


def test_comments_and_unknown_keys_of_a_person_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('# mine\nfrom_the_future = 7\nlanguage = "en"\n')
    Settings(path).set(LANGUAGE, "nl")
    text = path.read_text()
    assert "# mine" in text
    assert "from_the_future = 7" in text
    assert 'language = "nl"' in text


@pytest.mark.parametrize("line", ['language = "klingon"', "language = 3", "text_size = true"])
def test_a_value_that_makes_no_sense_is_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(line)
    settings = Settings(path)
    assert settings.get(LANGUAGE) == "system"
    assert settings.get(TEXT_SIZE) == 100


def test_a_wrong_choice_is_refused_in_words(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.toml")
    with pytest.raises(BadRequest, match="sometimes is no value for closing") as caught:
        settings.set(CLOSING, "sometimes")
    assert "ask, background, stop" in str(caught.value.next)


@pytest.mark.logs_warnings
@pytest.mark.parametrize("content", [b"language = [", b"\xff\xfe\x00"])
def test_a_broken_file_is_kept_and_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    settings = Settings(path)
    assert settings.get(LANGUAGE) == "system"
    (aside,) = tmp_path.glob("settings.toml.bak-*")
    assert aside.read_bytes() == content
    assert aside.name in str(settings.notices[0])


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config" / "settings.toml"
    settings = Settings(path)
    path.parent.write_text("in the way")
    with pytest.raises(HostUnfit, match="could not be written"):
        settings.set(LANGUAGE, "nl")
    assert settings.get(LANGUAGE) == "system"


def test_watchers_hear_of_changes_until_they_leave(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.toml")
    heard: list[str] = []
    leave = settings.subscribe(heard.append)
    settings.set(LANGUAGE, "nl")
    leave()
    settings.set(LANGUAGE, "en")
    assert heard == ["language"]


def test_keys_are_unique_and_defaults_fit() -> None:
    assert len({setting.key for setting in module.SETTINGS}) == len(module.SETTINGS)
    assert all(setting.fits(setting.default) for setting in module.SETTINGS)
