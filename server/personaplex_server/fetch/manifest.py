"""What was fetched, beside it: sizes, times and hashes, so that a second look need not read 17 GB again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from personaplex_server.supervise import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME: Final = ".personaplex-model.json"
_FORMAT: Final = 1
_BLOCK: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One file as it was when its content was last found right.

    Attributes:
        size: Bytes.
        mtime_ns: When it was last changed.
        digest: Its content: `sha256:…` or `git:…`.
    """

    size: int
    mtime_ns: int
    digest: str


@dataclass(slots=True)
class Manifest:
    """The notes of one model folder.

    Attributes:
        repo: Where it came from.
        revision: What was asked for; empty for the newest.
        commit: What that was then.
        whole: Whether all is there.
        files: By their path in the folder, voices included.
    """

    repo: str = ""
    revision: str = ""
    commit: str = ""
    whole: bool = False
    files: dict[str, Seen] = field(default_factory=dict)

    def knows(self, folder: Path, name: str, digest: str | None = None) -> bool:
        """Whether a file lies there untouched since its content was found right.

        Args:
            folder: The model folder.
            name: The file.
            digest: What its content must be; None takes what was noted.
        """
        seen = self.files.get(name)
        if seen is None or (digest is not None and seen.digest != digest):
            return False
        try:
            facts = (folder / name).stat()
        except OSError:
            return False
        return (facts.st_size, facts.st_mtime_ns) == (seen.size, seen.mtime_ns)

    def note(self, folder: Path, name: str, digest: str) -> None:
        """Note that a file's content is right, and write it down."""
        facts = (folder / name).stat()
        self.files[name] = Seen(facts.st_size, facts.st_mtime_ns, digest)
        self.save(folder)

    def save(self, folder: Path) -> None:
        """Write the notes."""
        values: dict[str, Any] = {
            "format": _FORMAT,
            "repo": self.repo,
            "revision": self.revision,
            "commit": self.commit,
            "whole": self.whole,
            "files": {
                name: {"size": seen.size, "mtime_ns": seen.mtime_ns, "digest": seen.digest}
                for name, seen in sorted(self.files.items())
            },
        }
        write_whole(folder / NAME, json.dumps(values, indent=1))


def load(folder: Path) -> Manifest:
    """Return the notes of a folder; empty ones where there are none that can be read."""
    try:
        values = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            return Manifest()
        return Manifest(
            repo=str(values["repo"]),
            revision=str(values["revision"]),
            commit=str(values["commit"]),
            whole=values["whole"] is True,
            files={
                str(name): Seen(int(seen["size"]), int(seen["mtime_ns"]), str(seen["digest"]))
                for name, seen in values["files"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Notes only save time: without them everything is looked at anew.
        return Manifest()


def content_of(path: Path, kind: str, on_tick: Callable[[int], None] = lambda done: None) -> str:
    """Return what a file's content hashes to.

    Args:
        path: The file.
        kind: `sha256`, or `git` for the name git gives a blob.
        on_tick: Told the bytes read so far.
    """
    if kind == "git":
        content = path.read_bytes()
        name = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return f"git:{name.hexdigest()}"
    total, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            total += len(block)
            on_tick(total)
    return f"sha256:{digest.hexdigest()}"
