"""Archives, notes, locks and full disks, in this process."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from peers.fetching import LM, archive
from peers.hugging_face import REPO, Hub
from personaplex_server.fetch import faults, folder, manifest, pieces, voices
from personaplex_server.fetch.folder import Asked
from personaplex_server.fetch.hub import Hub as Repository
from personaplex_server.fetch.pieces import Manner
from personaplex_server.fetch.report import Reporter


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    "content",
    [
        archive({"../outside.pt": b"x"}),
        archive({"/tmp/outside.pt": b"x"}),
        archive({"voices/good.pt": b"x"}, a=link("voices/bad.pt", "/etc/passwd")),
        b"no archive at all",
        archive({"voices/good.pt": random.Random(1).randbytes(50_000)})[:30_000],
    ],
    ids=["parent", "absolute", "link", "noise", "cut"],
)
def test_a_strange_archive_is_refused_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "voices.tgz").write_bytes(content)
    with pytest.raises(faults.FetchError) as caught:
        voices.unpack(tmp_path, lambda name: None)
    assert caught.value.cause == "bad_archive"
    assert [p.name for p in tmp_path.iterdir()] == ["voices.tgz"]


def test_only_voices_leave_the_archive(tmp_path: Path) -> None:
    content = archive(
        {"./voices/A.pt": b"a", "voices/._A.pt": b"x", "voices/run.sh": b"x", "B.wav": b"b"}
    )
    (tmp_path / "voices.tgz").write_bytes(content)
    assert [p.name for p in voices.unpack(tmp_path, lambda name: None)] == ["A.pt", "B.wav"]


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "MOST_BYTES", 1000)
    (tmp_path / "voices.tgz").write_bytes(archive({"voices/A.pt": bytes(2000)}))
    with pytest.raises(faults.FetchError, match="cannot be unpacked"):
        voices.unpack(tmp_path, lambda name: None)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_on_the_way_is_told(number: int) -> None:
    fault = faults.files(OSError(number, os.strerror(number)))
    assert (fault.exit, fault.cause) == (15, "disk_full")


def test_small_files_are_hashed_as_git_does(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    assert (
        manifest.content_of(tmp_path / "a", "git") == "git:ce013625030ba8dba906f756967f9e9ca394464a"
    )
    expected = hashlib.sha256(b"hello\n").hexdigest()
    assert manifest.content_of(tmp_path / "a", "sha256") == f"sha256:{expected}"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "repo": "a", "files": 3}']
)
def test_torn_notes_only_cost_time(tmp_path: Path, text: str) -> None:
    (tmp_path / manifest.NAME).write_text(text)
    assert manifest.load(tmp_path) == manifest.Manifest()


@pytest.mark.skipif(sys.platform == "win32", reason="another way of locking")
def test_a_volume_that_knows_no_locks_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    with folder._alone(tmp_path / "lock") as first, folder._alone(tmp_path / "lock") as second:
        assert (first, second) == (True, False)

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with folder._alone(tmp_path / "lock") as alone:
        assert alone


def test_a_full_disk_while_fetching_keeps_what_came(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pieces._write

    def full(out: Any, at: int, view: memoryview) -> None:
        if at > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(out, at, view)

    def connect() -> Any:
        return Repository(REPO, None, "hf_granted", hub.url)

    def bring(report: Callable[..., None] = lambda *_: None) -> folder.Outcome:
        asked = Asked(REPO, "", tmp_path / "model")
        return folder.bring(
            asked, connect, Manner(stall_s=2.0), Reporter(as_json=True, secret=None)
        )

    monkeypatch.setattr(pieces, "_write", full)
    with pytest.raises(faults.FetchError) as caught:
        bring()
    assert caught.value.cause == "disk_full"
    monkeypatch.setattr(pieces, "_write", write)
    assert bring().fetched < len(hub.files[LM])
    huggingface_hub.close_session()
