"""What `personadesk start|stop|restart|terminate` say before they do it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from personadesk.cli import instances
from personadesk.domain.machine import Action, Machine
from personadesk.providers import catalog


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
