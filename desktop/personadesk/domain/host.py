"""A machine that somebody has: how it is reached, what it is, and what was found about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from personadesk.domain.text import NOTHING, Text

DEFAULT_SSH_PORT = 22


class KeySource(StrEnum):
    """With which key a host is entered."""

    FILE = "file"
    """A private key file of the user's."""
    AGENT = "agent"
    """Whatever keys the user's SSH agent holds."""
    OURS = "ours"
    """The key that PersonaDesk made and installed there."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host's public key, pinned.

    Attributes:
        kind: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` and so on.
        data: The key itself in base64.
        fingerprint: `SHA256:…`, as ssh shows it.
    """

    kind: str
    data: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SshAddress:
    """One machine in the network.

    Attributes:
        host: Name or address.
        port: The SSH daemon's port.
        user: Login name; "" for the same as here.
    """

    host: str
    port: int = DEFAULT_SSH_PORT
    user: str = ""

    @property
    def place(self) -> str:
        """`host:port`, under which its key is pinned."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One of "My servers".

    Attributes:
        name: What the user calls it, 1 to 40 characters, unique.
        address: Where it is; an alias of `~/.ssh/config` is looked up at each connect.
        key_source: With which key it is entered.
        key_file: The private key, for `KeySource.FILE`; "" for what `~/.ssh/config` names or the usual files.
        jumps: Machines that lie between, nearest first.
        home: Folder there that holds everything of ours; "" for `~/.personadesk`.
        added: Unix time.
        account: The account that it was rented with, "" for a machine of the user's own.
    """

    name: str
    address: SshAddress
    key_source: KeySource = KeySource.FILE
    key_file: str = ""
    jumps: tuple[SshAddress, ...] = ()
    home: str = ""
    added: float = 0.0
    account: str = ""


@dataclass(frozen=True, slots=True)
class GpuFact:
    """One NVIDIA GPU there.

    Attributes:
        index: The driver's number for it.
        name: Its model.
        memory_bytes: Its memory, None where the driver does not tell.
        capability: Compute capability such as `8.9`; "" where an old driver does not tell.
        parts: Names of the parts it is divided into (MIG).
    """

    index: int
    name: str
    memory_bytes: int | None = None
    capability: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PythonFact:
    """One Python there.

    Attributes:
        path: Its program.
        version: Major, minor, micro.
        makes_environments: Whether its venv module is whole.
        has_pip: Whether it has pip.
        torch: Version of the torch in its reach, "" for none.
        torch_cuda: CUDA version which that torch was built for, "" for a CPU build.
    """

    path: str
    version: tuple[int, int, int]
    makes_environments: bool = False
    has_pip: bool = False
    torch: str = ""
    torch_cuda: str = ""


@dataclass(frozen=True, slots=True)
class PlaceFact:
    """A folder that could hold the server and the model.

    Attributes:
        path: The folder, or where it would be made.
        free_bytes: Free space on its disk.
        writable: Whether we may write there.
        persistent: Whether it is a provider's volume that outlives the container.
        executable: Whether programs may be run from there.
    """

    path: str
    free_bytes: int
    writable: bool
    persistent: bool = False
    executable: bool = True


class Reach(StrEnum):
    """Whether something on the internet answers from there."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """There is no program on the host that could ask."""


@dataclass(frozen=True, slots=True)
class InstallFact:
    """A PersonaPlex server that is there already.

    Attributes:
        folder: Where.
        version: The version that `current` points to; "" for none.
        versions: All that are there.
        running: Whether it answers or its supervisor lives.
    """

    folder: str
    version: str = ""
    versions: tuple[str, ...] = ()
    running: bool = False


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host says of itself; nothing was changed to learn it.

    Attributes:
        system: `Linux`, `Darwin` and so on.
        distribution: For people: `Debian GNU/Linux 12 (bookworm)`.
        machine: `x86_64`, `aarch64` and so on.
        kernel: Kernel release.
        libc: `glibc` or `musl` or "".
        libc_version: Major and minor; (0, 0) when not told.
        user: Who we are there.
        is_root: Whether that is root.
        home: That user's home folder.
        cores: Processor cores.
        memory_bytes: Memory in all, or the container's limit where that is lower.
        memory_free_bytes: What a new program can have.
        gpus: NVIDIA GPUs.
        gpu_reason: Why there are none, English, for the details.
        driver: NVIDIA driver version, "" for none.
        cuda: Newest CUDA version that the driver runs, "" when not told.
        pythons: Usable Pythons, best first.
        places: Candidate folders, best first.
        busy_ports: Of the ports asked about, those that somebody listens on.
        systemd: Whether systemd runs there.
        user_units: Whether this user can have units of its own (a user manager that can be reached).
        lingers: Whether this user's units outlive the logout.
        cron: Whether there is a crontab.
        kind: `container`, `vm` or `machine`.
        kind_detail: For example `docker`, `kvm`.
        skew_s: By how much its clock is ahead of ours, in seconds.
        registry: Whether the package registry answers.
        hub: Whether the model hub answers.
        install: Our server there, None for none.
        tools: Names of the helper programs found: `curl`, `wget`, `uv`, `tar` and so on.
        seconds: How long the check took.
    """

    system: str
    distribution: str = ""
    machine: str = ""
    kernel: str = ""
    libc: str = ""
    libc_version: tuple[int, int] = (0, 0)
    user: str = ""
    is_root: bool = False
    home: str = ""
    cores: int = 0
    memory_bytes: int = 0
    memory_free_bytes: int = 0
    gpus: tuple[GpuFact, ...] = ()
    gpu_reason: str = ""
    driver: str = ""
    cuda: str = ""
    pythons: tuple[PythonFact, ...] = ()
    places: tuple[PlaceFact, ...] = ()
    busy_ports: tuple[int, ...] = ()
    systemd: bool = False
    user_units: bool = False
    lingers: bool = False
    cron: bool = False
    kind: str = "machine"
    kind_detail: str = ""
    skew_s: float = 0.0
    registry: Reach = Reach.UNKNOWN
    hub: Reach = Reach.UNKNOWN
    install: InstallFact | None = None
    tools: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RestartProof:
    """That a voice on a host came back after its service was restarted.

    Attributes:
        keeper: What starts it after a restart of the machine: `systemd`, `systemd-user`, `cron` or `none`.
        at: Unix time of the proof.
    """

    keeper: str
    at: float

    @property
    def outlives_reboots(self) -> bool:
        """Whether something on the machine itself starts it after a restart of the machine."""
        return self.keeper != "none"


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    WARN = "warn"
    UNFIT = "unfit"


class Fitness(StrEnum):
    """Whether a host can run what is asked."""

    FIT = "fit"
    WARN = "warn"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found about a host.

    Attributes:
        about: A short word for programs: `gpu`, `disk`, `python`, …
        level: How much it matters.
        what: What was found, one sentence.
        next: What to do about it; empty where there is nothing to do.
    """

    about: str
    level: Level
    what: Text
    next: Text = NOTHING


@dataclass(frozen=True, slots=True)
class HostCheck:
    """A host's facts and what follows from them.

    Attributes:
        verdict: The worst of the findings.
        facts: What it said of itself.
        findings: What was found, worst first.
    """

    verdict: Fitness
    facts: HostFacts
    findings: tuple[Finding, ...]
