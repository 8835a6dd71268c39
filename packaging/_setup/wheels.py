"""Writing a wheel from a source folder without a build tool: same bytes for the same sources.

Setting up must not wait for a build environment, and the app must be able to trust the server wheel by
its hash. A test compares the result with what the real build tool makes.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a wheel says of itself, taken from `[project]` of a pyproject.toml.

    Attributes:
        name: The distribution's name as written, `personaplex-server`.
        version: Its version.
        summary: One line on what it is.
        requires_python: The Python versions it runs on.
        requires: Its dependencies, one requirement each.
        extras: What it can do more with further packages, and what each needs.
        scripts: Commands and the function each one calls.
    """

    name: str
    version: str
    summary: str
    requires_python: str
    requires: tuple[str, ...]
    scripts: Mapping[str, str]
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, pyproject: Mapping[str, Any]) -> Facts:
        """Read the facts from what a pyproject.toml holds."""
        project = pyproject["project"]
        return cls(
            name=project["name"],
            version=project["version"],
            summary=project["description"],
            requires_python=project["requires-python"],
            requires=tuple(project.get("dependencies", ())),
            scripts=dict(project.get("scripts", {})),
            extras={
                name: tuple(needs)
                for name, needs in project.get("optional-dependencies", {}).items()
            },
        )

    @property
    def stem(self) -> str:
        """Name and version as file names spell them."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    @property
    def file_name(self) -> str:
        """The wheel's file name."""
        return f"{self.stem}-py3-none-any.whl"


def sources(package: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file of a package that belongs in its wheel, with its name there, sorted."""
    for path in sorted(package.rglob("*"), key=lambda path: path.as_posix()):
        parts = path.relative_to(package.parent).parts
        hidden = any(part in _LEFT_OUT or part.startswith(".") for part in parts)
        if path.is_file() and not hidden and path.suffix not in {".pyc", ".pyo"}:
            yield "/".join(parts), path


def write_wheel(target: Path, facts: Facts, files: Mapping[str, bytes]) -> None:
    """Write a wheel.

    Args:
        target: The file to make; its folder exists.
        facts: What goes into its metadata.
        files: What it installs: name inside the wheel to content.
    """
    info = f"{facts.stem}.dist-info"
    content = dict(files)
    content[f"{info}/METADATA"] = _metadata(facts).encode()
    content[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: personadesk-bootstrap\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if facts.scripts:
        lines = "".join(f"{name} = {call}\n" for name, call in sorted(facts.scripts.items()))
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def _metadata(facts: Facts) -> str:
    head = [
        "Metadata-Version: 2.1",
        f"Name: {facts.name}",
        f"Version: {facts.version}",
        f"Summary: {facts.summary}",
        f"Requires-Python: {facts.requires_python}",
    ]
    head += [f"Requires-Dist: {each}" for each in facts.requires]
    for extra, needs in sorted(facts.extras.items()):
        head.append(f"Provides-Extra: {extra}")
        head += [f"Requires-Dist: {_in_extra(each, extra)}" for each in needs]
    return "\n".join(head) + "\n"


def _in_extra(requirement: str, extra: str) -> str:
    what, _, when = requirement.partition(";")
    chosen = f'extra == "{extra}"'
    return f"{what.strip()} ; " + (f"({when.strip()}) and {chosen}" if when else chosen)


def _digest(data: bytes) -> str:
    value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={value}"
