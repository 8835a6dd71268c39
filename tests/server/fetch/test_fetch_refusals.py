"""Each reason why a model cannot be had is told apart, by a sentence, a next step and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peers.fetching import CODEC, LM, SECONDS, TEXT, Fetch, model
from peers.hugging_face import REPO, Hub, running


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
