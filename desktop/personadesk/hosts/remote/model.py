"""The model on a host: the rehearsal model made there, a folder that is there, or a copy from this computer."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest, ProviderFault, Unreachable
from personadesk.domain.text import T
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from personadesk.hosts.base import Host
    from personadesk.hosts.remote.layout import Layout

MAKE_SECONDS = 600.0
LOOK_SECONDS = 30.0

_LOOK = """
[ -d "$1" ] || exit 4
cd "$1" || exit 5
shift
for each; do [ -f "$each" ] && [ -r "$each" ] && echo "$(wc -c < "$each") $each"; done
exit 0
"""


async def look(host: Host, folder: str, files: Sequence[str]) -> dict[str, int] | None:
    """Return the sizes of a model folder's files by name, or None when there is no such folder."""
    done = await host.script(_LOOK, folder, *files, limit_s=LOOK_SECONDS)
    if done.code == 4:
        return None
    found = {}
    for line in done.lines:
        size, _, name = line.partition(" ")
        if size.isdigit():
            found[name] = int(size)
    return found


async def check(host: Host, folder: str, files: Sequence[str]) -> int:
    """Look whether a model folder there is complete; returns its bytes.

    Raises:
        BadRequest: It is missing, or files of it are.
    """
    found = await look(host, folder, files)
    if found is None:
        raise BadRequest(
            T("The model folder {folder} does not exist on {name}.", folder=folder, name=host.name),
            T("Name a folder that is there or on this computer."),
            cause="model_missing",
        )
    for name in files:
        if not found.get(name):
            raise BadRequest(
                T("{file} is missing from the model folder {folder} on {name}.",
                  file=name, folder=folder, name=host.name),
                T("Name a folder laid out as the model repository, or get the model again."),
                cause="model_incomplete",
            )  # fmt: skip
    return sum(found.values())


async def make_rehearsal(
    host: Host, layout: Layout, key: str, on_line: Callable[[str], None]
) -> str:
    """Make the rehearsal model of a version there, or find it made; returns its folder.

    Raises:
        ProviderFault: It could not be made.
    """
    folder = f"{layout.models}/rehearsal-{key}"
    making = f"{layout.models}/.making-rehearsal-{key}"
    python = f"{layout.version(key)}/bin/python"
    words = [
        python, "-m", "personaplex_server", "make-checkpoint", "--preset", "rehearsal",
        f"{making}/model",
    ]  # fmt: skip
    script = (
        f"[ ! -d {shlex.quote(folder)} ] || exit 0\n"
        f"rm -rf {shlex.quote(making)} && mkdir -p {shlex.quote(making)} || exit 1\n"
        f"{shlex.join(words)} && mv {shlex.quote(making)}/model {shlex.quote(folder)} || exit 1\n"
        f"rm -rf {shlex.quote(making)}\n"
    )
    try:
        done = await jobs.run(
            host, layout.job(f"rehearsal-{key}"), script, limit_s=MAKE_SECONDS, on_line=on_line
        )
    except CommandTimeout as error:
        raise Unreachable(
            T("Making the rehearsal model on {name} took too long.", name=host.name),
            T("Look how busy that machine is, then try again."),
            cause="model_timeout",
            details=str(error),
        ) from error
    if done.code != 0:
        raise ProviderFault(
            T("The rehearsal model could not be made on {name}.", name=host.name),
            T("Try again; the details say what went wrong."),
            cause="no_model",
            details=done.text,
        )
    return folder


async def copy(
    host: Host,
    source: Path,
    folder: str,
    files: Sequence[str],
    on_bytes: Callable[[int, int], None],
) -> int:
    """Copy a model folder from this computer; goes on where an earlier attempt stopped. Returns its bytes."""
    sizes = await asyncio.to_thread(
        lambda: {name: (source / name).stat().st_size for name in files}
    )
    total = sum(sizes.values())
    before = 0
    for name in files:
        done = before

        def tell(count: int, size: int, done: int = done) -> None:
            on_bytes(done + count, total)

        await host.put(source / name, f"{folder}/{name}", on_bytes=tell)
        before += sizes[name]
    return total


def extra_files(source: Path) -> tuple[str, ...]:
    """Return what a model folder may hold beside its weights: its sizes and its voices, by name below it."""
    found = [path for path in (source / "config.json", source / "voices.tgz") if path.is_file()]
    found += sorted(path for path in (source / "voices").glob("*") if path.is_file())
    return tuple(str(path.relative_to(source)) for path in found)
