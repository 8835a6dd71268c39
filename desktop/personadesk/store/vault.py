"""A file that a passphrase opens, for secrets on a computer without a keyring. Nothing in it is readable without that.

The passphrase is stretched by scrypt; all secrets together are sealed by AES-256-GCM with a new nonce at each change,
and what tells how it was stretched is sealed with them. Whoever changes a byte of the file makes it unreadable, not
wrong. Calls block, scrypt for some tenths of a second: they belong into a worker thread.
"""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import AuthFailed, BadRequest, HostUnfit
from personadesk.domain.text import T
from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LEAST_LENGTH", "Cost", "Vault", "locked"]

LEAST_LENGTH = 8
"""Characters of a passphrase, at least."""
VERSION = 1
LOCK_SECONDS = 10.0
_MOST_N = 1 << 20
"""More would let a file that somebody put there take all memory."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How much work scrypt makes of a passphrase; 128 × n × r bytes of memory.

    Attributes:
        n: Rounds, a power of two.
        r: Block size.
        p: Repetitions.
    """

    n: int = 1 << 17
    r: int = 8
    p: int = 1


class Vault:
    """The file.

    Attributes:
        path: Where it is; it is made by the first `unlock`.
    """

    def __init__(self, path: Path, cost: Cost | None = None) -> None:
        """Take a place; nothing is read yet.

        Args:
            path: The file.
            cost: Work for one that is made; OWASP's advice of 2024 (n = 2¹⁷, r = 8, p = 1) when None.
        """
        self.path = path
        self._cost = cost or Cost()
        self._key: tuple[bytes, Cost, bytes] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    @property
    def is_open(self) -> bool:
        """Whether the passphrase was given."""
        return self._key is not None

    def unlock(self, passphrase: str) -> None:
        """Open the file, or make one that this passphrase opens.

        Raises:
            AuthFailed: It is not the passphrase (cause `wrong_passphrase`).
            BadRequest: A new one is too short (cause `short_passphrase`).
            HostUnfit: The file cannot be read, or is none of ours.
        """
        if self.exists:
            header = self._read()
            self._open(header, self._stretch(passphrase, header))
            return
        if len(passphrase) < LEAST_LENGTH:
            raise BadRequest(
                T("That passphrase is too short."),
                T("Take {n} characters or more; some words in a row are good.", n=LEAST_LENGTH),
                cause="short_passphrase",
            )
        salt = os.urandom(16)
        self._key = (_scrypt(passphrase, salt, self._cost), self._cost, salt)
        self._write({})

    def get(self, name: str) -> str | None:
        """Return a secret of an open vault, None when there is none."""
        return self._all().get(name)

    def put(self, name: str, value: str) -> None:
        """Keep a secret in an open vault."""
        self._change(lambda held: held | {name: value})

    def delete(self, name: str) -> None:
        """Forget a secret of an open vault; harmless when there is none."""
        self._change(lambda held: {each: value for each, value in held.items() if each != name})

    # -- how it is done ---------------------------------------------------------------------------------------

    def _all(self) -> dict[str, str]:
        if self._key is None:
            raise locked()
        return self._open(self._read(), self._key) if self.exists else {}

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """Read, change and write under a lock: another process may keep a secret at the same moment."""
        lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
        until = time.monotonic() + LOCK_SECONDS
        while not lock.acquire(what="vault"):
            if time.monotonic() > until:
                raise HostUnfit(
                    T("The file with the keys is in use by another program."),
                    T("Close the other PersonaDesk, then try again."),
                    cause="vault_busy",
                )
            time.sleep(0.02)
        try:
            before = self._all()
            after = change(before)
            if after != before:
                self._write(after)
        finally:
            lock.release()

    def _stretch(self, passphrase: str, header: dict[str, Any]) -> tuple[bytes, Cost, bytes]:
        try:
            cost = Cost(int(header["n"]), int(header["r"]), int(header["p"]))
            salt = base64.b64decode(header["salt"])
            if cost.n > _MOST_N or cost.r > 32 or cost.p > 16:
                raise self._foreign()
            return _scrypt(passphrase, salt, cost), cost, salt
        except (KeyError, ValueError, TypeError) as error:
            raise self._foreign() from error

    def _read(self) -> dict[str, Any]:
        try:
            header = json.loads(self.path.read_bytes())
        except (OSError, ValueError) as error:
            raise self._foreign(str(error)) from error
        if not isinstance(header, dict) or header.get("version") != VERSION:
            raise self._foreign()
        return header

    def _open(self, header: dict[str, Any], key: tuple[bytes, Cost, bytes]) -> dict[str, str]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            nonce, sealed = (base64.b64decode(header[each]) for each in ("nonce", "sealed"))
            plain = AESGCM(key[0]).decrypt(nonce, sealed, _bound(key[1], key[2]))
        except InvalidTag as error:
            raise AuthFailed(
                T("That passphrase does not open the file with the keys."),
                T("Try another one. Without it the keys in {file} are lost.", file=str(self.path)),
                cause="wrong_passphrase",
            ) from error
        except (KeyError, ValueError, TypeError) as error:
            raise self._foreign() from error
        self._key = key
        held: dict[str, str] = json.loads(plain)
        return held

    def _write(self, held: dict[str, str]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if self._key is None:
            raise locked()
        key, cost, salt = self._key
        nonce = os.urandom(12)
        sealed = AESGCM(key).encrypt(nonce, json.dumps(held).encode(), _bound(cost, salt))
        content = {
            "version": VERSION, "kdf": "scrypt", "n": cost.n, "r": cost.r, "p": cost.p,
            "cipher": "AES-256-GCM", "salt": _text(salt), "nonce": _text(nonce), "sealed": _text(sealed),
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)

    def _foreign(self, details: str = "") -> HostUnfit:
        return HostUnfit(
            T("The file with the keys cannot be read: {file}", file=str(self.path)),
            T("Move it away to begin a new one; the keys in it have to be pasted again then."),
            cause="vault_broken",
            details=details,
        )


def _scrypt(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(passphrase.encode())


def _bound(cost: Cost, salt: bytes) -> bytes:
    return f"personadesk vault {VERSION} {cost.n} {cost.r} {cost.p} {_text(salt)}".encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def locked() -> AuthFailed:
    """The passphrase was not given yet."""
    return AuthFailed(
        T("The keys are in a file that a passphrase opens."),
        T("Give the passphrase at Accounts."),
        cause="vault_locked",
    )
