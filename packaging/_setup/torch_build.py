"""torch for the development set: pinned without a hash, since its CPU build and its CUDA build differ.

Without an NVIDIA GPU the CPU build is wanted: the other brings gigabytes of GPU libraries along.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from _setup.console import Trouble, call_quietly, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _setup.layout import Layout

TORCH_LOCK = "torch.txt"


def pinned(layout: Layout) -> str:
    """Return the pinned requirement, `torch==2.13.0`."""
    text = (layout.locks / TORCH_LOCK).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return next(line for line in lines if line and not line.startswith("#"))


def ensure_torch(layout: Layout, pip: Sequence[str]) -> None:
    """Install the pinned torch unless the environment can import it at that version.

    Args:
        layout: The checkout.
        pip: The start of a pip command for its environment.

    Raises:
        Trouble: It could not be installed.
    """
    requirement = pinned(layout)
    if _importable(layout) == requirement.partition("==")[2]:
        return
    say(f"Installing {requirement} …")
    if not shutil.which("nvidia-smi") and _brings_gpu_libraries(pip, requirement):
        if call_quietly([*_uv(layout), "--torch-backend", "cpu", requirement], layout.log) == 0:
            return
        say(
            "No CPU build could be had; taking the larger build for GPUs, which works without one too."
        )
    if call_quietly([*pip, "install", requirement], layout.log) != 0:
        raise Trouble(
            "torch could not be installed; the lines above say why. Check the internet connection and "
            "the free disk space (up to 6 GB), then run the same command again."
        )


def _importable(layout: Layout) -> str:
    asked = subprocess.run(
        [layout.python, "-c", "import torch; print(torch.__version__)"],
        check=False,
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip().partition("+")[0] if asked.returncode == 0 else ""


def _brings_gpu_libraries(pip: Sequence[str], requirement: str) -> bool:
    """Ask pip what it would install, without installing it."""
    command = [*pip, "install", "--quiet", "--dry-run", "--report", "-", requirement]
    asked = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        planned = json.loads(asked.stdout)["install"]
    except (ValueError, KeyError):
        return False
    names = [entry["metadata"]["name"].lower() for entry in planned]
    return any(name.startswith("nvidia-") or name == "triton" for name in names)


def _uv(layout: Layout) -> list[str]:
    return [str(layout.program("uv")), "pip", "install", "--python", str(layout.python)]
