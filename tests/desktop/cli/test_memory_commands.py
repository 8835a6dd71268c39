"""`personadesk memory` as somebody types it: what is held against whom, and how it is forgotten."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from personadesk.__main__ import main
from personadesk.domain.reputation import Experience, Kind
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore
from personadesk.store.paths import folders

HOST = "vast/host/h-1"
OFFER = "vast/offer/7|SE|own"


@pytest.fixture
def type_(capsys, personadesk_home):
    """Types a command; returns its exit status and what it wrote."""

    def type_(*words: str) -> tuple[int, str]:
        code = main(list(words))
        return code, capsys.readouterr().out.strip()

    return type_


@pytest.fixture
def lost(personadesk_home) -> None:
    """A host at Vast.ai lost its GPU a moment ago."""

    async def write() -> None:
        database = await Database(folders().data / "personadesk.db").open()
        await ExperienceStore(database).add(
            Experience(
                "pd-1/1", Kind.GPU_LOST, "vast", "7|SE|own", "SE", "h-1", "RTX 4090", "Sweden",
                time.time() - 1,
            )
        )  # fmt: skip
        await database.close()

    asyncio.run(write())


def test_without_a_memory_it_says_so(type_):
    assert type_("memory") == (0, "Nothing is held against any host, offer or region.")
    code, told = type_("memory", "--json")
    assert (code, json.loads(told)) == (0, {"held_against": []})


@pytest.mark.usefixtures("lost")
def test_it_tells_until_when_and_why_and_forgets_one_of_them(type_):
    code, told = type_("memory")
    assert code == 0
    host, offer = told.splitlines()
    assert host.startswith("Vast.ai, RTX 4090, Sweden: Left alone until ")
    assert host.endswith(f"[{HOST}]")
    assert "It comes after the others until " in offer
    code, told = type_("memory", "forget", HOST, "--json")
    (left,) = json.loads(told)["held_against"]
    assert (code, left["key"], left["kind"], left["left_alone"]) == (0, OFFER, "gpu-lost", False)
    assert type_("memory", "forget", "--all")[1].startswith("Nothing is held against")


@pytest.mark.usefixtures("lost")
def test_a_word_that_nothing_is_held_against_is_refused_and_nothing_is_forgotten(type_):
    code, told = type_("memory", "forget", "vast/host/other", "--json")
    assert (code, json.loads(told)["error"]["cause"]) == (1, "not_held")
    assert len(type_("memory")[1].splitlines()) == 2


def test_what_shall_be_forgotten_must_be_said(type_):
    with pytest.raises(SystemExit) as ended:
        type_("memory", "forget")
    assert ended.value.code == 2
