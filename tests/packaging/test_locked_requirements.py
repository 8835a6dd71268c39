"""The locked requirements hold what the projects ask for, hashed, for every system, and nothing else."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from _setup import locks
from _setup.layout import Layout, project

LOCKS = ("dev.txt", "desktop.txt", "server.txt", "server-cpu.txt")


def read(root: Path, name: str) -> str:
    return (root / "packaging" / "locks" / name).read_text(encoding="utf-8")


def entries(root: Path, name: str) -> list[tuple[Requirement, int]]:
    """Each locked requirement with the number of its hashes."""
    joined = re.sub(r"\\\n\s*", " ", read(root, name))
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [
        (Requirement(line.split(" --hash")[0].strip()), line.count("--hash=sha256:"))
        for line in lines
    ]


def versions(root: Path, name: str) -> dict[str, str]:
    return {
        canonicalize_name(requirement.name): str(requirement.specifier)
        for requirement, _ in entries(root, name)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_pinned_and_hashed(root: Path, name: str) -> None:
    found = entries(root, name)
    assert found
    for requirement, hashes in found:
        assert str(requirement.specifier).startswith("=="), requirement
        assert hashes > 0, requirement


@pytest.mark.parametrize("name", LOCKS)
def test_no_index_is_named(root: Path, name: str) -> None:
    text = read(root, name)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_projects_ask_for_is_locked(root: Path, name: str) -> None:
    locked = versions(root, name)
    for wanted in map(Requirement, locks.inputs(Layout(root))[name]):
        version = locked[canonicalize_name(wanted.name)].removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} is locked at {version}"


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_locked_packages_need_is_locked_too(root: Path, name: str) -> None:
    locked = versions(root, name)
    for package in locked:
        try:
            needs = importlib.metadata.requires(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system than this one
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in locked, f"{package} needs {need}"


@pytest.mark.parametrize("name", ["desktop.txt", "server.txt", "server-cpu.txt"])
def test_what_is_tested_is_what_is_installed(root: Path, name: str) -> None:
    tested = versions(root, "dev.txt")
    assert versions(root, name).items() <= tested.items()


@pytest.mark.parametrize("name", LOCKS)
def test_torch_is_in_no_lock(root: Path, name: str) -> None:
    assert "torch" not in versions(root, name)


@pytest.mark.parametrize("name", ["dev.txt", "server.txt"])
def test_what_torch_needs_is_in_the_locks_that_go_with_it(root: Path, name: str) -> None:
    for need in map(Requirement, importlib.metadata.requires("torch") or []):
        gpu = need.name.startswith(("nvidia", "cuda", "triton"))
        if not gpu and (need.marker is None or need.marker.evaluate({"extra": ""})):
            assert canonicalize_name(need.name) in versions(root, name)


def test_the_compiler_of_kernels_is_locked_for_processors_and_development_alone(root: Path) -> None:
    assert list(versions(root, "server-cpu.txt")) == ["llvmlite"]
    assert "llvmlite" in versions(root, "dev.txt")
    # A GPU host has the one, the user's app the other.
    assert "llvmlite" not in versions(root, "server.txt").keys() | versions(root, "desktop.txt")


def test_the_app_installs_neither_torch_nor_a_web_server(root: Path) -> None:
    assert not {"torch", "sympy", "starlette", "uvicorn"} & versions(root, "desktop.txt").keys()


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("PySide6-Essentials>=6.8,<6.12", "pyside6-essentials"),
        ("typing_extensions", "typing-extensions"),
        ("zope.interface[test] >=1", "zope-interface"),
    ],
)
def test_names_are_read_from_requirements(requirement: str, name: str) -> None:
    assert locks.requirement_name(requirement) == name


def imported(folder: Path) -> set[str]:
    """The top-level names that a package's modules import, wherever in them."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("home", "package"),
    [(".", "desktop/personadesk"), ("server", "server/personaplex_server")],
)
def test_what_is_imported_is_asked_for(root: Path, home: str, package: str) -> None:
    facts = project(root / home)["project"]
    extras = facts.get("optional-dependencies", {}).values()
    asked = {
        canonicalize_name(Requirement(each).name)
        for each in [*facts["dependencies"], *(each for extra in extras for each in extra)]
    }
    # Qt's wheel brings it at its own version, so nobody asks for it by itself.
    asked |= {"shiboken6"} & {canonicalize_name(name) for name in versions(root, "desktop.txt")}
    known = importlib.metadata.packages_distributions()
    for name in imported(root / package) - {Path(package).name}:
        owners = {canonicalize_name(owner) for owner in known.get(name, [name])}
        assert owners & asked, (
            f"{package} imports {name}, and {home}/pyproject.toml does not ask for it"
        )
