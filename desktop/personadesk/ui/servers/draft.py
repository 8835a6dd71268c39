"""The form that adds a machine, without Qt: what was typed so far, what is wrong with it, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest
from personadesk.domain.host import DEFAULT_SSH_PORT, HostRecord, KeySource, SshAddress
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts.ssh import config

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Fault", "Login", "MachineDraft", "Spot", "address_of", "faults", "record_of", "tidied"]

LONGEST_NAME = 40
LAST_PORT = 65535


class Login(StrEnum):
    """How one gets in."""

    FILE = "file"
    AGENT = "agent"
    PASSWORD = "password"  # noqa: S105 - the way, not a secret


class Spot(StrEnum):
    """What can be wrong, in the order of the form."""

    ADDRESS = "address"
    PORT = "port"
    NAME = "name"
    USER = "user"
    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - a field's name, not a secret


@dataclass(frozen=True, slots=True)
class MachineDraft:
    """What was typed so far, as it was typed. Secrets are never in it.

    Attributes:
        name: What the user calls it.
        address: Name, address or alias; perhaps with user and port.
        port: Port of its SSH server.
        user: Login name; "" for what the SSH settings say, else the name here.
        login: How one gets in.
        key_file: The private key; "" for those that `~/.ssh` has.
    """

    name: str = ""
    address: str = ""
    port: str = str(DEFAULT_SSH_PORT)
    user: str = ""
    login: Login = Login.FILE
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a field cannot stay as it is.

    Attributes:
        spot: Which field.
        what: One sentence, shown below it.
    """

    spot: Spot
    what: Text


def tidied(draft: MachineDraft) -> MachineDraft:
    """Move user and port that were typed with the address into their own fields, and name what has no name."""
    try:
        place = config.parse_address(draft.address)
    except BadRequest:
        return draft
    typed = draft.address.strip()
    plain = place.host != typed and not typed.startswith("[") and (place.user or ":" in typed)
    if plain:
        port = draft.port if place.port == DEFAULT_SSH_PORT else str(place.port)
        draft = replace(draft, address=place.host, port=port, user=place.user or draft.user)
    if not draft.name.strip():
        draft = replace(draft, name=place.host[:LONGEST_NAME])
    return draft


def address_of(draft: MachineDraft) -> SshAddress | None:
    """Return where the machine is, or None as long as that makes no sense."""
    if _address_fault(draft) or _port_fault(draft):
        return None
    place = config.parse_address(draft.address)
    port = int(draft.port)
    if port == DEFAULT_SSH_PORT:
        port = place.port
    return SshAddress(place.host, port, draft.user.strip() or place.user)


def faults(draft: MachineDraft, taken: Iterable[str], *, has_password: bool) -> tuple[Fault, ...]:
    """Return what is wrong, in the order of the fields.

    Args:
        draft: What was typed.
        taken: Names of the machines that exist.
        has_password: Whether a password was typed.
    """
    password = NOTHING
    if draft.login is Login.PASSWORD and not has_password:
        password = T("Type the password; it is used once and not kept.")
    found = (
        (Spot.ADDRESS, _address_fault(draft)),
        (Spot.PORT, _port_fault(draft)),
        (Spot.NAME, _name_fault(draft, taken)),
        (Spot.USER, _user_fault(draft)),
        (Spot.KEY, _key_fault(draft)),
        (Spot.PASSWORD, password),
    )
    return tuple(Fault(spot, what) for spot, what in found if what)


def record_of(draft: MachineDraft) -> HostRecord:
    """Return the machine of a draft without faults."""
    address = address_of(draft)
    if address is None:
        raise ValueError("a draft with faults is no machine")
    source = {
        Login.FILE: KeySource.FILE,
        Login.AGENT: KeySource.AGENT,
        Login.PASSWORD: KeySource.OURS,
    }
    typed = draft.key_file.strip()
    key = str(Path(typed).expanduser().absolute()) if typed and draft.login is Login.FILE else ""
    return HostRecord(draft.name.strip(), address, source[draft.login], key)


def _address_fault(draft: MachineDraft) -> Text:
    if not draft.address.strip():
        return T("Type the machine’s name or address.")
    try:
        config.parse_address(draft.address)
    except BadRequest as error:
        return error.what
    return NOTHING


def _port_fault(draft: MachineDraft) -> Text:
    typed = draft.port.strip()
    if not (typed.isascii() and typed.isdigit()) or not 0 < int(typed) <= LAST_PORT:
        return T("A port is a number from 1 to 65535; SSH usually has 22.")
    return NOTHING


def _name_fault(draft: MachineDraft, taken: Iterable[str]) -> Text:
    name = draft.name.strip()
    if not name:
        return T("Give the machine a name.")
    if len(name) > LONGEST_NAME:
        return T("A name has at most 40 characters; this one has {count}.", count=len(name))
    if not name.isprintable():
        return T("This name has a character that cannot be shown.")
    if name in set(taken):
        return T("There is a machine called “{name}” already. Choose another name.", name=name)
    return NOTHING


def _user_fault(draft: MachineDraft) -> Text:
    user = draft.user.strip()
    if any(each.isspace() for each in user) or user.startswith("-"):
        return T("“{user}” cannot be the name of a user.", user=user)
    return NOTHING


def _key_fault(draft: MachineDraft) -> Text:
    typed = draft.key_file.strip()
    if draft.login is not Login.FILE or not typed:
        return NOTHING
    if typed.endswith(".pub"):
        return T("Choose the private key's file; it has no .pub at its end.")
    if not Path(typed).expanduser().is_file():
        return T("There is no key file {file}.", file=typed)
    return NOTHING
