from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from peers.hub import Hub
from personadesk.domain.errors import AuthFailed, NotFound, ProviderFault, Unreachable
from personadesk.hosts.remote import fetch
from personadesk.hosts.remote.layout import Layout

FILES = ("model.safetensors", "tokenizer.model")


@pytest.fixture
def content():
    return {
        "model.safetensors": os.urandom(1_500_000),
        "tokenizer.model": os.urandom(20_000),
        "config.json": b"{}",
    }


@pytest.fixture
def get(shared_sshd, reach, tmp_path):
    """Fetches to a host; returns the progress."""

    async def do(hub: Hub, token: str | None = None, files=FILES):
        host = await reach.trusted(shared_sshd)
        seen: list[fetch.Progress] = []
        await fetch.fetch(
            host, Layout(f"{tmp_path}/pd"), sys.executable, f"{tmp_path}/model", files,
            ("config.json", "voices.tgz"), token=token, endpoint=hub.url,
            on_progress=seen.append, on_line=lambda line: None,
        )  # fmt: skip
        return seen

    return do


def _there(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}


async def test_everything_comes_and_is_shown_in_bytes(get, content, tmp_path):
    with Hub(content) as hub:
        seen = await get(hub)
    assert _there(tmp_path) == content
    assert (seen[-1].done, seen[-1].total) == (sum(map(len, content.values())),) * 2


async def test_what_is_there_is_not_fetched_again(get, content, tmp_path):
    with Hub(content) as hub:
        await get(hub)
        hub.asked.clear()
        await get(hub)
        assert {method for method, _, _ in hub.asked} == {"HEAD"}
    assert _there(tmp_path) == content


async def test_a_cut_is_gone_on_from_and_not_begun_anew(get, content, tmp_path):
    with Hub(content, cut_after=400_000, cuts=2) as hub:
        await get(hub)
        starts = [
            part
            for method, path, part in hub.asked
            if method == "GET" and part and "model.s" in path
        ]
    assert starts
    assert all(start != "bytes=0-" for start in starts)
    assert _there(tmp_path) == content


async def test_a_hub_that_sends_no_parts_is_fetched_from_the_beginning(get, content, tmp_path):
    with Hub(content, cut_after=400_000, cuts=1, ranges=False) as hub:
        await get(hub)
    assert _there(tmp_path) == content


async def test_a_busy_hub_is_asked_again(get, content, tmp_path):
    with Hub(content, faults=[503, 429]) as hub:
        await get(hub)
    assert _there(tmp_path) == content


async def test_what_comes_damaged_gets_no_name(get, content, tmp_path):
    with Hub(content, wrong={"model.safetensors"}) as hub, pytest.raises(ProviderFault) as caught:
        await get(hub)
    assert caught.value.cause == "damaged"
    assert _there(tmp_path) == {}


async def test_the_token_opens_the_hub_and_goes_nowhere_else(get, content, tmp_path):
    with Hub(content, token="hf_right") as hub:
        await get(hub, "hf_right")
        assert set(hub.stored_with) == {""}
    assert _there(tmp_path) == content
    for path in (tmp_path / "pd").rglob("*"):
        assert not path.is_file() or b"hf_right" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("token", "accepted", "cause"),
    [(None, True, "token_needed"), ("hf_wrong", True, "bad_token"), ("hf_right", False, "gated")],
)
async def test_a_missing_a_wrong_and_an_unlicensed_token_are_told_apart(
    get, content, token, accepted, cause
):
    with (
        Hub(content, token="hf_right", accepted=accepted) as hub,
        pytest.raises(AuthFailed) as caught,
    ):
        await get(hub, token)
    assert caught.value.cause == cause
    assert "https://" in str(caught.value.next)


async def test_a_file_that_the_repository_lacks(get, content):
    with Hub(content) as hub, pytest.raises(NotFound):
        await get(hub, files=("other.safetensors",))


async def test_a_hub_that_is_not_there(get, content):
    with Hub(content) as hub:
        gone = hub.url
    with pytest.raises(Unreachable) as caught:
        await get(_At(gone))
    assert caught.value.cause == "hub"


class _At:
    """A hub of which there is only the address."""

    def __init__(self, url: str) -> None:
        self.url = url


def test_a_token_that_this_computer_has_is_found(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert fetch.find_token() is None
    (tmp_path / "token").write_text("hf_kept\n")
    assert fetch.find_token() == "hf_kept"
    monkeypatch.setenv("HF_TOKEN", "hf_given")
    assert fetch.find_token() == "hf_given"
