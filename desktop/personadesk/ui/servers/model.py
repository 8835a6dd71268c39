"""The machines that the window knows, what was found about each, and what can be asked of them. Outlives the pages.

The directory of machines is handed in when the services are open; what is asked earlier waits for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Signal

from personadesk.domain import fitness
from personadesk.domain.errors import NotFound, PersonaDeskError
from personadesk.domain.host import Fitness, Level
from personadesk.domain.text import NOTHING, T, Text
from personadesk.ui.messages import Message, Severity, bus
from personadesk.ui.servers.draft import MachineDraft, address_of, record_of
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.domain.host import HostCheck, HostKey, HostRecord, RestartProof, SshAddress
    from personadesk.domain.plan import ModelKind

    Looker = Callable[["Directory", HostRecord], Awaitable[HostCheck]]
    Aliases = Callable[[], Awaitable[Sequence[str]]]
    Forgetter = Callable[[str], Awaitable[object]]
    Uninstaller = Callable[[str, Callable[[Text], None]], Awaitable[object]]

__all__ = ["Answer", "Attempt", "Directory", "Machine", "Machines", "Removal"]


class Store(Protocol):
    """Where machines are remembered."""

    async def own(self) -> tuple[HostRecord, ...]:
        """Return them by name."""

    async def placements_on(self, host_name: str) -> Sequence[object]:
        """Return what of ours was put on one."""

    async def proof(self, host_name: str) -> RestartProof | None:
        """Return when a voice was last seen to come back on one after a restart of its service."""


class Directory(Protocol):
    """What the window needs of the directory of machines."""

    @property
    def store(self) -> Store:
        """Where they are remembered."""

    async def add(
        self,
        record: HostRecord,
        *,
        fingerprints: Sequence[str] = (),
        passphrase: str | None = None,
        password: str | None = None,
    ) -> HostRecord:
        """Add one after it proved to be the right one and let us in."""

    async def pinned(self, name: str) -> HostKey:
        """Return the key that one is known by."""

    async def show_keys(self, address: SshAddress) -> tuple[HostKey, ...]:
        """Return the keys of one without entering it."""

    async def remove(self, name: str) -> None:
        """Forget one."""

    async def host(self, name: str) -> Any:
        """Return the connection to one."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How far the uninstalling of PersonaDesk from a machine is.

    Attributes:
        doing: What is being done, a sentence.
        error: Why it ended before all was gone; None while it goes on.
    """

    doing: Text = NOTHING
    error: PersonaDeskError | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as the window shows it.

    Attributes:
        record: How it is called and reached.
        fingerprint: Of the key that it is known by; "" when that is not known.
        looking: Whether it is being checked now.
        check: What the last check found, None when there was none or it could not be reached.
        error: Why the last check could not be done.
        checked: Unix time of the last check's end; 0 for never.
        placed: Whether a voice was put there from here.
        proof: When a voice was seen to come back there after a restart of its service, None for never.
        removal: How the uninstalling goes or why it failed, None when none was begun.
    """

    record: HostRecord
    fingerprint: str = ""
    looking: bool = False
    check: HostCheck | None = None
    error: PersonaDeskError | None = None
    checked: float = 0.0
    placed: bool = False
    proof: RestartProof | None = None
    removal: Removal | None = None

    @property
    def has_ours(self) -> bool:
        """Whether something of PersonaDesk is there, as far as is known."""
        found = self.check is not None and self.check.facts.install is not None
        return self.placed or found or self.removal is not None

    @property
    def is_leaving(self) -> bool:
        """Whether PersonaDesk is being uninstalled there now."""
        return self.removal is not None and self.removal.error is None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.record.name


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an address that was typed answers.

    Attributes:
        address: The address.
        error: Why it does not, None while it is asked and when it does.
        asking: Whether it is asked now.
    """

    address: SshAddress
    error: PersonaDeskError | None = None
    asking: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far the adding of a machine is.

    Attributes:
        busy: Whether it is being tried now.
        error: Why the last try failed; one of the causes `host_key_unknown` asks for consent.
        confirmed: Fingerprints that the user said yes to.
    """

    busy: bool = False
    error: PersonaDeskError | None = None
    confirmed: tuple[str, ...] = ()

    @property
    def unknown_key(self) -> str:
        """The fingerprint that waits for the user's yes; "" when none does."""
        if self.error is None or self.error.cause != "host_key_unknown":
            return ""
        return str(self.error.what.values.get("fingerprint", ""))


class Machines(QObject):
    """All machines, the draft of the next one, and how its adding goes.

    Signals:
        changed: Others are known, or something else was found about one.
        attempt_changed: The adding went on, or an address answered.
        aliases_changed: The names in the SSH settings were read.
        added: A machine was added (its name).
    """

    changed = Signal()
    attempt_changed = Signal()
    aliases_changed = Signal()
    added = Signal(str)

    def __init__(
        self,
        directory: Callable[[], Awaitable[Directory]],
        look: Looker,
        aliases: Aliases,
        *,
        prepare: Callable[[], Awaitable[object]] | None = None,
        uninstaller: Uninstaller | None = None,
        forgetter: Forgetter | None = None,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            directory: Waits until the services are open.
            look: Checks a machine.
            aliases: Reads the names that the SSH settings give to machines.
            prepare: Loads what connections need, before the first one.
            uninstaller: Takes PersonaDesk off a machine and tells what it does.
            forgetter: Forgets a machine with what was known of its voices, and asks nothing there.
            clock: Unix time.
        """
        super().__init__(parent)
        self._directory = directory
        self._look = look
        self._aliases = aliases
        self._prepare = prepare
        self._uninstaller = uninstaller
        self._forgetter = forgetter
        self.clock = clock
        self._machines: dict[str, Machine] = {}
        self.loaded = False
        self.aliases: tuple[str, ...] = ()
        self.draft = MachineDraft()
        self.attempt = Attempt()
        self.answer: Answer | None = None
        self._round = 0

    @property
    def all(self) -> tuple[Machine, ...]:
        """All that are known, by name."""
        return tuple(sorted(self._machines.values(), key=lambda each: each.name.casefold()))

    def find(self, name: str) -> Machine | None:
        """Return the one of that name."""
        return self._machines.get(name)

    def fault(self, name: str, model: ModelKind | None = None) -> Text:
        """Return why a voice with this model cannot be put there, or nothing.

        A machine that was not checked yet is no fault: the deploy checks it before it changes anything.
        """
        if not name:
            return T("Choose a machine, or add one.")
        machine = self._machines.get(name)
        if machine is None:
            if not self.loaded:
                return NOTHING
            return T("There is no machine called “{name}” any more. Choose another one.", name=name)
        if machine.is_leaving:
            return T("PersonaDesk is being uninstalled from “{name}”; wait a moment.", name=name)
        if machine.looking:
            return T("“{name}” is being checked; wait a moment.", name=name)
        if machine.error is not None:
            return machine.error.what
        if machine.check is None:
            return NOTHING
        found = fitness.judge(machine.check.facts, model)
        if found.verdict is not Fitness.UNFIT:
            return NOTHING
        return next(each.what for each in found.findings if each.level is Level.UNFIT)

    # -- wishes -----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read which machines there are, and the names in the SSH settings."""
        spawn(self._load(), "read the machines", owner=self)
        spawn(self._read_aliases(), "read the SSH settings", owner=self)

    def check(self, name: str) -> None:
        """Look at a machine; nothing is changed there. Harmless while it is being looked at."""
        machine = self._machines.get(name)
        if machine is None or machine.looking or machine.is_leaving:
            return
        self._put(replace(machine, looking=True))
        spawn(self._check(machine.record), f"check {name}", owner=self)

    def check_new(self, name: str) -> None:
        """Look at a machine that was not looked at since the window opened."""
        machine = self._machines.get(name)
        if machine is not None and not machine.checked:
            self.check(name)

    def check_all_new(self) -> None:
        """Look at every machine that was not looked at since the window opened."""
        for name in tuple(self._machines):
            self.check_new(name)

    def remove(self, name: str) -> None:
        """Forget a machine; the user has agreed. What stands in the way is told."""
        spawn(self._remove(name), f"remove {name}", owner=self)

    def forget(self, name: str) -> None:
        """Forget a machine although a voice is on it; the user has agreed."""
        if self._forgetter is not None:
            spawn(self._forget(name, self._forgetter), f"forget {name}", owner=self)

    def uninstall(self, name: str) -> None:
        """Take PersonaDesk off a machine; the user has agreed. How it goes stands in its `removal`."""
        machine = self._machines.get(name)
        if machine is None or machine.is_leaving or self._uninstaller is None:
            return
        self._put(replace(machine, removal=Removal()))
        spawn(self._uninstall(machine.record, self._uninstaller), f"uninstall {name}", owner=self)

    def ask(self) -> None:
        """Ask whether the drafted address answers, unless it has just done so."""
        address = address_of(self.draft)
        if address is None:
            if self.answer is not None:
                self.answer = None
                self.attempt_changed.emit()
            return
        before = self.answer
        if before is not None and before.address == address and before.error is None:
            return
        self.answer = Answer(address, asking=True)
        self.attempt_changed.emit()
        spawn(self._ask(address), f"ask {address.place}", owner=self)

    def add(self, *, passphrase: str | None = None, password: str | None = None) -> None:
        """Add the drafted machine, which has no fault; how it goes stands in `attempt`."""
        if self.attempt.busy:
            return
        self._round += 1
        self._attempt(replace(self.attempt, busy=True, error=None))
        record = record_of(self.draft)
        spawn(
            self._add(record, passphrase, password, self._round), f"add {record.name}", owner=self
        )

    def confirm(self) -> None:
        """Take the shown fingerprint as the right one; `add` is to be called again."""
        shown = self.attempt.unknown_key
        if shown:
            self._attempt(Attempt(confirmed=(*self.attempt.confirmed, shown)))

    def give_up(self) -> None:
        """Forget how the adding went, not what was typed."""
        self._round += 1
        self._attempt(Attempt())

    def edit(self, draft: MachineDraft) -> None:
        """Take what was typed; another address is another machine, so what was confirmed is void."""
        other = (draft.address, draft.port) != (self.draft.address, self.draft.port)
        self.draft = draft
        if other and self.attempt != Attempt():
            self.give_up()

    # -- doing ------------------------------------------------------------------------------------------------

    async def _ready(self) -> Directory:
        if self._prepare is not None:
            await self._prepare()
        return await self._directory()

    async def _load(self) -> None:
        directory = await self._directory()
        before = set(self._machines)
        records = await directory.store.own()
        fresh = {record.name: await _fingerprint(directory, record.name) for record in records}
        placed = {
            each.name: bool(await directory.store.placements_on(each.name)) for each in records
        }
        proofs = {each.name: await directory.store.proof(each.name) for each in records}
        # Some may have been added or removed while this was read.
        known = {name: each for name, each in self._machines.items() if name not in before}
        for record in records:
            machine = self._machines.get(record.name)
            if machine is None and record.name in before:
                continue
            if machine is None or machine.record != record:
                machine = Machine(record, fresh[record.name])
            known[record.name] = replace(
                machine, placed=placed[record.name], proof=proofs[record.name]
            )
        self._machines = known
        self.loaded = True
        self.changed.emit()

    async def _read_aliases(self) -> None:
        found = tuple(await self._aliases())
        if found != self.aliases:
            self.aliases = found
            self.aliases_changed.emit()

    async def _check(self, record: HostRecord) -> None:
        check: HostCheck | None = None
        error: PersonaDeskError | None = None
        try:
            check = await self._look(await self._ready(), record)
        except PersonaDeskError as found:
            error = found
        except Exception:
            self._checked(record, None, None)
            raise
        self._checked(record, check, error)

    def _checked(
        self, record: HostRecord, check: HostCheck | None, error: PersonaDeskError | None
    ) -> None:
        machine = self._machines.get(record.name)
        # It may have been removed, or added anew, in the meantime.
        if machine is not None and machine.record == record:
            done = self.clock()
            self._put(replace(machine, looking=False, check=check, error=error, checked=done))

    async def _remove(self, name: str) -> None:
        await (await self._directory()).remove(name)
        self._machines.pop(name, None)
        self.changed.emit()

    async def _forget(self, name: str, forgetter: Forgetter) -> None:
        await self._ready()
        await forgetter(name)
        self._machines.pop(name, None)
        self.changed.emit()

    async def _uninstall(self, record: HostRecord, uninstaller: Uninstaller) -> None:
        name = record.name

        def follow(removal: Removal | None) -> None:
            machine = self._machines.get(name)
            if machine is not None and machine.record == record:
                self._put(replace(machine, removal=removal))

        try:
            await self._ready()
            await uninstaller(name, lambda doing: follow(Removal(doing)))
        except PersonaDeskError as error:
            follow(Removal(error=error))
            return
        except Exception:
            follow(None)
            raise
        machine = self._machines.get(name)
        if machine is not None and machine.record == record:
            self._put(
                replace(machine, removal=None, placed=False, proof=None, check=None, looking=False)
            )
        bus().post(
            Message(
                Severity.GOOD,
                T("Nothing of PersonaDesk is left on “{name}”.", name=name),
                T("Lines that led there keep their addresses and wait for another voice."),
                key=f"uninstalled {name}",
            )
        )
        self.check(name)

    async def _ask(self, address: SshAddress) -> None:
        error: PersonaDeskError | None = None
        try:
            await (await self._ready()).show_keys(address)
        except PersonaDeskError as found:
            # One that lies behind another machine is asked when it is added.
            error = found if found.cause != "jump" else None
        if self.answer is not None and self.answer.address == address:
            self.answer = Answer(address, error)
            self.attempt_changed.emit()

    async def _add(
        self, record: HostRecord, passphrase: str | None, password: str | None, number: int
    ) -> None:
        directory = await self._ready()
        confirmed = self.attempt.confirmed
        try:
            added = await directory.add(
                record, fingerprints=confirmed, passphrase=passphrase, password=password
            )
        except PersonaDeskError as error:
            if number == self._round:
                self._attempt(Attempt(error=error, confirmed=confirmed))
            return
        except Exception:
            if number == self._round:
                self._attempt(Attempt(confirmed=confirmed))
            raise
        self._put(Machine(added, await _fingerprint(directory, added.name)))
        if number == self._round:
            self.draft = MachineDraft()
            self.answer = None
            self._attempt(Attempt())
        self.added.emit(added.name)
        self.check(added.name)

    def _put(self, machine: Machine) -> None:
        self._machines[machine.name] = machine
        self.changed.emit()

    def _attempt(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.attempt_changed.emit()


async def _fingerprint(directory: Directory, name: str) -> str:
    try:
        return (await directory.pinned(name)).fingerprint
    except NotFound:
        return ""
