"""Step 1: can this computer do what is asked? Nothing is changed yet, and every "no" says what to do."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.deploy import model_folder
from personadesk.deploy.step import Context, Step
from personadesk.deploy.words import size
from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.line import FIRST_PORT, LAST_PORT
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.hosts import local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.plan import Plan
    from personadesk.hosts.local import Computer

OLDEST_PYTHON = (3, 11)
LONGEST_NAME = 40
GPU_BYTES_7B = 24_000_000_000
"""16-bit weights take 16.7 GB; with state and codec a 24 GB card is the least that works."""
MODEL_BYTES_7B = 17_100_000_000
"""Weights, codec and voices as they come."""
SERVER_BYTES = 900_000_000
"""Python, torch and the server before any model, resident."""
BIG_MODEL_BYTES = 4_000_000_000
"""Above this a processor cannot keep up with 12.5 frames a second."""


class CheckStep(Step):
    """Checks the plan, the computer, the port and the model."""

    name = StepName.CHECK
    title = T("Check the computer")
    limit_s = 60.0
    expected_s = 0.3

    def __init__(self, look: Callable[[], Awaitable[Computer]] = local.look) -> None:
        self._look = look

    async def run(self, context: Context) -> Text:
        """Check everything; cheap things first."""
        plan = context.plan
        check_plan(plan)
        await self._check_port(context)
        computer = context.computer = await self._look()
        _check_python()
        model_bytes = await _check_model(plan, computer)
        if plan.clip is not None:
            await asyncio.to_thread(_check_clip, plan.clip)
        gpu = best_gpu(computer)
        _check_memory(computer, model_bytes, gpu is not None)
        await context.remember(gpu=gpu is not None, model_bytes=model_bytes)
        cores, memory = computer.cores, size(computer.memory_free_bytes)
        facts = T(
            "{system} on {machine}, Python {version}, {free} of {total} of memory free",
            system=computer.system, machine=computer.machine, version=computer.python,
            free=memory, total=size(computer.memory_bytes),
        )  # fmt: skip
        context.log(self.name, facts, False)
        for line in [each.name for each in computer.gpus] or [computer.gpu_reason]:
            if line:
                context.log(self.name, line, False)
        if gpu is not None:
            return T(
                "{gpu}, {cores} cores, {memory} of memory free",
                gpu=gpu.name, cores=cores, memory=memory,
            )  # fmt: skip
        return T(
            "{cores} cores, {memory} of memory free, no NVIDIA GPU", cores=cores, memory=memory
        )

    async def _check_port(self, context: Context) -> None:
        plan, lines = context.plan, context.lines
        for line in await lines.all():
            if line.port == plan.port and line.name != plan.line:
                raise BadRequest(
                    T("Port {port} belongs to the line “{name}”.", port=plan.port, name=line.name),
                    T("Choose another port, or put the voice behind that line."),
                    cause="port_taken",
                )
        if await lines.serves(plan.port) or await asyncio.to_thread(local.port_is_free, plan.port):
            return
        raise await asyncio.to_thread(local.port_taken, plan.port)


def check_plan(plan: Plan) -> None:
    """Check what can be told from the plan alone.

    Raises:
        BadRequest: A name, port or place makes no sense.
    """
    name = plan.line
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadRequest(
            T("A line's name has 1 to {most} characters.", most=LONGEST_NAME),
            T("Choose another name."),
            cause="bad_name",
        )
    if not FIRST_PORT <= plan.port <= LAST_PORT:
        raise BadRequest(
            T("Port {port} cannot be used; ports from 1024 to 65535 can.", port=plan.port),
            T("Choose another port, for example 8998."),
            cause="bad_port",
        )
    if plan.place != "local":
        raise BadRequest(
            T("PersonaDesk does not know the place “{place}”.", place=plan.place),
            T("Deploy to this computer: local."),
            cause="bad_place",
        )
    if plan.model.kind is ModelKind.FOLDER and not plan.model.folder:
        raise BadRequest(
            T("The model's folder was not named."), T("Name the folder."), cause="no_folder"
        )


def best_gpu(computer: Computer) -> local.Gpu | None:
    """Return the GPU with the most memory."""
    return max(computer.gpus, key=lambda gpu: gpu.memory_bytes or 0, default=None)


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise HostUnfit(
            T("The voice server needs Python 3.11 or newer."),
            T("Install a newer Python and start PersonaDesk with it."),
            cause="old_python",
        )
    if importlib.util.find_spec("venv") is None:
        raise HostUnfit(
            T("This Python cannot make virtual environments."),
            T(
                "Install Python's venv module (on Debian: apt-get install python3-venv), then try again."
            ),
            cause="no_venv",
        )


async def _check_model(plan: Plan, computer: Computer) -> int:
    if plan.model.kind is ModelKind.PERSONAPLEX_7B:
        gpu = best_gpu(computer)
        if gpu is None or (gpu.memory_bytes or 0) < GPU_BYTES_7B:
            found = (
                T("This computer has no NVIDIA GPU; PersonaPlex 7B needs one with 24 GB.")
                if gpu is None
                else T(
                    "{gpu} has {memory}; PersonaPlex 7B needs a GPU with 24 GB.",
                    gpu=gpu.name, memory=size(gpu.memory_bytes or 0),
                )
            )  # fmt: skip
            raise HostUnfit(
                found,
                T(
                    "Take the rehearsal model to try everything here, or a computer with such a GPU."
                ),
                cause="no_gpu",
            )
        return MODEL_BYTES_7B
    if plan.model.kind is ModelKind.FOLDER:
        total = await asyncio.to_thread(_model_bytes, plan.model.folder or "")
        if total > BIG_MODEL_BYTES and not computer.gpus:
            raise HostUnfit(
                T(
                    "A model of {size} cannot talk in real time without an NVIDIA GPU.",
                    size=size(total),
                ),
                T(
                    "Take the rehearsal model to try everything here, or a computer with such a GPU."
                ),
                cause="no_gpu",
            )
        return total
    return 30_000_000


def _model_bytes(folder: str) -> int:
    return model_folder.check(Path(folder).expanduser())


def _check_memory(computer: Computer, model_bytes: int, gpu: bool) -> None:
    # With a GPU the weights pass through memory file by file; without one they stay there, in 32 bits.
    needed = SERVER_BYTES + (model_bytes // 4 if gpu else 2 * model_bytes)
    if computer.memory_free_bytes < needed:
        raise HostUnfit(
            T(
                "The voice server needs {needed} of memory; {free} is free.",
                needed=size(needed), free=size(computer.memory_free_bytes),
            ),
            T("Close other programs, then try again."),
            cause="memory",
        )  # fmt: skip


def _check_clip(path: str) -> None:
    from personadesk.voice import clips

    clips.load(path)
