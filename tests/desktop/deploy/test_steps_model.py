from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from personadesk.deploy.step import Context
from personadesk.deploy.steps.model import ModelStep
from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.domain.plan import Plan
from personadesk.store.database import Database
from personadesk.store.journal import Journal, Purpose
from personadesk.store.paths import Folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")


@pytest.fixture
async def context(places: Folders, tmp_path: Path) -> AsyncIterator[Context]:
    database = await Database(tmp_path / "a.db").open()
    journal = Journal(database)
    await journal.begin(Plan("pd-1"), Purpose.DEPLOY, 0.0)
    nobody: Any = None
    (places.data / "models").mkdir(parents=True)
    yield Context(
        Plan("pd-1"), places, journal, nobody, nobody,
        {"package": "ab" * 32, "python": ""}, lambda *_: None, lambda *_: None,
    )  # fmt: skip
    await database.close()


def _python(tmp_path: Path, body: str) -> str:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nfor place; do :; done\n{body}\n")
    program.chmod(0o755)
    return str(program)


def _models(context: Context) -> list[str]:
    return sorted(path.name for path in (context.folders.data / "models").iterdir()
                  if not path.name.endswith(".lock"))  # fmt: skip


async def test_the_model_is_made_once(context: Context, model: Path, tmp_path: Path) -> None:
    step = ModelStep()
    context.facts["python"] = _python(tmp_path, f'echo made; cp -r {model} "$place"')
    assert await step.done(context) is None
    assert "untrained" in str(await step.run(context))
    assert _models(context) == ["rehearsal-abababababab"]
    assert "already" in str(await step.done(context))
    assert Path(context.facts["model"]).name == "rehearsal-abababababab"
    assert await step.undo(context) is False
    assert _models(context) == ["rehearsal-abababababab"]


async def test_half_a_model_is_never_taken_for_one(
    context: Context, model: Path, tmp_path: Path
) -> None:
    half = context.folders.data / "models" / "rehearsal-abababababab"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"torn")
    step = ModelStep()
    assert await step.done(context) is None
    context.facts["python"] = _python(tmp_path, f'cp -r {model} "$place"')
    await step.run(context)
    assert await step.done(context) is not None


async def test_a_cancel_in_the_making_leaves_nothing(context: Context, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    context.facts["python"] = _python(tmp_path, f'mkdir "$place"; touch {begun}; sleep 60')
    making = asyncio.create_task(ModelStep().run(context))
    while not begun.exists():
        await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert _models(context) == []


async def test_what_a_killed_making_left_is_removed(context: Context) -> None:
    (context.folders.data / "models" / ".making-rehearsal-abababababab" / "model").mkdir(
        parents=True
    )
    await ModelStep().undo(context)
    assert _models(context) == []


async def test_a_making_that_fails_is_told_with_its_words(context: Context, tmp_path: Path) -> None:
    context.facts["python"] = _python(tmp_path, "echo 'torch is broken'; exit 1")
    with pytest.raises(ProviderFault, match="could not be made") as caught:
        await ModelStep().run(context)
    assert "torch is broken" in caught.value.details
    assert _models(context) == []


async def test_a_disk_that_is_full_is_told_as_such(context: Context, tmp_path: Path) -> None:
    words = "The model cannot be written to there: No space left on device."
    context.facts["python"] = _python(tmp_path, f"echo '{words}'; exit 1")
    with pytest.raises(HostUnfit, match="The disk is full") as caught:
        await ModelStep().run(context)
    assert caught.value.cause == "disk_full"
    assert words in caught.value.details
    assert _models(context) == []
