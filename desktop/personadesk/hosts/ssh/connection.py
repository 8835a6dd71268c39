"""One SSH connection, shared by everything that talks to a machine: made when first needed, made again when it broke.

Host keys are checked against pins alone; a machine without a pin is not entered. What waits for a connection shares
the attempt that is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.host import HostKey, SshAddress
from personadesk.hosts.ssh import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import asyncssh

    from personadesk.hosts.ssh.config import Resolved

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0
KEEPALIVE_SECONDS = 5.0
KEEPALIVES = 3
"""So many unanswered in a row mean that the machine is gone: 15 s."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


class Pins(Protocol):
    """Where pinned host keys are kept."""

    async def pinned(self, place: str) -> HostKey | None:
        """Return the key pinned for `host:port`, or None."""


class LinkState(StrEnum):
    """How a connection stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Login:
    """How a machine is entered.

    Attributes:
        resolved: Where it is and what lies between.
        keys: Private keys, tried in this order.
        agent: Whether the user's SSH agent is asked too.
        password: Only to install a key, once.
        known: A key that it must have although it is not pinned yet.
    """

    resolved: Resolved
    keys: Sequence[asyncssh.SSHKey] = ()
    agent: bool = False
    password: str | None = field(default=None, repr=False)
    known: HostKey | None = None


class Link:
    """The connection to one machine.

    Attributes:
        name: What the user calls the machine.
        state: How it stands.
        reason: Why it was lost or could not be made, or None.
    """

    def __init__(
        self,
        name: str,
        login: Callable[[], Awaitable[Login]],
        pins: Pins,
        *,
        limit_s: float = CONNECT_SECONDS,
        keepalive_s: float = KEEPALIVE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.state = LinkState.IDLE
        self.reason: PersonaDeskError | None = None
        self._login = login
        self._pins = pins
        self._limit = limit_s
        self._keepalive = keepalive_s
        self._clock = clock
        self._chain: list[asyncssh.SSHClientConnection] = []
        self._attempt: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._watchers: list[Callable[[], None]] = []
        self._wait = FIRST_WAIT
        self._not_before = 0.0

    @property
    def connection(self) -> asyncssh.SSHClientConnection | None:
        """The live connection, or None."""
        return self._chain[-1] if self._chain else None

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` when the state changes; returns a function that ends it."""
        self._watchers.append(callback)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._watchers.remove(callback)

        return end

    async def live(self) -> asyncssh.SSHClientConnection:
        """Return the connection, making it when there is none.

        Raises:
            PersonaDeskError: It cannot be made; the sentence says why.
        """
        if self._chain:
            return self._chain[-1]
        if self.state is LinkState.CLOSED:
            raise errors.lost(self.name, "the connection was closed on our side")
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._connect(), name=f"ssh {self.name}")
            self._attempt.add_done_callback(self._attempted)
        return await asyncio.shield(self._attempt)

    async def keep_trying(self) -> asyncssh.SSHClientConnection:
        """Return the connection, trying again with growing pauses as long as trying may help.

        Raises:
            PersonaDeskError: It will not come by waiting: the key is refused, another machine answers.
        """
        while True:
            pause = self._not_before - self._clock()
            if pause > 0 and not self._chain:
                await asyncio.sleep(pause)
            try:
                return await self.live()
            except PersonaDeskError as error:
                if not error.retryable:
                    raise

    async def drop(self) -> None:
        """Let go of a connection that does not do what it should; the next use makes another."""
        for each in reversed(self._chain):
            each.abort()
        await self._forget(self._chain)

    async def close(self) -> None:
        """Close for good."""
        self._set(LinkState.CLOSED, None)
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.gather(self._attempt, return_exceptions=True)
        chain = self._chain
        self._chain = []
        for each in reversed(chain):
            each.close()
            try:
                async with asyncio.timeout(1.0):
                    await each.wait_closed()
            except (TimeoutError, OSError):
                each.abort()
                await each.wait_closed()

    async def _forget(self, chain: list[asyncssh.SSHClientConnection]) -> None:
        for each in chain:
            with contextlib.suppress(OSError):
                await each.wait_closed()

    def _attempted(self, task: asyncio.Task[Any]) -> None:
        self._attempt = None
        if not task.cancelled():
            task.exception()  # looked at: whoever waited got it, and nobody may have waited

    async def _connect(self) -> asyncssh.SSHClientConnection:
        self._set(LinkState.CONNECTING, self.reason)
        try:
            login = await self._login()
            chain = await open_chain(login, self._pins, self._limit, self._keepalive, self._lost)
        except PersonaDeskError as error:
            self._not_before = self._clock() + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT)
            self._set(LinkState.LOST, error)
            raise
        self._wait, self._not_before = FIRST_WAIT, 0.0
        self._chain = chain
        self._set(LinkState.CONNECTED, None)
        return chain[-1]

    def _lost(self, connection: asyncssh.SSHClientConnection, error: Exception | None) -> None:
        if connection not in self._chain:
            return
        chain, self._chain = self._chain, []
        for each in chain:
            if each is not connection:
                each.abort()
        log.info("The connection to %s broke: %s", self.name, error)
        self._set(LinkState.LOST, errors.lost(self.name, str(error or "")))

    def _set(self, state: LinkState, reason: PersonaDeskError | None) -> None:
        if self.state is LinkState.CLOSED:
            return
        self.state, self.reason = state, reason
        for watcher in tuple(self._watchers):
            watcher()


async def open_chain(
    login: Login,
    pins: Pins,
    limit_s: float,
    keepalive_s: float,
    on_lost: Callable[[asyncssh.SSHClientConnection, Exception | None], None],
) -> list[asyncssh.SSHClientConnection]:
    """Connect to a machine through those between; returns all connections, the machine's own last.

    Raises:
        PersonaDeskError: One of them cannot be reached, entered or trusted.
    """
    chain: list[asyncssh.SSHClientConnection] = []
    hops = [hop.address for hop in login.resolved.jumps] + [login.resolved.address]
    try:
        for number, address in enumerate(hops):
            last = number == len(hops) - 1
            known = login.known if last and login.known else await pins.pinned(address.place)
            password = login.password if last else None
            tunnel = chain[-1] if chain else None
            chain.append(
                await _open(address, login, known, tunnel, password, limit_s, keepalive_s, on_lost)
            )
    except BaseException:
        for each in reversed(chain):
            each.abort()
        raise
    return chain


async def _open(
    address: SshAddress,
    login: Login,
    known: HostKey | None,
    tunnel: asyncssh.SSHClientConnection | None,
    password: str | None,
    limit_s: float,
    keepalive_s: float,
    on_lost: Callable[[asyncssh.SSHClientConnection, Exception | None], None],
) -> asyncssh.SSHClientConnection:
    import asyncssh

    if known is None:
        shown = await show_keys(address, tunnel, limit_s)
        raise errors.unknown_key(address, shown[0])
    shown_key: list[HostKey] = []
    pinned = known.data

    class Client(asyncssh.SSHClient):
        _connection: asyncssh.SSHClientConnection | None = None

        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self._connection = conn

        def connection_lost(self, exc: Exception | None) -> None:
            if self._connection is not None:
                on_lost(self._connection, exc)

        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            shown_key.append(host_key(key))
            return shown_key[-1].data == pinned

    try:
        async with asyncio.timeout(limit_s):
            return await asyncssh.connect(
                address.host,
                address.port,
                username=address.user,
                tunnel=tunnel or (),
                client_factory=Client,
                config=None,
                known_hosts=([], [], []),
                server_host_key_algs=algorithms(known.kind),
                client_keys=list(login.keys) or None,
                **({} if login.agent else {"agent_path": None}),
                password=password,
                preferred_auth=("publickey", "password", "keyboard-interactive")
                if password
                else ("publickey",),
                gss_host=None,
                keepalive_interval=keepalive_s,
                keepalive_count_max=KEEPALIVES,
                # Sound does not shrink, and a tunnel should not wait for it to be tried.
                compression_algs=None,
                encoding=None,
            )
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" not in str(error).lower():
            raise errors.connecting(error, address, limit_s) from error
        raise errors.changed_key(address, known, shown_key[-1] if shown_key else None) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        if not shown_key and isinstance(error, (asyncssh.ConnectionLost, ConnectionResetError)):
            # So does a machine hang up that has no key of the pinned kind any more.
            for key in await show_keys(address, tunnel, limit_s):
                if key.data != pinned:
                    raise errors.changed_key(address, known, key) from error
        raise errors.connecting(error, address, limit_s) from error


async def show_keys(
    address: SshAddress,
    tunnel: asyncssh.SSHClientConnection | None = None,
    limit_s: float = CONNECT_SECONDS,
    *,
    every_kind: bool = False,
) -> tuple[HostKey, ...]:
    """Ask a machine for its public key without entering it.

    Args:
        address: Where it is.
        tunnel: A connection to a machine in between.
        limit_s: How long it may take.
        every_kind: Whether to ask for its keys of other kinds too, best kind first.

    Raises:
        PersonaDeskError: It cannot be reached.
    """
    found = [await _show(address, tunnel, KIND_ORDER, limit_s)]
    others = [kind for kind in KINDS if every_kind and kind != found[0].kind]
    for kind in others:
        try:
            found.append(await _show(address, tunnel, algorithms(kind), limit_s))
        except PersonaDeskError as error:
            # A machine without a key of that kind just hangs up.
            log.debug("%s shows no key of the kind %s: %s", address.place, kind, error.details)
    return tuple(found)


async def _show(
    address: SshAddress,
    tunnel: asyncssh.SSHClientConnection | None,
    kinds: list[str],
    limit_s: float,
) -> HostKey:
    import asyncssh

    try:
        async with asyncio.timeout(limit_s):
            key = await asyncssh.get_server_host_key(
                address.host,
                address.port,
                tunnel=tunnel or (),
                config=None,
                server_host_key_algs=kinds,
            )
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise errors.connecting(error, address, limit_s) from error
    if key is None:
        raise errors.connecting(asyncssh.KeyExchangeFailed("no host key"), address, limit_s)
    return host_key(key)


KINDS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
)  # fmt: skip


def algorithms(kind: str) -> list[str]:
    """Return the signature algorithms that a key of this kind can be shown with."""
    if kind == "ssh-rsa":
        return ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
    return [kind]


KIND_ORDER = [name for kind in KINDS for name in algorithms(kind)]


def host_key(key: asyncssh.SSHKey) -> HostKey:
    """Return a public key as it is pinned."""
    kind, data = key.export_public_key().decode("ascii").split()[:2]
    return HostKey(kind, data, key.get_fingerprint())
