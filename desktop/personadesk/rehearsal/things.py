"""What a rehearsal world holds, as data: accounts, kinds of GPU, machines, other things, and the ledger of it all.

Everything here can be written as JSON (`data` fields too), so that a cloud is the same after its process was killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from personadesk.domain.account import Right

ALL_RIGHTS = frozenset(Right)


class Why(StrEnum):
    """Why a cloud says no. Each simulator words these as its provider does."""

    BAD_KEY = "bad-key"
    """No account has that key."""
    EXPIRED = "expired"
    """The key was right once."""
    MISSING_RIGHT = "missing-right"
    """The key may not do that; `Refused.right` tells what."""
    NO_MONEY = "no-money"
    """The balance is used up."""
    NO_CAPACITY = "no-capacity"
    """None of that kind is free there, also when a stopped machine is started."""
    QUOTA = "quota"
    """The account may not have that many."""
    RATE = "rate"
    """Asked too often; `Refused.retry_after_s` tells when to come back."""
    NOT_FOUND = "not-found"
    """There is no such thing, or no longer, or no such path."""
    WRONG_STATE = "wrong-state"
    """The machine is not in a state in which that can be done."""
    BAD_REQUEST = "bad-request"
    """The request makes no sense."""
    FAULT = "fault"
    """A fault of the cloud's own; it may or may not have done what was asked."""


class Refused(Exception):
    """A cloud says no.

    Attributes:
        why: The reason.
        message: A sentence, in English, as a provider might put it.
        right: The right that is missing, for `Why.MISSING_RIGHT`.
        retry_after_s: For `Why.RATE`.
    """

    def __init__(
        self,
        why: Why,
        message: str = "",
        *,
        right: Right | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message or why)
        self.why = why
        self.message = message or why.replace("-", " ")
        self.right = right
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Account:
    """One customer of a cloud.

    Attributes:
        name: Who it is, for people.
        key: What proves it: the whole credential in one text, as the simulator's `key_of` finds it in a request.
        rights: What the key may do.
        expired: Whether the key is past its date.
        balance: Dollars left, None where the provider bills afterwards.
        quota: Most GPUs at a time, None for any number.
        data: What the simulator keeps with it.
    """

    name: str
    key: str
    rights: frozenset[Right] = ALL_RIGHTS
    expired: bool = False
    balance: float | None = 100.0
    quota: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of machine that is for rent.

    Attributes:
        ref: The provider's word: "NVIDIA L40S", "gpu_1x_a10", "g5.xlarge".
        gpu: Usual name: "L40S".
        memory_gb: Memory of one GPU as sold.
        price: Dollars per hour while it runs.
        count: GPUs in one machine.
        stopped_price: Dollars per hour while it is stopped (its disk).
        spot_price: Dollars per hour for one that may be taken back, None where there is none.
        stock: Region → how many machines are free at first, None for any number; `{"": None}` where there are none.
        data: What the simulator keeps with it.
    """

    ref: str
    gpu: str
    memory_gb: float
    price: float
    count: int = 1
    stopped_price: float = 0.0
    spot_price: float | None = None
    stock: dict[str, int | None] = field(default_factory=lambda: {"": None})
    data: dict[str, Any] = field(default_factory=dict)


class State(StrEnum):
    """How a machine stands in its cloud. Each simulator has the provider's own words for these."""

    REQUESTED = "requested"
    """Taken, nothing is there yet, no address."""
    BOOTING = "booting"
    """It comes up; its address is known."""
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    ENDING = "ending"
    ENDED = "ended"
    """Gone; shown for `Pace.remembered_s`, then not found."""
    FAILED = "failed"
    """It will never come up; it can be ended."""
    LOST = "lost"
    """Its hardware is gone or silent; it can be ended."""


HOLDS_GPU = frozenset(
    {State.REQUESTED, State.BOOTING, State.RUNNING, State.RESTARTING, State.STOPPING, State.STARTING}
)  # fmt: skip
"""In these a machine has its GPU, so that nobody else can; elsewhere the GPU is free for others."""


@dataclass(slots=True)
class Machine:
    """One machine.

    Attributes:
        id: The provider's kind of id.
        account: Name of its account.
        kind: `Kind.ref`.
        region: Where.
        name: Its name, as asked for.
        labels: Its labels or tags.
        spot: Whether it may be taken back.
        price: Dollars per hour while it runs.
        disk_gb: Disk.
        state: Now.
        reason: Why it is in that state, "" when it was asked for.
        since: Unix time at which it came into this state.
        due: Unix time at which it leaves it by itself, None when it does not.
        created: Unix time.
        started: Unix time at which it last began to run, None before.
        ended: Unix time at which it was gone, None before.
        spent: Dollars so far.
        host: Its address, "" while it has none.
        port: Port of its sshd.
        fixed_address: Id of the address (`Thing`) that stays with it, "" for none.
        keys: Public key lines that may log in; changes take effect at the next boot.
        host_key: Private OpenSSH host key that it was given; "" for one of its own.
        user_data: What it was given to run at its first boot. It is looked at and never run.
        token: The caller's token for asking only once, "" for none.
        gpus: How many GPUs it has now.
        off_ends: Whether switching it off from within ends it instead of stopping it.
        data: What the simulator keeps with it, such as the request.
    """

    id: str
    account: str
    kind: str
    region: str = ""
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    spot: bool = False
    price: float = 0.0
    disk_gb: int = 0
    state: State = State.REQUESTED
    reason: str = ""
    since: float = 0.0
    due: float | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    spent: float = 0.0
    host: str = ""
    port: int = 0
    fixed_address: str = ""
    keys: tuple[str, ...] = ()
    host_key: str = field(default="", repr=False)
    user_data: str = field(default="", repr=False)
    token: str = ""
    gpus: int = 1
    off_ends: bool = False
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> tuple[str, str]:
        """Where it is and of which kind, for faults that happen in one place only (`Rule.where`)."""
        return self.region, self.kind


@dataclass(slots=True)
class Thing:
    """What a cloud keeps beside machines: a volume, an address, an SSH key, a firewall, a group and so on.

    Attributes:
        id: The provider's kind of id.
        kind: `volume`, `address`, `key` or any word of the simulator's.
        account: Name of its account.
        name: Its name.
        labels: Its labels or tags.
        region: Where; "" for everywhere.
        price: Dollars per hour.
        attached: Id of the machine that it hangs on, "" for none.
        with_machine: Whether it goes when that machine goes.
        created: Unix time.
        data: What the simulator keeps with it: a size, a public key, an IP address.
    """

    id: str
    kind: str
    account: str
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    region: str = ""
    price: float = 0.0
    attached: str = ""
    with_machine: bool = False
    created: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: something was made, changed its state or went.

    Attributes:
        at: Unix time.
        what: `made`, `gone`, or the state that a machine came into.
        kind: `machine`, or a thing's kind.
        id: Its id.
        account: Name of its account.
        name: Its name: for machines of PersonaDesk the tag, where the provider has no labels.
        reason: Why, where it was not asked for.
    """

    at: float
    what: str
    kind: str
    id: str
    account: str
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take in a cloud, in seconds at speed 1.

    Attributes:
        request_s: From the order until it boots.
        boot_s: Until it runs.
        stop_s: Until it is stopped.
        start_s: Until a stopped one runs.
        restart_s: Until a restarted one runs.
        end_s: Until it is gone.
        remembered_s: How long the API still shows what is gone.
        slow: By how much the fault "slow boot" lengthens a boot.
    """

    request_s: float = 1.0
    boot_s: float = 4.0
    stop_s: float = 2.0
    start_s: float = 3.0
    restart_s: float = 3.0
    end_s: float = 2.0
    remembered_s: float = 0.0
    slow: float = 10.0


@dataclass(slots=True)
class Holdings:
    """All that a world has.

    Attributes:
        accounts: By key.
        kinds: By ref.
        free: `ref|region` → machines that are free, None for any number.
        machines: By id; those that are gone and forgotten are left out.
        things: By id.
        ledger: All that ever happened.
        settled: Unix time up to which everything is paid.
        next_host: Number of the next address.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    free: dict[str, int | None] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)
    ledger: list[Entry] = field(default_factory=list)
    settled: float | None = None
    next_host: int = 0
