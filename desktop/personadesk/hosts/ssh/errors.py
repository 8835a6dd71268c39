"""Turns what goes wrong with SSH into sentences."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    Unreachable,
)
from personadesk.domain.text import T

if TYPE_CHECKING:
    from personadesk.domain.host import HostKey, SshAddress

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def connecting(error: BaseException, address: SshAddress, limit_s: float) -> PersonaDeskError:
    """Return why a machine could not be reached or entered."""
    import asyncssh

    details = f"{type(error).__name__}: {error}"
    host, port = address.host, address.port
    if isinstance(error, PersonaDeskError):
        return error
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthFailed(
            T("{host} did not accept the key for the user {user}.", host=host, user=address.user),
            T("Check the user's name and the key, or install PersonaDesk's key with the password."),
            cause="key_refused",
            details=details,
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return Unreachable(
            T("{host} and PersonaDesk have no way of encryption in common.", host=host),
            T("Update the SSH server on that machine."),
            cause="no_common_cipher",
            details=details,
            retryable=False,
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return Unreachable(
            T("The machine in between does not lead to {host} port {port}.", host=host, port=port),
            T("Check the address and whether that machine allows forwarding."),
            cause="jump_refused",
            details=details,
        )
    if isinstance(error, socket.gaierror):
        return NotFound(
            T("No machine is called {host}.", host=host),
            T("Check the name and the network."),
            cause="unknown_name",
            details=details,
        )
    if isinstance(error, TimeoutError):
        return Unreachable(
            T("{host} did not answer on port {port} within {seconds} s.", host=host, port=port,
              seconds=round(limit_s)),
            T("Check that the machine runs, its address and port, and firewalls between."),
            cause="timeout",
            details=details,
        )  # fmt: skip
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            T("{host} runs, but nothing answers on port {port}.", host=host, port=port),
            T("Check the port; perhaps the SSH server is not started yet."),
            cause="refused",
            details=details,
        )
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Unreachable(
            T("There is no way through the network to {host}.", host=host),
            T("Check this computer's network and the address."),
            cause="no_route",
            details=details,
        )
    return Unreachable(
        T("{host} ended the connection.", host=host),
        T("Wait a little and try again; some machines block many attempts for a while."),
        cause="disconnected",
        details=details,
    )


def lost(name: str, details: str = "") -> Unreachable:
    """The connection broke while it was used."""
    return Unreachable(
        T("The connection to {name} broke.", name=name),
        T("PersonaDesk connects again; try again in a moment."),
        cause="connection_lost",
        details=details,
    )


def unknown_key(address: SshAddress, key: HostKey) -> BadRequest:
    """A machine that was never met."""
    return BadRequest(
        T("The machine {place} is not known yet; its key is {fingerprint}.",
          place=address.place, fingerprint=key.fingerprint),
        T("Compare it with what the machine or its provider shows, then confirm it (--fingerprint {fingerprint}).",
          fingerprint=key.fingerprint),
        cause="host_key_unknown",
        details=f"{key.kind} {key.data}",
    )  # fmt: skip


def changed_key(address: SshAddress, pinned: HostKey, found: HostKey | None) -> AuthFailed:
    """A machine that shows another key than the pinned one."""
    return AuthFailed(
        T("{place} is not the machine that it was: it shows another key.", place=address.place),
        T("If it was set up anew, remove and add it again; else somebody may be listening in, so do not go on."),
        cause="host_key_changed",
        details=f"pinned {pinned.kind} {pinned.fingerprint}, "
        + (f"found {found.kind} {found.fingerprint}" if found else "found no key of that kind"),
    )  # fmt: skip


def wrong_fingerprint(address: SshAddress, wanted: str, found: tuple[HostKey, ...]) -> AuthFailed:
    """A machine whose key is not the one that the user expects."""
    shown = ", ".join(key.fingerprint for key in found)
    return AuthFailed(
        T("{place} shows the key {found}, not the one given.", place=address.place, found=shown),
        T("Check the address, and where the fingerprint came from."),
        cause="wrong_fingerprint",
        details=f"wanted {wanted}; found " + ", ".join(f"{k.kind} {k.fingerprint}" for k in found),
    )


def no_commands(name: str, said: str) -> HostUnfit:
    """A login that runs nothing for us."""
    return HostUnfit(
        T("The login on {name} does not let programs be run.", name=name),
        T("Use a user with an ordinary shell there (such as bash)."),
        cause="restricted_shell",
        details=said[-2000:],
    )


def no_forwarding(name: str, details: str) -> HostUnfit:
    """A daemon that allows no tunnels."""
    return HostUnfit(
        T("{name} does not allow tunnels through SSH.", name=name),
        T("Set AllowTcpForwarding to yes (or local) in its sshd_config."),
        cause="no_forwarding",
        details=details,
    )


def files(error: BaseException, name: str, path: str) -> PersonaDeskError:
    """Return why a file there could not be used."""
    text = str(error)
    if "space" in text.lower() or "quota" in text.lower():
        return HostUnfit(
            T("The disk of {name} is full.", name=name),
            T("Free some space there, then try again."),
            cause="disk_full",
            details=f"{path}: {text}",
        )
    return HostUnfit(
        T("{path} on {name} could not be used: {reason}", path=path, name=name, reason=text),
        T("Mend it there, or choose another folder."),
        cause="files",
        details=f"{type(error).__name__}: {text}",
    )
