"""A built PersonaDesk carries all that it needs to run without its source tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from _setup import server_bundle
from _setup.layout import Layout


def test_the_wheel_carries_the_resources_and_the_command(root: Path, tmp_path: Path) -> None:
    server_bundle.ensure_bundle(Layout(root))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (built,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(built).namelist())
    shipped = [path for path in (root / "resources").rglob("*") if path.is_file()]
    assert shipped
    for path in shipped:
        inside = path.relative_to(root / "resources").as_posix()
        if not any(part.startswith(".") for part in Path(inside).parts):
            assert f"personadesk/_resources/{inside}" in names
    assert "personadesk/_resources/server/manifest.json" in names
    assert not [name for name in names if name.startswith(("tests/", "packaging/"))]
    commands = next(name for name in names if name.endswith("entry_points.txt"))
    assert b"personadesk = personadesk.__main__:main" in zipfile.ZipFile(built).read(commands)
