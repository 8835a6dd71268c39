"""The server wheel that the app pushes: small, the same for the same sources, and made again only when they changed."""

from __future__ import annotations

import email
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from _setup import server_bundle
from _setup.console import Trouble
from _setup.layout import Layout
from _setup.lean import lean


def manifest(layout: Layout) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        (layout.bundle / "manifest.json").read_text(encoding="utf-8")
    )
    return found


def facts(wheel: zipfile.ZipFile) -> tuple[object, ...]:
    """What a wheel says of itself, whatever the order it says it in."""
    info = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    told = email.message_from_string(wheel.read(info).decode())
    needs = {
        (each.name, each.specifier) for each in map(Requirement, told.get_all("Requires-Dist"))
    }
    return told["Name"], told["Version"], told["Requires-Python"], needs


COMPUTERS = [
    ("linux", "x86_64", "3.11"),
    ("linux", "aarch64", "3.14"),
    ("darwin", "arm64", "3.11"),
    ("win32", "AMD64", "3.11"),
    ("win32", "ARM64", "3.12"),
    ("linux", "ppc64le", "3.12"),
    ("darwin", "x86_64", "3.12"),
    ("win32", "ARM64", "3.11"),
]
WITH_A_WHEEL = COMPUTERS[:5]


def cpu_part(wheel: zipfile.ZipFile) -> set[tuple[str, str, str]]:
    """On which of these computers a wheel's extra `cpu` brings llvmlite, which no wheel does unasked."""
    info = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    told = email.message_from_string(wheel.read(info).decode())
    needs = map(Requirement, told.get_all("Requires-Dist"))
    (marker,) = [each.marker for each in needs if each.name == "llvmlite"]
    assert marker is not None
    found = set()
    for system, machine, version in COMPUTERS:
        where = {"sys_platform": system, "platform_machine": machine, "python_version": version}
        assert not marker.evaluate({**where, "extra": ""})
        if marker.evaluate({**where, "extra": "cpu"}):
            found.add((system, machine, version))
    return found


def test_the_manifest_tells_the_wheel_its_hash_and_its_requirements(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    known = manifest(checkout)
    wheel = (checkout.bundle / known["wheel"]).read_bytes()
    assert hashlib.sha256(wheel).hexdigest() == known["sha256"]
    assert known["wheel"] == f"personaplex_server-{known['version']}-py3-none-any.whl"
    for key, name in (("requirements", "server.txt"), ("cpu_requirements", "server-cpu.txt")):
        assert (checkout.bundle / known[key]).read_bytes() == (checkout.locks / name).read_bytes()
    assert len(known["source"]) == 64


def test_the_wheel_is_under_200_kb(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    assert (checkout.bundle / manifest(checkout)["wheel"]).stat().st_size < 200_000


def test_a_server_that_grew_too_large_is_refused_in_words(checkout: Layout) -> None:
    heavy = checkout.server / "personaplex_server" / "heavy.bin"
    heavy.write_bytes(os.urandom(250_000))
    with pytest.raises(Trouble, match="above its limit"):
        server_bundle.ensure_bundle(checkout)
    assert not (checkout.bundle / "manifest.json").exists()


def test_the_same_sources_give_the_same_bytes(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    first = manifest(checkout)
    (checkout.bundle / "manifest.json").unlink()
    for path in (checkout.server / "personaplex_server").rglob("*.py"):
        os.utime(path, (1, 1))
    server_bundle.ensure_bundle(checkout)
    assert manifest(checkout) == first


def test_nothing_is_written_while_nothing_changed(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    before = {path: path.stat().st_mtime_ns for path in checkout.bundle.iterdir()}
    assert server_bundle.is_current(checkout)
    server_bundle.ensure_bundle(checkout)
    assert {path: path.stat().st_mtime_ns for path in checkout.bundle.iterdir()} == before


def test_touched_but_equal_sources_keep_the_wheel(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    wheel = checkout.bundle / manifest(checkout)["wheel"]
    before = wheel.stat().st_mtime_ns
    os.utime(checkout.server / "personaplex_server" / "__init__.py")
    assert not server_bundle.is_current(checkout)
    server_bundle.ensure_bundle(checkout)
    assert server_bundle.is_current(checkout)
    assert wheel.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "changed",
    [
        "server/personaplex_server/__init__.py",
        "packaging/locks/server.txt",
        "packaging/locks/server-cpu.txt",
    ],
)
def test_changed_sources_or_requirements_make_a_new_bundle(checkout: Layout, changed: str) -> None:
    server_bundle.ensure_bundle(checkout)
    before = manifest(checkout)["source"]
    with (checkout.root / changed).open("a", encoding="utf-8") as file:
        file.write("# one line more\n")
    server_bundle.ensure_bundle(checkout)
    assert manifest(checkout)["source"] != before
    for name in ("server.txt", "server-cpu.txt"):
        assert (checkout.bundle / name).read_bytes() == (checkout.locks / name).read_bytes()


def test_a_bundle_whose_wheel_is_gone_is_made_again(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    wheel = checkout.bundle / manifest(checkout)["wheel"]
    wheel.unlink()
    server_bundle.ensure_bundle(checkout)
    assert wheel.exists()


def test_only_one_version_lies_in_the_bundle(checkout: Layout) -> None:
    server_bundle.ensure_bundle(checkout)
    pyproject = checkout.server / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace('version = "', 'version = "9.', 1)
    pyproject.write_text(text, encoding="utf-8")
    server_bundle.ensure_bundle(checkout)
    assert [path.name for path in checkout.bundle.glob("*.whl")] == [manifest(checkout)["wheel"]]
    assert "-9." in manifest(checkout)["wheel"]


def test_our_wheel_holds_what_the_build_tool_puts_in(checkout: Layout, tmp_path: Path) -> None:
    server_bundle.ensure_bundle(checkout)
    ours = zipfile.ZipFile(checkout.bundle / manifest(checkout)["wheel"])
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "built")],
        cwd=checkout.server,
        check=True,
        capture_output=True,
    )
    (built,) = (tmp_path / "built").glob("*.whl")
    theirs = zipfile.ZipFile(built)
    pushed = [name for name in theirs.namelist() if not name.startswith(server_bundle.NOT_PUSHED)]
    assert len(pushed) < len(theirs.namelist())
    assert sorted(ours.namelist()) == sorted(pushed)
    for name in pushed:
        if name.endswith(("entry_points.txt", ".py")):
            whole = theirs.read(name)
            wanted = lean(whole) if name.endswith(".py") else whole
            assert ours.read(name).split() == wanted.split()
    assert facts(ours) == facts(theirs)
    assert cpu_part(ours) == cpu_part(theirs)
    assert [told for told in COMPUTERS if told in cpu_part(ours)] == WITH_A_WHEEL


def test_pip_accepts_the_wheel(checkout: Layout, tmp_path: Path) -> None:
    server_bundle.ensure_bundle(checkout)
    wheel = checkout.bundle / manifest(checkout)["wheel"]
    target = tmp_path / "target"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--disable-pip-version-check", "--target", str(target), str(wheel)),
        ],
        check=True,
        capture_output=True,
    )
    assert (target / "personaplex_server" / "protocol.py").is_file()
