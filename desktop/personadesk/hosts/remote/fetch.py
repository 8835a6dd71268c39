"""Gets the released model onto a host from its hub, shown as bytes, speed and time left.

A gated repository is told from a bad token: the one wants a click, the other a new token.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    AuthFailed,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.text import T
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.hosts.base import Host
    from personadesk.hosts.commands import Completed
    from personadesk.hosts.remote.layout import Layout

REPOSITORY = "nvidia/personaplex-7b-v1"
FETCH_SECONDS = 6 * 3600.0
HELPER = Path(__file__).with_name("fetch_there.py")
_PAGES = "https://huggingface.co"
_NEW_TOKEN = f"{_PAGES}/settings/tokens"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is.

    Attributes:
        done: Bytes that are there.
        total: Bytes in all.
        per_second: Speed over the last seconds, in bytes.
    """

    done: int
    total: int
    per_second: int

    @property
    def seconds_left(self) -> float | None:
        """Time left at this speed, None when it stands still."""
        return (self.total - self.done) / self.per_second if self.per_second else None


async def fetch(
    host: Host,
    layout: Layout,
    python: str,
    folder: str,
    files: Sequence[str],
    also: Sequence[str] = (),
    *,
    token: str | None = None,
    repository: str = REPOSITORY,
    endpoint: str | None = None,
    on_progress: Callable[[Progress], None],
    on_line: Callable[[str], None],
) -> None:
    """Fetch files of a repository into a folder there; joins a fetch that runs already.

    Args:
        host: The machine.
        layout: Where things lie there.
        python: A Python there.
        folder: Where the files go.
        files: What must be there.
        also: What is taken when the repository has it.
        token: The hub's token; it goes there by standard input into a file that is removed when it was read.
        repository: Which one.
        endpoint: Address of the hub; None for `HF_ENDPOINT` here, else the host's own or the public one.
        on_progress: Told how far it is.
        on_line: Told everything else.

    Raises:
        AuthFailed: A token is needed (`token_needed`), is wrong (`bad_token`), or its owner has not accepted the
            licence (`gated`).
        Unreachable: The hub does not answer from there.
        PersonaDeskError: The disk is full, or what came is damaged.
    """
    name = f"fetch-{repository.replace('/', '--')}"
    helper = f"{layout.folder}/package/{HELPER.name}"
    await host.put(HELPER, helper)
    words = [python, "-u", helper, folder, repository, *files]
    if also:
        words += ["--also", *also]
    endpoint = endpoint or os.environ.get("HF_ENDPOINT")
    if endpoint:
        words += ["--endpoint", endpoint]
    secret = f"{layout.folder}/package/.token"
    if token:
        await host.write(secret, token.encode(), mode=0o600)
        words += ["--token-file", secret]

    def take(line: str) -> None:
        parts = line.split()
        if parts[:1] == ["BYTES"] and len(parts) == 4:
            on_progress(Progress(int(parts[1]), int(parts[2]), int(parts[3])))
        else:
            on_line(line)

    try:
        done = await jobs.run(
            host, layout.job(name), f"exec {shlex.join(words)}\n",
            limit_s=FETCH_SECONDS, on_line=take,
        )  # fmt: skip
    except CommandTimeout as error:
        raise Unreachable(
            T("Fetching the model to {name} took too long.", name=host.name),
            T("Check its network, then try again: it goes on where it stopped."),
            cause="fetch_timeout",
            details=str(error),
        ) from error
    finally:
        if token:
            # A fetch that ran already has not read it.
            await _remove(host, secret)
    if done.code != 0:
        raise _failed(host.name, repository, done)


async def _remove(host: Host, secret: str) -> None:
    work = asyncio.ensure_future(host.run(["rm", "-f", secret], limit_s=30.0))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            continue
        except (PersonaDeskError, CommandTimeout):
            # The fetch itself removes it as soon as it has read it.
            return


def find_token() -> str | None:
    """Return a token that this computer has for the hub already, or None."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if value := os.environ.get(name):
            return value.strip()
    home = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    try:
        return Path(home, "token").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _failed(name: str, repository: str, done: Completed) -> PersonaDeskError:
    page = f"{_PAGES}/{repository}"
    details = "\n".join(done.lines[-20:])
    if done.code == 31:
        return AuthFailed(
            T("The model's hub wants to know who fetches it."),
            T("Make a token with the right to read at {page}, and give it to PersonaDesk.", page=_NEW_TOKEN),
            cause="token_needed",
            details=details,
        )  # fmt: skip
    if done.code == 32:
        return AuthFailed(
            T("The model's hub does not know this token; it is wrong or has expired."),
            T("Make a new one at {page}.", page=_NEW_TOKEN),
            cause="bad_token",
            details=details,
        )
    if done.code == 33:
        return AuthFailed(
            T("The token is right, but its owner has not yet accepted the model's licence."),
            T("Open {page}, accept the licence there, then try again.", page=page),
            cause="gated",
            details=details,
        )
    if done.code == 34:
        return NotFound(
            T("The hub has no such model: {repository}.", repository=repository),
            T("Look at {page}.", page=page),
            cause="no_repository",
            details=details,
        )
    if done.code == 35:
        return Unreachable(
            T("The model's hub does not answer from {name}.", name=name),
            T("Check that machine's network, then try again: it goes on where it stopped."),
            cause="hub",
            details=details,
        )
    if done.code == 37:
        return HostUnfit(
            T("The disk of {name} is full.", name=name),
            T("Free some space there, then try again: it goes on where it stopped."),
            cause="disk_full",
            details=details,
        )
    return ProviderFault(
        T("The model could not be fetched to {name}.", name=name),
        T("Try again; the details say what went wrong."),
        cause="damaged" if done.code == 36 else "fetch_failed",
        details=details,
    )
