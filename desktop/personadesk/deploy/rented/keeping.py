"""What lines want of the rented machines that they stand on: to be woken, put to sleep, and ended."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    BadRequest,
    NoCapacity,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.guarding import Box
from personadesk.domain.machine import CHANGING, Action, MachineState
from personadesk.domain.reputation import Kind
from personadesk.domain.text import T
from personadesk.hosts import check
from personadesk.store.rentals import RentalState

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.deploy.rented.rentals import Rentals
    from personadesk.domain.machine import Machine
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.store.rentals import Rental

log = logging.getLogger(__name__)

_KNOCK_SECONDS = 2.0
_END_SECONDS = 300.0
_ASK_SECONDS = 60.0
_BOXES = {
    MachineState.RUNNING: Box.RUNNING,
    MachineState.STOPPED: Box.STOPPED,
    MachineState.ENDED: Box.GONE,
    MachineState.FAILED: Box.BROKEN,
    MachineState.LOST: Box.BROKEN,
}


class RentedMachines:
    """Wakes, puts to sleep and ends the machine of a deploy."""

    def __init__(
        self, rentals: Rentals, hosts: Hosts, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._rentals = rentals
        self._hosts = hosts
        self._clock = clock

    async def end(self, tag: str) -> None:
        """End it and its bill; returns when the provider has taken it.

        Raises:
            PersonaDeskError: It did not take it; the record says that it must end.
        """
        await self._rentals.end(tag)

    async def going(self, tag: str) -> bool:
        """Return whether it has ended, or is ending for good; the record knows, nobody is asked."""
        rental = await self._rentals.current(tag)
        return rental is None or rental.state is RentalState.ENDING

    async def gone(self, tag: str) -> None:
        """Wait until the provider says that an ended machine is gone, so that no two are ever paid for.

        Raises:
            ProviderFault: It did not say so in time.
            PersonaDeskError: It cannot be asked.
        """
        if not await self._rentals.wait_until_ended(tag, _END_SECONDS):
            raise ProviderFault(
                T("The provider does not say that the machine is gone."),
                T("Nothing else is rented until it does."),
                cause="not_ended",
            )

    async def sleep(self, tag: str) -> bool:
        """Stop it where that ends the bill for the GPU, else end it; what is on a volume stays either way.

        Returns:
            Whether it can be woken: its disk is there still.

        Raises:
            PersonaDeskError: The provider did not take it.
        """
        rental, machine = await self._need(tag)
        provider = await self._rentals.accounts.provider(rental.account)
        if provider.facts.can.stop:
            if machine.state not in {MachineState.STOPPED, MachineState.STOPPING}:
                await provider.act(machine, Action.STOP)
            return True
        await self._rentals.end(tag)
        return False

    async def rests(self, tag: str, *, ended: bool = False) -> bool:
        """Return whether a deploy's machine costs no GPU any more: its provider says that it is stopped, or it ends.

        Args:
            tag: The deploy.
            ended: Whether stopped is not enough.

        Raises:
            PersonaDeskError: The provider cannot be asked.
        """
        rental = await self._rentals.current(tag)
        if rental is None or rental.state is RentalState.ENDING:
            # That it must end is in the record, and whoever looks at the accounts sees to it.
            return True
        machine = await self._rentals.find(rental)
        provider = await self._rentals.accounts.provider(rental.account)
        stopped = machine is not None and machine.state is MachineState.STOPPED
        return stopped and bool(provider.facts.can.stop) and not ended

    async def box(self, tag: str) -> Box:
        """Return how the machine of a deploy stands; what cannot be told is `UNKNOWN`, never a guess."""
        rental = await self._rentals.current(tag)
        if rental is None:
            return Box.GONE
        if rental.state is RentalState.ENDING:
            return Box.CHANGING
        try:
            machine = await self._rentals.find(rental)
        except PersonaDeskError as error:
            log.info("The provider does not tell how %s is: %s", tag, error.what)
            return Box.UNKNOWN
        if machine is None:
            return Box.GONE if rental.state is RentalState.MADE else Box.CHANGING
        if machine.state in CHANGING:
            return Box.CHANGING
        if machine.state is MachineState.RUNNING and machine.count == 0:
            return Box.NO_GPU
        return _BOXES.get(machine.state, Box.UNKNOWN)

    async def blame(self, tag: str, kind: Kind | None) -> None:
        """Remember what was wrong with the machine of a deploy, unless somebody here has ended it.

        Args:
            tag: The deploy.
            kind: What; None where it is not known: the machine is then asked whether it has lost its GPU, and nothing
                is held against one that has not.
        """
        rental = await self._rentals.current(tag)
        if rental is None or rental.state is not RentalState.MADE:
            return
        if kind is None and await self._has_lost_gpu(tag):
            kind = Kind.GPU_LOST
        if kind is not None:
            await self._rentals.blame(tag, kind)

    async def restart(self, tag: str) -> None:
        """Restart the machine and wait until it lets us in again.

        Raises:
            BadRequest: Its provider does not let it be restarted now.
            PersonaDeskError: It did not come up.
        """
        rental, machine = await self._need(tag)
        if Action.RESTART not in machine.actions:
            raise BadRequest(
                T("The provider does not restart this machine."),
                T("Stop and start it, or deploy again; the line keeps its address."),
                cause="no_restart",
            )
        provider = await self._rentals.accounts.provider(rental.account)
        await provider.act(machine, Action.RESTART)
        await asyncio.sleep(provider.facts.manners.poll_s)
        await self.wake(tag)

    async def wake(self, tag: str) -> None:
        """Start it where it is stopped, and wait until it lets us in; its address may be another one then.

        Raises:
            NoCapacity: Its GPU was given to somebody else.
            NotFound: It has ended.
            PersonaDeskError: It did not come up.
        """
        await self._rentals.wanted(tag)
        rental, machine = await self._need(tag)
        provider = await self._rentals.accounts.provider(rental.account)
        asked = False
        until = self._clock() + provider.facts.manners.boot_limit_s
        while self._clock() < until:
            if machine.state is MachineState.STOPPED and not asked:
                await self._rentals.within_budget(tag, machine.running_price or rental.price)
                await provider.act(machine, Action.START)
                asked = True
            elif machine.state is MachineState.RUNNING and machine.ssh is not None:
                if machine.count == 0:
                    raise NoCapacity(
                        T("The GPU of the stopped machine was given to somebody else."),
                        T("Deploy again; the line keeps its address."),
                        cause="gpu_taken",
                    )
                if await self._lets_in(tag, machine):
                    return
            # One that runs and has no address is on its way up, or down after a stop a moment ago.
            elif (
                machine.state not in CHANGING
                and machine.state is not MachineState.RUNNING
                and not (asked and machine.state is MachineState.STOPPED)
            ):
                raise NotFound(
                    T(
                        "The rented machine does not run any more: {state}.",
                        state=machine.said or str(machine.state),
                    ),
                    T("Deploy again; the line keeps its address."),
                    cause="machine_gone",
                    details=str(machine.reason),
                )
            moving = machine.state is not MachineState.RUNNING
            await asyncio.sleep(provider.facts.manners.poll_s if moving else _KNOCK_SECONDS)
            _, machine = await self._need(tag)
        raise Unreachable(
            T("The rented machine did not come up in time."),
            T("Try again, or deploy again; the line keeps its address."),
            cause="boot_timeout",
        )

    async def _has_lost_gpu(self, tag: str) -> bool:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                record = await self._hosts.store.get(tag)
                facts = await check.look(await self._hosts.host(tag), folder=record.home)
        except (PersonaDeskError, TimeoutError) as error:
            log.info("%s does not tell of its GPU: %s", tag, error)
            return False
        return not facts.gpus

    async def _need(self, tag: str) -> tuple[Rental, Machine]:
        rental = await self._rentals.current(tag)
        machine = await self._rentals.find(rental) if rental is not None else None
        if rental is None or machine is None:
            raise NotFound(
                T("The rented machine behind this voice is gone."),
                T("Deploy again; the line keeps its address."),
                cause="machine_gone",
            )
        return rental, machine

    async def _lets_in(self, tag: str, machine: Machine) -> bool:
        if machine.ssh is None:
            return False
        record = await self._hosts.store.get(tag)
        if record.address != machine.ssh:
            key = await self._hosts.store.pinned(record.address.place)
            if key is not None:
                await self._hosts.know_rented(tag, machine.ssh, key, machine.account)
        try:
            await (await self._hosts.host(tag)).home()
        except PersonaDeskError as error:
            log.info("%s does not let us in yet: %s", tag, error.what)
            return False
        return True
