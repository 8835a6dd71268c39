from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from personadesk.deploy.step import Step
from personadesk.deploy.steps.placed import PLACED, ByPlace
from personadesk.deploy.steps.remote import remote_steps
from personadesk.domain.errors import Unreachable
from personadesk.domain.plan import Plan, place_on
from personadesk.domain.progress import StepName
from personadesk.domain.text import T


class _Step(Step):
    name = StepName.MODEL
    title = T("Get the model")

    def __init__(self, words: str, limit_s: float = 5.0, takes_s: float = 0.0) -> None:
        self.limit_s = limit_s
        self._words, self._takes = words, takes_s
        self.settled = 0

    async def run(self, context):
        await asyncio.sleep(self._takes)
        return T("{words}", words=self._words)

    async def settle(self, context):
        self.settled += 1

    async def undo(self, context):
        return self._words == "there"


def _context(place: str):
    return SimpleNamespace(plan=Plan("pd-1", place=place))


async def test_a_step_is_done_where_the_plan_leads():
    here, there = _Step("here"), _Step("there")
    step = ByPlace(here, lambda: there)
    assert (step.name, step.title) == (here.name, here.title)
    assert str(await step.run(_context("local"))) == "here"
    assert str(await step.run(_context(place_on("box")))) == "there"
    assert await step.undo(_context(place_on("box")))
    assert not await step.undo(_context("local"))
    await step.settle(_context(place_on("box")))
    assert (here.settled, there.settled) == (0, 1)


async def test_what_is_for_hosts_is_not_loaded_for_this_computer():
    def never() -> Step:
        raise AssertionError

    assert str(await ByPlace(_Step("here"), never).run(_context("local"))) == "here"


async def test_each_is_held_to_its_own_limit():
    step = ByPlace(_Step("here", 0.05, 5), lambda: _Step("there", 5, 0.1))
    with pytest.raises(Unreachable, match="took longer"):
        await step.run(_context("local"))
    assert str(await step.run(_context(place_on("box")))) == "there"


def test_every_step_that_is_another_on_a_host_is_there(tmp_path):
    assert set(remote_steps(None, None, tmp_path)) == PLACED
