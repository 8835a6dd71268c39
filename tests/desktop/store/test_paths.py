from __future__ import annotations

import sys
from pathlib import Path

import pytest

from personadesk.store.paths import folders


def test_everything_lies_below_the_home(personadesk_home: Path) -> None:
    found = folders()
    assert {found.config, found.data, found.state, found.cache} == {
        personadesk_home / name for name in ("config", "data", "state", "cache")
    }


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONADESK_HOME", "here")
    assert folders().data == tmp_path / "here" / "data"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")
def test_only_the_owner_may_look_in(personadesk_home: Path) -> None:
    made = folders().make()
    assert all(
        f.stat().st_mode & 0o077 == 0 for f in (made.config, made.data, made.state, made.cache)
    )


def test_without_a_home_the_four_folders_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERSONADESK_HOME")
    found = folders()
    assert all(
        "personadesk" in str(f) for f in (found.config, found.data, found.state, found.cache)
    )
