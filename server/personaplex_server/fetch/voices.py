"""The voices of the released model come as an archive; only plain voice files leave it, under their bare names.

The server unpacks an archive that was copied by hand too, but quietly; here a strange one is refused with its reason.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: Final = "voices"
ARCHIVE: Final = "voices.tgz"
SUFFIXES: Final = (".pt", ".wav")
MOST_BYTES: Final = 1 << 30
MOST_FILES: Final = 1000


def unpack(folder: Path, on_file: Callable[[str], None]) -> list[Path]:
    """Unpack the archive in a model folder into its `voices/`; files of other names there are left alone.

    Args:
        folder: The model folder.
        on_file: Told each name.

    Returns:
        The files, sorted by name.

    Raises:
        FetchError: The archive is broken, holds anything but files and folders below itself, or far too much.
        OSError: The disk refuses.
    """
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".voices-") as work,
            tarfile.open(folder / ARCHIVE) as archive,
        ):
            fresh = [_extract(archive, member, Path(work)) for member in _voices(archive)]
            home = folder / FOLDER
            home.mkdir(exist_ok=True)
            for each in fresh:
                on_file(each.name)
                each.replace(home / each.name)
            return sorted(home / each.name for each in fresh)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise faults.bad_archive(ARCHIVE, str(error)) from error


def _voices(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """Look at everything before anything is written."""
    found: dict[str, tarfile.TarInfo] = {}
    total = 0
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise faults.bad_archive(ARCHIVE, f"{member.name!r} points outside of the folder")
        if member.isdir():
            continue
        if not member.isreg():
            raise faults.bad_archive(ARCHIVE, f"{member.name!r} is neither a file nor a folder")
        if path.name.startswith(".") or path.suffix not in SUFFIXES:
            continue
        total += member.size
        if total > MOST_BYTES or len(found) >= MOST_FILES:
            raise faults.bad_archive(ARCHIVE, f"it holds more than {MOST_BYTES} bytes of voices")
        found[path.name] = member
    return list(found.values())


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, work: Path) -> Path:
    target = work / PurePosixPath(member.name).name
    source = archive.extractfile(member)
    if source is None:
        raise faults.bad_archive(ARCHIVE, f"{member.name!r} cannot be read")
    with source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return target
