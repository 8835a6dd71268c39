"""Failures of every kind, before, during and after a call, alone and in pairs, with the time to recovery of each.

Real machines behind a real sshd, real servers and tunnels, callers who know nothing of resuming. It takes half an hour,
so it runs only when it is asked for, whole or some rows of it (by their number in the lists below, from 0):

    PERSONADESK_FAILURES=1 pytest -s tests/desktop/rehearsal/test_line_failures.py
    PERSONADESK_FAILURES=own ...  PERSONADESK_FAILURES=own:14,17,20-24 ...  PERSONADESK_FAILURES="own:20- rented:3" ...

It goes on after a row that failed, with a line that is deployed anew, and ends with the table and a sum.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from peers.line_rig import HEADER, LIMIT_SECONDS, SPEND_LIMIT, Rig, Row, named
from peers.sshd import Sshd, User, free_port, missing
from peers.whole import personadesk
from personadesk.app import Services, open_services
from personadesk.domain import guarding, report
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.host import HostRecord, SshAddress
from personadesk.domain.plan import LOCAL, RENT, ModelChoice, ModelKind, Plan, RentWish, new_plan_id
from personadesk.domain.progress import DeployState
from personadesk.domain.wish import Place
from personadesk.hosts.ssh.connection import show_keys
from personadesk.lines import guardian, truth
from personadesk.rehearsal import running
from personadesk.store import paths
from personadesk.voice import proof

ASKED = os.environ.get("PERSONADESK_FAILURES", "")
ROW_SECONDS = 2 * LIMIT_SECONDS

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped in Linux's way"),
    pytest.mark.logs_warnings,
    pytest.mark.timeout(0),
]


def chosen(part: str, count: int, asked: str = ASKED) -> list[int]:
    """Return the numbers of the rows that are asked for."""
    found: set[int] = set()
    for word in asked.split():
        name, _, which = word.partition(":")
        if name not in {"1", part}:
            continue
        for piece in which.split(",") if which else ["0-"]:
            first, dash, last = piece.partition("-")
            found.update(range(int(first), int(last or count - 1) + 1 if dash else int(first) + 1))
    return sorted(number for number in found if number < count)


def asked(part: str) -> pytest.MarkDecorator:
    words = {word.partition(":")[0] for word in ASKED.split()}
    return pytest.mark.skipif(not words & {"1", part}, reason="takes minutes")


@pytest.fixture(autouse=True)
def shorter_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a table of failures cannot afford; what they do is what they do at full length."""
    monkeypatch.setattr(guardian, "PROVE_SECONDS", 10.0)
    monkeypatch.setattr(proof, "FRESH_SECONDS", 8.0)
    monkeypatch.setattr(guardian, "SLOW_SECONDS", 5.0)
    monkeypatch.setattr(guardian, "SLOW_LOOK_SECONDS", 1.0)
    monkeypatch.setattr(guarding, "GRACE_SECONDS", 20.0)
    monkeypatch.setattr(truth, "FRESH_SECONDS", 2.0)
    monkeypatch.setattr(guarding, "MOST_RENTED_A_DAY", 1000)
    # A busy box is too slow to talk with, which is not what is asked here.
    lenient = tuple(replace(each, most=None, least=None, hard=None) for each in report.LIMITS)
    monkeypatch.setattr(report.judge, "__defaults__", (lenient,))


async def deployed(services: Services, plan: Plan) -> None:
    view = await (await services.deploys.start(plan)).wait()
    steps = ", ".join(f"{step.name} {step.seconds:.0f} s" for step in view.steps)
    print(f"deployed: {steps}", flush=True)
    assert view.state is DeployState.DONE, (view.error, view.error and view.error.details)
    async with asyncio.timeout(30):
        while await services.wishes.get(plan.line) is None:
            await asyncio.sleep(0.1)


async def ended(rig: Rig) -> None:
    """Remove the line with all that is behind it, also what a row left that does not hold."""
    rig.close()
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await rig.services.guardian.stop()
            await rig.services.deploys.close()
            await rig.services.lines.remove(rig.name)
    except (PersonaDeskError, TimeoutError):
        traceback.print_exc()
    finally:
        await rig.services.close()
    await asyncio.to_thread(personadesk, "stop")


@contextlib.asynccontextmanager
async def own(folder: Path) -> AsyncIterator[Rig]:
    """A line at a machine of the user's, with this computer as the next place."""
    home = folder / "home"
    home.mkdir()
    python = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    box = Sshd(folder / "sshd", User(psutil.Process().username(), home), path=python)
    box.start()
    services = await open_window()
    rig = Rig(services, "b", box)
    try:
        address = SshAddress(box.address, box.port, box.user.name)
        [key] = await show_keys(address)
        record = HostRecord("box", address, key_file=str(box.key))
        await services.hosts.add(record, fingerprints=[key.fingerprint])
        model = ModelChoice(ModelKind.REHEARSAL)
        await deployed(services, Plan(new_plan_id(), "b", free_port(), model, "host:box"))
        wish = await services.wishes.get("b")
        assert wish is not None
        await services.wanting.change(replace(wish, places=(Place("host:box"), Place(LOCAL))))
        yield rig
    finally:
        await asyncio.to_thread(box.here_again)
        await ended(rig)
        box.stop()


@contextlib.asynccontextmanager
async def rented(folder: Path) -> AsyncIterator[Rig]:
    """A line at a rented machine, with the next account behind it."""
    cloud = await running.ensure(paths.folders(), words=("--speed", "20"))
    services = await open_window()
    rig = Rig(services, "a", cloud=cloud)
    try:
        # As the window and `line serve` do: costs are added up, and machines that are gone are found.
        services.fleet.start()
        rent = RentWish(account="runpod", max_price=2.0, spend_limit=SPEND_LIMIT)
        model = ModelChoice(ModelKind.REHEARSAL)
        await deployed(services, Plan(new_plan_id(), "a", free_port(), model, RENT, rent=rent))
        wish = await services.wishes.get("a")
        assert wish is not None
        places = (*wish.places, Place(RENT, RentWish(account="vast")))
        await services.wanting.change(replace(wish, places=places))
        yield rig
    finally:
        await ended(rig)
        await running.stop(paths.folders())


async def open_window() -> Services:
    return await open_services(paths.folders(), kind="window")


OWN = [
    ("before", "tunnel_down"), ("during", "tunnel_down"), ("after", "tunnel_down"),
    ("during", "ssh_cut"), ("during", "server_killed"),
    ("before", "server_dead"), ("during", "server_dead"), ("after", "server_dead"),
    ("before", "server_stuck"), ("during", "server_stuck"), ("after", "server_stuck"),
    ("during", "server_silent"), ("after", "server_silent"),
    ("during", "too_slow"),
    ("before", "weights_missing"), ("during", "weights_missing"), ("after", "weights_missing"),
    ("during", "reboot"), ("after", "reboot"),
    ("during", "hangs_for_a_while"),
    ("during", "tunnel_down", "server_dead"), ("before", "weights_missing", "tunnel_down"),
    ("during", "ssh_cut", "server_stuck"), ("after", "server_silent", "tunnel_down"),
    ("during", "away"),
]  # fmt: skip
RENTED = [
    ("during", "address_changed"), ("during", "machine_gone"), ("during", "gpu_vanished"),
    ("before", "stopped_by_provider"), ("during", "stopped_by_provider"),
    ("after", "address_changed"), ("during", "tunnel_down"),
    ("before", "machine_gone"), ("after", "machine_gone"), ("after", "gpu_vanished"),
    ("during", "address_changed", "server_dead"),
    ("after", "provider_silent", "machine_gone"),
    ("during", "sold_out_here", "gpu_vanished"),
    ("spent", "machine_gone"),
]  # fmt: skip


ROWS: list[Row] = []


@pytest.fixture(scope="module", autouse=True)
def the_sum() -> Iterator[None]:
    """Print the whole table at the end, and how many rows hold."""
    began = time.monotonic()
    yield
    if not ROWS:
        return
    wrong = [row.number for row in ROWS if row.wrong]
    minutes = (time.monotonic() - began) / 60
    print("\n" + "\n".join([HEADER, *map(str, ROWS)]))
    print(
        f"{len(ROWS) - len(wrong)} of {len(ROWS)} rows hold, in {minutes:.0f} minutes; not: "
        f"{', '.join(wrong) or 'none'}. {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}.",
        flush=True,
    )


class Table:
    """Plays rows of a part one after another; after one that failed the line is deployed anew."""

    def __init__(
        self,
        part: str,
        make: Callable[[Path], AbstractAsyncContextManager[Rig]],
        folder: Path,
        patch: pytest.MonkeyPatch,
    ) -> None:
        self._part = part
        self._make = make
        self._folder = folder
        self._patch = patch
        self._stack = contextlib.AsyncExitStack()
        self._rig: Rig | None = None
        self._made = 0
        self.rows: list[Row] = []

    async def play(self, rows: list[tuple[str, ...]]) -> None:
        print(f"\n{HEADER}", flush=True)
        async with self._stack:
            for number in chosen(self._part, len(rows)):
                row = await self._played(f"{self._part}:{number}", *rows[number])
                print(row, flush=True)
                self.rows.append(row)
                ROWS.append(row)
        assert not [str(row) for row in self.rows if row.wrong]

    async def _played(self, number: str, when: str, *failures: str) -> Row:
        began = time.time()
        try:
            rig = await self._ready()
            began = time.time()
            async with asyncio.timeout(ROW_SECONDS):
                if when == "spent":
                    row = await rig.spends_no_more(number, *failures)
                else:
                    row = await rig.suffers(number, when, *failures)
            await self._tell(began)
            if rig.box is not None and not await rig.is_far():
                # It went on to this computer; the next failure is to hit a voice at the machine again.
                await self._given_up()
        except (AssertionError, TimeoutError, OSError, PersonaDeskError) as error:
            wrong = f"WRONG: {error!r}".replace("|", "/").replace("\n", " ")
            traceback.print_exc()
            await self._tell(began)
            await self._given_up()
            return Row(number, named(failures), when, wrong=wrong)
        return row

    async def _ready(self) -> Rig:
        if self._rig is None:
            folder = self._folder / f"{self._part}-{self._made}"
            self._made += 1
            folder.mkdir()
            self._patch.setenv(paths.HOME_VARIABLE, str(folder / "personadesk-home"))
            self._rig = await self._stack.enter_async_context(self._make(folder))
        return self._rig

    async def _tell(self, began: float) -> None:
        """Print what the guardian did in a row, and why."""
        if self._rig is None:
            return
        log = await self._rig.services.wishes.log(self._rig.name, 20)
        for entry in log:
            if entry.at >= began:
                words = (f"{entry.at - began:5.0f} s", entry.deed, str(entry.why), entry.outcome)
                print("    ", *words, flush=True)

    async def _given_up(self) -> None:
        """Tell how a line stands that did not come back, and let go of it."""
        rig, self._rig = self._rig, None
        if rig is None:
            return
        print("    ", await rig.line(), flush=True)
        try:
            await self._stack.aclose()
        except (AssertionError, PersonaDeskError):
            # What cannot be put away is told; the next line has a folder of its own.
            traceback.print_exc()


@asked("own")
async def test_a_line_at_a_machine_of_ones_own_outlives_its_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Table("own", own, tmp_path, monkeypatch).play(OWN)


@asked("rented")
async def test_a_line_at_a_rented_machine_outlives_its_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    await Table("rented", rented, tmp_path, monkeypatch).play(RENTED)
