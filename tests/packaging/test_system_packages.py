"""Which system libraries are missing, and what is done or said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from _setup import system


def stand_in(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_missing_packages_keep_the_order_they_were_asked_in() -> None:
    missing = system.missing_packages(["b", "c", "a"], lambda names: {"c"} & set(names))
    assert missing == ["b", "a"]


def test_a_library_under_its_newer_name_is_not_missing() -> None:
    present = {"libglib2.0-0t64", "libegl1"}
    missing = system.missing_packages(
        ["libglib2.0-0", "libegl1"], lambda names: present & set(names)
    )
    assert missing == []


def test_a_package_that_was_removed_but_left_its_settings_is_missing(programs: Path) -> None:
    stand_in(
        programs,
        "dpkg-query",
        "echo 'libegl1 installed'; echo 'libgl1 config-files'; echo 'no packages found' >&2; exit 1",
    )
    assert system.missing_packages(["libegl1", "libgl1", "libportaudio2"]) == [
        "libgl1",
        "libportaudio2",
    ]


def test_installing_takes_the_name_that_this_release_has(programs: Path, tmp_path: Path) -> None:
    stand_in(programs, "apt-cache", 'test "$3" = libglib2.0-0t64 && echo "Package: $3"')
    stand_in(programs, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {tmp_path}/calls')

    assert system.install_packages(["libglib2.0-0"])

    update, install = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert update.startswith("noninteractive update")
    assert install.endswith(" libglib2.0-0t64")
    assert "install --yes" in install


def test_a_failed_installation_names_the_command_and_goes_on(
    programs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in(programs, "apt-cache", "exit 1")
    stand_in(programs, "apt-get", "exit 100")

    note = tmp_path / "note"
    system.install_missing(["libportaudio2"], note)

    told = capfd.readouterr()
    assert "could not be installed" in told.err
    assert system.install_command(["libportaudio2"]) in told.err
    assert told.out == ""
    assert system.given_up(["libportaudio2"], note)
    assert not system.given_up(["libportaudio2", "libegl1"], note)


def test_someone_who_is_not_root_is_given_the_command_with_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000, raising=False)
    system.tell_missing(["libegl1", "libgl1"])
    assert (
        "sudo apt-get install --yes --no-install-recommends libegl1 libgl1"
        in capsys.readouterr().err
    )


def test_another_linux_gets_its_own_managers_command(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("sys.platform", "linux")
    stand_in(programs, "dnf", "exit 0")
    assert "dnf install" in system.hint_elsewhere(lambda name: None)
    assert system.hint_elsewhere(lambda name: f"lib{name}.so") == ""


def test_an_unknown_linux_is_told_the_libraries_by_file(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("sys.platform", "linux")
    hint = system.hint_elsewhere(lambda name: None if name == "portaudio" else name)
    assert "libportaudio." in hint
    assert "libEGL" not in hint
