"""A real sound card that is only made of software: PulseAudio with a null sink whose monitor is the microphone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 15.0


def is_there() -> bool:
    """Whether PulseAudio and its tools are installed."""
    return bool(shutil.which("pulseaudio") and shutil.which("pactl"))


@contextmanager
def server() -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """Run one of our own; yields the environment in which it is the sound card, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".asoundrc").write_text("pcm.!default pulse\nctl.!default pulse\n")
        environment = os.environ | {
            "HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_RUNTIME_PATH": f"{folder}/pulse",
            "PULSE_STATE_PATH": f"{folder}/state", "PULSE_SOURCE": "v.monitor",
        }  # fmt: skip
        process = subprocess.Popen(
            [
                "pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "-n",
                "--load=module-null-sink sink_name=v rate=24000",
                "--load=module-native-protocol-unix",
            ],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            end = time.monotonic() + _START_SECONDS
            while subprocess.run(
                ["pactl", "info"], env=environment, capture_output=True
            ).returncode:
                if time.monotonic() > end:
                    raise RuntimeError("PulseAudio did not start")
                time.sleep(0.1)
            yield environment, process
        finally:
            process.terminate()
            process.wait(10)
