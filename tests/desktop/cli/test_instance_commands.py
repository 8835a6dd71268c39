"""What `personadesk start|stop|restart|terminate` say before they do it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from personadesk.cli import instances
from personadesk.domain.machine import Action, Machine
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.progress import DeployState, StepName, StepState
from personadesk.providers import catalog
from personadesk.store.journal import DeployRecord, Purpose, StepRecord


@pytest.mark.parametrize("provider", catalog.ids())
@pytest.mark.parametrize("action", Action)
async def test_what_it_costs_and_destroys_is_said_first(capsys, provider, action):
    facts = catalog.facts(provider)

    async def of(account: str) -> SimpleNamespace:
        return SimpleNamespace(facts=facts)

    services = SimpleNamespace(accounts=SimpleNamespace(provider=of))
    machine = Machine(
        "m-1", "mine", provider, running_price=0.5, actions=frozenset(Action)
    )  # fmt: skip
    await instances._say_price(services, machine, action)
    said = capsys.readouterr().err.strip()
    expected = {
        Action.START: "It costs $0.50 an hour again.",
        Action.STOP: f"Calls on it end now. {facts.stop_costs}".rstrip(),
        Action.RESTART: "Calls on it end now; it takes some minutes until the voice is back. It costs the same.",
        Action.END: f"What goes with it: {facts.end_destroys}",
    }
    assert said == expected[action]
    assert facts.end_destroys
    assert bool(facts.stop_costs) == bool(facts.can.stop), provider


class Before:
    """Deploys of the past: each its provider, its state and its steps' seconds; newest first."""

    def __init__(self, *deploys: tuple[str, DeployState, float]) -> None:
        self.records = [
            DeployRecord(
                Plan(f"pd-{number}", place=RENT, rent=RentWish()), Purpose.DEPLOY, state, 0.0,
                steps={
                    StepName.RENT: StepRecord(StepName.RENT, StepState.DONE, seconds=10.0),
                    StepName.INSTALL: StepRecord(
                        StepName.INSTALL, StepState.DONE, seconds=seconds - 10.0
                    ),
                },
            )
            for number, (_, state, seconds) in enumerate(deploys)
        ]  # fmt: skip
        self.providers = {f"pd-{n}": provider for n, (provider, _, _) in enumerate(deploys)}
        self.store = self

    async def recent(self) -> list[DeployRecord]:
        return self.records

    async def of(self, tag: str) -> list[SimpleNamespace]:
        sold_out = SimpleNamespace(provider="elsewhere", machine_id="")
        return [SimpleNamespace(provider=self.providers[tag], machine_id="m-1"), sold_out]


@pytest.mark.parametrize("provider", catalog.ids())
async def test_before_a_line_sleeps_it_is_said_how_long_waking_takes(capsys, provider):
    facts = catalog.facts(provider)

    async def of(account: str) -> SimpleNamespace:
        return SimpleNamespace(facts=facts)

    def services(before: Before) -> SimpleNamespace:
        accounts = SimpleNamespace(provider=of)
        return SimpleNamespace(accounts=accounts, journal=before, rentals=before)

    rental = SimpleNamespace(account="mine", provider=provider)
    assert await instances.say_what_stops(services(Before()), None) is None
    new = await instances.say_what_stops(services(Before()), rental)
    first = capsys.readouterr().err
    before = Before(
        (provider, DeployState.FAILED, 30.0), ("other", DeployState.DONE, 60.0),
        (provider, DeployState.DONE, 420.0), (provider, DeployState.DONE, 9000.0),
    )  # fmt: skip
    known = await instances.say_what_stops(services(before), rental)
    then = capsys.readouterr().err
    if facts.can.stop:
        assert new == known == {"rents": False, "seconds": None, "measured": False}
        assert str(facts.stop_costs) in then
        return
    assert new == {"rents": True, "seconds": 300.0, "measured": False}
    assert known == {"rents": True, "seconds": 420.0, "measured": True}
    assert str(facts.end_destroys) in first
    assert first.endswith("sets it up: ≈ 5 min, not measured here yet.\n")
    assert then.endswith("sets it up: 7 min the last time.\n")
