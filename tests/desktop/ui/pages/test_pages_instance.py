"""One window a home, as real processes: a second start raises the first and ends, a dead one leaves no trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personadesk.store.instance import window_lock
from personadesk.store.paths import folders
from personadesk.ui.instance import SingleInstance, socket_name

SECONDS = 40.0


@pytest.fixture
def start_window(personadesk_home: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Returns a function that starts PersonaDesk as a user does; what still runs is ended."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "personadesk"],
                env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.05)


def window_log() -> str:
    path = folders().state / "logs" / "window.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def holder() -> int | None:
    """Read the lock's words only: to try the lock could get in the way of the one that takes it."""
    try:
        found = json.loads(window_lock(folders()).path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return None
    pid: int | None = found.get("pid")
    return pid


def test_a_second_start_raises_the_first_window_and_ends_well(
    start_window: Callable[[], subprocess.Popen[str]],
) -> None:
    first = start_window()
    until(lambda: "serves the lines" in window_log(), "the services are open")
    second = start_window()
    assert second.wait(SECONDS) == 0
    assert "the window comes forward" in window_log()
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert first.wait(SECONDS) == 0, "a polite kill closes without a question"
    assert holder() is None


def test_a_start_after_a_kill_takes_the_place(
    start_window: Callable[[], subprocess.Popen[str]],
) -> None:
    dead = start_window()
    until(lambda: holder() == dead.pid, "the first has the place")
    dead.kill()
    dead.wait(SECONDS)
    (folders().state / "logs" / "window.log").unlink(missing_ok=True)
    fresh = start_window()
    until(lambda: holder() == fresh.pid, "the next has the place")
    until(lambda: "serves the lines" in window_log(), "the services are open")
    fresh.send_signal(signal.SIGINT)
    assert fresh.wait(SECONDS) == 0


def test_each_home_has_a_window_of_its_own(
    qapp: object, personadesk_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = folders()
    monkeypatch.setenv("PERSONADESK_HOME", str(tmp_path / "elsewhere"))
    there = folders()
    assert socket_name(here) != socket_name(there)
    one, other = SingleInstance(here), SingleInstance(there)
    assert one.become_first()
    assert other.become_first()
    assert not SingleInstance(here).become_first()
    one.close()
    other.close()
    assert SingleInstance(here).become_first() is True
    window_lock(here).path.unlink()


def test_a_name_is_short_enough_for_every_system(personadesk_home: Path) -> None:
    assert len(socket_name(folders())) < 60
