"""Every provider can be rehearsed: its file and its simulator understand each other with the ready-made account."""

from __future__ import annotations

import pytest

from peers.simulated import Clock
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import NoCapacity
from personadesk.domain.machine import Action, Machine, MachineState, Order
from personadesk.domain.offer import Need, Stock
from personadesk.hosts.ssh import keys
from personadesk.providers import catalog as providers
from personadesk.rehearsal import catalog
from personadesk.rehearsal.bodies import NoBodies
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.serving import Served
from personadesk.rehearsal.things import State

USER, PORT = "somebody", 2222


class OnOnePort(NoBodies):
    """Machines as on a computer where only root may listen on port 22."""

    def place(self, machine, number):
        return super().place(machine, number)[0], PORT


def test_every_provider_can_be_rehearsed_with():
    assert catalog.ids() == providers.ids()


async def until(provider, simulator, state, clock) -> Machine:
    for _ in range(30):
        clock.pass_s(20)
        simulator.world.settle()
        (machine,) = await provider.find("pd-00000001")
        if machine.state is state:
            return machine
    raise AssertionError(machine)


async def stopped_and_started(provider, simulator, machine, clock) -> Machine:
    """Stop it; its GPU is found taken, then free, and its address is another one where it is not fixed."""
    await provider.act(machine, Action.STOP)
    machine = await until(provider, simulator, MachineState.STOPPED, clock)
    (inside,) = simulator.world.machines()
    before = inside.host
    faults = simulator.world.faults
    faults.add(Fault.ADDRESS_CHANGES)
    rule = faults.add(Fault.GPU_GONE_AT_START)
    if not simulator.keeps_gpu:
        with pytest.raises(NoCapacity) as caught:
            await provider.act(machine, Action.START)
        assert caught.value.cause == "gpu_taken"
        assert inside.state is State.STOPPED
    faults.remove(rule.id)
    await provider.act(machine, Action.START)
    machine = await until(provider, simulator, MachineState.RUNNING, clock)
    assert (inside.host != before) is not bool(inside.fixed_address)
    assert machine.ssh.host == inside.host
    return machine


@pytest.mark.parametrize("provider_id", catalog.ids())
async def test_the_ready_made_account_rents_and_ends_a_machine(provider_id, clock: Clock):
    simulator = catalog.make(catalog.kind(provider_id), clock=clock, bodies=OnOnePort())
    ready = simulator.ready
    # By a socket: not every provider's client can be handed a transport.
    served = Served(simulator.answer)
    account = Account(
        "rehearsal", provider_id, dict.fromkeys(ready.credentials, "@SOMEWHERE"),
        {**ready.settings, "ssh_user": USER, "ssh_port": str(PORT)},
        f"{served.url}{ready.base_path}",
    )  # fmt: skip
    provider = providers.make(account, ready.credentials, clock=clock, sleep=clock.sleep)
    try:
        info = await provider.verify()
        assert info.rights >= set(Right) or not info.missing
        offers = [each for each in await provider.offers(Need()) if each.stock is not Stock.NONE]
        assert offers
        key = (await keys.make_identity()).public
        identity = await keys.make_identity() if provider.facts.can.known_host_key else None
        order = Order("pd-00000001", offers[0], key, identity, token="pd-00000001-1")
        await provider.create(order)
        machine = await until(provider, simulator, MachineState.RUNNING, clock)
        (inside,) = simulator.world.machines()
        assert machine.ssh is not None, machine
        assert (machine.ssh.host, machine.ssh.port, machine.ssh.user) == (inside.host, PORT, USER)
        assert any(key.split()[1] in line for line in inside.keys)
        assert not identity or inside.host_key.split() == identity.private.split()
        if provider.facts.can.stop:
            machine = await stopped_and_started(provider, simulator, machine, clock)
        await provider.end(machine)
        clock.pass_s(60)
        simulator.world.settle()
        assert not [each for each in simulator.world.present() if each[0] == "machine"]
    finally:
        await provider.aclose()
        served.close()
