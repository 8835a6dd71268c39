"""Brings a model folder up to what the repository holds: keeps what is right, fetches the rest, and proves both."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE

from . import faults, manifest, voices
from .pieces import Download, Manner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .hub import Hub, RemoteFile
    from .report import Reporter

REQUIRED: Final = (LM_FILE, CODEC_FILE, TEXT_FILE)
WANTED: Final = (*REQUIRED, voices.ARCHIVE, "config.json")
"""All that a server reads; the repository's built web page is left where it is."""
LOCK: Final = ".fetch.lock"
SPARE_BYTES: Final = 50_000_000
_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be had.

    Attributes:
        repo: Owner and name.
        revision: Branch, tag or commit; empty for the newest.
        folder: Where it shall lie.
        thorough: Read every byte that lies there again, whatever the notes say.
    """

    repo: str
    revision: str
    folder: Path
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there now.

    Attributes:
        commit: The commit all of it is from.
        size: Bytes of the model's files.
        fetched: Bytes that came over the network this time.
        voices: How many voices were unpacked from the archive.
    """

    commit: str
    size: int
    fetched: int
    voices: int


def bring(asked: Asked, connect: Callable[[], Hub], manner: Manner, report: Reporter) -> Outcome:
    """Make the folder hold the model.

    Args:
        asked: What and where.
        connect: Returns the hub; not called where nothing is missing.
        manner: How to fetch.
        report: Where to tell how it goes.

    Raises:
        FetchError: It cannot be done; what came is kept, and the next call goes on from there.
    """
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
        while True:
            with _alone(asked.folder / LOCK) as alone:
                if alone:
                    return _Bringing(asked, connect, manner, report).run()
            # Another fetch into the same folder is at work; when it ends there is little left to do.
            report.progress("waiting")
            time.sleep(_WAIT_SECONDS)
    except OSError as error:
        raise faults.files(error) from error


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold the lock on `path` while the block runs; yields False while another process has it."""
    with path.open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network volumes know no locks; to wait there for the other one would be to wait for ever.
            yield error.errno not in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
            return
        yield True


class _Bringing:
    def __init__(
        self, asked: Asked, connect: Callable[[], Hub], manner: Manner, report: Reporter
    ) -> None:
        self._asked = asked
        self._folder = asked.folder
        self._connect = connect
        self._manner = manner
        self._report = report
        self._notes = manifest.load(asked.folder)
        self._fetched = 0

    def run(self) -> Outcome:
        asked, notes = self._asked, self._notes
        same = notes.repo == asked.repo and notes.revision == asked.revision
        known = [name for name in notes.files if name in WANTED]
        if same and notes.whole and all(self._untouched(name) for name in known):
            self._unpack()
            return self._outcome()
        self._report.progress("looking")
        hub = self._connect()
        commit, there = hub.look()
        for name in REQUIRED:
            if name not in there:
                raise faults.no_file(asked.repo, name)
        # Small ones first: a refusal or a strange archive shows before hours are spent.
        wanted = sorted((there[n] for n in WANTED if n in there), key=lambda file: file.size)
        notes.repo, notes.revision, notes.commit = asked.repo, asked.revision, commit
        notes.whole = False
        notes.save(self._folder)
        missing = [file for file in wanted if not self._right(file)]
        self._fetch(hub, commit, wanted, missing)
        self._unpack()
        notes.whole = True
        notes.save(self._folder)
        return self._outcome()

    def _outcome(self) -> Outcome:
        files = self._notes.files
        size = sum(seen.size for name, seen in files.items() if name in WANTED)
        return Outcome(self._notes.commit, size, self._fetched, len(self._unpacked()))

    def _untouched(self, name: str) -> bool:
        """Whether a noted file is right: by its notes, else by its content."""
        if not self._asked.thorough and self._notes.knows(self._folder, name):
            return True
        digest = self._notes.files[name].digest
        if not (self._folder / name).is_file() or self._content(name, digest) != digest:
            return False
        self._notes.note(self._folder, name, digest)
        return True

    def _right(self, file: RemoteFile) -> bool:
        """Whether a file of the repository lies here as it should; a wrong one is removed."""
        path = self._folder / file.name
        if not self._asked.thorough and self._notes.knows(self._folder, file.name, file.digest):
            return True
        if not path.exists():
            return False
        size = path.stat().st_size
        if size == file.size and self._content(file.name, file.digest) == file.digest:
            self._note(file)
            return True
        self._notes.files.pop(file.name, None)
        path.unlink()
        return False

    def _content(self, name: str, digest: str) -> str:
        path = self._folder / name
        size = path.stat().st_size
        return manifest.content_of(
            path,
            digest.partition(":")[0],
            lambda done: self._report.progress("checking", name, done, size),
        )

    def _fetch(
        self, hub: Hub, commit: str, wanted: list[RemoteFile], missing: list[RemoteFile]
    ) -> None:
        def begin(file: RemoteFile) -> Download:
            address = hub.address(file.name, commit)
            return Download(hub, address, file, self._folder / file.name, self._manner)

        lacking = sum(file.size for file in missing)
        self._check_room(lacking - sum(begin(file).done for file in missing))
        total = sum(file.size for file in wanted)
        done = total - lacking
        for file in missing:
            self._fetch_one(file, begin, done, total)
            done += file.size

    def _fetch_one(
        self, file: RemoteFile, begin: Callable[[RemoteFile], Download], before: int, total: int
    ) -> None:
        def tick(done: int) -> None:
            self._report.progress("fetching", file.name, before + done, total)

        def read(done: int) -> None:
            self._report.progress("checking", file.name, done, file.size)

        found = ""
        for _ in range(2):
            download = begin(file)
            began = download.done
            try:
                download.run(tick)
            finally:
                self._fetched += download.done - began
            found = manifest.content_of(download.part, file.digest.partition(":")[0], read)
            if found == file.digest:
                download.finish(self._folder / file.name)
                self._note(file)
                return
            download.discard()
        raise faults.hash_mismatch(file.name, file.digest, found)

    def _check_room(self, needed: int) -> None:
        if not needed:
            return
        free = shutil.disk_usage(self._folder).free
        if free < needed + SPARE_BYTES:
            raise faults.disk_full(str(self._folder), needed + SPARE_BYTES, free)

    def _note(self, file: RemoteFile) -> None:
        notes = self._notes.files
        before = notes.get(file.name)
        if file.name == voices.ARCHIVE and (before is None or before.digest != file.digest):
            # Another archive: what came out of the one before says nothing.
            for name in self._unpacked():
                del notes[name]
        self._notes.note(self._folder, file.name, file.digest)

    def _unpacked(self) -> list[str]:
        return [name for name in self._notes.files if name.startswith(f"{voices.FOLDER}/")]

    def _unpack(self) -> None:
        notes = self._notes
        known = self._unpacked()
        if voices.ARCHIVE not in notes.files or (known and all(map(self._untouched, known))):
            return
        tell = self._report.progress
        for path in voices.unpack(self._folder, lambda name: tell("unpacking", name)):
            name = f"{voices.FOLDER}/{path.name}"
            notes.note(self._folder, name, manifest.content_of(path, "sha256"))
