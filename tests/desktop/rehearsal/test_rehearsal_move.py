"""A line moves from one rented account to another, or stays where it is when the new voice is no good; and no machine
is left running because the stop of it got lost.

Pretend providers, their machines behind a real sshd, and all services as the window has them; only the voice is
an echo.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

from peers.desk import DEAREST, LIMIT_SECONDS, Desk, told, until
from peers.sshd import missing
from peers.stock_caller import Stock
from personadesk.domain.line import LineState
from personadesk.domain.plan import RENT, RentWish
from personadesk.domain.progress import DeployState, StepName
from personadesk.domain.report import Verdict, VoiceReport
from personadesk.domain.text import T, Text
from personadesk.domain.wish import Place, Rest
from personadesk.lines import guardian, limits
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.rehearsal.running import Running
from personadesk.store.owed import OwedStore
from personadesk.store.rentals import OPEN_STATES
from personadesk.voice.handshake import shake_hands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from personadesk.app import Services

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.long,
    pytest.mark.timeout(600),
]
OLD, NEW = "runpod", "lambda"
THERE = Place(
    RENT, RentWish(account=NEW, max_price=DEAREST, keep_volume=False, idle_stop_minutes=None)
)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often; what is done is what is done in earnest."""
    monkeypatch.setattr(limits, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(limits, "AGAIN_SECONDS", 2.0)
    monkeypatch.setattr(guardian, "LOOK_SECONDS", 0.3)


@asynccontextmanager
async def call(url: str) -> AsyncIterator[Stock]:
    """Talk to a line as the released clients do, once the voice is heard."""
    async with connect(url) as socket:
        caller = Stock(socket)
        try:
            await caller.hears(0.5, LIMIT_SECONDS)
            yield caller
        finally:
            await caller.close()


async def on_record(services: Services) -> list[tuple[str, str]]:
    """What may be billed, by the record: deploys and their accounts."""
    kept = await services.rentals.store.all()
    return [(each.tag, each.account) for each in kept if each.state in OPEN_STATES]


async def moves(desk: Desk, verdict: Verdict, seen: list[object]) -> DeployState:
    """Move the line "a"; when its new voice is tested, write down how line and machines stand."""
    services = desk.services
    before = await services.lines.need("a")

    async def test(
        url: str, clip: str | None, folder: Path, on_progress: Callable[[float, Text], None]
    ) -> VoiceReport:
        del clip, on_progress
        await shake_hands(url)
        line = await services.lines.need("a")
        assert before.target is not None
        assert url != before.target.url, "it is the new voice that is tested"
        assert (line.target, line.state) == (before.target, LineState.UP), "and not yet switched"
        states = [await asyncio.to_thread(desk.states, each) for each in (OLD, NEW)]
        seen.append(states)
        folder.mkdir(parents=True)
        return VoiceReport(verdict, T("It was heard."), T("It was heard."), (), {})

    plan = await services.wanting.plan("a", THERE)
    view = await desk.deploy(plan, test)
    if verdict is Verdict.FAIL:
        assert view.error is not None
        assert view.error.cause == "no_voice", view.error
        failed = [each.name for each in view.steps if each.error is not None]
        assert failed == [StepName.VOICE_TEST]
    else:
        assert view.state is DeployState.DONE, (view.error, view.error and view.error.details)
    return view.state


async def test_a_line_moves_between_two_accounts_and_one_machine_is_left(
    played: Running, window: Callable[[], Awaitable[Services]]
) -> None:
    services = await window()
    services.fleet.start()
    desk = Desk(services, played)
    old = await desk.rent("a", OLD)
    await until(lambda: desk.stands("a", LineState.UP), services.lines.lines)
    before = await services.lines.need("a")
    seen: list[object] = []

    # A voice that fails its test leaves everything as it was, and its machine is gone by its provider's word.
    async with call(before.url) as caller:
        assert await moves(desk, Verdict.FAIL, seen) is DeployState.FAILED
        assert seen == [[["running"], ["running"]]]
        assert await asyncio.to_thread(desk.states, OLD) == ["running"]
        assert await asyncio.to_thread(desk.states, NEW) == []
        assert await on_record(services) == [(old, OLD)]
        assert (await services.lines.need("a")).target == before.target
        await caller.hears(0.5, LIMIT_SECONDS)
        assert not caller.errors, "the call went on"

        # Its provider refuses at first to end the old one: no reason to take the new voice down again.
        refuses = Rule(Fault.FAIL_BEFORE, OLD, calls="DELETE|POST .*/action", times=4)
        played.ask("POST", "/faults", refuses.as_json())

        # One that passes: tested while the old one still serves, then switched, then the old one gone.
        assert await moves(desk, Verdict.PASS, seen) is DeployState.DONE
        assert seen[1:] == [[["running"], ["running"]]]
        line = await services.lines.need("a")
        assert (line.url, line.state) == (before.url, LineState.UP)
        assert line.target is not None
        assert line.target.server_id != old

        # Who talked to the old one is told why that ended, and is served by the new one on calling again.
        code, why = await caller.ended(LIMIT_SECONDS)
        assert (code, bool(why)) == (1011, True)
        assert "Call again" in caller.errors[-1], caller.errors
    async with call(before.url) as again:
        assert not again.errors

    async def one_is_on_record() -> bool:
        await services.fleet.reconcile()
        return await on_record(services) == [(line.target.server_id, NEW)]

    await until(one_is_on_record, lambda: services.fleet.view.items)
    refused = await asyncio.to_thread(played.ask, "GET", "/status")
    assert refused["faults"] == [], "the provider did refuse, as often as it was to"
    left = [await asyncio.to_thread(desk.states, each) for each in (OLD, NEW)]
    assert left == [[], ["running"]]

    async def is_forgotten() -> bool:
        await services.leaving.remove()
        return await services.servers.store.get(old) is None

    await until(is_forgotten, lambda: old)
    [proof] = await services.money.prove((OLD,))
    assert "the provider confirms that nothing of ours is running" in str(proof.text)


async def _killed_in_the_middle(services: Services, name: str) -> None:
    """Type `line sleep` and kill it once the voice has stopped and the machine's stop is under way."""
    with subprocess.Popen(
        [sys.executable, "-m", "personadesk", "line", "sleep", name],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        owed = OwedStore(services.database)

        async def halfway() -> bool:
            assert process.poll() is None
            line = await services.lines.need(name)
            return line.state is LineState.STOPPED and bool(await owed.all())

        await until(halfway, services.lines.lines)
        os.killpg(process.pid, signal.SIGKILL)


async def test_a_stop_that_got_lost_or_was_refused_is_done_after_a_restart(
    played: Running, window: Callable[..., Awaitable[Services]], caplog: pytest.LogCaptureFixture
) -> None:
    services = await window()
    desk = Desk(services, played)
    await desk.rent("a", OLD)
    await until(lambda: desk.stands("a", LineState.UP), services.lines.lines)
    await services.guardian.wish(await services.lines.need("a"))
    await services.close()

    # Nobody serves the lines: only the command is at it, and it dies between the two stops.
    busy = Rule(Fault.RATE_LIMIT, OLD, calls="POST .*/action", seconds=15.0)
    played.ask("POST", "/faults", busy.as_json())
    looker = await window(serve_lines=False)
    await _killed_in_the_middle(looker, "a")
    assert await asyncio.to_thread(desk.states, OLD) == ["running"]
    await looker.close()

    # The next start finds what is owed; the provider refuses until that process has ended, too.
    played.ask("DELETE", "/faults")
    refuses = Rule(Fault.FAIL_BEFORE, OLD, calls="POST .*/action")
    played.ask("POST", "/faults", refuses.as_json())
    services = await window()
    owed = OwedStore(services.database)

    async def refused_again() -> bool:
        return any(debt.tries > 1 for debt in await owed.all())

    await until(refused_again, services.lines.lines)
    await services.close()
    assert await asyncio.to_thread(desk.states, OLD) == ["running"]
    played.ask("DELETE", "/faults")
    services = await window()
    desk = Desk(services, played)
    owed = OwedStore(services.database)

    async def paid() -> bool:
        return not await owed.all()

    await until(paid, services.lines.lines)
    assert await asyncio.to_thread(desk.states, OLD) == ["stopped"]
    line, wish = await services.lines.need("a"), await services.wishes.get("a")
    assert line.state is LineState.STOPPED
    assert wish is not None
    assert wish.rest is Rest.ASLEEP
    assert "has stopped, by its provider's word" in caplog.text

    # Who calls wakes it, and nothing that was owed stops it again.
    _, hello = await told(line.url)
    assert hello == ""
    assert await asyncio.to_thread(desk.states, OLD) == ["running"]
    assert await owed.all() == ()
