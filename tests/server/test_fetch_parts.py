"""The parts of a fetch: archives of voices, notes of what was done, hashes and full disks."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import sys
import tarfile
from pathlib import Path

import pytest

from personaplex_server.fetch import faults, folder, manifest, voices

LM = "model.safetensors"


def archive(files: dict[str, bytes], **members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
        for member in members.values():
            tar.addfile(member)
    return out.getvalue()


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
