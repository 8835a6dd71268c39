from __future__ import annotations

import subprocess
import sys

MODULES = (
    "test",
    "test_report",
    "talk",
    "talk_view",
    "client",
    "clips",
    "devices",
    "facts",
    "address",
    "realtime",
)
HEAVY = {"numpy", "sounddevice", "soxr", "sphn", "torch", "httpx", "websockets"}


def loaded_by(*modules: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has after importing these."""
    code = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_what_a_window_imports_at_its_start_loads_nothing_heavy() -> None:
    light = [f"personadesk.voice.{name}" for name in MODULES if name != "test_report"]
    assert loaded_by(*light) == set()


def test_saving_a_report_wants_numbers_but_no_sound_card() -> None:
    assert loaded_by("personadesk.voice.test_report") <= {"numpy"}
