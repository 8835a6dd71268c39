"""Has a host get the released model by itself, as a job that outlives the connection."""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.text import T
from personadesk.hosts import model_fetch
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.model_fetch import Fetched, FetchProgress
    from personadesk.hosts.base import Host
    from personadesk.hosts.remote.layout import Layout

ENDPOINT = "HF_ENDPOINT"


async def fetch(
    host: Host,
    layout: Layout,
    wanted: model_fetch.Wanted,
    *,
    token: str | None = None,
    endpoint: str | None = None,
    on_progress: Callable[[FetchProgress], None],
    on_line: Callable[[str], None],
) -> Fetched:
    """Get a model into a folder there, or find it there and right; joins a fetch that runs already.

    Args:
        host: The machine.
        layout: Where things lie there.
        wanted: What, where to, and by which Python.
        token: The user's Hugging Face token; it goes there into a file that is removed once it was read.
        endpoint: Address of the hub; None for `HF_ENDPOINT` here, else the host's own or the public one.
        on_progress: Told about four times a second how far it is.
        on_line: Told everything else.

    Raises:
        AuthFailed: No token, a bad one, or the licence is not accepted.
        NotFound: There is no such model.
        Unreachable: Hugging Face or the host cannot be reached.
        HostUnfit: The disk there is too small or refuses.
        PersonaDeskError: Anything else, in words.
    """
    secret = f"{layout.folder}/package/.token"
    words = model_fetch.command(wanted, token_file=secret if token else "")
    endpoint = endpoint or os.environ.get(ENDPOINT)
    if endpoint:
        words = ["env", f"{ENDPOINT}={endpoint}", *words]
    if token:
        await host.write(secret, token.encode(), mode=0o600)
    listener = model_fetch.Listener(on_progress, on_line)
    try:
        done = await jobs.run(
            host,
            layout.job(f"fetch-{wanted.repo.replace('/', '--')}"),
            f"exec {shlex.join(words)}\n",
            limit_s=model_fetch.LIMIT_SECONDS,
            on_line=listener.take,
        )
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
    return listener.result(done)


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
