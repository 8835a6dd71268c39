"""The lines start with the computer: what is written for each system, and that it can be run."""

from __future__ import annotations

import configparser
import plistlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.lines import autostart
from personadesk.lines.autostart import Starter, agent, command, unit

ROOT = Path(__file__).parents[3]
SERVER_UNIT = ROOT / "packaging" / "lines" / "personadesk-lines.service"


class System:
    """A system that does what it is asked and writes it down."""

    def __init__(self, **codes: int) -> None:
        self.asked: list[str] = []
        self.codes = codes

    async def run(self, words: Sequence[str]) -> tuple[int, str]:
        self.asked.append(" ".join(words))
        code = next((code for part, code in self.codes.items() if part in self.asked[-1]), 0)
        return code, "yes\n" if "Linger" in self.asked[-1] else ""


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def starter(home: Path, system: System, platform: str) -> Starter:
    return Starter(home / "logs", platform=platform, home=home, run=system.run)


def parsed(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign] # keys of units have capitals
    found.read_string(text)
    return found


async def test_systemd_gets_a_unit_of_the_users_own(tmp_path: Path) -> None:
    system = System()
    found = await starter(tmp_path, system, "linux").install()
    assert (found.installed, found.running, found.at_boot) == (True, True, True)
    file = Path(found.file)
    assert file == tmp_path / ".config/systemd/user/personadesk-lines.service"
    assert "systemctl --user enable --now personadesk-lines.service" in system.asked
    gone = await starter(tmp_path, system, "linux").uninstall()
    assert (gone.installed, file.exists()) == (False, False)
    assert "systemctl --user disable --now personadesk-lines.service" in system.asked


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_accepts_both_units(tmp_path: Path) -> None:
    own = tmp_path / autostart.UNIT
    own.write_text(unit(["/bin/true", "a b", "50%", "$HOME"], {"PERSONADESK_HOME": "/a b/c"}))
    # Its program and its user are not on this computer.
    there = SERVER_UNIT.read_text().replace("/opt/personadesk/bin/python", "/bin/true")
    server = tmp_path / "server" / SERVER_UNIT.name
    server.parent.mkdir()
    server.write_text(there.replace("User=personadesk", "User=daemon"))
    for file in (own, server):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(file)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "Failed to" in done.stderr and "runtime directory" in done.stderr:
            pytest.skip("systemd-analyze does not work here")
        ours = [row for row in done.stderr.splitlines() if file.name in row]
        assert (done.returncode, ours) == (0, [])


def test_what_the_unit_starts_runs_here() -> None:
    words = shlex.split(parsed(unit(command(), {}))["Service"]["ExecStart"])
    assert words == command()
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--install" in done.stdout
    service = parsed(SERVER_UNIT.read_text())["Service"]
    assert shlex.split(service["ExecStart"])[1:] == command()[1:]
    assert service["User"] == "personadesk"


def test_what_means_something_to_systemd_is_quoted() -> None:
    words = ['/a b/"python"', "100%", "$x", "\\"]
    text = unit(words, {"PERSONADESK_HOME": "/a b/100%/$x"})
    service = parsed(text)["Service"]
    assert service["ExecStart"] == '"/a b/\\"python\\"" "100%%" "$$x" "\\\\"'
    assert service["Environment"] == '"PERSONADESK_HOME=/a b/100%%/$x"'


async def test_launchd_gets_an_agent(tmp_path: Path) -> None:
    system = System()
    found = await starter(tmp_path, system, "darwin").install()
    file = Path(found.file)
    told = plistlib.loads(file.read_bytes())
    assert told == plistlib.loads(
        agent(command(), told["EnvironmentVariables"], tmp_path / "logs/service.err")
    )
    assert (told["ProgramArguments"], told["RunAtLoad"], told["KeepAlive"]) == (
        command(),
        True,
        True,
    )
    assert any(asked.startswith("launchctl bootstrap gui/") for asked in system.asked)
    assert not (await starter(tmp_path, system, "darwin").uninstall()).installed
    assert not file.exists()


async def test_the_task_scheduler_gets_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "C:\\Program Files\\python.exe")
    system = System()
    found = await starter(tmp_path, system, "win32").install()
    assert (found.keeper, found.installed) == ("task-scheduler", True)
    assert system.asked[0] == (
        "schtasks /Create /F /SC ONLOGON /RL LIMITED /TN PersonaDesk lines /TR "
        '"C:\\Program Files\\python.exe" -P -m personadesk line serve'
    )


async def test_a_computer_without_a_service_manager_says_so(tmp_path: Path) -> None:
    system = System(**{"show-environment": 1})
    with pytest.raises(HostUnfit):
        await starter(tmp_path, system, "linux").install()
    assert not starter(tmp_path, system, "linux").file.exists()
    with pytest.raises(ProviderFault):
        await starter(tmp_path, System(**{"enable --now": 1}), "linux").install()


async def test_a_command_that_is_not_there_or_hangs_is_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await autostart._run(["no-such-program-here"]))[0] == autostart._NONE
    monkeypatch.setattr(autostart, "LIMIT_SECONDS", 0.2)
    assert (await autostart._run([sys.executable, "-c", "import time; time.sleep(9)"]))[0] == 1


def test_the_container_runs_as_nobody_special_and_keeps_its_state() -> None:
    lines = (ROOT / "packaging" / "lines" / "Dockerfile").read_text().splitlines()
    assert "USER 10002" in lines
    assert 'VOLUME ["/state"]' in lines
    assert 'CMD ["line", "serve"]' in lines
