"""The voice server's own Python environments: made once for each package, list of needs and Python, then reused.

A folder without its `complete.json` is a torn-off attempt and is removed by the next one. What is never reused:
an environment whose Python or borrowed torch has gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T
from personadesk.hosts import commands, installer, torch_source
from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    from personadesk.hosts.bundle import Bundle
    from personadesk.hosts.installer import Report

MARKER = "complete.json"
TORCH_LINK = "zz-borrowed-torch.pth"
"""Named so that it is read last: what the environment has itself comes first."""
RULES = "1"
"""Counts how we build; a change makes every environment anew."""

INSTALL_SECONDS = 1800.0
UNUSED_SECONDS = 14 * 86400.0
VERIFY_SECONDS = 180.0

_VERIFY = """
import json, sys
import numpy, torch, starlette, uvicorn, websockets, safetensors, sentencepiece, opuslib_next, pyloudnorm
import personaplex_server, personaplex_server.web
torch.from_numpy(numpy.zeros(2, numpy.float32)).numpy()
print("FACTS " + json.dumps({"torch": torch.__version__, "torch_file": torch.__file__,
    "server": personaplex_server.__version__}))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """One complete environment.

    Attributes:
        folder: Where it is.
        python: Its interpreter.
        torch: Version of the torch it uses.
        torch_folder: Where that torch lies; below `folder` unless it is borrowed.
    """

    folder: Path
    python: Path
    torch: str
    torch_folder: Path

    @property
    def borrows_torch(self) -> bool:
        """Whether its torch belongs to another Python."""
        return not self.torch_folder.is_relative_to(self.folder)


class Environments:
    """The environments in one folder.

    Attributes:
        root: The folder.
    """

    def __init__(self, root: Path, *, base: Path | None = None) -> None:
        self.root = root
        self._base = base or Path(sys.executable)

    def key(self, bundle: Bundle) -> str:
        """Return the name of the environment for a package: all that would make another one needful."""
        parts = (
            RULES, bundle.sha256, bundle.requirements_sha256, platform.python_version(),
            sysconfig.get_config_var("SOABI") or sysconfig.get_platform(), str(self._base),
        )  # fmt: skip
        return f"server-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"

    def find(self, bundle: Bundle) -> Environment | None:
        """Return the environment for a package if it is complete and all it leans on is there."""
        found = _load(self.root / self.key(bundle))
        if found is not None:
            # The marker's time tells when it was last wanted; see `prune`.
            os.utime(found.folder / MARKER)
        return found

    def existing(self) -> list[Environment]:
        """Return every complete environment."""
        if not self.root.is_dir():
            return []
        return [found for folder in sorted(self.root.iterdir()) if (found := _load(folder))]

    async def prune(self, in_use: set[Path], *, older_than_s: float = UNUSED_SECONDS) -> list[Path]:
        """Remove environments that nothing has needed for long; each takes half a gigabyte.

        Args:
            in_use: Pythons of servers that are on record.
            older_than_s: How long nobody must have used one.

        Returns:
            The folders that are gone.
        """
        return await asyncio.to_thread(self._prune, in_use, older_than_s)

    def _prune(self, in_use: set[Path], older_than_s: float) -> list[Path]:
        existing = self.existing()
        gone = []
        for found in existing:
            unused = time.time() - (found.folder / MARKER).stat().st_mtime
            lends = any(
                other.borrows_torch and other.torch_folder.is_relative_to(found.folder)
                for other in existing
            )
            needed = found.python in in_use or lends
            lock = FileLock(self.root / f"{found.folder.name}.lock")
            if needed or unused < older_than_s or not lock.acquire():
                continue
            shutil.rmtree(found.folder, ignore_errors=True)
            lock.release()
            gone.append(found.folder)
        return gone

    async def make(self, bundle: Bundle, *, gpu: bool, report: Report) -> Environment:
        """Return the environment for a package, making it where it is not there yet.

        Args:
            bundle: What to install.
            gpu: Whether there is an NVIDIA GPU, and so a use for CUDA.
            report: Told every line and the progress.

        Raises:
            HostUnfit: No installer, no space, or the result does not run here.
            Unreachable: The package registry does not answer.
        """
        folder = self.root / self.key(bundle)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(self.root / f"{folder.name}.lock")
        while not lock.acquire():
            report.doing(T("waiting for another PersonaDesk that installs the same"), None)
            await asyncio.sleep(0.5)
        try:
            if found := await asyncio.to_thread(_load, folder):
                return found
            await asyncio.to_thread(shutil.rmtree, folder, True)
            try:
                return await self._make(folder, bundle, gpu=gpu, report=report)
            except BaseException:
                # Valid or absent: nobody shall find half an environment.
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, True))
                raise
        finally:
            lock.release()

    async def clear_torn(self, bundle: Bundle) -> None:
        """Remove what a killed attempt left of this package's environment, unless somebody works on it."""
        folder = self.root / self.key(bundle)
        lock = FileLock(self.root / f"{folder.name}.lock")
        if not folder.exists() or not lock.acquire():
            return
        try:
            if await asyncio.to_thread(_load, folder) is None:
                await asyncio.to_thread(shutil.rmtree, folder, True)
        finally:
            lock.release()

    async def _make(
        self, folder: Path, bundle: Bundle, *, gpu: bool, report: Report
    ) -> Environment:
        report.doing(T("making an environment of its own"), 0.02)
        done = await commands.run(
            [str(self._base), "-I", "-m", "venv", "--without-pip", str(folder)],
            limit_s=120.0, on_line=report.line,
        )  # fmt: skip
        python = _python(folder)
        if done.code != 0 or not python.exists():
            raise HostUnfit(
                T("This Python cannot make virtual environments."),
                T(
                    "Install Python's venv module (on Debian: apt-get install python3-venv), then try again."
                ),
                cause="no_venv",
                details=done.text,
            )
        tool = installer.find(self._base)
        await self._needs(tool, python, bundle, gpu=gpu, report=report)
        borrowed = await self._torch(tool, python, gpu=gpu, report=report)
        report.doing(T("looking whether it runs"), 0.95)
        facts = await self._verify(python)
        if borrowed is not None and facts is None:
            report.line(
                "The borrowed torch does not work here; a torch of its own is installed.",
                warning=True,
            )
            _link(python, folder).unlink(missing_ok=True)
            await installer.install_torch(
                tool, python, gpu=gpu, report=report, limit_s=INSTALL_SECONDS
            )
            facts = await self._verify(python)
        if facts is None:
            done = await commands.run([str(python), "-I", "-c", _VERIFY], limit_s=VERIFY_SECONDS)
            raise HostUnfit(
                T("The voice server was installed, but it does not run on this computer."),
                T("Look at the details; often a newer Python or a system library is missing."),
                cause="does_not_import",
                details=done.text,
            )
        marker = {
            "torch": facts["torch"],
            "torch_folder": str(Path(facts["torch_file"]).parents[1]),
            "server": facts["server"],
            "made": time.time(),
        }
        fresh = folder / f"{MARKER}.new"
        fresh.write_text(json.dumps(marker), encoding="utf-8")
        fresh.replace(folder / MARKER)
        environment = _load(folder)
        if environment is None:
            msg = f"{folder} was made but is not complete"
            raise RuntimeError(msg)
        return environment

    async def _needs(
        self,
        tool: installer.Installer,
        python: Path,
        bundle: Bundle,
        *,
        gpu: bool,
        report: Report,
    ) -> None:
        report.doing(T("installing what the server needs"), 0.08)
        wanted = [
            line for line in bundle.requirements.read_text().splitlines() if line[:1].isalpha()
        ]
        seen = 0

        def line(text: str) -> None:
            nonlocal seen
            report.line(text)
            if text.lstrip().startswith(("Collecting ", "Downloading ", "Using cached ", "+ ")):
                seen += 1
                share = min(1.0, seen / max(1, 2 * len(wanted)))
                report.doing(T("installing what the server needs"), 0.08 + 0.5 * share)

        await installer.install_locked(
            tool, python, bundle.requirements, bundle.wheel, bundle.sha256, line,
            limit_s=INSTALL_SECONDS,
        )  # fmt: skip
        if not gpu and not await installer.install_for_cpu(
            tool, python, bundle.cpu_requirements, line, limit_s=INSTALL_SECONDS
        ):
            report.line(installer.NO_CPU_PART, warning=True)

    async def _torch(
        self, tool: installer.Installer, python: Path, *, gpu: bool, report: Report
    ) -> torch_source.TorchSource | None:
        report.doing(T("looking for a torch that is here already"), 0.6)
        others = [found.python for found in self.existing()]
        source = await torch_source.find(python, torch_source.candidates(others), report.line)
        if source is not None and gpu and source.cuda is None:
            report.line("That torch cannot use the GPU, so it is passed over.")
            source = None
        if source is None:
            await installer.install_torch(
                tool, python, gpu=gpu, report=report, limit_s=INSTALL_SECONDS
            )
            return None
        _link(python, python.parents[1]).write_text(f"{source.folder}\n", encoding="utf-8")
        return source

    async def _verify(self, python: Path) -> dict[str, str] | None:
        try:
            done = await commands.run([str(python), "-I", "-c", _VERIFY], limit_s=VERIFY_SECONDS)
        except commands.CommandTimeout as error:
            raise HostUnfit(
                T("The voice server's libraries take too long to load on this computer."),
                T("Close other programs and try again."),
                cause="slow_import",
                details=str(error),
            ) from error
        for line in done.lines:
            if line.startswith("FACTS "):
                facts: dict[str, str] = json.loads(line[6:])
                return facts
        return None


def _load(folder: Path) -> Environment | None:
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        found = Environment(
            folder, _python(folder), str(marker["torch"]), Path(marker["torch_folder"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not found.python.exists() or not (found.torch_folder / "torch" / "__init__.py").exists():
        return None
    try:
        version = (found.torch_folder / "torch" / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    # A borrowed torch may have been upgraded under us; then the environment is checked anew by making it.
    return found if f"'{found.torch}'" in version or f'"{found.torch}"' in version else None


def _python(folder: Path) -> Path:
    if sys.platform == "win32":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def _link(python: Path, folder: Path) -> Path:
    if sys.platform == "win32":
        return folder / "Lib" / "site-packages" / TORCH_LINK
    major, minor = sys.version_info[:2]
    return python.parents[1] / "lib" / f"python{major}.{minor}" / "site-packages" / TORCH_LINK
