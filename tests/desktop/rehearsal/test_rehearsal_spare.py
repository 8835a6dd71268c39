"""A rented machine vanishes: how long a caller waits for the next voice, with a spare and without one.

It installs a real server several times, which takes minutes, so it runs only when it is asked for:
PERSONADESK_GUARDIAN=1 pytest -s tests/desktop/rehearsal/test_rehearsal_spare.py
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from peers.sshd import free_port, missing
from peers.whole import personadesk
from personadesk.app import Services, open_services
from personadesk.domain import report
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.guarding import Deed
from personadesk.domain.plan import RENT, ModelChoice, ModelKind, Plan, RentWish, new_plan_id
from personadesk.domain.progress import DeployState
from personadesk.domain.proof import Left
from personadesk.domain.wish import ANY_SPARE, Place, Rest
from personadesk.rehearsal import running
from personadesk.rehearsal.running import Running
from personadesk.store import paths
from personadesk.voice.handshake import shake_hands

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif("PERSONADESK_GUARDIAN" not in os.environ, reason="takes minutes"),
    pytest.mark.timeout(2400),
    pytest.mark.logs_warnings,
]
BACK_SECONDS = 900.0
PLACES = tuple(Place(RENT, RentWish(account=name, max_price=2.0)) for name in ("runpod", "vast"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy box is too slow to talk with, which is not what is asked here."""
    lenient = tuple(replace(each, most=None, least=None, hard=None) for each in report.LIMITS)
    monkeypatch.setattr(report.judge, "__defaults__", (lenient,))


@pytest.fixture
async def cloud(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    yield await running.ensure(paths.folders(), words=("--speed", "20"))
    await running.stop(paths.folders())


@pytest.fixture
async def services(cloud: Running) -> AsyncIterator[Services]:
    made = await open_services(paths.folders(), kind="window")
    made.fleet.start()
    yield made
    await made.close()
    await asyncio.to_thread(personadesk, "stop")


def machines(cloud: Running) -> dict[str, list[str]]:
    told = cloud.ask("GET", "/status")["providers"]
    return {
        name: [machine["id"] for machine in each["machines"]]
        for name, each in told.items() if each["machines"]
    }  # fmt: skip


async def until(services: Services, true: Callable[[], Awaitable[object]]) -> None:
    began = time.monotonic()
    while not await true():
        if time.monotonic() - began > BACK_SECONDS:
            log = [(e.deed, e.place, str(e.why), e.outcome) for e in await services.wishes.log("a")]
            raise AssertionError(log)
        await asyncio.sleep(0.1)


async def voice_after(services: Services, url: str, before: str) -> float:
    """Return how many seconds a caller who calls on and on waits for another voice than that before."""
    began = time.monotonic()

    async def answers() -> bool:
        line = await services.lines.need("a")
        if line.target is None or line.target.server_id == before:
            return False
        try:
            await shake_hands(url)
        except PersonaDeskError:
            return False
        return True

    await until(services, answers)
    return time.monotonic() - began


@pytest.mark.parametrize("spare", ["", ANY_SPARE], ids=["without", "with"])
async def test_a_machine_is_lost_and_a_voice_answers_again(
    cloud: Running, services: Services, spare: str
) -> None:
    plan = Plan(
        new_plan_id(), "a", free_port(), ModelChoice(ModelKind.REHEARSAL), RENT, rent=PLACES[0].rent
    )
    view = await (await services.deploys.start(plan)).wait()
    assert view.state is DeployState.DONE, view.error
    wish = await services.wanting.wish("a")
    await services.wanting.change(replace(wish, places=PLACES, spare=spare))

    async def stands_by() -> bool:
        log = await services.wishes.log("a")
        last = [entry.deed for entry in log if entry.deed in {Deed.SPARE_READY, Deed.SWITCH}]
        return last[-1:] == [Deed.SPARE_READY]

    if spare:
        await until(services, stands_by)
    (lost,) = machines(cloud)["runpod"]
    before = await services.lines.need("a")
    await asyncio.to_thread(cloud.ask, "POST", f"/machines/runpod/{lost}/lose")

    took = await voice_after(services, before.url, plan.id)
    print(f"\n{'with' if spare else 'without'} a spare: a voice after {took:.1f} s", flush=True)

    now = await services.lines.need("a")
    assert now.url == before.url
    if not spare:
        return
    assert machines(cloud)["vast"], "the spare's"
    # What is left of the lost machine is ended, and a new spare is made; never more than two of ours are there.
    most = 0

    async def made_anew() -> bool:
        nonlocal most
        most = max(most, sum(len(each) for each in machines(cloud).values()))
        return await stands_by()

    await until(services, made_anew)
    assert most <= 2
    assert lost not in machines(cloud).get("runpod", [])
    found = await services.spares.standing(await services.lines.need("a"))
    assert found is not None
    assert found.tag not in {plan.id, now.target and now.target.server_id}

    # Asleep: the spare is gone with it, by its provider's word, and so is all that costs by the hour.
    await services.limits.sleep("a", Rest.ASLEEP)

    async def nothing_runs() -> bool:
        left = await services.money.prove()
        return all(each.left in {Left.NOTHING, Left.KEPT} for each in left)

    await until(services, nothing_runs)
    assert await services.journal.spares() == []
    deeds = [str(entry.deed) for entry in await services.wishes.log("a")]
    print(", ".join(deeds), flush=True)
    assert Deed.DEPLOY not in deeds
