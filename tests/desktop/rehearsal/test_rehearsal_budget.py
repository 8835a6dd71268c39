"""From a budget to a machine that is stopped or ended: warned first, then acted, proven, told, and woken by more money.

Pretend providers, their machines behind a real sshd, and all services as the window has them; only the voice there is
an echo that needs no installing. Time and prices are real: the machines are dear, and the budget is for some seconds.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from peers.desk import DEAREST, Desk, told, until
from peers.sshd import missing
from peers.whole import personadesk
from personadesk.app import Services
from personadesk.domain.budget import Act, Budget, Level
from personadesk.domain.line import LineState
from personadesk.domain.money import Kind
from personadesk.domain.proof import Left
from personadesk.domain.wish import Rest
from personadesk.hosts import health
from personadesk.lines import gateway, guardian, limits
from personadesk.rehearsal.running import Running

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.long,
    pytest.mark.timeout(600),
]
OVERRUN_SECONDS = 120.0
SOON_SECONDS = 15.0
"""So long the money lasts once the budget is set: time to see the warning on a computer that is busy."""


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at money and lines more often; what is done about them is what is done in earnest."""
    monkeypatch.setattr(limits, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(guardian, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(gateway, "HOLD_TELL_SECONDS", 0.2)


async def _spend(desk: Desk, name: str, account: str) -> tuple[str, float]:
    """Rent for a line, and give it a budget of what it has spent and some seconds more; returns machine and budget."""
    services, money = desk.services, desk.services.money
    tag = await desk.rent(name, account)
    await until(lambda: desk.stands(name, LineState.UP), services.lines.lines)
    page = await money.look(ask=True)
    [runs] = [each for each in page.items if each.tag == tag]
    assert (runs.line, runs.account, runs.kind) == (name, account, Kind.RUNNING)
    assert runs.price
    [share] = [each for each in page.lines if each.name == name]
    spent = share.today.dollars
    # In whole cents; the warning is due at once.
    limit = math.ceil((spent + runs.price * SOON_SECONDS / 3600) * 100) / 100
    await money.set_budget(Budget(name, per_day=limit, warn=0.9 * spent / limit, act=Act.STOP))
    near = await money.standing(name)
    assert near is not None
    assert near.level is Level.NEAR
    assert await desk.alarm(tag), "the monitor rings"
    assert (await services.lines.need(name)).state is LineState.UP, "warned, and nothing more"
    return tag, limit


async def _stopped(desk: Desk, name: str, account: str, limit: float, *, kept: bool) -> None:
    """Wait until a line's machine is stopped or ended, and hold what everybody is told of it."""
    services, money = desk.services, desk.services.money
    why = f"The budget of ${limit:.2f} a day for “{name}” is used up."

    async def says_why() -> bool:
        stopped = await desk.stands(name, LineState.STOPPED)
        return stopped and str((await services.lines.need(name)).reason) == why

    await until(says_why, services.lines.lines)
    reached = await money.standing(name)
    assert reached is not None
    assert reached.level is Level.REACHED

    # The provider itself says so, and that is what is believed.
    gone = ["stopped"] if kept else []

    async def is_so() -> bool:
        wish = await services.wishes.get(name)
        # A caller may wake it when there is money again.
        asleep = wish is not None and wish.rest is Rest.ASLEEP
        return asleep and await asyncio.to_thread(desk.states, account) == gone

    await until(is_so, lambda: desk.states(account))
    line = await services.lines.need(name)
    assert str(line.reason) == why
    assert (line.target is not None) is kept, "what was ended leaves an address alone"
    [proof] = await money.prove((account,))
    assert proof.left is (Left.KEPT if kept else Left.NOTHING)
    assert "the provider confirms that nothing of ours is running" in str(proof.text)
    assert proof.seen

    # Who calls is told why, and starts nothing.
    _, last = await told(line.url)
    assert why in last
    facts = await health.get_json(line.url, "/status")
    assert facts is not None
    assert (facts["state"], facts["cause"], facts["reason"]) == ("stopped", "budget", why)
    assert await asyncio.to_thread(desk.states, account) == gone


async def test_a_budget_warns_then_stops_or_ends_the_machine_and_everybody_is_told(
    played: Running, window: Callable[[], Awaitable[Services]]
) -> None:
    services = await window()
    services.fleet.start()
    desk, money = Desk(services, played), services.money
    accounts = {"a": "runpod", "b": "lambda"}
    budgets = dict(
        zip(
            accounts,
            await asyncio.gather(*(_spend(desk, *each) for each in accounts.items())),
            strict=True,
        )
    )
    await asyncio.gather(
        *(
            _stopped(desk, name, account, budgets[name][1], kept=account == "runpod")
            for name, account in accounts.items()
        )
    )

    # Window and terminal show the same sums; what was overrun is what seconds cost.
    page = await money.look(ask=True)
    code, typed = await asyncio.to_thread(personadesk, "money")
    assert code == 0
    assert typed["all"]["today"]["dollars"] == pytest.approx(page.all.today.dollars, abs=1e-3)
    for share in page.lines:
        shown = typed["lines"][share.name]
        assert shown["today"]["dollars"] == pytest.approx(share.today.dollars, abs=1e-3)
        limit = budgets[share.name][1]
        assert limit <= share.today.dollars < limit + DEAREST * OVERRUN_SECONDS / 3600
    budgeted = {each["line"]: (each["state"], each["act"]) for each in typed["budgets"]}
    assert budgeted == dict.fromkeys(accounts, ("reached", "stop"))
    left = {each["account"]: each["left"] for each in typed["left"]}
    assert (left["runpod"], left["lambda"]) == ("kept", "nothing")
    assert page.all.rate.dollars < 0.1

    # With more money the next caller wakes the one that was stopped.
    await money.lift("a", 20.0)
    _, hello = await told((await services.lines.need("a")).url)
    assert hello == "", "a handshake, and no reason against it"
    await until(lambda: desk.stands("a", LineState.UP), services.lines.lines)
    assert await asyncio.to_thread(desk.states, "runpod") == ["running"]
    assert (await services.lines.need("b")).state is LineState.STOPPED
