"""pip or uv, told to install into another Python: everything from the locked list by hash, torch by rule.

pip is asked first, since it follows the settings a person may have made for it; uv knows which build of torch
fits a computer.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.errors import HostUnfit, PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.text import T, Text
from personadesk.hosts import commands
from personadesk.hosts.torch_source import PINNED, pulls_cuda

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT_SECONDS = 300.0
NO_CPU_PART = "llvmlite cannot be had here, so torch's own operators are used, which take longer on a processor."
_DOWNLOAD = re.compile(r"Downloading (\S+) \(([\d.]+ [kMG]i?B)\)")


class Report(Protocol):
    """Where an installation tells how it goes."""

    def line(self, text: str, *, warning: bool = False) -> None:
        """Take one line for the log."""

    def doing(self, text: Text, fraction: float | None) -> None:
        """Take what is being done now, and how far it is."""


@dataclass(frozen=True, slots=True)
class Installer:
    """How to install into another environment.

    Attributes:
        name: `pip` or `uv`.
        words: The words that call it.
        uv: The words that call uv, None where there is none.
    """

    name: str
    words: tuple[str, ...]
    uv: tuple[str, ...] | None = None

    def install(self, python: Path) -> list[str]:
        """Return the words before the packages' names."""
        if self.name == "uv":
            return [*self.words, "pip", "install", "--python", str(python)]
        return [
            *self.words, "--python", str(python), "install", "--no-input",
            "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off", "--no-compile",
        ]  # fmt: skip


def find(base: Path) -> Installer:
    """Return what this computer installs with.

    Args:
        base: The Python whose pip is preferred.

    Raises:
        HostUnfit: There is neither pip nor uv.
    """
    uv = _uv(base)
    for python in (base, getattr(sys, "_base_executable", None), shutil.which("python3")):
        if python and _has_pip(Path(python)):
            return Installer("pip", (str(python), "-I", "-m", "pip"), uv)
    if uv is not None:
        return Installer("uv", uv, uv)
    raise HostUnfit(
        T("Neither pip nor uv was found on this computer."),
        T("Install pip (on Debian: apt-get install python3-pip), then try again."),
        cause="no_pip",
    )


async def install_locked(
    tool: Installer,
    python: Path,
    requirements: Path,
    wheel: Path,
    sha256: str,
    on_line: Callable[[str], None],
    *,
    limit_s: float,
) -> None:
    """Install the locked list and the server's wheel in one go, each file checked against its hash.

    Raises:
        PersonaDeskError: It failed; the sentence says how.
    """
    with tempfile.TemporaryDirectory(prefix="personadesk-") as folder:
        complete = Path(folder) / "requirements.txt"
        await asyncio.to_thread(_join, complete, requirements, wheel, sha256)
        # The wheel names torch too, which has its own step and no hash, so dependencies come from the list alone.
        await _run(
            [*tool.install(python), "--require-hashes", "--no-deps", "-r", str(complete)],
            on_line, limit_s,
        )  # fmt: skip


async def install_for_cpu(
    tool: Installer,
    python: Path,
    requirements: Path,
    on_line: Callable[[str], None],
    *,
    limit_s: float,
) -> bool:
    """Install what makes the server quicker on a processor, and tell whether it can be had here.

    Args:
        tool: What to install with.
        python: Whose environment it goes into.
        requirements: The locked list of it.
        on_line: Told every line.
        limit_s: How long it may take.

    Returns:
        Whether it was installed; the server does without it, too.

    Raises:
        PersonaDeskError: The network, the disk or a changed file was in the way.
    """
    try:
        await _run(
            # Wheels only: a build from source would first want a compiler and all of LLVM.
            [
                *tool.install(python), "--require-hashes", "--no-deps", "--only-binary", ":all:",
                "-r", str(requirements),
            ],
            on_line, limit_s,
        )  # fmt: skip
    except ProviderFault as error:
        if error.cause != "install_failed":
            raise
        return False
    return True


def _join(complete: Path, requirements: Path, wheel: Path, sha256: str) -> None:
    listed = requirements.read_text(encoding="utf-8")
    # A copy: the installer takes seconds to come to it, and an update may replace the original meanwhile.
    copy = shutil.copyfile(wheel, complete.with_name(wheel.name))
    own = f"personaplex-server @ {copy.as_uri()} --hash=sha256:{sha256}"
    complete.write_text(f"{listed}\n{own}\n", encoding="utf-8")


async def install_torch(
    tool: Installer, python: Path, *, gpu: bool, report: Report, limit_s: float
) -> None:
    """Install torch itself: never CUDA packages where there is no NVIDIA GPU, if a CPU build can be had.

    Raises:
        PersonaDeskError: It failed; the sentence says how.
    """
    report.doing(T("getting torch"), 0.65)

    def line(text: str) -> None:
        report.line(text)
        if found := _DOWNLOAD.search(text):
            report.doing(T("getting torch ({size})", size=found[2]), 0.7)

    wanted = f"torch=={PINNED}"
    if not gpu and sys.platform == "linux" and await _would_pull_cuda(tool, python, wanted, report):
        uv = tool.uv or await _get_uv(tool, report)
        if uv is not None:
            report.line("The registry's torch brings CUDA along; asking for the CPU build instead.")
            try:
                await _run(
                    [*uv, "pip", "install", "--python", str(python), "--torch-backend", "cpu", wanted],
                    line, limit_s,
                )  # fmt: skip
            except PersonaDeskError as error:
                report.line(f"The CPU build could not be had: {error.details[-300:]}", warning=True)
            else:
                return
        report.line(
            "No CPU build of torch can be had here; the one with CUDA is installed, which takes more room.",
            warning=True,
        )
    if gpu and tool.uv is not None:
        try:
            await _run(
                [*tool.uv, "pip", "install", "--python", str(python), "--torch-backend", "auto", wanted],
                line, limit_s,
            )  # fmt: skip
        except PersonaDeskError as error:
            report.line(f"uv could not install torch: {error.details[-300:]}", warning=True)
        else:
            return
    await _run([*tool.install(python), wanted], line, limit_s)


async def _would_pull_cuda(tool: Installer, python: Path, wanted: str, report: Report) -> bool:
    if tool.name != "pip":
        return True
    report.doing(T("asking which torch the registry has"), 0.62)
    with tempfile.TemporaryDirectory(prefix="personadesk-") as folder:
        answer = Path(folder) / "report.json"
        done = await commands.run(
            [
                *tool.install(python), "--dry-run", "--ignore-installed", "--no-deps", "--quiet",
                "--report", str(answer), wanted,
            ],
            limit_s=REPORT_SECONDS, on_line=report.line,
        )  # fmt: skip
        if done.code != 0:
            raise explain(done)
        return pulls_cuda(await asyncio.to_thread(answer.read_text, encoding="utf-8"))


async def _get_uv(tool: Installer, report: Report) -> tuple[str, ...] | None:
    """Install uv for this one job; it is a single program."""
    folder = (
        Path(tempfile.gettempdir())
        / f"personadesk-uv-{os.getuid() if hasattr(os, 'getuid') else 0}"
    )
    program = folder / "bin" / ("uv.exe" if sys.platform == "win32" else "uv")
    if program.exists():
        return (str(program),)
    done = await commands.run(
        [*tool.words, "install", "--quiet", "--disable-pip-version-check", "--target", str(folder), "uv"],
        limit_s=REPORT_SECONDS, on_line=report.line,
    )  # fmt: skip
    return (str(program),) if done.code == 0 and program.exists() else None


async def _run(argv: list[str], on_line: Callable[[str], None], limit_s: float) -> None:
    try:
        done = await commands.run(argv, limit_s=limit_s, on_line=on_line)
    except commands.CommandTimeout as error:
        raise Unreachable(
            T("Installing took longer than {minutes} minutes.", minutes=round(limit_s / 60)),
            T("Check the network, then try again; what was downloaded is kept."),
            cause="install_timeout",
            details=str(error),
        ) from error
    if done.code != 0:
        raise explain(done)


def explain(done: commands.Completed) -> PersonaDeskError:
    """Return why an installation failed, from what the installer said."""
    text = done.text
    details = "\n".join(done.lines[-30:])
    if re.search(r"No space left|Errno 28|not enough space", text, re.IGNORECASE):
        return HostUnfit(
            T("The disk is full; the voice server could not be installed."),
            T("Free some space, then try again."),
            cause="disk_full",
            details=details,
        )
    if re.search(r"HASHES|hash mismatch|Hash mismatch|DO NOT MATCH", text):
        return ProviderFault(
            T("A downloaded package is not the one that was expected, so it was not installed."),
            T("Try again; if it stays so, something between you and the registry changes files."),
            cause="hash_mismatch",
            details=details,
        )
    if re.search(
        r"NewConnectionError|Temporary failure|Max retries|timed out|ConnectionError|ProxyError"
        r"|error sending request|dns error|Connection refused|Network is unreachable",
        text,
    ):
        return Unreachable(
            T("The package registry did not answer."),
            T("Check the network, then try again; what was downloaded is kept."),
            cause="registry",
            details=details,
        )
    return ProviderFault(
        T("The voice server could not be installed."),
        T("Try again; the details say what the installer said."),
        cause="install_failed",
        details=details,
    )


def _has_pip(python: Path) -> bool:
    if python == Path(sys.executable):
        from importlib.util import find_spec

        return find_spec("pip") is not None
    prefix = python.resolve().parents[1] if python.exists() else None
    return prefix is not None and any(prefix.glob("lib/python3*/site-packages/pip/__init__.py"))


def _uv(base: Path) -> tuple[str, ...] | None:
    beside = base.with_name("uv.exe" if sys.platform == "win32" else "uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    return (program,) if program else None
