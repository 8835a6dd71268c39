"""A container's look at its lease, as a real shell runs it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from personadesk.providers import lease

LONG = 20.0


def until(path: Path) -> None:
    end = time.monotonic() + LONG
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_container_ends_when_no_lease_runs_and_not_before(tmp_path: Path):
    server = tmp_path / "volume" / ".personadesk" / "servers" / "one"
    server.mkdir(parents=True)
    (server / "lease").write_text(str(int(time.time()) + 1000))
    looks, ended = tmp_path / "looks", tmp_path / "ended"
    tool = tmp_path / "sleep"
    # Each look is seen, and takes no time.
    tool.write_text(f"#!/bin/sh\necho $1 >> {looks}\nexec /bin/sleep 0.02\n")
    tool.chmod(0o755)
    script = lease.loop(
        0, ending=f"touch {ended}; exit", homes=(f"{tmp_path}/volume", f"{tmp_path}/none")
    )
    running = subprocess.Popen(["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    try:
        until(looks)
        time.sleep(1.2)  # Longer than the shortest lease.
        assert running.poll() is None
        assert not ended.exists()
        (server / "lease").write_text("1")
        assert running.wait(LONG) == 0
    finally:
        running.kill()
        running.wait()
    assert ended.exists()
    assert set(looks.read_text().split()) == {"300"}


def test_a_script_is_started_beside_what_comes_next(tmp_path: Path):
    done = tmp_path / "it's done"
    command = lease.in_background(f'echo fine > "{done}"', str(tmp_path / "script"))
    assert "'" not in command
    subprocess.run(["bash", "-c", f"{command} exec true"], check=True)
    until(done)
