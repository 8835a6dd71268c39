"""The lines' container: what its Dockerfile holds, and its command, health check and end as run outside of one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "packaging" / "lines" / "Dockerfile"
LIMIT_SECONDS = 90.0


def said() -> list[list[str]]:
    """Return the instructions, each as its word and what follows."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    return [row.split(maxsplit=1) for row in rows]


def told(word: str) -> str:
    return next(rest for name, rest in said() if name == word)


def command(*words: str) -> list[str]:
    """Return the container's entry point with words, run by the Python of the tests."""
    entry = json.loads(told("ENTRYPOINT"))
    assert entry[0] == "python"
    return [sys.executable, *entry[1:], *words]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the image sets, with its volume in a folder of the test; nothing of this computer's desktop."""
    made = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    for word, rest in said():
        if word == "ENV":
            made |= dict(re.findall(r"(\w+)=(\S+)", rest))
    assert made["PERSONADESK_HOME"] == "/state"
    return made | {"PERSONADESK_HOME": str(tmp_path / "state"), "HOME": str(tmp_path / "nowhere")}


@pytest.fixture
def container(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Its command, as the image starts it."""
    process = subprocess.Popen(
        command(*json.loads(told("CMD"))),
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=LIMIT_SECONDS)


def inside(environment: dict[str, str], words: list[str]) -> tuple[int, str]:
    """Run something beside it, as `docker exec` or the health check does."""
    done = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def healthy(environment: dict[str, str]) -> bool:
    check = json.loads(told("HEALTHCHECK").partition("CMD")[2])
    assert check[0] == "python"
    return inside(environment, [sys.executable, *check[1:]])[0] == 0


def test_it_serves_is_healthy_takes_commands_and_ends_when_told(
    container: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while not healthy(environment):
        assert container.poll() is None, container.communicate()
        assert time.monotonic() < until
    code, made = inside(
        environment, command("line", "create", "a", "--place", "local", "--wake", "off", "--json")
    )
    assert code == 0, made
    url = json.loads(made.splitlines()[-1])["url"]
    code, listed = inside(environment, command("line", "list", "--json"))
    facts = json.loads(listed.splitlines()[-1])
    assert [each["url"] for each in facts["lines"]] == [url]
    assert facts["served_by"]["pid"] == container.pid, "the container serves it, not the command"

    container.send_signal(getattr(signal, told("STOPSIGNAL")))
    container.communicate(timeout=LIMIT_SECONDS)
    assert container.returncode == 0
    assert not healthy(environment)
    state = Path(environment["PERSONADESK_HOME"])
    assert (state / "data" / "personadesk.db").is_file()
    assert not Path(environment["HOME"]).exists(), "everything is in the volume"


def test_its_state_is_a_volume_and_it_has_no_rights() -> None:
    assert json.loads(told("VOLUME")) == ["/state"]
    user = [rest for word, rest in said() if word == "USER"][-1]
    assert user not in {"root", "0"}
    [make] = [rest for word, rest in said() if word == "RUN" and "useradd" in rest]
    assert f"--uid {user}" in make
    assert "mkdir -m 0700 /state" in make


def test_it_copies_what_is_there() -> None:
    for word, rest in said():
        if word == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_hadolint_finds_nothing_in_it() -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("hadolint has no wheel for this system")
    done = subprocess.run(
        [program, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
