"""The window on a real window system (X11, by Xvfb in checks): Qt's own plug-in and its system libraries included."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.xcb

OPEN_AND_CLOSE = """
import os, signal, sys
from PySide6.QtGui import QGuiApplication
from personadesk.ui.start import run

def painted():
    print(QGuiApplication.platformName(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

sys.exit(run(["personadesk"], on_first_paint=painted))
"""


def test_the_window_paints_and_closes_when_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AND_CLOSE],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "xcb\n"
    assert "Traceback" not in done.stderr
