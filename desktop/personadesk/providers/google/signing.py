"""A token for a service account: its key signs who it is, and Google gives a token for an hour (RFC 7523)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from personadesk.providers import faults
from personadesk.providers.google import failures, wire
from personadesk.providers.google.facts import FACTS, SCOPE, TOKEN_PLACE
from personadesk.providers.tokens import Token
from personadesk.providers.web import Api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import httpx

    from personadesk.domain.errors import PersonaDeskError

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_GOOD_FOR_S = 3600
SHORTEST_SECRET = 12
"""Lines of a private key that are shorter say nothing."""


def read_key(text: str, account: str) -> wire.Key:
    """Read a service account's key file.

    Raises:
        AuthFailed: It is none (cause `bad_key`).
    """
    try:
        key = msgspec.json.decode(text, type=wire.Key)
    except msgspec.MsgspecError:
        # The decoder's message may quote the file, which is a secret.
        raise _no_key(account, "not JSON of a service account") from None
    if not (key.client_email and key.private_key):
        raise _no_key(account, "client_email or private_key is missing")
    return key


def secrets_of(text: str, key: wire.Key) -> list[str]:
    """Return what of a key file must never be shown: each line too, since an error may quote one."""
    lines = [line for line in key.private_key.splitlines() if len(line) >= SHORTEST_SECRET]
    return [text, key.private_key, *(line for line in lines if not line.startswith("-----"))]


class TokenPlace:
    """Where a service account's tokens come from."""

    def __init__(
        self,
        key: wire.Key,
        account: str,
        *,
        base_url: str,
        secrets: list[str],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """Take the key; nothing is loaded or asked yet.

        Args:
            key: The key file.
            account: Name of the account.
            base_url: Where the API is instead of Google's own place; its tokens come from there as well, unless the
                key names another place.
            secrets: What must never be in an error.
            clock: Unix time.
            sleep: Waits.
            transport: Stands in for the network.
        """
        self._key = key
        self._account = account
        self._clock = clock
        place = key.token_uri or TOKEN_PLACE
        if base_url and place == TOKEN_PLACE:
            place = f"{base_url}/token"
        self._place = place
        parts = urlsplit(place)
        self._path = parts.path
        self._api = Api(
            FACTS, account, f"{parts.scheme}://{parts.netloc}", headers=_nothing,
            refusal=lambda problem: failures.of_token(account, problem), read=failures.read,
            secrets=secrets, transport=transport, sleep=sleep,
        )  # fmt: skip

    async def fetch(self) -> Token:
        """Return a new token.

        Raises:
            AuthFailed: The key is wrong, deleted or expired.
        """
        signed = await asyncio.to_thread(self._sign)
        form = {"grant_type": _GRANT, "assertion": signed}
        # Asking twice gives two tokens and does no harm.
        answer = await self._api.call(
            "POST", self._path, wire.TokenAnswer, form=form, repeatable=True
        )
        return Token(answer.access_token, answer.expires_in)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._api.aclose()

    def _sign(self) -> str:
        # In a thread: loading and signing take a tenth of a second.
        from google.auth import crypt, jwt

        now = int(self._clock())
        claims = {
            "iss": self._key.client_email, "scope": SCOPE, "aud": self._place,
            "iat": now, "exp": now + _GOOD_FOR_S,
        }  # fmt: skip
        try:
            signer = crypt.RSASigner.from_string(  # type: ignore[no-untyped-call]
                self._key.private_key, self._key.private_key_id
            )
        except ValueError:
            raise _no_key(self._account, "private_key is not a PEM key") from None
        signed: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
        return signed.decode()


def _no_key(account: str, why: str) -> PersonaDeskError:
    return faults.bad_key(FACTS, account, faults.Problem(code="key_file", message=why))


async def _nothing() -> Mapping[str, str]:
    return {}
