"""Finds a torch that this computer has already, and asks what a fresh one would bring along.

Torch is a gigabyte; a server's environment may borrow it from another Python of the same version. PersonaDesk
itself never imports it: other interpreters are asked.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.hosts import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OLDEST = (2, 7)
PINNED = "2.13.0"
PROBE_SECONDS = 90.0
"""Importing torch from a cold disk takes its time."""

_PROBE = """
import importlib.util, json, sys, sysconfig
facts = {"abi": sysconfig.get_config_var("SOABI") or sysconfig.get_platform(),
         "python": list(sys.version_info[:2]), "torch": None}
spec = importlib.util.find_spec("torch")
if spec is not None and spec.origin:
    try:
        import torch
        torch.zeros(2).sum().item()
        facts.update(torch=torch.__version__, origin=torch.__file__, cuda=torch.version.cuda)
    except Exception as error:
        facts["reason"] = f"{type(error).__name__}: {error}"
print("FACTS " + json.dumps(facts))
"""


@dataclass(frozen=True, slots=True)
class TorchSource:
    """A torch that can be borrowed.

    Attributes:
        version: For example `2.13.0+cpu`.
        folder: The site-packages it lies in.
        cuda: CUDA version it was built for, None for a CPU build.
    """

    version: str
    folder: Path
    cuda: str | None


def candidates(environments: Iterable[Path] = ()) -> list[Path]:
    """Return the Pythons that may have a torch, likeliest first, each once.

    Args:
        environments: Pythons of environments that PersonaDesk made earlier.
    """
    names: list[str | Path | None] = [sys.executable]
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if prefix := os.environ.get(variable):
            names += [Path(prefix) / "bin" / "python", Path(prefix) / "Scripts" / "python.exe"]
    names += environments
    names += [
        getattr(sys, "_base_executable", None),
        shutil.which("python3"),
        shutil.which("python"),
    ]
    found: list[Path] = []
    for name in names:
        # Not resolved: the link is what tells a virtual environment from the Python it was made with.
        if name and (path := Path(name)).exists() and path not in found:
            found.append(path)
    return found


async def find(
    python: Path, others: Iterable[Path], on_line: Callable[[str], None]
) -> TorchSource | None:
    """Return the first torch among `others` that the Python at `python` can use, or None.

    Args:
        python: The Python that shall use it; version and binary interface must be the same.
        others: Where to look.
        on_line: Told what was found and why something was passed over.
    """
    own = await _ask(python, "-I", "-S")
    if own is None:
        return None
    for other in others:
        facts = await _ask(other, "-I")
        if facts is None:
            on_line(f"{other} did not answer")
            continue
        version = str(facts.get("torch") or "")
        if not version:
            on_line(f"{other} has no usable torch {facts.get('reason', '')}".rstrip())
        elif (facts["abi"], facts["python"]) != (own["abi"], own["python"]):
            on_line(f"{other} has torch {version}, but for another Python ({facts['abi']})")
        elif not new_enough(version):
            on_line(f"{other} has torch {version}, which is too old")
        else:
            folder = Path(str(facts["origin"])).parents[1]
            cuda = facts.get("cuda")
            on_line(f"torch {version} of {other} can be used")
            return TorchSource(version, folder, str(cuda) if cuda else None)
    return None


def new_enough(version: str) -> bool:
    """Whether a torch of this version runs the server."""
    parts = version.split("+")[0].split(".")
    try:
        return (int(parts[0]), int(parts[1])) >= OLDEST
    except (ValueError, IndexError):
        return False


def pulls_cuda(report: str) -> bool:
    """Whether pip's installation report says that a torch would bring CUDA packages along."""
    for item in json.loads(report).get("install", ()):
        metadata = item.get("metadata", {})
        names = [metadata.get("name", ""), *metadata.get("requires_dist", ())]
        for name in names:
            word = name.lower()
            if "extra ==" in word:
                continue
            if word.startswith(("nvidia-", "triton", "cuda-")):
                return True
    return False


async def _ask(python: Path, *flags: str) -> dict[str, object] | None:
    try:
        done = await commands.run([str(python), *flags, "-c", _PROBE], limit_s=PROBE_SECONDS)
    except (OSError, commands.CommandTimeout):
        return None
    for line in done.lines:
        if line.startswith("FACTS "):
            facts: dict[str, object] = json.loads(line[6:])
            return facts
    return None
