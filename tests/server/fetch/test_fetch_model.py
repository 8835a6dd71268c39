"""What is fetched, kept, checked and fetched again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from peers.fetching import CODEC, LM, TEXT, Fetch
from peers.hugging_face import REPO, Hub


def test_the_model_is_fetched_whole_and_nothing_else(hub: Hub, fetch: Fetch) -> None:
    ended = fetch(hub)
    assert ended.code == 0, ended
    assert fetch.is_whole(hub)
    total = sum(len(hub.files[n]) for n in (LM, CODEC, TEXT, "voices.tgz", "config.json"))
    assert ended.last == {
        "event": "done", "folder": str(fetch.to), "repo": REPO, "commit": hub.commit,
        "size": total, "fetched": total, "voices": 2,
    }  # fmt: skip
    asked = [request.path for request in hub.requests if request.place == "hub"]
    assert not [path for path in asked if "dist.tgz" in path or "README" in path]
    assert all(path.startswith((f"/api/models/{REPO}", f"/{REPO}/resolve/")) for path in asked)


def test_progress_tells_bytes_speed_and_time_left(hub: Hub, fetch: Fetch) -> None:
    hub.weather.bytes_per_s = 250_000
    ended = fetch(hub)
    told = [e for e in ended.events if e.get("phase") == "fetching"]
    assert len(told) >= 4
    assert [e["done"] for e in told] == sorted(e["done"] for e in told)
    assert told[-1]["done"] == told[-1]["total"] == ended.last["size"]
    middle = next(e for e in told if e["rate"] and e["done"] < e["total"])
    assert 20_000 < middle["rate"] < 2_000_000
    expected = (middle["total"] - middle["done"]) / middle["rate"]
    assert middle["left_s"] == pytest.approx(expected, abs=0.1)
    assert {e["phase"] for e in ended.events[:-1]} == {
        "looking",
        "fetching",
        "checking",
        "unpacking",
    }


def test_the_token_reaches_the_hub_alone(hub: Hub, fetch: Fetch) -> None:
    process = fetch.start(hub, token="hf_granted")
    command = Path(f"/proc/{process.pid}/cmdline")
    if command.exists():
        assert b"hf_granted" not in command.read_bytes()
        assert b"hf_granted" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    ended = fetch.end(process)
    assert ended.code == 0
    assert {r.token for r in hub.requests if r.place == "hub"} == {"hf_granted"}
    assert {r.token for r in hub.requests if r.place == "cdn"} == {None}
    said = json.dumps(ended.events) + ended.errors
    kept = b"".join(p.read_bytes() for p in fetch.to.rglob(".*") if p.is_file())
    assert "hf_granted" not in said
    assert b"hf_granted" not in kept


def test_a_token_in_a_file_is_read_and_removed(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hf_granted\n")
    assert fetch(hub, "--token-file", str(secret), token=None).code == 0
    assert not secret.exists()
    ended = fetch(hub, "--token-file", str(secret), token=None)
    assert ended.code == 2
    assert "The token cannot be read" in ended.errors


def test_a_token_of_this_computer_is_not_taken_unasked(
    hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_granted")
    assert fetch(hub, token=None).last["cause"] == "no_token"
    assert {r.token for r in hub.requests} == {None}


def test_a_second_look_asks_nobody(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    hub.requests.clear()
    ended = fetch("http://127.0.0.1:9", token=None)
    assert ended.code == 0, ended
    assert ended.last["fetched"] == 0
    assert len(ended.events) == 1
    assert hub.requests == []


def test_a_corrupted_file_is_found_and_fetched_again(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    with (fetch.to / LM).open("r+b") as file:
        file.seek(1000)
        file.write(b"rust")
    hub.requests.clear()
    ended = fetch(hub)
    assert ended.code == 0
    assert ended.last["fetched"] == len(hub.files[LM])
    assert fetch.is_whole(hub)
    assert [r.path for r in hub.sent() if hub.digests[LM] not in r.path] == []


def test_rot_that_leaves_no_trace_is_found_when_asked(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    path = fetch.to / CODEC
    times = path.stat()
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fetch(hub).last["fetched"] == 0
    assert fetch(hub, "--verify").last["fetched"] == len(hub.files[CODEC])
    assert fetch.is_whole(hub)


def test_a_touched_file_is_read_again_without_asking_anyone(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    (fetch.to / LM).touch()
    ended = fetch("http://127.0.0.1:9")
    assert ended.code == 0
    assert [e["file"] for e in ended.events[:-1]] == [LM]


def test_files_that_lay_there_are_kept_when_they_are_right(hub: Hub, fetch: Fetch) -> None:
    fetch.to.mkdir()
    (fetch.to / LM).write_bytes(hub.files[LM])
    (fetch.to / CODEC).write_bytes(b"another" * 10)
    (fetch.to / "config.json").write_bytes(hub.files["config.json"])
    ended = fetch(hub)
    assert ended.code == 0
    assert not [r for r in hub.sent() if hub.digests[LM] in r.path]
    assert fetch.is_whole(hub)


def test_a_lost_voice_is_unpacked_again(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    (fetch.to / "voices" / "NATF0.pt").unlink()
    own = fetch.to / "voices" / "mine.wav"
    own.write_bytes(b"mine")
    assert fetch("http://127.0.0.1:9").code == 0
    assert own.read_bytes() == b"mine"
    own.unlink()
    assert fetch.is_whole(hub)


def test_a_newer_revision_fetches_what_changed(hub: Hub, fetch: Fetch) -> None:
    assert fetch(hub).code == 0
    newer = dict(hub.files) | {CODEC: b"new" * 30_000}
    hub.put(newer)
    assert fetch(hub).last["fetched"] == 0
    ended = fetch(hub, "--revision", hub.commit)
    assert ended.last["fetched"] == 90_000
    assert ended.last["commit"] == hub.commit
    assert fetch.is_whole(hub)
