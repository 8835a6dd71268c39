"""`personaplex-server fetch-model` against a hub on loopback, as a process of its own, cut and killed at will."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from peers.hugging_face import REPO, Hub, running
from personaplex_server.fetch import faults, folder, pieces
from personaplex_server.fetch.folder import Asked
from personaplex_server.fetch.hub import Hub as Repository
from personaplex_server.fetch.pieces import Manner
from personaplex_server.fetch.report import Reporter

LM = "model.safetensors"
CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"
TEXT = "tokenizer_spm_32k_3.model"
GRANTED = "hf_granted"
SECONDS = 60


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


def model(size: int = 400_000, seed: int = 7) -> dict[str, bytes]:
    """A repository laid out as the released one; its content is noise."""
    noise = random.Random(seed)
    spoken = {f"voices/{name}.pt": noise.randbytes(9_000) for name in ("NATF0", "NATM1")}
    return {
        "README.md": b"read me",
        "config.json": b'{"model_type": "personaplex"}',
        "dist.tgz": b"a web page" * 2000,
        LM: noise.randbytes(size),
        CODEC: noise.randbytes(60_000),
        TEXT: noise.randbytes(20_000),
        "voices.tgz": archive(spoken),
    }


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(model()) as one:
        yield one


@dataclass
class Ended:
    """How a fetch ended."""

    code: int
    events: list[dict[str, Any]] = field(default_factory=list)
    errors: str = ""

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


class Fetch:
    """Fetches into one folder."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.words: list[str] = []

    def start(self, hub: Hub | str, *words: str, token: str | None = GRANTED) -> Any:
        url = hub if isinstance(hub, str) else hub.url
        argv = [
            sys.executable, "-m", "personaplex_server", "fetch-model", "--to", str(self.to),
            "--json", "--stall", "0.5", "--patience", "10", *words,
        ]  # fmt: skip
        if token is not None:
            argv.append("--token-stdin")
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment | {"HF_ENDPOINT": url, "HF_HOME": str(self.to.parent / "hf")},
        )  # fmt: skip
        assert process.stdin is not None
        if token is not None:
            process.stdin.write(f"{token}\n".encode())
            process.stdin.flush()
        return process

    def end(self, process: Any) -> Ended:
        out, err = process.communicate(timeout=SECONDS)
        events = [json.loads(line) for line in out.decode().splitlines()]
        return Ended(process.returncode, events, err.decode())

    def __call__(self, hub: Hub | str, *words: str, token: str | None = GRANTED) -> Ended:
        return self.end(self.start(hub, *words, token=token))

    def part(self) -> int:
        """Bytes of the largest file that are noted as being there."""
        try:
            notes = json.loads((self.to / f".{LM}.part.json").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return sum(notes["done"])

    def is_whole(self, hub: Hub) -> bool:
        wanted = {LM, CODEC, TEXT, "voices.tgz", "config.json"}
        there = {p.name for p in self.to.iterdir() if p.is_file() and not p.name.startswith(".")}
        assert there == wanted
        assert not list(self.to.glob(".*.part*"))
        assert not list(self.to.glob(".voices-*"))
        assert sorted(p.name for p in (self.to / "voices").iterdir()) == ["NATF0.pt", "NATM1.pt"]
        return all((self.to / name).read_bytes() == hub.files[name] for name in wanted)


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path / "model")


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


# -- bad networks ---------------------------------------------------------------------------------------------


def test_cut_connections_are_taken_up_where_they_ended(hub: Hub, fetch: Fetch) -> None:
    hub.weather.cut_after = 50_000
    hub.weather.cuts = 6
    ended = fetch(hub)
    assert ended.code == 0, ended
    assert fetch.is_whole(hub)
    begins = [int(r.range.removeprefix("bytes=").split("-")[0]) for r in hub.sent()]
    # Each cut lost what was in the socket, not the file: nobody began at 0 again.
    assert sum(begin > 0 for begin in begins) >= 5
    assert ended.last["fetched"] == ended.last["size"]


def test_a_silent_connection_is_made_anew(hub: Hub, fetch: Fetch) -> None:
    hub.weather.stall_after = 20_000
    hub.weather.stalls = 2
    began = time.monotonic()
    ended = fetch(hub)
    assert ended.code == 0, ended
    assert fetch.is_whole(hub)
    assert 0.9 < time.monotonic() - began < 30


def test_addresses_that_expired_are_asked_for_again(hub: Hub, fetch: Fetch) -> None:
    hub.weather.expire = 2
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_busy_hub_is_asked_again(hub: Hub, fetch: Fetch) -> None:
    hub.weather.busy = 2
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_hub_that_knows_no_ranges_still_serves(hub: Hub, fetch: Fetch) -> None:
    hub.weather.ranges = False
    hub.weather.cut_after = 150_000
    hub.weather.cuts = 1
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_fetch_goes_on_after_it_was_killed_again_and_again(fetch: Fetch) -> None:
    with running(model(6_000_000)) as hub:
        hub.weather.bytes_per_s = 900_000
        kept = []
        for _ in range(3):
            process = fetch.start(hub)
            before = fetch.part()
            until = time.monotonic() + SECONDS
            while fetch.part() <= before:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert not (fetch.to / LM).exists()
            kept.append(fetch.part())
        assert kept == sorted(set(kept))
        assert kept[0] > 0
        hub.weather.bytes_per_s = None
        ended = fetch(hub)
        assert ended.code == 0, ended
        assert ended.last["fetched"] == 6_000_000 - kept[-1]
        assert fetch.is_whole(hub)


def test_told_to_end_it_keeps_every_byte(fetch: Fetch) -> None:
    with running(model(3_000_000)) as hub:
        hub.weather.bytes_per_s = 500_000
        process = fetch.start(hub)
        for line in process.stdout:
            event = json.loads(line)
            if event["file"] == LM and event["done"] > 500_000:
                break
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        process.stdin = None
        assert fetch.end(process).code == 143
        assert fetch.part() >= event["done"] - 200_000
        hub.weather.bytes_per_s = None
        ended = fetch(hub)
        assert ended.code == 0
        assert ended.last["fetched"] < 3_000_000 - 200_000


def test_two_fetches_into_one_folder_share_the_work(hub: Hub, fetch: Fetch) -> None:
    hub.weather.bytes_per_s = 300_000
    first, second = fetch.start(hub), fetch.start(hub)
    results = [fetch.end(first), fetch.end(second)]
    assert [ended.code for ended in results] == [0, 0]
    assert sorted(ended.last["fetched"] > 0 for ended in results) == [False, True]
    waited = next(ended for ended in results if ended.last["fetched"] == 0)
    assert waited.events[0]["phase"] == "waiting"
    assert fetch.is_whole(hub)


def test_notes_of_other_content_are_not_believed(hub: Hub, fetch: Fetch) -> None:
    fetch.to.mkdir()
    size = len(hub.files[LM])
    (fetch.to / f".{LM}.part").write_bytes(b"\0" * size)
    notes = {"digest": "sha256:of something else", "piece": 64 << 20, "done": [size]}
    (fetch.to / f".{LM}.part.json").write_text(json.dumps(notes))
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_content_that_came_wrong_is_fetched_once_more(hub: Hub, fetch: Fetch) -> None:
    hub.weather.wrong[LM] = 1
    ended = fetch(hub)
    assert ended.code == 0
    assert ended.last["fetched"] == ended.last["size"] + len(hub.files[LM])
    assert fetch.is_whole(hub)


# -- what is told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code", "cause", "words"),
    [
        (None, 12, "no_token", "a Hugging Face token is needed"),
        ("", 12, "no_token", "a Hugging Face token is needed"),
        ("hf_stranger", 10, "gated", "has not accepted the licence"),
        ("hf_waiting", 10, "gated_pending", "waits for its owners"),
        ("hf_narrow", 11, "weak_token", "not given the right"),
        ("hf_mistyped", 11, "bad_token", "does not accept this token"),
        ("hf with spaces", 11, "bad_token", "does not accept this token"),
        ("hf_ünicode", 11, "bad_token", "does not accept this token"),
    ],
)
def test_each_refusal_is_told_apart(
    hub: Hub, fetch: Fetch, token: str | None, code: int, cause: str, words: str
) -> None:
    ended = fetch(hub, token=token)
    assert (ended.code, ended.last["cause"]) == (code, cause)
    assert ended.last["exit"] == code
    assert words in ended.last["message"]
    assert ended.last["link"].startswith("https://huggingface.co/")
    assert ended.last["link"] in ended.last["next"]
    assert not token or token not in json.dumps(ended.events)
    assert not (fetch.to / TEXT).exists()


@pytest.mark.parametrize(
    ("words", "token", "cause"),
    [
        (["--repo", "nobody/nothing"], "hf_granted", "no_repo"),
        (["--repo", "nobody/nothing"], None, "no_repo"),
        (["--repo", "nobody/nothing"], "hf_mistyped", "bad_token"),
        (["--repo", "a/b/c"], None, "no_repo"),
        (["--revision", "v9"], "hf_granted", "no_revision"),
    ],
)
def test_what_is_not_there_is_told(
    hub: Hub, fetch: Fetch, words: list[str], token: str | None, cause: str
) -> None:
    ended = fetch(hub, *words, token=token)
    assert ended.last["cause"] == cause
    assert ended.code == (11 if cause == "bad_token" else 13)


def test_a_repository_of_another_kind_is_told(fetch: Fetch) -> None:
    with running({"config.json": b"{}", LM: b"x" * 20_000}, gated=False) as hub:
        ended = fetch(hub, token=None)
    assert (ended.code, ended.last["cause"]) == (13, "no_file")
    assert CODEC in ended.last["message"]


def test_no_way_to_the_hub_is_told(fetch: Fetch) -> None:
    ended = fetch("http://127.0.0.1:9")
    assert (ended.code, ended.last["cause"]) == (14, "offline")
    assert "127.0.0.1:9" in ended.last["message"]


def test_a_network_that_stays_away_is_given_up_and_what_came_is_kept(
    hub: Hub, fetch: Fetch
) -> None:
    hub.weather.cut_after = 0
    hub.weather.stall_after = None
    ended = fetch(hub, "--patience", "1")
    assert (ended.code, ended.last["cause"]) == (14, "offline")
    hub.weather.cut_after = None
    hub.weather.stall_after = 100_000
    ended = fetch(hub, "--patience", "0.3", "--stall", "0.4", "--connections", "1")
    assert (ended.code, ended.last["cause"]) == (14, "timeout")
    assert fetch.part() >= 90_000
    hub.weather.stall_after = None
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


@pytest.mark.parametrize(("status", "cause"), [(500, "hub_fault"), (429, "rate_limited")])
def test_a_broken_hub_is_told(hub: Hub, fetch: Fetch, status: int, cause: str) -> None:
    hub.weather.status = status
    ended = fetch(hub)
    assert (ended.code, ended.last["cause"]) == (17, cause)


def test_too_little_room_is_told_before_anything_is_fetched(fetch: Fetch) -> None:
    with running(model(), pretend={LM: 10**16}) as hub:
        ended = fetch(hub)
        assert hub.sent() == []
    assert (ended.code, ended.last["cause"]) == (15, "disk_full")
    assert "10000.0 TB" in ended.last["message"]


def test_content_that_stays_wrong_is_told_and_thrown_away(hub: Hub, fetch: Fetch) -> None:
    hub.weather.wrong[LM] = 9
    ended = fetch(hub)
    assert (ended.code, ended.last["cause"]) == (16, "hash_mismatch")
    assert hub.digests[LM] in ended.last["details"]
    assert not list(fetch.to.glob(f"*{LM}*"))
    assert len([r for r in hub.sent() if hub.digests[LM] in r.path]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_a_folder_that_cannot_be_made_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = Fetch(tmp_path / "file" / "model")(hub)
    assert (ended.code, ended.last["cause"]) == (19, "files")


def test_people_are_told_in_sentences(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "personaplex_server", "fetch-model", "--to", str(fetch.to)]
    environment = dict(os.environ) | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 12
    assert f"Accept the licence at https://huggingface.co/{REPO}" in done.stderr
    assert "Traceback" not in done.stderr
    hub.gated = False
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"The model is in {fetch.to}."


def test_a_listener_that_goes_away_does_not_leave_a_mess(fetch: Fetch) -> None:
    with running(model(2_000_000)) as hub:
        hub.weather.bytes_per_s = 400_000
        process = fetch.start(hub)
        process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        errors = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(SECONDS) == 143
        assert errors == ""


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
