"""The released model, fetched by a machine itself that is reached by a real SSH daemon, from a hub on loopback."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

import personaplex_server
from peers.hugging_face import running
from personadesk.domain.errors import AuthFailed, Unreachable
from personadesk.domain.model_fetch import FetchPhase, FetchProgress
from personadesk.hosts.model_fetch import Wanted
from personadesk.hosts.remote import fetch
from personadesk.hosts.remote.layout import Layout

NOISE = random.Random(5)
FILES = {
    "config.json": b"{}",
    "model.safetensors": NOISE.randbytes(600_000),
    "tokenizer-e351c8d8-checkpoint125.safetensors": NOISE.randbytes(30_000),
    "tokenizer_spm_32k_3.model": NOISE.randbytes(20_000),
}


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A Python that has the server which is tested, as an environment on a host would."""
    program = tmp_path / "python"
    place = Path(personaplex_server.__file__).parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def get(shared_sshd, reach, python, tmp_path):
    """Fetches to a host; returns what came of it and the progress."""

    async def do(url: str, token: str | None = "hf_granted"):  # noqa: S107 - a stand-in's
        host = await reach.trusted(shared_sshd)
        seen: list[FetchProgress] = []
        fetched = await fetch.fetch(
            host, Layout(f"{tmp_path}/pd"), Wanted(python, f"{tmp_path}/model"), token=token,
            endpoint=url, on_progress=seen.append, on_line=lambda line: None,
        )  # fmt: skip
        return fetched, seen

    return do


async def test_all_comes_is_shown_in_bytes_and_is_not_fetched_twice(get, tmp_path):
    with running(FILES) as hub:
        fetched, seen = await get(hub.url)
        again, _ = await get(hub.url)
    for name, content in FILES.items():
        assert (tmp_path / "model" / name).read_bytes() == content
    total = sum(map(len, FILES.values()))
    assert (fetched.size, fetched.fetched, again.fetched) == (total, total, 0)
    moving = [each for each in seen if each.phase is FetchPhase.FETCHING]
    assert (moving[-1].done, moving[-1].total) == (total, total)


async def test_a_cut_on_the_way_is_gone_on_from(get, tmp_path):
    with running(FILES) as hub:
        hub.weather.cut_after, hub.weather.cuts = 200_000, 2
        await get(hub.url)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == FILES["model.safetensors"]


async def test_the_token_stays_nowhere_there(get, tmp_path):
    with running(FILES) as hub:
        await get(hub.url)
    for path in (tmp_path / "pd").rglob("*"):
        assert not path.is_file() or b"hf_granted" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("token", "cause"), [(None, "no_token"), ("hf_wrong", "bad_token"), ("hf_stranger", "gated")]
)
async def test_a_missing_a_wrong_and_an_unlicensed_token_are_told_apart(get, token, cause):
    with running(FILES) as hub, pytest.raises(AuthFailed) as caught:
        await get(hub.url, token)
    assert caught.value.cause == cause


async def test_a_hub_that_is_not_there(get):
    with running(FILES) as hub:
        gone = hub.url
    with pytest.raises(Unreachable):
        await get(gone)
