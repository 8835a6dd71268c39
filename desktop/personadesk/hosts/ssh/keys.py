"""Private keys: the user's own files, and the one that PersonaDesk makes for itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import AuthFailed, BadRequest, NotFound
from personadesk.domain.machine import SshIdentity
from personadesk.domain.text import T

if TYPE_CHECKING:
    import asyncssh

OUR_KEY = "id_personadesk"
USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")


async def load(path: Path, passphrase: str | None = None) -> asyncssh.SSHKey:
    """Read a private key.

    Raises:
        NotFound: There is no such file.
        AuthFailed: It wants a passphrase (cause `passphrase_needed`) or another one (`wrong_passphrase`).
        BadRequest: It is no private key, or may not be read.
    """
    return await asyncio.to_thread(_load, path, passphrase)


def _load(path: Path, passphrase: str | None) -> asyncssh.SSHKey:
    import asyncssh

    try:
        data = path.expanduser().read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            T("There is no key file {file}.", file=str(path)),
            T("Choose the private key's file; it has no .pub at its end."),
            cause="no_key_file",
        ) from error
    except OSError as error:
        raise BadRequest(
            T("The key file {file} cannot be read.", file=str(path)),
            T("Give yourself the right to read it."),
            cause="unreadable_key",
            details=str(error),
        ) from error
    try:
        return asyncssh.import_private_key(data, passphrase or None)
    except asyncssh.KeyEncryptionError as error:
        raise _wrong_passphrase(path, error) from error
    except asyncssh.KeyImportError as error:
        if "passphrase" in str(error).lower():
            if passphrase:
                raise _wrong_passphrase(path, error) from error
            raise AuthFailed(
                T("The key {file} is locked with a passphrase.", file=str(path)),
                T("Type its passphrase; it is kept in this computer's keyring."),
                cause="passphrase_needed",
                details=str(error),
            ) from error
        public = data.startswith((b"ssh-", b"ecdsa-", b"sk-"))
        raise BadRequest(
            T("{file} is a public key; the private one is needed.", file=str(path))
            if public
            else T("{file} is not a private key.", file=str(path)),
            T("Choose the private key's file; it has no .pub at its end."),
            cause="not_a_key",
            details=str(error),
        ) from error


def _wrong_passphrase(path: Path, error: Exception) -> AuthFailed:
    return AuthFailed(
        T("That is not the passphrase of the key {file}.", file=str(path)),
        T("Type it again."),
        cause="wrong_passphrase",
        details=str(error),
    )


async def ours(folder: Path) -> asyncssh.SSHKey:
    """Return PersonaDesk's own key, made at the first call; its file is readable by its owner alone.

    Args:
        folder: Where it lies (below the data folder).
    """
    return await asyncio.to_thread(_ours, folder)


def _ours(folder: Path) -> asyncssh.SSHKey:
    import asyncssh

    path = folder / OUR_KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519", comment="personadesk")
        fresh = folder / f".{OUR_KEY}.{os.getpid()}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key.export_private_key())
        try:
            # Whoever comes first wins; a second PersonaDesk must not replace a key that is in use.
            os.link(fresh, path)
        except FileExistsError:
            pass
        except OSError:
            fresh.replace(path)
        fresh.unlink(missing_ok=True)
    return _load(path, None)


async def make_identity() -> SshIdentity:
    """Make a host key for a machine that is about to be made."""
    return await asyncio.to_thread(_make_identity)


def _make_identity() -> SshIdentity:
    import asyncssh

    from personadesk.hosts.ssh.connection import host_key

    key = asyncssh.generate_private_key("ssh-ed25519", comment="personadesk")
    return SshIdentity(
        private=key.export_private_key().decode(),
        public=key.export_public_key().decode().strip(),
        key=host_key(key),
    )


async def usual(folder: Path | None = None) -> list[asyncssh.SSHKey]:
    """Return the user's keys of the usual names that open without a passphrase."""
    found = []
    for name in USUAL:
        path = (folder or Path.home() / ".ssh") / name
        try:
            found.append(await load(path))
        except (NotFound, AuthFailed, BadRequest):
            continue
    return found
