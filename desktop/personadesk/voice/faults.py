"""What can go wrong between us and a voice server, in the words of the ten errors."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    PersonaDeskError,
    ProviderFault,
    RateLimited,
    Unreachable,
)
from personadesk.domain.text import NOTHING, T
from personaplex_server import protocol

if TYPE_CHECKING:
    from personadesk.voice.address import Address

ABNORMAL = 1006
"""The close code that stands for "no close message came"."""

_CHECK_SERVER = T("See whether the voice server runs, and whether the port is right.")
_CHECK_ADDRESS = T("Check the address, its port and its path.")
_TRY_LATER = T("Try again in a moment.")


def from_connect(error: Exception, address: Address, seconds: float) -> PersonaDeskError:
    """Say why no connection came about.

    Args:
        error: What the library raised.
        address: What was called.
        seconds: How long was waited at most.
    """
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    place, details = address.place, f"{type(error).__name__}: {error}"
    fault: PersonaDeskError
    match error:
        case InvalidStatus():
            fault = from_status(error.response.status_code, place, details)
        case InvalidURI():
            fault = BadRequest(
                T("{place} is not an address that can be called.", place=place),
                _CHECK_ADDRESS, cause="address",
            )  # fmt: skip
        case InvalidHandshake() | EOFError():
            fault = BadRequest(
                T("Something answers at {place}, but it is not a voice server.", place=place),
                T("If it is encrypted, its address begins with wss://.")
                if not address.secure
                else _CHECK_ADDRESS,
                cause="not_a_voice_server",
            )
        case ssl.SSLCertVerificationError():
            fault = Unreachable(
                T("The certificate of {place} is not one that this computer trusts.", place=place),
                T("Use the name that the certificate was made for, or have this computer trust it."),
                cause="certificate", retryable=False,
            )  # fmt: skip
        case ssl.SSLError():
            fault = BadRequest(
                T("{place} does not speak encrypted.", place=place),
                T("Write ws:// in place of wss://, if you trust the network in between."),
                cause="not_encrypted",
            )
        case socket.gaierror():
            fault = Unreachable(
                T("There is no computer named {host}.", host=address.host),
                T("Check the name, and whether this computer is online."),
                cause="name",
            )
        case TimeoutError():
            fault = Unreachable(
                T(
                    "{place} didn't answer within {seconds} seconds.",
                    place=place,
                    seconds=round(seconds),
                ),
                T("Check your own network, and whether a firewall is in between."),
                cause="timeout",
            )
        case ConnectionRefusedError():
            fault = Unreachable(
                T("Nothing listens at {place}.", place=place), _CHECK_SERVER, cause="refused"
            )
        case ImportError():
            fault = BadRequest(
                T("The proxy of this computer is of a kind that is not supported here."),
                T("Take it out of the settings of your network, or use an http proxy."),
                cause="proxy",
            )
        case OSError():
            # Several addresses of one name fail as one error that only counts them.
            refused = "refused" in str(error).lower()
            what = T("Nothing listens at {place}.", place=place)
            if not refused:
                what = T("{place} cannot be reached.", place=place)
            fault = Unreachable(what, _CHECK_SERVER, cause="refused" if refused else "network")
        case _:
            raise error
    fault.details = details
    return fault


def from_status(status: int, place: str, details: str = "") -> PersonaDeskError:
    """Say what an HTTP answer in place of a call means."""
    if status in (401, 403):
        return AuthFailed(
            T("{place} did not accept the token.", place=place),
            T("Give the token that this server was started with."),
            cause="token", details=details,
        )  # fmt: skip
    if status == 429:
        return RateLimited(
            T("{place} wants to be called less often.", place=place), _TRY_LATER, details=details
        )
    if status == 503:
        return NoCapacity(
            T("{place} takes no call now.", place=place),
            T("It is busy or still preparing; try again in a moment."),
            cause="busy", details=details, retryable=True,
        )  # fmt: skip
    if status >= 500:
        return ProviderFault(
            T("{place} has a fault of its own (status {status}).", place=place, status=status),
            T("Look into the log of the server."),
            cause="server", details=details,
        )  # fmt: skip
    return BadRequest(
        T("{place} has no voice under this path (status {status}).", place=place, status=status),
        _CHECK_ADDRESS, cause="not_a_voice_server", details=details,
    )  # fmt: skip


def not_ready(address: Address, seconds: float) -> Unreachable:
    """The server took the call, but never said "start talking"."""
    return Unreachable(
        T("{place} took the call, but was not ready within {seconds} seconds.",
          place=address.place, seconds=round(seconds)),
        T("It is busy with somebody else or still preparing; try again in a moment."),
        cause="no_handshake",
    )  # fmt: skip


def from_close(
    code: int, reason: str, said: str, address: Address, *, before_handshake: bool
) -> PersonaDeskError:
    """Say why the server ended the call.

    Args:
        code: Close code; 1006 when it just went away.
        reason: Reason of the close message.
        said: The error message (kind 5) that came before, or "".
        address: What was called.
        before_handshake: Whether it ended before anybody could talk.
    """
    details = f"close code {code}" + (f", {reason}" if reason and reason != said else "")
    words = said or reason
    place = address.place
    if code == protocol.CLOSE_BUSY:
        return NoCapacity(
            words or T("{place} takes no call now: somebody else is talking.", place=place),
            _TRY_LATER, cause="busy", details=details, retryable=True,
        )  # fmt: skip
    if code in (protocol.CLOSE_POLICY, protocol.CLOSE_TOO_BIG) or 4400 <= code < 4500:
        if code in (4401, 4403) or "token" in words.lower():
            return AuthFailed(
                words or T("{place} did not accept the token.", place=place),
                T("Give the token that this server was started with."),
                cause="token", details=details,
            )  # fmt: skip
        return BadRequest(
            words or T("{place} did not accept the call as it was made.", place=place),
            _CHECK_ADDRESS, cause="refused_call", details=details,
        )  # fmt: skip
    if words:
        return ProviderFault(
            words, T("Look into the log of the server."), cause="said", details=details
        )
    if before_handshake:
        return ProviderFault(
            T("{place} broke off the call before it was ready, without a word.", place=place),
            T("It may not have the voice or the role that was asked for; "
              "name one it has as voice_prompt in the address."),
            cause="dropped", details=details,
        )  # fmt: skip
    what = T("The server ended the call.") if code != ABNORMAL else T("The line went dead.")
    return Unreachable(
        what, NOTHING if code != ABNORMAL else _CHECK_SERVER, cause="dropped", details=details
    )
