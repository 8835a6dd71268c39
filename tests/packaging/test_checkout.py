"""What must be true of the whole tree: its front page, its sizes, and nothing of anyone's machine in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from _setup.layout import here

RUN = "python3 packaging/bootstrap.py run"
TEST = "python3 packaging/bootstrap.py test"


def files(root: Path) -> list[Path]:
    """The tree's own files: what git knows, or everything where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=False, capture_output=True, text=True
    )
    if listed.returncode == 0 and listed.stdout:
        found = [root / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in root.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [path for path in found if path.is_file()]


def texts(root: Path) -> list[tuple[Path, str]]:
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".html", ".svg", ""}
    found = []
    for path in files(root):
        if path.suffix in kinds and "data" not in path.relative_to(root).parts:
            try:
                found.append((path, path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue  # no text
    return found


def test_the_readme_holds_exactly_the_two_commands_on_its_first_screen(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\s*(.*bootstrap\.py (?:run|test))\s*$", readme, flags=re.MULTILINE)
    assert commands == [RUN, TEST]
    assert readme.count("\n", 0, readme.index(TEST)) < 40


def test_the_readme_links_only_to_what_is_there(root: Path) -> None:
    for page in [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_is_one_line_that_runs_the_test_command(root: Path) -> None:
    lines = (root / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[0].startswith("#!")
    assert len(lines) == 2
    assert lines[1].removeprefix("exec ") == TEST


def test_no_module_is_longer_than_600_lines(root: Path) -> None:
    long = {
        str(path.relative_to(root)): text.count("\n")
        for path, text in texts(root)
        if path.suffix == ".py" and text.count("\n") > 600
    }
    assert long == {}


def test_no_machine_and_no_registry_is_named(root: Path) -> None:
    # Put together here, so that this file does not hold what it looks for.
    folders = [("work",), ("root",), ("farm",), ("opt", "wheels"), ("opt", "pypi")]
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("download.pytorch", "org")]
    words = ["/".join(["", *parts, ""]) for parts in folders] + [".".join(parts) for parts in hosts]
    found = {
        f"{path.relative_to(root)}: {word}"
        for path, text in texts(root)
        for word in words
        if word in text
    }
    assert found == set()


def test_test_files_have_names_of_their_own(root: Path) -> None:
    names = [path.name for path in files(root) if path.name.startswith("test_")]
    twice = {name for name in names if names.count(name) > 1 and name.endswith(".py")}
    assert twice == set()
    assert not [path for path in (root / "tests").rglob("__init__.py") if "peers" not in path.parts]


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_the_front_papers_are_there(root: Path, name: str) -> None:
    assert len((root / name).read_text(encoding="utf-8")) > 400


def test_bootstrap_finds_its_checkout(root: Path) -> None:
    assert here().root == root
