"""The lines start with the computer: what is written for each system, and that it can be run."""

from __future__ import annotations

import codecs
import configparser
import json
import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.lines import autostart, windows_task
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
    assert not found.unproven, "a real systemd has shown it"
    assert f"loginctl enable-linger {os.getuid()}" in system.asked
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


LAUNCHD: dict[str, type] = {
    "Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "RunAtLoad": bool,
    "KeepAlive": bool, "ThrottleInterval": int, "AbandonProcessGroup": bool, "Umask": int,
    "ProcessType": str, "StandardErrorPath": str,
}  # fmt: skip
"""The keys of launchd.plist(5) that are used, with their types; launchd is silent about one that it does not know."""


def test_the_agent_has_only_what_launchd_documents(tmp_path: Path) -> None:
    written = agent(["/a b/python", "-P"], {"PERSONADESK_HOME": "/a b/é&<"}, tmp_path / "x.err")
    told = plistlib.loads(written, fmt=plistlib.FMT_XML)
    assert {key: type(value) for key, value in told.items()} == LAUNCHD
    assert all(isinstance(word, str) for word in told["ProgramArguments"])
    assert told["EnvironmentVariables"] == {"PERSONADESK_HOME": "/a b/é&<"}
    assert told["ProcessType"] in {"Background", "Standard", "Adaptive", "Interactive"}
    # Property lists have no octal numbers.
    assert told["Umask"] == 63


async def test_the_task_scheduler_gets_a_task_starts_it_and_forgets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USERDOMAIN", "DESK")
    monkeypatch.setenv("USERNAME", "Eva")
    system = System()
    found = await starter(tmp_path, system, "win32").install()
    assert (found.keeper, found.installed) == ("task-scheduler", True)
    assert "not yet proven live" in str(found.unproven)
    assert system.asked[:2] == [
        f"schtasks /Create /F /TN PersonaDesk lines /XML {found.file}",
        "schtasks /Run /TN PersonaDesk lines",
    ]
    root = read_task(Path(found.file).read_bytes())
    assert [each.text for each in root.iter(f"{TD}UserId")] == ["DESK\\Eva"] * 2
    gone = await starter(tmp_path, System(**{"/Query": 1}), "win32").uninstall()
    assert (gone.installed, gone.file, Path(found.file).exists()) == (False, "", False)


TD = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
ANY_ORDER, IN_ORDER = "xs:all", "xs:sequence"
SCHEMA = {
    "Task": (ANY_ORDER, "RegistrationInfo Triggers Settings Data Principals Actions"),
    "RegistrationInfo": (
        ANY_ORDER, "URI SecurityDescriptor Source Date Author Version Description Documentation",
    ),
    "Triggers": (ANY_ORDER, "BootTrigger LogonTrigger TimeTrigger CalendarTrigger"),
    "LogonTrigger": (
        IN_ORDER,
        "Enabled StartBoundary EndBoundary Repetition ExecutionTimeLimit UserId Delay",
    ),
    "Principals": (ANY_ORDER, "Principal"),
    "Principal": (ANY_ORDER, "UserId LogonType GroupId DisplayName RunLevel"),
    "Settings": (
        ANY_ORDER,
        "AllowStartOnDemand RestartOnFailure MultipleInstancesPolicy DisallowStartIfOnBatteries "
        "StopIfGoingOnBatteries AllowHardTerminate StartWhenAvailable NetworkProfileName "
        "RunOnlyIfNetworkAvailable WakeToRun Enabled Hidden DeleteExpiredTaskAfter IdleSettings "
        "NetworkSettings ExecutionTimeLimit Priority RunOnlyIfIdle",
    ),
    "RestartOnFailure": (ANY_ORDER, "Interval Count"),
    "Actions": (ANY_ORDER, "Exec"),
    "Exec": (IN_ORDER, "Command Arguments WorkingDirectory"),
}  # fmt: skip
"""The parts of Microsoft's schema of tasks that are used: what an element holds, once each, and if order counts."""
VALUES = {
    "Enabled": "true|false", "DisallowStartIfOnBatteries": "true|false",
    "StopIfGoingOnBatteries": "true|false", "StartWhenAvailable": "true|false",
    "LogonType": "S4U|Password|InteractiveToken|InteractiveTokenOrPassword",
    "RunLevel": "LeastPrivilege|HighestAvailable",
    "MultipleInstancesPolicy": "Parallel|Queue|IgnoreNew|StopExisting",
    # No limit; without the element a task ends after three days.
    "ExecutionTimeLimit": "PT0S",
    # A minute to 31 days, 1 to 255 times.
    "Interval": "PT[1-9][0-9]?M", "Count": "[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5]",
}  # fmt: skip


def read_task(written: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(written)  # noqa: S314 - it is our own


def follows_the_schema(element: ElementTree.Element) -> None:
    name = element.tag.removeprefix(TD)
    assert element.tag == TD + name
    children = [each.tag.removeprefix(TD) for each in element]
    if not children:
        assert element.text, name
        assert re.fullmatch(VALUES.get(name, ".+"), element.text), (name, element.text)
        return
    order, allowed = SCHEMA[name]
    assert len(set(children)) == len(children), name
    assert set(children) <= set(allowed.split()), name
    if order == IN_ORDER:
        assert children == [each for each in allowed.split() if each in children], name
    for each in element:
        follows_the_schema(each)


def test_the_task_follows_the_published_schema() -> None:
    words = ["C:\\Program Files\\py & co\\python.exe", "-P", "-c", 'say "a b"', "C:\\a b\\"]
    written = windows_task.task(words, "DESK\\Zoë")
    # Task Scheduler refuses a file whose encoding is not the one that it says.
    assert written[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    assert "encoding='utf-16'" in written.decode("utf-16").splitlines()[0]
    root = read_task(written)
    assert root.get("version") == "1.2"
    follows_the_schema(root)
    [principal] = root.iter(f"{TD}Principal")
    [actions] = root.iter(f"{TD}Actions")
    assert actions.get("Context") == principal.get("id")
    assert root.findtext(f"{TD}Actions/{TD}Exec/{TD}Command") == words[0]
    told = root.findtext(f"{TD}Actions/{TD}Exec/{TD}Arguments")
    assert told == '-P -c "say \\"a b\\"" "C:\\a b\\\\"'


def test_a_task_brings_the_variables_that_it_has_no_place_for(tmp_path: Path) -> None:
    plain = command()
    assert windows_task.words(plain, {}) == plain
    home = tmp_path / "a 'b'"
    told = windows_task.words([*plain[:4], "status", "--json"], {"PERSONADESK_HOME": str(home)})
    done = subprocess.run(told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lines"] == []
    assert home.is_dir(), "it worked in the home that it was given"
    quiet = tmp_path / "pythonw.exe"
    quiet.touch()
    assert windows_task.words([str(tmp_path / "python.exe"), "-P"], {}) == [str(quiet), "-P"]


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
