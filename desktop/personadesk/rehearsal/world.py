"""One pretend cloud: who may do what, which GPUs are free, and the life of its machines by a clock that can be ours.

It knows no provider's words; a simulator (`rehearsal.http.Simulator`) speaks them. What a machine *is* (processes, a
disk) is its body (`rehearsal.bodies`); tests of the life need none.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal import billing
from personadesk.rehearsal.bodies import NoBodies
from personadesk.rehearsal.faults import Fault, Faults
from personadesk.rehearsal.ledger import Ledger
from personadesk.rehearsal.shelves import Shelves
from personadesk.rehearsal.things import (
    HOLDS_GPU,
    Account,
    Entry,
    Holdings,
    Kind,
    Machine,
    Pace,
    Refused,
    State,
    Thing,
    Why,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from personadesk.rehearsal.bodies import Bodies

_NEXT = {
    State.REQUESTED: State.BOOTING, State.BOOTING: State.RUNNING, State.STARTING: State.RUNNING,
    State.RESTARTING: State.RUNNING, State.STOPPING: State.STOPPED, State.ENDING: State.ENDED,
}  # fmt: skip
"""What comes of a state by itself."""
_MOST_STEPS = 200
"""Steps of one machine in one settling; more is a mistake of ours."""


class World:
    """One provider's cloud. Every method may be called from any thread; refusals are raised as `Refused`.

    Attributes:
        provider: Id of the provider.
        held: All that there is.
        faults: What goes wrong.
        pace: How long things take.
        speed: By how much faster than `pace` time runs for machines.
    """

    def __init__(
        self,
        provider: str,
        kinds: Iterable[Kind] = (),
        *,
        pace: Pace | None = None,
        speed: float = 1.0,
        clock: Callable[[], float] = time.time,
        bodies: Bodies | None = None,
        faults: Faults | None = None,
        held: Holdings | None = None,
        keeps_address: bool = False,
        keeps_gpu: bool = False,
    ) -> None:
        """Make a cloud, or one that goes on from what it held.

        Args:
            provider: Id.
            kinds: What is for rent.
            pace: How long things take.
            speed: Time for machines runs so many times faster.
            clock: Unix time.
            bodies: What machines are made of; nothing by default.
            faults: What goes wrong; may be shared by several clouds.
            held: What there was before.
            keeps_address: Whether a machine has the same address after stop and start.
            keeps_gpu: Whether a stopped machine's GPU stays reserved for it.
        """
        self.provider = provider
        self.held = held or Holdings()
        self.faults = faults or Faults()
        self.pace = pace or Pace()
        self.speed = speed
        self._clock = clock
        self._bodies: Bodies = bodies or NoBodies()
        self._keeps_address = keeps_address
        self._keeps_gpu = keeps_gpu
        self._lock = threading.RLock()
        self._settling = threading.Lock()
        self._looked = clock()
        if self.held.settled is None:
            self.held.settled = self._looked
        self._shelves = Shelves(self.held, kinds)
        self._ledger = Ledger(self.held, self.now)

    def now(self) -> float:
        """Return the time in this cloud."""
        return self._clock()

    @property
    def lock(self) -> threading.RLock:
        """Held while something is read or changed in several steps."""
        return self._lock

    # -- accounts ---------------------------------------------------------------------------------------------

    def add_account(self, name: str, key: str, **options: Any) -> Account:
        """Open an account; see `things.Account` for the options (rights, expired, balance, quota)."""
        with self._lock:
            account = Account(name, key, **options)
            self.held.accounts[key] = account
            return account

    def account(self, key: str, right: Right = Right.SEE) -> Account:
        """Return the account of a key that may do a thing.

        Raises:
            Refused: BAD_KEY, EXPIRED or MISSING_RIGHT.
        """
        with self._lock:
            found = self.held.accounts.get(key)
        if found is None:
            raise Refused(Why.BAD_KEY, "the key is not valid")
        if found.expired:
            raise Refused(Why.EXPIRED, "the key has expired")
        if right not in found.rights:
            raise Refused(Why.MISSING_RIGHT, f"the key may not {right}", right=right)
        return found

    # -- what is for rent -------------------------------------------------------------------------------------

    def offers(self) -> list[tuple[Kind, str, int | None]]:
        """Return each kind in each region with how many are free, None for any number."""
        with self._lock:
            return self._shelves.offers()

    def free(self, ref: str, region: str) -> int | None:
        """Return how many of a kind are free, None for any number, 0 also for what does not exist."""
        with self._lock:
            return self._shelves.free(ref, region)

    def set_free(self, ref: str, region: str, free: int | None) -> None:
        """Say how many of a kind are free."""
        with self._lock:
            self._shelves.set_free(ref, region, free)

    # -- machines ---------------------------------------------------------------------------------------------

    def create(
        self,
        account: Account,
        kind: str,
        *,
        machine_id: str,
        region: str = "",
        name: str = "",
        labels: Mapping[str, str] | None = None,
        spot: bool = False,
        disk_gb: int = 0,
        keys: Iterable[str] = (),
        host_key: str = "",
        user_data: str = "",
        token: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> Machine:
        """Take an order; the machine is REQUESTED. A token that was used before gives the machine that it gave then.

        Args:
            account: Whose.
            kind: `Kind.ref`.
            machine_id: The provider's kind of id, new.
            region: Where; "" takes the first region that has one free.
            name: Its name.
            labels: Its labels.
            spot: Whether it may be taken back.
            disk_gb: Disk.
            keys: Public key lines that may log in.
            host_key: Private OpenSSH host key, "" for one of its own; see `user_data.read`.
            user_data: Kept and never run.
            token: For asking only once.
            data: Kept.

        Raises:
            Refused: BAD_REQUEST (no such kind or region), NO_MONEY, QUOTA or NO_CAPACITY.
        """
        with self._lock:
            if token:
                for known in self.held.machines.values():
                    if known.token == token and known.account == account.name:
                        return known
            sort = self.held.kinds.get(kind)
            if sort is None:
                raise Refused(Why.BAD_REQUEST, f"there is no kind {kind}")
            self._check_money(account)
            self._check_quota(account, sort.count)
            region = self._take(sort, region)
            now = self.now()
            price = sort.spot_price if spot and sort.spot_price is not None else sort.price
            machine = Machine(
                machine_id, account.name, kind, region, name, dict(labels or {}), spot, price, disk_gb,
                since=now, created=now, keys=tuple(keys), host_key=host_key, user_data=user_data,
                token=token, gpus=sort.count, data=dict(data or {}),
            )  # fmt: skip
            self.held.machines[machine_id] = machine
            self._ledger.note("made", machine)
            machine.due = now + self._lasts(self.pace.request_s)
            return machine

    def machines(self, account: Account | None = None, *, ended: bool = False) -> list[Machine]:
        """Return the machines of an account, or of all, oldest first; those that are gone when `ended` is given."""
        with self._lock:
            return [
                machine
                for machine in self.held.machines.values()
                if (account is None or machine.account == account.name)
                and (ended or machine.state is not State.ENDED)
            ]

    def machine(self, account: Account | None, machine_id: str, *, ended: bool = False) -> Machine:
        """Return one machine.

        Raises:
            Refused: NOT_FOUND, also for another account's.
        """
        for machine in self.machines(account, ended=ended):
            if machine.id == machine_id:
                return machine
        raise Refused(Why.NOT_FOUND, f"{machine_id} not found")

    def start(self, machine: Machine) -> None:
        """Start a stopped machine; harmless while it runs or comes up.

        Raises:
            Refused: WRONG_STATE, NO_MONEY or NO_CAPACITY (its GPU was given away).
        """
        with self._lock:
            if machine.state in {State.RUNNING, State.STARTING, State.BOOTING, State.REQUESTED}:
                return
            self._only(machine, State.STOPPED)
            self._check_money(self._owner(machine))
            if not self._keeps_gpu:
                if self._happens(Fault.GPU_GONE_AT_START):
                    raise Refused(Why.NO_CAPACITY, "the GPU of this machine is no longer free")
                self._take(self.held.kinds[machine.kind], machine.region)
            if not machine.fixed_address and (
                not self._keeps_address or self._happens(Fault.ADDRESS_CHANGES)
            ):
                self._place(machine)
            machine.gpus = self.held.kinds[machine.kind].count
            self._enter(machine, State.STARTING, self._boot_time(self.pace.start_s))

    def stop(self, machine: Machine) -> None:
        """Stop a machine; harmless when it is stopped.

        Raises:
            Refused: WRONG_STATE.
        """
        with self._lock:
            if machine.state in {State.STOPPED, State.STOPPING}:
                return
            self._only(machine, State.RUNNING, State.STARTING, State.BOOTING, State.RESTARTING)
            self._enter(machine, State.STOPPING, self._lasts(self.pace.stop_s))

    def restart(self, machine: Machine) -> None:
        """Restart a running machine.

        Raises:
            Refused: WRONG_STATE.
        """
        with self._lock:
            self._only(machine, State.RUNNING, State.RESTARTING)
            if not machine.fixed_address and self._happens(Fault.ADDRESS_CHANGES):
                self._place(machine)
            self._enter(machine, State.RESTARTING, self._boot_time(self.pace.restart_s))

    def end(self, machine: Machine) -> None:
        """End a machine, whatever its state; harmless when that was asked before."""
        with self._lock:
            if machine.state not in {State.ENDING, State.ENDED}:
                self._enter(machine, State.ENDING, self._lasts(self.pace.end_s))

    def lose(self, machine: Machine, reason: str = "the host is gone") -> None:
        """Let a machine be lost, as when its hardware breaks or a spot machine is taken back."""
        with self._lock:
            if machine.state not in {State.ENDING, State.ENDED}:
                self._enter(machine, State.LOST, None, reason)

    def lose_gpu(self, machine: Machine) -> None:
        """Let a running machine lose its GPU and go on without."""
        with self._lock:
            machine.gpus = 0
            self._ledger.note("gpu-lost", machine)
            self._bodies.lose_gpu(machine)

    def move(self, machine: Machine) -> None:
        """Give a running machine another address at once, by a restart."""
        with self._lock:
            self._only(machine, State.RUNNING)
            self._place(machine)
            self._enter(machine, State.RESTARTING, self._lasts(self.pace.restart_s))

    # -- other things -----------------------------------------------------------------------------------------

    def keep(self, account: Account, kind: str, *, thing_id: str, **options: Any) -> Thing:
        """Make a volume, an address, a key and so on; see `things.Thing` for the options."""
        with self._lock:
            thing = Thing(thing_id, kind, account.name, created=self.now(), **options)
            self.held.things[thing_id] = thing
            self._ledger.note_thing("made", thing)
            return thing

    def things(self, account: Account | None, kind: str = "") -> list[Thing]:
        """Return an account's things of a kind, or of all, oldest first."""
        with self._lock:
            return [
                thing
                for thing in self.held.things.values()
                if (account is None or thing.account == account.name) and kind in {"", thing.kind}
            ]

    def thing(self, account: Account | None, kind: str, thing_id: str) -> Thing:
        """Return one thing.

        Raises:
            Refused: NOT_FOUND.
        """
        for thing in self.things(account, kind):
            if thing.id == thing_id:
                return thing
        raise Refused(Why.NOT_FOUND, f"{kind} {thing_id} not found")

    def drop(self, thing: Thing) -> None:
        """Remove a thing, attached or not; harmless when it is gone."""
        with self._lock:
            if self.held.things.pop(thing.id, None) is not None:
                self._ledger.note_thing("gone", thing)

    def new_address(self, machine: Machine) -> str:
        """Return an address that no other machine has, as for a static one; it can be given with `pin`."""
        with self._lock:
            self.held.next_host += 1
            return self._bodies.place(machine, self.held.next_host)[0]

    def pin(self, machine: Machine, address: Thing, host: str) -> None:
        """Give a machine an address that stays; one that runs moves there at once, and its connections end."""
        with self._lock:
            machine.fixed_address, address.attached = address.id, machine.id
            runs = machine.state is State.RUNNING
            if runs:
                self._bodies.halt(machine)
            machine.host = host
            if runs:
                self._bodies.boot(machine)

    # -- time -------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let happen all that is due by now: states, bills, chance. Called before each request and by the clockwork."""
        if not self._settling.acquire(blocking=False):
            # Somebody is at it, perhaps with a body that takes its time; what is due comes.
            return
        try:
            self._bill()
            self._chance()
            for machine in self.machines(ended=True):
                self._pass(machine)
                self._grant(machine)
        finally:
            self._settling.release()

    def _pass(self, machine: Machine) -> None:
        for _ in range(_MOST_STEPS):
            with self._lock:
                state, due = machine.state, machine.due
                if due is None or due > self.now():
                    return
                if state is State.ENDED:
                    del self.held.machines[machine.id]
                    return
            # The body moves outside the lock, so that the API answers meanwhile; only settling moves bodies.
            coming, failure = _NEXT[state], ""
            try:
                self._move_body(machine, coming)
            except OSError as error:
                if coming is not State.RUNNING:
                    # It would not end; it is tried again, and stays in its state until it has.
                    with self._lock:
                        machine.due, machine.reason = self.now() + 1.0, str(error)
                    return
                coming, failure = State.FAILED, f"the machine did not come up: {error}"
            with self._lock:
                if machine.state is not state:
                    # Asked for something else meanwhile: its own due time leads on.
                    continue
                if state is State.BOOTING and self._happens(Fault.BOOT_FAILS, *machine.at):
                    coming, failure = State.FAILED, "the machine did not come up"
                    self._bodies.halt(machine)
                self._arrive(machine, coming, due, failure)
        raise AssertionError(f"{machine.id} never comes to rest")

    def resume(self) -> None:
        """Bring back the bodies of machines that run, after the process that held this world was killed."""
        for machine in self.machines():
            if machine.state is State.RUNNING:
                try:
                    self._bodies.boot(machine)
                except OSError as error:
                    with self._lock:
                        self._enter(machine, State.FAILED, None, str(error))

    def suspend(self) -> None:
        """Kill all that runs; the world itself stays as it is, to be resumed."""
        for machine in self.machines():
            self._bodies.halt(machine)

    def clear(self) -> None:
        """End everything at once and forget it, the ledger too."""
        for machine in self.machines(ended=True):
            self._bodies.destroy(machine)
        with self._lock:
            self.held.machines.clear()
            self.held.things.clear()
            self.held.ledger.clear()

    def _grant(self, machine: Machine) -> None:
        """Do what a machine asked for from within."""
        with self._lock:
            wish = self._bodies.wish(machine) if machine.state is State.RUNNING else ""
            if wish == "reboot":
                self.restart(machine)
            elif wish and machine.off_ends:
                self.end(machine)
            elif wish:
                self.stop(machine)

    def _move_body(self, machine: Machine, coming: State) -> None:
        if coming is State.RUNNING:
            if machine.state is State.RESTARTING:
                self._bodies.halt(machine)
            self._bodies.boot(machine)
        elif coming is State.STOPPED:
            self._bodies.halt(machine)
        elif coming is State.ENDED:
            self._bodies.destroy(machine)

    def _arrive(self, machine: Machine, coming: State, at: float, reason: str) -> None:
        if coming is State.BOOTING:
            self._place(machine)
            self._enter(machine, coming, self._boot_time(self.pace.boot_s), at=at)
        elif coming is State.ENDED:
            machine.ended = at
            for thing in self.things(None):
                if thing.attached == machine.id:
                    thing.attached = ""
                    if thing.with_machine:
                        self.drop(thing)
            self._enter(machine, coming, self.pace.remembered_s, at=at)
        else:
            if coming is State.RUNNING:
                machine.started = at
            self._enter(machine, coming, None, reason, at=at)

    def _enter(
        self,
        machine: Machine,
        state: State,
        lasts: float | None,
        reason: str = "",
        *,
        at: float | None = None,
    ) -> None:
        at = self.now() if at is None else at
        had = machine.state in HOLDS_GPU or (self._keeps_gpu and machine.state is State.STOPPED)
        has = state in HOLDS_GPU or (self._keeps_gpu and state is State.STOPPED)
        # A start has taken its GPU by itself.
        if had and not has:
            self._shelves.put_back(machine)
        machine.state, machine.since, machine.reason = state, at, reason
        machine.due = None if lasts is None else at + lasts
        self._ledger.note(state, machine, at)
        if state is State.LOST:
            self._bodies.halt(machine)

    def _bill(self) -> None:
        with self._lock:
            for machine in billing.bill(self.held, self.now()):
                stops = self._lasts(self.pace.stop_s)
                self._enter(machine, State.STOPPING, stops, "the balance is used up")

    def _chance(self) -> None:
        with self._lock:
            looked, self._looked = self._looked, self.now()
            for machine in self.machines():
                if machine.state is not State.RUNNING:
                    continue
                minutes = (self._looked - max(looked, machine.since)) / 60
                share = max(0.0, minutes) * self.speed
                if self._happens(Fault.MACHINE_VANISHES, *machine.at, share=share):
                    self.lose(machine)
                elif machine.gpus and self._happens(Fault.GPU_VANISHES, *machine.at, share=share):
                    self.lose_gpu(machine)

    # -- the ledger -------------------------------------------------------------------------------------------

    def present(self) -> set[tuple[str, str]]:
        """Return kind and id of all that exists and may be billed: what the journal must know of, no more, no less."""
        with self._lock:
            found = {("machine", machine.id) for machine in self.machines()}
            return found | {(thing.kind, thing.id) for thing in self.things(None)}

    def ledger(self) -> tuple[Entry, ...]:
        """Return all that ever happened, oldest first."""
        with self._lock:
            return tuple(self.held.ledger)

    # -- small rules ------------------------------------------------------------------------------------------

    def _owner(self, machine: Machine) -> Account:
        return next(each for each in self.held.accounts.values() if each.name == machine.account)

    def _happens(self, fault: Fault, *at: str, share: float | None = None) -> bool:
        return self.faults.happens(fault, provider=self.provider, share=share, at=at) is not None

    def _check_money(self, account: Account) -> None:
        poor = account.balance is not None and account.balance <= 0
        if self._happens(Fault.NO_MONEY) or poor:
            raise Refused(Why.NO_MONEY, "the balance is too low")

    def _check_quota(self, account: Account, count: int) -> None:
        used = sum(each.gpus for each in self.machines(account) if each.state in HOLDS_GPU)
        full = account.quota is not None and used + count > account.quota
        if self._happens(Fault.QUOTA) or full:
            raise Refused(Why.QUOTA, "the limit of GPUs is reached")

    def _take(self, kind: Kind, region: str) -> str:
        if region and region not in kind.stock:
            raise Refused(Why.BAD_REQUEST, f"{kind.ref} is not in {region}")
        if self._happens(Fault.NO_CAPACITY, region, kind.ref):
            raise Refused(Why.NO_CAPACITY, f"no {kind.ref} is free")
        return self._shelves.take(kind, region)

    def _place(self, machine: Machine) -> None:
        if machine.fixed_address and machine.port:
            return
        self.held.next_host += 1
        host, machine.port = self._bodies.place(machine, self.held.next_host)
        # One that was given its address before it came up still needs a port.
        machine.host = machine.host if machine.fixed_address else host

    def _only(self, machine: Machine, *states: State) -> None:
        if machine.state not in states:
            raise Refused(Why.WRONG_STATE, f"the machine is {machine.state}")

    def _boot_time(self, seconds: float) -> float:
        slow = self.pace.slow if self._happens(Fault.SLOW_BOOT) else 1.0
        return self._lasts(seconds * slow)

    def _lasts(self, seconds: float) -> float:
        return seconds / self.speed
