"""The voices that a server has, and a further one brought to it as a wav file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    HostUnfit,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.text import T
from personadesk.voice import address as addresses

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from personadesk.voice.address import Address

VOICES_PATH: Final = "/api/voices"
LARGEST: Final = 16 * 1024**2
"""Bytes of a wav that the server takes, see docs/server.md."""
_SECONDS: Final = 5.0
_UPLOAD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        name: What goes into a call.
        label: What people read.
    """

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Voices:
    """What a server has.

    Attributes:
        voices: In the server's order; empty while it loads, and where the server tells none.
        default: Name of the one it takes by itself, "" when not told.
    """

    voices: tuple[Voice, ...] = ()
    default: str = ""


async def of_server(url: str, token: str | None = None) -> Voices:
    """Ask a server for its voices; servers that tell none have an empty list.

    Args:
        url: Its address as for a call.
        token: Its access token.

    Raises:
        BadRequest: That is no address.
        AuthFailed: The token was not accepted.
        Unreachable: Nobody answers.
    """
    at = addresses.parse(url)
    async with _client(at, token, _SECONDS) as http:
        answer = await _ask(http, "GET", at)
    if answer.status_code == 401:
        raise _no_token(at)
    try:
        told = answer.json() if answer.is_success else {}
    except ValueError:
        told = {}
    rows: Any = told.get("voices") if isinstance(told, dict) else None
    found = tuple(
        Voice(str(row["name"]), str(row.get("label") or row["name"]))
        for row in rows or ()
        if isinstance(row, dict) and row.get("name")
    )
    return Voices(found, str(told.get("default") or "") if isinstance(told, dict) else "")


async def add(url: str, name: str, wav: Path, token: str | None = None) -> Voice:
    """Bring a voice to a server.

    Args:
        url: Its address as for a call.
        name: 1 to 64 letters, digits, spaces, `-` and `_`; none that it has already.
        wav: 1 to 30 s of somebody speaking, 16 MiB at most.
        token: Its access token, or the one that opens nothing but this.

    Raises:
        BadRequest: The file or the name cannot be used; the sentence says why.
        AuthFailed: The token was not accepted.
        HostUnfit: This server takes no voices.
        Unreachable: Nobody answers.
        ProviderFault: The server has a fault of its own.
    """
    import asyncio

    at = addresses.parse(url)
    body = await asyncio.to_thread(_read, wav)
    async with _client(at, token, _UPLOAD_SECONDS) as http:
        answer = await _ask(http, "POST", at, params={"name": name}, content=body)
    if answer.status_code != 201:
        raise _refused(answer, name, at)
    told = answer.json()
    return Voice(str(told["name"]), str(told.get("label") or told["name"]))


def _client(at: Address, token: str | None, seconds: float) -> httpx.AsyncClient:
    import httpx

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # A proxy of the network has no business between this computer and itself.
    return httpx.AsyncClient(timeout=seconds, trust_env=not at.loopback, headers=headers)


async def _ask(http: httpx.AsyncClient, verb: str, at: Address, **more: Any) -> httpx.Response:
    import httpx

    try:
        return await http.request(verb, at.http(VOICES_PATH), **more)
    except httpx.HTTPError as error:
        raise Unreachable(
            T("{place} doesn't tell its voices.", place=at.place),
            T("See whether the line is up; the voice chosen last can be used without the list."),
            cause="voices",
            details=f"{type(error).__name__}: {error}",
        ) from error


def _read(wav: Path) -> bytes:
    from personadesk.voice.wav import WavError, read_header

    again = T("Choose a wav file with 1 to 30 seconds of one person speaking; about 10 are best.")
    try:
        with wav.open("rb") as file:
            seconds = read_header(file).seconds
            size = file.seek(0, 2)
            file.seek(0)
            if size > LARGEST:
                raise BadRequest(
                    T("{name} is larger than 16 MiB.", name=wav.name), again, cause="too_large"
                )
            if not 1.0 <= seconds <= 30.0:
                raise BadRequest(
                    T("{name} lasts {seconds} s.", name=wav.name, seconds=round(seconds, 1)),
                    again,
                    cause="length",
                )
            return file.read()
    except WavError as error:
        raise BadRequest(
            T("{name} is not a WAV file that can be read.", name=wav.name), again,
            cause="not_wav", details=str(error),
        ) from error  # fmt: skip
    except OSError as error:
        raise BadRequest(
            T("{path} cannot be read.", path=str(wav)), again,
            cause="unreadable", details=str(error),
        ) from error  # fmt: skip


def _no_token(at: Address) -> AuthFailed:
    return AuthFailed(
        T("{place} did not accept the token.", place=at.place),
        T("Use the token that the server was started with."),
        cause="token",
    )


def _refused(answer: httpx.Response, name: str, at: Address) -> PersonaDeskError:
    try:
        told = answer.json()
    except ValueError:
        told = None
    words = str(told.get("error") or "") if isinstance(told, dict) else ""
    details = words or f"HTTP {answer.status_code}"
    match answer.status_code:
        case 401:
            return _no_token(at)
        case 403 | 404 | 405:
            return HostUnfit(
                T("This server takes no voices of your own."),
                T(
                    "Deploy its line again. A server that you start yourself needs a token and a folder "
                    "for voices (--token-file, --voices)."
                ),
                cause="no_voices",
                details=details,
            )
        case 409:
            return BadRequest(
                T("The server has a voice named {name} already.", name=name),
                T("Choose another name; no voice is ever replaced."),
                cause="name_taken",
                details=details,
            )
        case 413 | 422:
            return BadRequest(
                T("The server cannot use this voice: {reason}", reason=details),
                T(
                    "Choose a wav file with 1 to 30 seconds of one person speaking, and a plain name."
                ),
                cause="voice",
                details=details,
            )
        case 503:
            return HostUnfit(
                T("The server is still loading."), T("Try again in a moment."),
                cause="loading", details=details,
            )  # fmt: skip
        case 507:
            return HostUnfit(
                T("The server has no room for more voices."), T("Remove some from its folder."),
                cause="full", details=details,
            )  # fmt: skip
        case _:
            return ProviderFault(
                T("The server could not take the voice."),
                T("Its log says why."),
                cause="voices",
                details=details,
            )
