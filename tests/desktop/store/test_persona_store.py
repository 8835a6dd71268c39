"""Saved personas stay, replace those of their name, and travel as files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.persona import Persona, Sampling
from personadesk.store.database import Database
from personadesk.store.personas import PersonaStore, read_shared, write_shared

if TYPE_CHECKING:
    from pathlib import Path

NOOR = Persona("Noor", "You work for a museum.", "NATF2.pt", Sampling(seed=7))


async def test_a_persona_is_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    database = Database(tmp_path / "data.db")
    await database.open()
    store = PersonaStore(database)
    await store.put(NOOR)
    await store.put(Persona("anna"))
    await store.put(replace(NOOR, text="Another."))
    assert [each.name for each in await store.all()] == ["anna", "Noor"]
    assert (await store.all())[1] == replace(NOOR, text="Another.")
    assert await store.remove("Noor")
    assert not await store.remove("Noor")
    await database.close()


def test_a_shared_file_is_written_and_read(tmp_path: Path) -> None:
    write_shared(tmp_path / "noor.json", NOOR)
    assert read_shared(tmp_path / "noor.json") == NOOR


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    for name in ("bad.json", "none.json"):
        with pytest.raises(BadRequest):
            read_shared(tmp_path / name)
    with pytest.raises(HostUnfit):
        write_shared(tmp_path / "no" / "folder.json", NOOR)
