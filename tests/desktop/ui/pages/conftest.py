"""Pages with sample data, and a window whose services are stand-ins that remember what was asked of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

os.environ.setdefault("QT_API", "pyside6")
sys.path.insert(0, str(Path(__file__).parents[4] / "packaging"))

import pytest
import qasync
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

import money_samples
import samples as sample_data
import scenes as sample_scenes
from peers.rented import FakeAccounts, FakeFleet, FakeLimits, FakeRentals, FakeSpending
from personadesk.deploy.rented.elsewhere import Elsewhere
from personadesk.domain.budget import Budget
from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.host import HostCheck, HostKey, HostRecord, RestartProof, SshAddress
from personadesk.domain.line import Line, LineState
from personadesk.domain.money import Span
from personadesk.domain.plan import Plan
from personadesk.domain.progress import DeployState, DeployView
from personadesk.domain.statement import Money
from personadesk.domain.text import T, Text
from personadesk.hosts.ssh import errors
from personadesk.lines.uninstall import Uninstalled
from personadesk.store.journal import DeployRecord, Purpose
from personadesk.store.paths import folders
from personadesk.store.settings import Settings
from personadesk.store.wishes import Entry
from personadesk.ui import desk
from personadesk.ui.preferences import Preferences
from personadesk.ui.session import WindowSession


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """Made-up but honest data."""
    return sample_data


@pytest.fixture(scope="session")
def scenes() -> ModuleType:
    """Pages made of that data."""
    return sample_scenes


@pytest.fixture(scope="session")
def qt_loop(qapp: QApplication) -> Iterator[asyncio.AbstractEventLoop]:
    """The one loop that drives Qt and asyncio; such a loop cannot be made twice in a process."""
    qapp.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(qapp)
    yield loop
    loop.close()


@pytest.fixture
def run(qt_loop: asyncio.AbstractEventLoop) -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """Runs a coroutine on Qt's loop."""
    asyncio.set_event_loop(qt_loop)

    def until_done(work: Awaitable[Any]) -> Any:
        return qt_loop.run_until_complete(asyncio.wait_for(work, 400))

    yield until_done
    asyncio.set_event_loop(None)


@dataclass
class Clicker:
    """Clicks as a hand does, and counts."""

    clicks: int = 0

    def click(self, widget: QWidget) -> None:
        """Press and release the left button in the middle of a widget that can be seen."""
        assert widget.isVisible(), f"{widget.accessibleName()} cannot be seen"
        assert widget.isEnabled(), f"{widget.accessibleName()} is disabled"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        self.clicks += 1

    def button(self, root: QWidget, text: str) -> QPushButton:
        """Return the visible button with that text."""
        found = [b for b in root.findChildren(QPushButton) if b.text() == text and b.isVisible()]
        assert len(found) == 1, f"{len(found)} visible buttons say “{text}”"
        return found[0]

    def press(self, root: QWidget, text: str) -> None:
        """Click the visible button with that text."""
        self.click(self.button(root, text))


@pytest.fixture
def clicker() -> Clicker:
    """Clicks and counts."""
    return Clicker()


@pytest.fixture
def wait_for() -> Callable[..., Awaitable[None]]:
    """Waits until something is so; the limit is one that a busy computer does not reach."""

    async def wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    return wait


class FakeEngine:
    """Stands for the deploy engine: deploys do nothing until the test moves them."""

    def __init__(self) -> None:
        self.begun: list[Plan] = []
        self.resumed: list[str] = []
        self.undone: list[str] = []
        self.left_over: list[DeployView] = []
        self.deployments: list[Any] = []
        self.refuse: PersonaDeskError | None = None

    def active(self) -> list[Any]:
        return []

    async def refresh(self) -> list[DeployView]:
        return self.left_over

    async def start(self, plan: Plan) -> Any:
        if self.refuse is not None:
            raise self.refuse
        self.begun.append(plan)
        return self._make(plan)

    async def resume(self, plan_id: str) -> Any:
        self.resumed.append(plan_id)
        plan = next(
            (p for p in self.begun if p.id == plan_id), replace(sample_data.PLAN, id=plan_id)
        )
        return self._make(plan)

    async def undo(self, plan_id: str) -> DeployView:
        self.undone.append(plan_id)
        plans = [each.view.plan for each in self.deployments]
        plan = next((each for each in plans if each.id == plan_id), None)
        view = sample_data.deploy(0, plan or replace(sample_data.PLAN, id=plan_id))
        return replace(view, state=DeployState.UNDONE)

    def _make(self, plan: Plan) -> Any:
        made = sample_scenes.SampleDeployment(sample_data.deploy(0, plan))
        self.deployments.append(made)
        return made


class FakeLines:
    """Stands for the line service."""

    def __init__(self, *lines: Line) -> None:
        self._lines = lines
        self._watchers: list[Callable[[], None]] = []
        self.deeds: list[tuple[str, str]] = []
        self.serving = True

    def lines(self) -> tuple[Line, ...]:
        return self._lines

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def show(self, *lines: Line) -> None:
        self._lines = lines
        for watcher in self._watchers:
            watcher()

    async def start(self, name: str) -> None:
        self.deeds.append(("start", name))

    async def stop(self, name: str) -> None:
        self.deeds.append(("stop", name))
        self.show(
            *(replace(x, state=LineState.STOPPED) if x.name == name else x for x in self._lines)
        )

    async def remove(self, name: str) -> None:
        self.deeds.append(("remove", name))
        self.show(*(line for line in self._lines if line.name != name))


class FakeJournal:
    """Stands for the journal: it knows the sample plans."""

    records: ClassVar[list[DeployRecord]] = []

    async def recent(self) -> list[DeployRecord]:
        return self.records

    async def load(self, plan_id: str) -> DeployRecord | None:
        known = {plan.id: plan for plan in (sample_data.PLAN, sample_data.HOST_PLAN)}
        if plan_id not in known:
            return None
        return DeployRecord(known[plan_id], Purpose.DEPLOY, DeployState.DONE, sample_data.STARTED)


class FakeWishes:
    """The guardian's log."""

    def __init__(self) -> None:
        self.entries: tuple[Entry, ...] = ()

    async def recent(self) -> tuple[Entry, ...]:
        return self.entries


class FakeHosts:
    """Stands for the directory of machines and for their checks; what it meets for the first time wants consent."""

    def __init__(self) -> None:
        self.store = self
        self.records: dict[str, HostRecord] = {}
        self.checks: dict[str, HostCheck] = {}
        self.troubles: dict[str, PersonaDeskError] = {}
        self.refusals: list[PersonaDeskError] = []
        self.unreachable: PersonaDeskError | None = None
        self.met: set[str] = set()
        self.asked: list[SshAddress] = []
        self.tries: list[dict[str, Any]] = []
        self.looked: list[str] = []
        self.placements: dict[str, list[str]] = {}
        self.proofs: dict[str, RestartProof] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    def knows(self, *records: HostRecord) -> None:
        self.records |= {record.name: record for record in records}
        self.met |= {record.address.place for record in records}

    async def own(self) -> tuple[HostRecord, ...]:
        return tuple(self.records.values())

    async def add(self, record: HostRecord, **given: Any) -> HostRecord:
        self.tries.append({"record": record, **given})
        await asyncio.sleep(0)
        place = record.address.place
        if self.refusals:
            raise self.refusals.pop(0)
        if place not in self.met and sample_data.HOST_KEY.fingerprint not in given["fingerprints"]:
            raise errors.unknown_key(record.address, sample_data.HOST_KEY)
        self.knows(record)
        return record

    async def placements_on(self, host_name: str) -> list[str]:
        return self.placements.get(host_name, [])

    async def proof(self, host_name: str) -> RestartProof | None:
        return self.proofs.get(host_name)

    async def pinned(self, _name: str) -> HostKey:
        return sample_data.HOST_KEY

    async def show_keys(self, address: SshAddress) -> tuple[HostKey, ...]:
        self.asked.append(address)
        if self.unreachable is not None:
            raise self.unreachable
        return (sample_data.HOST_KEY,)

    async def remove(self, name: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        if self.placements.get(name):
            raise BadRequest(T("A voice server of yours is on “{name}”.", name=name))
        del self.records[name]

    async def host(self, name: str) -> Any:
        raise NotImplementedError(name)

    async def look(self, _hosts: Any, record: HostRecord) -> HostCheck:
        self.looked.append(record.name)
        await self.gate.wait()
        if record.name in self.troubles:
            raise self.troubles[record.name]
        return self.checks.get(record.name) or sample_data.host_check()


@dataclass
class FakeBudgets:
    """Budgets in memory."""

    kept: dict[str, Budget] = field(default_factory=dict)

    async def remove(self, line: str) -> bool:
        return self.kept.pop(line, None) is not None


@dataclass
class FakeMoney:
    """Sums of sample data, with the budgets that are kept; it remembers what was asked."""

    sums: Callable[[Sequence[Budget]], Money] = lambda _budgets: money_samples.quiet()
    budgets: FakeBudgets = field(default_factory=FakeBudgets)
    spent: list[Span] = field(default_factory=list)
    lifts: list[tuple[str, float]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    zone: None = None
    proved: int = 0

    async def look(self, *, ask: bool = False) -> Money:
        return self.sums(list(self.budgets.kept.values()))

    async def prove(self) -> tuple[Any, ...]:
        self.proved += 1
        return ()

    async def elsewhere(self, line: str) -> Elsewhere:
        self.asked.append(line)
        return money_samples.PLACES

    async def consequences(self, budget: Budget) -> list[Text]:
        return [T("{line} would stop by {act}.", line=budget.line or "All", act=str(budget.act))]

    async def set_budget(self, budget: Budget) -> None:
        self.budgets.kept[budget.line] = budget

    async def lift(self, line: str, dollars: float) -> None:
        self.lifts.append((line, dollars))

    async def spans(self, since: float, until: float) -> list[Span]:
        return [span for span in self.spent if span.ended > since and span.began < until]


class FakeDatabase:
    """A database with nothing saved in it."""

    async def run(self, _work: object) -> tuple[()]:
        return ()


class FakeForeign:
    """Keeps no server of somebody else."""

    async def all(self) -> tuple[()]:
        return ()

    async def token_for(self, _url: str) -> None:
        return None


@dataclass
class FakeServices:
    """Stands for everything below the window."""

    settings: Settings
    database: Any = field(default_factory=lambda: FakeDatabase())
    hosts: FakeHosts = field(default_factory=FakeHosts)
    deploys: FakeEngine = field(default_factory=FakeEngine)
    lines: FakeLines = field(default_factory=FakeLines)
    journal: FakeJournal = field(default_factory=FakeJournal)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    fleet: FakeFleet = field(default_factory=FakeFleet)
    spending: FakeSpending = field(default_factory=FakeSpending)
    money: FakeMoney = field(default_factory=FakeMoney)
    rentals: FakeRentals = field(default_factory=FakeRentals)
    wishes: FakeWishes = field(default_factory=lambda: FakeWishes())
    limits: FakeLimits = field(default_factory=FakeLimits)
    foreign: FakeForeign = field(default_factory=FakeForeign)
    folders: Any = field(default_factory=folders)
    notices: tuple[Any, ...] = ()
    closed: bool = False
    handed_over: bool = False
    uninstalls: list[str] = field(default_factory=list)
    token_source: Text | None = None
    tokens: list[str] = field(default_factory=list)
    has_keyring: bool = True
    uninstall_refusals: list[PersonaDeskError] = field(default_factory=list)

    async def monitor(self) -> Any:
        """Nothing is measured here; a window on a busy computer asks all the same."""
        await asyncio.Event().wait()

    async def uninstall(self, host_name: str, tell: Callable[[Text], None]) -> Uninstalled:
        self.uninstalls.append(host_name)
        tell(T("Stopping the voices on “{name}”.", name=host_name))
        await self.hosts.gate.wait()
        if self.uninstall_refusals:
            raise self.uninstall_refusals.pop(0)
        gone = self.hosts.placements.pop(host_name, [])
        self.hosts.checks.pop(host_name, None)
        emptied = {x.name for x in self.lines.lines() if x.target and x.target.server_id in gone}
        self.lines.show(
            *(Line(x.name, x.port) if x.name in emptied else x for x in self.lines.lines())
        )
        return Uninstalled(tuple(gone), tuple(sorted(emptied)))

    async def forget(self, host_name: str) -> Uninstalled:
        gone = self.hosts.placements.pop(host_name, [])
        del self.hosts.records[host_name]
        return Uninstalled(tuple(gone), ())

    async def hub_token_source(self) -> Text | None:
        return self.token_source

    async def keep_hub_token(self, text: str) -> bool:
        if " " in text:
            raise BadRequest(T("That is not a Hugging Face token."))
        self.tokens.append(text)
        self.token_source = T("the keyring")
        return self.has_keyring

    async def hand_over(self) -> int:
        self.handed_over = True
        return 1

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake_services(personadesk_home: Path) -> FakeServices:
    """Services that remember what was asked of them."""
    return FakeServices(Settings(personadesk_home / "config" / "settings.toml"))


@pytest.fixture(autouse=True)
def _a_home_without_ssh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page shows the developer's own machines."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def live_window(
    run: Callable[[Awaitable[Any]], Any],
    fake_services: FakeServices,
    personadesk_home: Path,
    wait_for: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Returns a function that opens the window, lets a coroutine use it, and closes it."""
    # On a busy computer a story lasts longer than the window waits before it watches machines; here are none.
    monkeypatch.setattr(desk, "WATCH_SECONDS", 600.0)

    def use(story: Callable[[WindowSession], Awaitable[None]], **choices: Any) -> None:
        async def opener() -> Any:
            return choices.get("services", fake_services)

        async def live() -> None:
            session = WindowSession(
                Preferences(fake_services.settings, personadesk_home / "state"),
                None,
                choices.get("opener", opener),
                open_session=choices.get("open_session"),
                list_devices=choices.get("list_devices", lambda **_k: sample_data.NO_DEVICES),
                look_at=choices.get("look_at", fake_services.hosts.look),
            )
            whole = asyncio.ensure_future(session.run())
            try:
                if choices.get("opens", True):
                    await wait_for(lambda: session.desk.services is not None)
                    await asyncio.sleep(0.02)
                # As on a screen: without it no field ever gets or loses the keyboard.
                session.window.activateWindow()
                await wait_for(session.window.isActiveWindow)
                await story(session)
            finally:
                session.quit_now()
                await whole

        run(live())

    return use


@pytest.fixture
def simple() -> Callable[..., SimpleNamespace]:
    """Makes a bag of values."""
    return SimpleNamespace


@pytest.fixture
def make_engine() -> Callable[[], FakeEngine]:
    """Makes a deploy engine that does nothing by itself."""
    return FakeEngine


@pytest.fixture
def make_lines() -> Callable[..., FakeLines]:
    """Makes a line service that does nothing by itself."""
    return FakeLines
