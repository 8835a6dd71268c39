"""A rented machine as its provider tells of it: states, what may be done to it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.host import HostKey, SshAddress
    from personadesk.domain.offer import Offer


class MachineState(StrEnum):
    """How a machine stands at its provider; a voice on it is another matter."""

    REQUESTED = "requested"
    """Asked for; the provider has not shown it yet."""
    PROVISIONING = "provisioning"
    BOOTING = "booting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    ENDING = "ending"
    ENDED = "ended"
    """Only when the provider says so, or no longer knows it after it has said that it ends."""
    FAILED = "failed"
    """It will not come up by waiting."""
    LOST = "lost"
    """The provider says that its hardware is gone or silent."""
    UNKNOWN = "unknown"
    """The provider's word is not one that we know, or it does not answer."""


CHANGING = frozenset(
    {
        MachineState.REQUESTED, MachineState.PROVISIONING, MachineState.BOOTING,
        MachineState.STOPPING, MachineState.STARTING, MachineState.ENDING,
    }
)  # fmt: skip
"""States that pass by themselves."""


class Action(StrEnum):
    """What may be done to a machine."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    END = "end"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine.

    Attributes:
        id: The provider's own.
        account: Name of the account.
        provider: Id of its provider.
        name: Its name there.
        tag: The deploy that made it (`pd-…`); "" when it is not ours.
        state: In our words.
        said: The provider's own word for its state, and what it adds; for the details.
        reason: Why it is in that state, where the provider tells; a sentence.
        gpu: Usual name of its GPU; "" when not told.
        memory_gb: Memory of one GPU, 0 when not told.
        count: GPUs; 0 means that it has none now.
        region: The provider's own word.
        place: For people.
        price: Dollars per hour now, in its present state; None when not told.
        running_price: Dollars per hour while it runs; None when not told.
        created: Unix time, None when not told.
        ssh: Where it is reached by SSH, None until that is known.
        actions: What may be done now; the provider's own list where it gives one.
        spot: Whether it may be taken back.
        seen: Unix time at which the provider told all this.
        data: What the provider's file wants to keep with it; nobody else looks.
        host: The provider's own word for the computer under it; "" where it does not tell.
    """

    id: str
    account: str
    provider: str
    name: str = ""
    tag: str = ""
    state: MachineState = MachineState.UNKNOWN
    said: str = ""
    reason: Text = NOTHING
    gpu: str = ""
    memory_gb: float = 0.0
    count: int = 1
    region: str = ""
    place: str = ""
    price: float | None = None
    running_price: float | None = None
    created: float | None = None
    ssh: SshAddress | None = None
    actions: frozenset[Action] = frozenset()
    spot: bool = False
    seen: float = 0.0
    data: Mapping[str, str] = field(default_factory=dict)
    host: str = ""

    @property
    def key(self) -> str:
        """Unique over all accounts."""
        return f"{self.account}/{self.id}"


@dataclass(frozen=True, slots=True)
class SshIdentity:
    """A host key that we make for a machine, so that it is known before the first connect.

    Attributes:
        private: OpenSSH private key file, ed25519; a secret.
        public: Its line for `ssh_host_ed25519_key.pub`.
        key: What is pinned.
    """

    private: str = field(repr=False)
    public: str = ""
    key: HostKey | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One machine to be made.

    Attributes:
        tag: The deploy's id; put on the machine (name, label or tag) so that it is found again.
        offer: What to rent.
        public_key: The OpenSSH public key line with which we enter.
        identity: The host key that it shall have, where the provider can give it one.
        disk_gb: Disk.
        volume: The provider's id of a disk that outlives machines, "" for none; see `Provider.volume_for`.
        static_address: Whether an address is to be kept for it, where the provider can.
        lease_hours: After so many hours without a word from us it ends itself, where the provider can; None for never.
        token: Unique to this one try (a tag may be tried again after its machine has ended): what a provider takes as
            its token against making two, and what is unique where it wants unique names.
    """

    tag: str
    offer: Offer
    public_key: str
    identity: SshIdentity | None = None
    disk_gb: int = 60
    volume: str = ""
    static_address: bool = False
    lease_hours: float | None = None
    token: str = ""


TAG_PREFIX = "pd-"
"""What every tag of ours begins with."""
OWNER_LABEL = "personadesk"
"""The label or tag under which a machine's tag is kept, where a provider has labels."""


class ResourceKind(StrEnum):
    """Things beside machines that a provider keeps for us, and may bill."""

    VOLUME = "volume"
    ADDRESS = "address"
    GROUP = "group"
    """A folder of the provider's that holds all of one machine; ending it ends everything in it."""
    FIREWALL = "firewall"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Resource:
    """One such thing.

    Attributes:
        kind: What it is.
        id: The provider's own.
        account: Name of the account.
        tag: The deploy that made it; "" when it is not ours or belongs to no single deploy.
        name: Its name there.
        region: The provider's own word.
        price: Dollars per hour, 0 for what is free, None when not told.
        attached: Id of the machine that it hangs on, "" for none.
        data: What the provider's file wants to keep with it.
    """

    kind: ResourceKind
    id: str
    account: str
    tag: str = ""
    name: str = ""
    region: str = ""
    price: float | None = None
    attached: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
